"""The middle square of pictures, in one size: what resize_and_crop_images.py does."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ....atomic import write_atomically
from ....data.datum_encoder import DatumEncoder
from ....reading import lines


def main(words: Sequence[str]) -> None:
    """Write each picture of a list, in the folders that it has there, into another folder."""
    flags = argparse.ArgumentParser(description="Resize pictures and crop their middle.")
    flags.add_argument("--input", required=True, help="a list of pictures, a name a line")
    flags.add_argument("--input_folder", default="", help="where they are")
    flags.add_argument("--output_folder", required=True, help="where to write")
    flags.add_argument("--output_side_length", type=int, default=256, help="pixels [256]")
    for name in ("image_lib", "num_clients"):
        flags.add_argument(f"--{name}", help="passed over")
    args = flags.parse_args(list(words))
    side = args.output_side_length
    bad = 0
    for name in _names(args.input, args.input_folder):
        out = os.path.join(args.output_folder, name)
        kind = os.path.splitext(name)[1][1:]
        encoder = DatumEncoder(size=(side, side), cut=True, encoded=True, kind=kind)
        entries = encoder.encode_all([(name, 0)], lambda name: _path(args.input_folder, name))
        for _, _, datum, _, problem in entries:
            if problem:
                print(f"{name}: {problem}", file=sys.stderr)
                bad += 1
                continue
            os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
            write_atomically(out, datum.data)
    if bad:
        raise SystemExit(1)


def _path(folder: str, name: str) -> str:
    return os.path.join(folder, name)


def _names(path: str, folder: str) -> list[str]:
    """The first word of each line, below the folder."""
    words = (line.split()[:1] for line in lines(path, "names of pictures"))
    return [word.replace(folder, "", 1).lstrip("/") for found in words for word in found]
