"""What commands share that make a picture: numbers of their flags, and writing it."""

import argparse
import os

from ..reading import integer, number


def at_least(least):
    """The type of a flag that is a whole number."""
    return lambda text: integer(text, "", least=least, error=argparse.ArgumentTypeError)


def from_0(text):
    """The type of a flag that is a number, 0 or more."""
    found = number(text, "", error=argparse.ArgumentTypeError)
    if found < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, not {text!r}")
    return found


def above_0(text):
    """The type of a flag that is a number above 0."""
    if not (found := from_0(text)):
        raise argparse.ArgumentTypeError(f"expected more than 0, not {text!r}")
    return found


def write_picture(path, pixels):
    """Write uint8 pixels, channels x height x width, as the kind of file that its name says."""
    from ..atomic import write_atomically
    from ..data.image import encode

    write_atomically(path, encode(pixels, os.path.splitext(path)[1].lstrip(".") or "png"))
