"""The one door for pictures: what a file is, its content says, and its size is known before pixels.

Pillow decodes them. It knows some forty formats, of which one starts other programs, and most are
seldom tried on damaged files. Those that come in here are JPEG, PNG, BMP, GIF, TIFF, WebP and PNM.
"""

import io
import os
import zlib
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..environment import number
from ..errors import DataError
from ..reading import MOST_TEXT, opened

_READERS = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}  # by Pillow's names
_EXPECTED = "JPEG, PNG, BMP, GIF, TIFF, WebP, PPM, PGM or PBM"

_STARTS = {
    "JPEG": [b"\xff\xd8\xff"],
    "PNG": [b"\x89PNG\r\n\x1a\n"],
    "BMP": [b"BM"],
    "GIF": [b"GIF87a", b"GIF89a"],
    "TIFF": [b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+"],
    "PPM": [b"P%d" % kind for kind in range(1, 7)],
    "an EPS": [b"%!PS", b"\xc5\xd0\xd3\xc6"],
    "a PDF": [b"%PDF"],
    "a JPEG 2000": [b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"],
    "a JPEG XL": [b"\xff\x0a", b"\0\0\0\x0cJXL "],
    "a Photoshop (PSD)": [b"8BPS"],
    "an icon (ICO)": [b"\0\0\1\0"],
    "a TGA": [b"\0\0\2" + bytes(9), b"\0\0\x0a" + bytes(9)],
    "an icon (ICNS)": [b"icns"],
    "a DDS": [b"DDS "],
    "a BLP": [b"BLP1", b"BLP2"],
    "a QOI": [b"qoif"],
    "an OpenEXR": [b"\x76\x2f\x31\x01"],
    "a Radiance HDR": [b"#?RADIANCE", b"#?RGBE"],
    "a PAM": [b"P7"],
    "a PFM": [b"PF\n", b"Pf\n"],
    "a FITS": [b"SIMPLE  ="],
    "an SGI": [b"\x01\xda"],
    "an HDF5": [b"\x89HDF\r\n\x1a\n"],
    "a numpy (.npy)": [b"\x93NUMPY"],
    "a gzip": [b"\x1f\x8b"],
    "a ZIP": [b"PK\3\4"],
    "a Git LFS pointer": [b"version https://git-lfs"],
    "an HTML": [b"<!DOCTYPE HTML", b"<HTML", b"<HEAD"],
    "an SVG": [b"<SVG"],
    "an XML": [b"<?XML"],
}
_BRANDS = {"an AVIF": [b"avif", b"avis"], "a HEIC": [b"hei", b"hev", b"mif1", b"msf1"]}
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


def is_picture_name(name):
    """Whether a file's name ends as those of pictures do."""
    ending = os.path.splitext(name)[1].lower()
    return ending in ENDINGS or ending in _OTHER_ENDINGS


@contextmanager
def opened_picture(encoded):
    """A picture in a file, or in bytes, as Pillow's image, whose pixels are not decoded yet.

    Whatever a decoder raises within is a DataError. It does not name the file: the caller does.
    """
    try:
        with _file(encoded) as file:
            yield _picture(file)
    except DataError as problem:
        raise DataError(f"no picture that can be decoded: {problem}") from None
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
        raise problem.__cause__ from None  # without the name


def _picture(file):
    head = file.read(_HEAD)
    format = _format(head)
    if format not in _READERS:
        what = f"it is {format} file" if format else "of no known format" if head else "it is empty"
        raise DataError(f"{what}; expected {_EXPECTED}")
    if file.seekable():
        file.seek(0)
    else:
        file = io.BytesIO(head + file.read(MOST_TEXT))
    if format == "WEBP" and not getattr(WebPImagePlugin, "SUPPORTED", True):
        raise DataError("this Pillow was built without WebP")
    limit = most_pixels()
    picture = _READERS[format](file, "")
    width, height = picture.size
    if min(width, height) < 1:
        raise DataError(f"it has {height} x {width} pixels")
    if limit and width * height > limit:
        raise DataError(
            f"it has {height} x {width} = {width * height} pixels, more than {limit}, and {_BOMB}"
            f"={width * height} in the environment"
        )
    return picture


def _format(head):
    """Pillow's name of a format that is read, the name of another with its article, or ""."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        for name, brands in _BRANDS.items():
            if any(head[8:12].startswith(brand) for brand in brands):
                return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().upper()
    for name, starts in _STARTS.items():
        for start in starts:
            if (text if start[:1] == b"<" else head).startswith(start):
                return name
    return "a DICOM" if head[128:132] == b"DICM" else ""


def most_pixels():
    """How many pixels a picture may have: CAFFELITE_MAX_PIXELS, else Pillow's limit; 0 is none.

    Pillow refuses pictures of more than twice its Image.MAX_IMAGE_PIXELS, which programs may set.
    """
    limit = number(LIMIT, 0, "pixels")
    if not limit:
        return 2 * (Image.MAX_IMAGE_PIXELS or 0)
    if Image.MAX_IMAGE_PIXELS and limit > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit  # some decoders ask it, too
    return limit


def _reason(problem):
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
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TILE = 1 << 20  # pixels


def upright(picture):
    """The picture decoded, and turned, or mirrored, as its EXIF orientation says."""
    picture.load()  # which turns a TIFF, and finds what a PNG says at its end
    turn = _TURNS.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def upright_size(picture):
    """(height, width) of what `upright` makes, without decoding; the picture is spent by it."""
    width, height = picture.size
    if picture.format == "TIFF":  # whose `size` is turned already, or not, by Pillow's version
        width, height = picture.tag_v2[_WIDTH], picture.tag_v2[_HEIGHT]
    if picture.format == "PNG":
        picture = PngImagePlugin.PngImageFile(_without_pixels(picture.fp))
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
