"""The weights that a model's card names: what scripts/download_model_binary.py does."""

from __future__ import annotations

import argparse
import hashlib
import os
import urllib.request
from collections.abc import Sequence

from ....atomic import write_atomically
from ....errors import CaffeliteError, DataError
from ....reading import data, text, yaml_mapping

KEYS = ("caffemodel", "caffemodel_url", "sha1")


def main(words: Sequence[str]) -> None:
    """Download the weights that readme.md of a folder names, unless they are there."""
    flags = argparse.ArgumentParser(description="Download a trained model.")
    flags.add_argument("dirname", help="the model's folder, with its readme.md")
    args = flags.parse_args(list(words))
    card = _card(os.path.join(args.dirname, "readme.md"))
    path = os.path.join(args.dirname, os.path.basename(card["caffemodel"]))
    if os.path.exists(path) and hashlib.sha1(data(path)).hexdigest() == card["sha1"]:
        print("Model already exists.")
        return
    print(f"Downloading {card['caffemodel_url']}")
    with urllib.request.urlopen(card["caffemodel_url"]) as answer:
        content = answer.read()
    found = hashlib.sha1(content).hexdigest()
    if found != card["sha1"]:
        raise CaffeliteError(
            f"{card['caffemodel_url']}: its sha1 is {found}, expected {card['sha1']}, as the card "
            "says: it did not come whole, or is another file; nothing was written"
        )
    write_atomically(path, content)
    print(path)


def _card(path: str) -> dict[str, str]:
    """What stands between the first two lines --- of a readme."""
    parts = text(path).split("---\n", 2)
    found = yaml_mapping(parts[1], path) if len(parts) == 3 else None
    missing = [key for key in KEYS if key not in (found or {})]
    if missing:
        raise DataError(f"{path}: expected a card between lines ---, with {', '.join(missing)}")
    return {key: str((found or {})[key]) for key in KEYS}
