"""A table of a net's layers, their bottoms and tops: what tools/extra/summarize.py does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ....pictures.wiring import wiring
from ....proto.text import read_net
from ....table import table


def main(words: Sequence[str]) -> None:
    """Print a line for each layer."""
    flags = argparse.ArgumentParser(description="A net's layers, line by line.")
    flags.add_argument("filename", help="the net's prototxt")
    flags.add_argument("-w", "--max-width", type=int, default=30, help="passed over")
    args = flags.parse_args(list(words))
    layers = list(wiring(read_net(args.filename)))
    if layers:
        rows = [tuple(layer.values()) for layer in layers]
        print("\n".join(table(tuple(layers[0]), rows, left=len(layers[0]))))
