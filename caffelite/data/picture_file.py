"""The one door for pictures: what a file is, its content says, and its size is known before pixels.

Pillow decodes them. It knows some forty formats, of which one starts other programs, and most are
seldom tried on damaged files. Those that come in here are JPEG, PNG, BMP, GIF, TIFF, WebP and PNM.
"""

import io
import os
import zlib
from contextlib import contextmanager, nullcontext
from functools import cache

import numpy as np

from .. import file_kind
from ..environment import number
from ..errors import DataError
from ..kept_bytes import path_of
from ..reading import MOST_TEXT, opened

_EXPECTED = "JPEG, PNG, BMP, GIF, TIFF, WebP, PPM, PGM or PBM"

_HEAD = 512

# How the names of pictures end: first of those that can be read; then of others, which are listed
# along, so that they are refused by name instead of being left out without a word.
ENDINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
}
_OTHER_ENDINGS = frozenset(
    ".avif .avifs .blp .cur .dcx .dds .dib .eps .exr .fit .fits .hdr .heic .heif .icns .ico .im "
    ".j2k .jp2 .jpx .jxl .msp .pcd .pcx .pfm .ps .psd .qoi .ras .rgb .rgba .sgi .tga .wmf .emf "
    ".xbm .xpm".split()
)

LIMIT = "CAFFELITE_MAX_PIXELS"  # the variable of the environment that sets it
_BOMB = f"might be a decompression bomb; if it is none, set {LIMIT}"


@cache
def readers():
    """{Pillow's name of a format: what reads it}; Pillow is loaded with the first picture."""
    from PIL import (
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    return {
        "JPEG": JpegImagePlugin.jpeg_factory,
        "PNG": PngImagePlugin.PngImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "PPM": PpmImagePlugin.PpmImageFile,
    }


def is_picture_name(name):
    """Whether a file's name ends as those of pictures do."""
    ending = os.path.splitext(name)[1].lower()
    return ending in ENDINGS or ending in _OTHER_ENDINGS


@contextmanager
def opened_picture(encoded):
    """A picture in a file, or in bytes, as Pillow's image, whose pixels are not decoded yet.

    Whatever a decoder raises within is a DataError; what is raised as one is left as it is. It does
    not name the file: the caller does.
    """
    opened_file = _file(encoded)
    try:
        with opened_file as file:
            try:
                picture = _picture(file, encoded)
            except DataError as problem:
                raise DataError(f"no picture that can be decoded: {problem}") from None
            yield picture
    except DataError:
        raise
    except Exception as problem:  # on damaged files decoders raise nearly anything
        raise DataError(f"no picture that can be decoded: {_reason(problem)}") from None


def _file(encoded):
    if isinstance(encoded, bytes):
        return io.BytesIO(encoded)
    if hasattr(encoded, "read"):
        return nullcontext(encoded)
    try:
        return opened(encoded, "rb")
    except DataError as problem:
        if not os.path.lexists(path_of(encoded)):
            raise DataError("no such file") from None
        raise DataError(f"cannot be read: {_reason(problem.__cause__)}") from None


def _picture(file, encoded):
    head = file.read(_HEAD)
    kind = file_kind.of_head(head)
    format = kind.name if kind else ""
    if format not in readers():
        kind = kind if file is encoded else _of_all(encoded)
        what = f"it is {kind.what}" if kind else "of no known format"
        way = f"; {kind.way}" if kind and kind.way else ""
        raise DataError(f"{what}; expected {_EXPECTED}{way}")
    if file.seekable():
        file.seek(0)
    else:
        file = io.BytesIO(head + file.read(MOST_TEXT))
    if format == "WEBP" and not _decodes_webp():
        raise DataError("this Pillow was built without WebP")
    limit = most_pixels()
    picture = readers()[format](file, "")
    width, height = picture.size
    if min(width, height) < 1:
        raise DataError(f"it has {height} x {width} pixels")
    if limit and width * height > limit:
        raise DataError(
            f"it has {height} x {width} = {width * height} pixels, more than {limit}, and {_BOMB}"
            f"={width * height} in the environment"
        )
    return picture


def _decodes_webp():
    from PIL import WebPImagePlugin

    return getattr(WebPImagePlugin, "SUPPORTED", True)


def _of_all(encoded):
    """The kind of what takes a look at all of it."""
    kind = file_kind.of_bytes(encoded) if isinstance(encoded, bytes) else file_kind.of(encoded)
    return None if kind is None or kind.name == "binary" else kind


def most_pixels():
    """How many pixels a picture may have: CAFFELITE_MAX_PIXELS, else Pillow's limit; 0 is none.

    Pillow refuses pictures of more than twice its Image.MAX_IMAGE_PIXELS, which programs may set.
    """
    from PIL import Image

    limit = number(LIMIT, 0, "pixels")
    if not limit:
        return 2 * (Image.MAX_IMAGE_PIXELS or 0)
    if Image.MAX_IMAGE_PIXELS and limit > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit  # some decoders ask it, too
    return limit


def _reason(problem):
    from PIL import Image

    if isinstance(problem, MemoryError):
        return "there is not enough memory for it"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    if isinstance(problem, Image.DecompressionBombError):  # a decoder saw it first
        return f"{problem}; it {_BOMB} to its pixels in the environment"
    if isinstance(problem, OSError | SyntaxError | ValueError) and str(problem):
        return str(problem)
    return f"it is damaged ({type(problem).__name__}: {problem})"


# What is read before the pixels, and where they go

_ORIENTATION = 0x0112  # of EXIF; 1 is upright
_WIDTH, _HEIGHT = 0x0100, 0x0101  # of TIFF
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}  # by Pillow's names
_TILE = 1 << 20  # pixels


def upright(picture):
    """The picture decoded, and turned, or mirrored, as its EXIF orientation says."""
    picture.load()  # which turns a TIFF, and finds what a PNG says at its end
    turn = _TURNS.get(_orientation(picture))
    if turn is None:
        return picture
    from PIL import Image

    return picture.transpose(Image.Transpose[turn])


def upright_size(picture):
    """(height, width) of what `upright` makes, without decoding; the picture is spent by it."""
    width, height = picture.size
    if picture.format == "TIFF":  # whose `size` is turned already, or not, by Pillow's version
        width, height = picture.tag_v2[_WIDTH], picture.tag_v2[_HEIGHT]
    if picture.format == "PNG":
        picture = readers()["PNG"](_without_pixels(picture.fp))
    return (width, height) if _orientation(picture) in (5, 6, 7, 8) else (height, width)


def _without_pixels(file):
    """A PNG of one pixel with what another says of itself, be it behind its pixels."""
    file.seek(0)
    small = io.BytesIO()
    small.write(file.read(8))
    while len(start := file.read(8)) == 8:
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind in (b"IDAT", b"acTL", b"fcTL", b"fdAT"):
            file.seek(length + 4, io.SEEK_CUR)
            continue
        content = file.read(length)
        file.seek(4, io.SEEK_CUR)
        if kind == b"IHDR":
            one = (1).to_bytes(4, "big")
            content = one + one + content[8:12] + b"\0"  # 1 x 1, not interlaced
        if kind == b"IEND":
            _write_chunk(small, b"IDAT", zlib.compress(bytes(16)))
        _write_chunk(small, kind, content)
    small.seek(0)
    return small


def _write_chunk(file, kind, content):
    for part in (len(content), kind, content, zlib.crc32(kind + content)):
        file.write(part.to_bytes(4, "big") if isinstance(part, int) else part)


def _orientation(picture):
    try:
        return picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF raises nearly anything, and does no harm to the pixels
        return None


def tiles(picture):
    """Yield (place in height x width, that part of the picture): all of it, bit by bit.

    What is made of a part takes little memory, where as much for all of a large picture would not.
    """
    width, height = picture.size
    if width * height <= _TILE:
        yield np.s_[:, :], picture
        return
    columns = min(width, _TILE)
    rows = _TILE // columns
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            bottom, right = min(top + rows, height), min(left + columns, width)
            part = picture.crop((left, top, right, bottom))
            yield np.s_[top:bottom, left:right], part
