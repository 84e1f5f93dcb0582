"""Scores of windows of pictures into a table: what python/detect.py does."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from ....data.detections import TABLES, read_windows
from ....errors import CaffeliteError
from ....reading import lines
from ...detector import Detector
from ._flags import parser, preprocessing


def main(words: Sequence[str]) -> None:
    """Detect in windows of a .csv, or those that selective search proposes for a .txt."""
    flags = parser("Detect in windows of pictures.", "bvlc_reference_rcnn_ilsvrc13")
    modes = ("list", "selective_search")
    flags.add_argument("--crop_mode", default="selective_search", choices=modes)
    flags.add_argument("--context_pad", type=int, default=16, help="pixels around a window [16]")
    args = flags.parse_args(list(words))
    table: Any = TABLES.get(os.path.splitext(args.output_file)[1].lower())
    if table is None:
        raise CaffeliteError(f"{args.output_file}: expected an ending of {' or '.join(TABLES)}")
    options = preprocessing(args)
    if options["mean"] is not None:
        options["mean"] = options["mean"].mean((1, 2))  # of each channel
    net = Detector(args.model_def, args.pretrained_model, context_pad=args.context_pad, **options)
    start = time.perf_counter()
    print("Loading input...")
    if args.input_file.lower().endswith("txt"):
        names = [line.strip() for line in lines(args.input_file, "names of pictures")]
        found = net.detect_selective_search(list(filter(None, names)))
    else:
        found = net.detect_windows(read_windows(args.input_file).items())
    print(f"Processed {len(found)} windows in {time.perf_counter() - start:.3f} s.")
    with table(args.output_file) as file:
        file.add(found)
    print(f"Saved to {args.output_file}.")
