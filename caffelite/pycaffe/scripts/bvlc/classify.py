"""Scores of pictures into an .npy: what python/classify.py does."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Sequence

import numpy as np

from ....data import mean_file
from ....errors import CaffeliteError
from ....types import Array
from ... import io
from ...classifier import Classifier
from ._flags import numbers, parser, preprocessing


def main(words: Sequence[str]) -> None:
    """Classify a picture, those of a folder, or those in an .npy."""
    flags = parser("Classify pictures.", "bvlc_reference_caffenet")
    flags.add_argument("--center_only", action="store_true", help="the middle, not 10 crops")
    flags.add_argument("--images_dim", default="256,256", help="height,width before cropping")
    flags.add_argument("--ext", default="jpg", help="the ending of pictures in a folder")
    args = flags.parse_args(list(words))
    net = Classifier(
        args.model_def,
        args.pretrained_model,
        image_dims=numbers(args.images_dim),
        **preprocessing(args),
    )
    pictures = _pictures(os.path.expanduser(args.input_file), args.ext)
    print(f"Classifying {len(pictures)} inputs.")
    start = time.perf_counter()
    scores = net.predict(pictures, not args.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    print(f"Saving results into {args.output_file}")
    np.save(args.output_file, scores)


def _pictures(path: str, ending: str) -> Array | list[Array]:
    if path.endswith("npy"):
        print(f"Loading file: {path}")
        loaded: Array = mean_file.read(path)
        return loaded
    if not os.path.isdir(path):
        print(f"Loading file: {path}")
        return [io.load_image(path)]
    print(f"Loading folder: {path}")
    names = sorted(glob.glob(f"{path}/*.{ending}"))
    if not names:
        raise CaffeliteError(f"{path}: has no pictures that end with .{ending}; see --ext")
    return [io.load_image(name) for name in names]
