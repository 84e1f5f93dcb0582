"""Encoded pictures (PNG, JPEG and whatever else Pillow reads) to pixels."""

import io

import numpy as np
from PIL import Image

from ..errors import DataError

_GRAY_MODES = ("1", "L")
_DEEP_MODES = ("I", "F")  # and "I;16", "I;16B", ...: more than 8 bits a sample


def decode(encoded, color=None):
    """uint8 pixels, channels x height x width, of a picture in a file, or in bytes.

    Channels are in OpenCV's order: blue, green, red. `color` makes them 3 (True) or 1 (False);
    None keeps gray, color, and color with alpha as they are.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as picture:
            if picture.mode.partition(";")[0] in _DEEP_MODES:
                raise DataError(f"picture has {picture.mode} samples, expected 8 bits a sample")
            mode = _target_mode(picture, color)
            picture.draft(mode, None)  # a JPEG holds luminance as it is
            pixels = np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise DataError(f"no picture that can be decoded: {problem}") from None
    if mode == "L":
        return pixels[None]
    order = [2, 1, 0, 3] if mode == "RGBA" else [2, 1, 0]
    return pixels.transpose(2, 0, 1)[order]


def _target_mode(picture, color):
    if color is not None:
        return "RGB" if color else "L"
    if picture.mode in _GRAY_MODES:
        return "L"
    transparent = picture.mode in ("LA", "RGBA") or "transparency" in picture.info
    return "RGBA" if transparent else "RGB"
