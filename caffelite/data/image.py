"""Encoded pictures (PNG, JPEG and whatever else Pillow reads) to pixels, and back."""

import io

import numpy as np
from PIL import Image

from ..errors import DataError

_GRAY_MODES = ("1", "L", "LA")
_DEEP_MODES = ("I", "F")  # and "I;16", "I;16B", ...: more than 8 bits a sample


def decode(encoded, color=None):
    """uint8 pixels, channels x height x width, of a picture in a file, or in bytes.

    They are what OpenCV reads. Channels are in its order: blue, green, red. `color` makes them 3
    (True) or 1 (False); None keeps gray, color, and color with alpha as they are.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as picture:
            if picture.mode.partition(";")[0] in _DEEP_MODES:
                raise DataError(f"picture has {picture.mode} samples, expected 8 bits a sample")
            if color is False:
                picture.draft("L", None)  # a JPEG holds gray values as they are
            mode = _target_mode(picture, color)
            pixels = np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise DataError(f"no picture that can be decoded: {problem}") from None
    if mode == "L":
        return pixels[None]
    order = [2, 1, 0, 3] if mode == "RGBA" else [2, 1, 0]
    pixels = pixels.transpose(2, 0, 1)[order]
    return _gray(*pixels) if color is False else pixels


def _target_mode(picture, color):
    transparent = picture.mode.endswith("A") or "transparency" in picture.info
    if color is None:
        return "RGBA" if transparent else "L" if picture.mode in _GRAY_MODES else "RGB"
    return "L" if picture.mode in _GRAY_MODES and not color else "RGB"


def _gray(blue, green, red):
    """0.299 red + 0.587 green + 0.114 blue, as libpng rounds it."""
    weighted = np.uint32(9797) * red + np.uint32(19234) * green + np.uint32(3737) * blue
    return (weighted >> 15).astype(np.uint8)[None]


def encode(pixels, kind):
    """The bytes of a picture file of `kind` ("png", "jpg", ...) that holds 1 or 3 channels."""
    planes = pixels[0] if len(pixels) == 1 else pixels[[2, 1, 0]].transpose(1, 2, 0)
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(planes))
    picture.save(file, format_of(kind), quality=95)  # OpenCV's, for a JPEG
    return file.getvalue()


def format_of(kind):
    """Pillow's name for the format of files that end in .KIND."""
    name = Image.registered_extensions().get("." + kind.lower())
    if name not in Image.SAVE:
        raise DataError(f'cannot write pictures of the type "{kind}"; try png or jpg')
    return name
