"""Encoded pictures (PNG, JPEG and whatever else Pillow reads) to pixels, and back."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DataError

_GRAY_MODES = ("1", "L", "LA")
_DEEP_MODES = ("I", "F")  # and "I;16", "I;16B", ...: more than 8 bits a sample
_ORIENTATION = 0x0112  # of EXIF; 1 is upright
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(encoded, color=None):
    """uint8 pixels, channels x height x width, of a picture in a file, or in bytes.

    They are what OpenCV reads. Channels are in its order: blue, green, red. `color` makes them 3
    (True) or 1 (False); None keeps gray, color, and color with alpha as they are. All are upright,
    and the upper 8 bits of 16, even with None, where OpenCV keeps them as they are stored.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as file:
            if color is False:
                file.draft("L", None)  # a JPEG holds gray values as they are
            picture = _eight_bits(upright(file), file.format)
            mode = _target_mode(picture, color)
            pixels = np.asarray(picture.convert(mode))
    except UnidentifiedImageError:
        raise DataError("no picture that can be decoded: of no known format") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise DataError(f"no picture that can be decoded: {problem}") from None
    if mode == "L":
        return pixels[None]
    order = [2, 1, 0, 3] if mode == "RGBA" else [2, 1, 0]
    pixels = pixels.transpose(2, 0, 1)[order]
    return _gray(*pixels) if color is False else pixels


def upright(picture):
    """The picture turned, or mirrored, as its EXIF orientation says."""
    picture.load()  # which turns a TIFF, and finds what a PNG says at its end
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION))
    except Exception:  # damaged EXIF raises nearly anything, and does no harm to the pixels
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _eight_bits(picture, format):
    """The picture with 8 bits a sample: the upper ones of 16. Pillow does so itself with color."""
    if picture.mode.partition(";")[0] not in _DEEP_MODES:
        return picture
    sixteen = picture.mode.startswith("I;16") or (picture.mode, format) == ("I", "PNG")
    if not sixteen:
        raise DataError(f"picture has {picture.mode} samples, expected 8 or 16 bits a sample")
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


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
    if name not in Image.SAVE or name not in Image.OPEN:
        raise DataError(f'cannot write pictures of the type "{kind}"; try png or jpg')
    return name
