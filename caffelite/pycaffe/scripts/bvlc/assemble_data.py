"""Pictures of Flickr Style and lists of them: what finetune_flickr_style/assemble_data.py does."""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import os
import sys
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ....atomic import write_atomically
from ....data.image import decode
from ....errors import CaffeliteError, DataError
from ....reading import data

GONE = "6a92790b1c2a301c6e7ddef645dca1f53ea97ac2"
"""The sha1 of the picture that Flickr gives where one is no longer there."""


def main(words: Sequence[str]) -> None:
    """Download pictures that flickr_style.csv.gz, beside the script, names, and list them."""
    flags = argparse.ArgumentParser(description="Download a part of Flickr Style.")
    flags.add_argument("-s", "--seed", type=int, default=0, help="of the order [0]")
    flags.add_argument("-i", "--images", type=int, default=-1, help="how many [all]")
    flags.add_argument("-w", "--workers", type=int, default=-1, help="how many at once")
    flags.add_argument("-l", "--labels", type=int, default=0, help="of the first N labels alone")
    args = flags.parse_args(list(words))
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    target = os.path.join(os.path.dirname(os.path.dirname(here)), "data", "flickr_style")
    rows = _rows(os.path.join(here, "flickr_style.csv.gz"))
    rows = [rows[k] for k in np.random.RandomState(args.seed).permutation(len(rows))]
    if args.labels > 0:
        rows = [row for row in rows if int(row["label"]) < args.labels]
    if args.images > 0:
        rows = rows[: args.images]
    folder = os.path.join(target, "images")
    os.makedirs(folder, exist_ok=True)
    workers = args.workers if args.workers > 0 else max(1, (os.cpu_count() or 1) + args.workers)
    print(f"Downloading {len(rows)} images with {workers} workers...")
    paths = [os.path.join(folder, os.path.basename(row["image_url"])) for row in rows]
    with ThreadPoolExecutor(workers) as pool:
        came = list(pool.map(_download, [row["image_url"] for row in rows], paths))
    kept = [(row, path) for row, path, good in zip(rows, paths, came, strict=True) if good]
    for split in ("train", "test"):
        lines = [f"{path} {row['label']}\n" for row, path in kept if row["_split"] == split]
        write_atomically(os.path.join(target, f"{split}.txt"), "".join(lines).encode())
    print(f"Writing train/val for {len(kept)} successfully downloaded images.")


def _rows(path: str) -> list[dict[str, str]]:
    """{column: word} of each line."""
    try:
        words = gzip.decompress(data(path)).decode()
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    rows = list(csv.DictReader(io.StringIO(words)))
    for name in ("image_url", "label", "_split"):
        if not rows or name not in rows[0]:
            raise CaffeliteError(f"{path}: expected a column {name}")
    return rows


def _download(url: str, path: str) -> bool:
    """Whether the picture of an address is in the file now, and one."""
    try:
        if not os.path.exists(path):
            with urllib.request.urlopen(url) as answer:
                write_atomically(path, answer.read())
        if hashlib.sha1(data(path)).hexdigest() == GONE:
            return False
        decode(path)
        return True
    except (OSError, DataError, ValueError):
        return False
