"""What commands share that make a picture: writing it."""

import os


def write_picture(path, pixels):
    """Write uint8 pixels, channels x height x width, as the kind of file that its name says."""
    from ..atomic import write_atomically
    from ..data.image import encode

    write_atomically(path, encode(pixels, os.path.splitext(path)[1].lstrip(".") or "png"))
