"""Decoding and encoding: from picture files to pixels as OpenCV has them, and back."""

import io
import logging

import numpy as np

from ..errors import DataError
from .picture_file import ENDINGS, opened_picture, readers, tiles, upright, upright_size

log = logging.getLogger("caffelite")

INDICES = "indices"
"""A way to decode: pictures with a palette give their indices, gray ones their values, in which
labels are kept; others are refused."""

GRAY_LABELS = "gray labels"
"""A way to decode: to gray, in whose values Caffe keeps labels; colors and 16 bits are refused."""

_GRAY_MODES = ("1", "L", "LA")
_DEEP_MODES = ("I", "F")  # and "I;16", "I;16B", ...: more than 8 bits a sample


def decode(encoded, color=None):
    """uint8 pixels, channels x height x width, of a picture in a file, or in bytes.

    They are what OpenCV reads. Channels are in its order: blue, green, red. `color` makes them 3
    (True) or 1 (False); None keeps gray, color, and color with alpha as they are. All are upright,
    and the upper 8 bits of 16, even with None, where OpenCV keeps them as they are stored. With
    INDICES or GRAY_LABELS they are 1 channel of labels.
    """
    with opened_picture(encoded) as file:
        to_gray = color is False or color is GRAY_LABELS
        if to_gray:
            file.draft("L", None)  # a JPEG holds gray values as they are
        picture = upright(file)
        if color is GRAY_LABELS:
            _refuse_no_gray(picture)
        channels, (width, height) = _channels(picture, file.format, color), picture.size
        pixels = np.empty((channels, height, width), np.uint8)
        for (rows, columns), part in tiles(picture):
            fill = _fill_labels if color is INDICES else _fill
            fill(pixels[:, rows, columns], part)
        if to_gray:
            tell_lost_labels(picture, pixels[0], encoded)
    return pixels


def _refuse_no_gray(picture):
    """Raise a DataError for a picture of labels whose gray of 8 bits would be other numbers."""
    if _is_deep(picture) and picture.getextrema()[1]:
        raise DataError(
            "has 16 bits, of which the upper 8 would be read; expected labels of 8 bits, or write "
            "palette_indices: true in transform_param, which reads labels up to 255"
        )
    if picture.mode in (*_GRAY_MODES, "P") or _is_deep(picture):
        return
    channels = np.asarray(_converted(picture, "RGB"))
    if (channels != channels[:, :, :1]).any():
        raise DataError(
            f"is a picture in {picture.mode}, whose colors are no labels; expected a gray one, or, "
            "with palette_indices: true in transform_param, one with a palette"
        )


def tell_lost_labels(picture, gray, source):
    """Warn, once, where a picture read as gray may be one of labels, which are then others."""
    if picture.mode == "P":
        values, what = np.asarray(picture), "has a palette, and is read as the gray of its colors"
    elif _is_deep(picture) and picture.getextrema()[1] < 256:
        values, what = np.asarray(picture), "has 16 bits, of which the upper 8 are read, all 0"
    else:
        return
    lost = values != gray
    if what in _told or not lost.any():
        return
    _told.add(what)
    at = tuple(np.argwhere(lost)[0])
    log.warning(
        "%s: %s: %d becomes %d. Where these are labels, ask for palette_indices (in "
        "transform_param, of convert_imageset, dataset, io.load_image)",
        *("a picture in memory" if isinstance(source, bytes) else source, what),
        *(values[at], gray[at]),
    )


_told: set[str] = set()  # by this process


def decoded_shape(encoded, color=None):
    """The shape of what `decode` gives, without decoding."""
    with opened_picture(encoded) as file:
        return _channels(file, file.format, color), *upright_size(file)


def _is_deep(picture):
    return picture.mode.partition(";")[0] in _DEEP_MODES


def _is_transparent(picture):
    return picture.mode.endswith("A") or "transparency" in picture.info


def _channels(picture, format, color):
    mode, deep = picture.mode, _is_deep(picture)
    if deep and not (mode.startswith("I;16") or (mode, format) == ("I", "PNG")):
        raise DataError(f"picture has {mode} samples, expected 8 or 16 bits a sample")
    if color is INDICES and mode not in (*_GRAY_MODES[:2], "P") and not deep:
        raise DataError(
            f"is a picture in {mode}, expected one with a palette, or gray, of labels; where its "
            'channels are alike, convert("L") of Pillow makes it gray'
        )
    if color is INDICES and format == "JPEG":
        raise DataError("is a JPEG, which keeps no number exactly; expected a PNG of labels")
    if color is not None:
        return 3 if color is True else 1
    return 1 if deep else 4 if _is_transparent(picture) else 1 if mode in _GRAY_MODES else 3


def _fill(pixels, picture):
    """Fill channels x height x width with those of a picture, decoded and upright."""
    if _is_deep(picture):  # the upper 8 bits of 16, as Pillow takes them itself with color
        pixels[...] = np.asarray(picture) >> 8
        return
    mode = "RGB" if len(pixels) == 3 else "RGBA" if len(pixels) == 4 else "L"
    if mode == "L" and picture.mode not in _GRAY_MODES:
        pixels[0] = _gray(*np.asarray(_converted(picture, "RGB")).transpose(2, 0, 1))
        return
    values = np.asarray(_converted(picture, mode))
    if mode == "L":
        pixels[0] = values
        return
    pixels[:3] = values[:, :, 2::-1].transpose(2, 0, 1)
    if mode == "RGBA":
        pixels[3] = values[:, :, 3]


def _fill_labels(pixels, picture):
    values = np.asarray(picture)
    if values.max() > 255:
        raise DataError(
            f"has {'16 bits and ' if _is_deep(picture) else ''}the label {values.max()}, expected "
            "up to 255; labels are 8 bits, numbers of classes from 0 on, with 255 for none"
        )
    pixels[0] = values


def _converted(picture, mode):
    return picture if picture.mode == mode else picture.convert(mode)


def _gray(red, green, blue):
    """0.299 red + 0.587 green + 0.114 blue, as libpng rounds it."""
    weighted = np.uint32(9797) * red + np.uint32(19234) * green + np.uint32(3737) * blue
    return weighted >> 15


def gray_hint(shape, expected):
    """What helps where one picture is gray and another is not; "" if that is not what differs."""
    if sorted((shape[0], expected[0])) not in ([1, 3], [1, 4], [3, 4]):
        return ""
    return (
        "; gray ones are among those of color: force_color: true in transform_param, or "
        "force_gray, decodes encoded ones alike; convert_imageset stores all so without --encoded"
    )


def encode(pixels, kind, quality=95):
    """The bytes of a picture file of `kind` ("png", "jpg", ...) that holds 1 or 3 channels.

    The quality is that of a JPEG; OpenCV's, if none is given.
    """
    from PIL import Image

    planes = pixels[0] if len(pixels) == 1 else pixels[[2, 1, 0]].transpose(1, 2, 0)
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(planes))
    picture.save(file, format_of(kind), quality=quality)
    return file.getvalue()


def encode_labels(labels, palette):
    """The bytes of a PNG of labels, height x width, with a palette, 256 colors x 3, red first.

    Where a label is above 255, it is a gray one of 16 bits.
    """
    from PIL import Image

    if labels.max() > 0xFFFF:
        raise DataError(f"a picture of labels holds at most {0xFFFF}, not {labels.max()}")
    small = labels.max() < 256
    picture = Image.fromarray(labels.astype(np.uint8 if small else np.uint16))
    if small:
        picture.putpalette(palette.tobytes())
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def format_of(kind):
    """Pillow's name for the format of files that end in .KIND, one that can be read again."""
    from PIL import Image

    readers()  # which say what they can write, too
    name = ENDINGS.get("." + kind.lower())
    if name not in Image.SAVE:
        raise DataError(f'cannot write pictures of the type "{kind}"; try png or jpg')
    return name


def lettered(lines, width=None, color=(0, 0, 0)):
    """Lines of text as a picture, height x width x 3: white on `color`, as wide as they are."""
    from PIL import Image, ImageDraw, ImageFont

    text, font, margin = "\n".join(lines), ImageFont.load_default(), 3
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((margin, margin), text, font)
    size = width or int(box[2]) + margin, int(box[3]) + margin
    picture = Image.new("RGB", size, tuple(map(int, color)))
    ImageDraw.Draw(picture).multiline_text((margin, margin), text, (255, 255, 255), font)
    return np.asarray(picture)
