"""What pictures go through before a net sees them: the flags that say so, and what they mean."""

import argparse
import re

from ..reading import number, utf8
from ._flags import UsageError, finite
from ._nets import stages


def add_preparation_flags(parser):
    """--resize, and those of `add_mean_flags`."""
    parser.add_argument(
        "--resize", type=picture_size, metavar="N|HxW", help="what to resize pictures to"
    )
    add_mean_flags(parser)


def add_mean_flags(parser):
    """--train_val, --mean, --mean_value and --scale."""
    flag = parser.add_argument
    flag("--train_val", metavar="FILE", help="take what pictures go through from this net")
    flag("--mean", metavar="FILE", help="the mean picture, a .binaryproto")
    flag("--mean_value", type=_values, metavar="B,G,R", help="the mean of each channel, or of all")
    flag("--scale", type=finite, metavar="X", help="factor, after the mean is subtracted")


def picture_size(text):
    """(height, width) of a flag's "N" or "HxW"."""
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text)
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(size):
        raise argparse.ArgumentTypeError(f"expected N or HEIGHTxWIDTH, 1 to 9999, not {text!r}")
    return size


def _values(text):
    at, error = "expected numbers, as 104,117,123", argparse.ArgumentTypeError
    return [number(word, at, error=error) for word in text.split(",")]


def preparation_of(args, model, log):
    """What pictures go through before the net sees them: what its files say, then the flags."""
    import numpy as np

    from ..data.transform import read_mean
    from ..errors import DataError
    from ..predict.preprocessing import preparation, subtract_from_channels

    if args.mean and args.mean_value:
        raise UsageError("--mean and --mean_value exclude each other")
    found = preparation(model, args.train_val, args.level, stages(args))
    transform = found.transform
    if args.mean or args.mean_value:
        transform.ClearField("mean_value")
        transform.ClearField("mean_file")
        transform.mean_value.extend(args.mean_value or [])
        transform.mean_file = utf8(args.mean or "", "--mean")
    if args.scale is not None:
        transform.scale = args.scale
    if transform.mean_file and (args.resize or not found.size):
        try:
            size = read_mean(transform, np.float32).shape[1:]
        except DataError as problem:
            by = "" if args.mean else f", which {found.origin} names; --mean tells where it is now"
            raise DataError(f"{problem}{by}") from None
        found.size = found.size or size
        if args.resize not in (None, size):
            subtract_from_channels(transform)
    found.size = args.resize or found.size
    if not (found.origin or args.mean or args.mean_value or args.scale):
        log.warning(
            "%s: no data layer, card or train_val.prototxt tells what its pictures go through; "
            "they are taken from 0 to 255: see --mean, --mean_value, --scale and --train_val",
            model,
        )
    return found
