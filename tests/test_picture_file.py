"""The one door for pictures: what comes in, what does not, and what damage does."""

import io
import os
import random
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from caffelite.data.image import decode, decoded_shape
from caffelite.data.picture_file import tiles, upright
from caffelite.errors import CaffeliteError, DataError
from caffelite.io import load_image


def colors(height=30, width=41):
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([5 * x, 8 * y, 3 * (x + y)], -1).astype(np.uint8))


def as_file(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


READ = [
    *(as_file(colors(), kind) for kind in ("jpeg", "png", "bmp", "gif", "tiff", "webp", "ppm")),
    as_file(colors(), "jpeg", progressive=True, exif=turned(6)),
    as_file(colors(), "mpo", save_all=True, append_images=[colors()]),
    as_file(colors().convert("CMYK"), "jpeg"),
    as_file(colors().quantize(16), "png", transparency=3, exif=turned(5)),
    as_file(colors(), "png", save_all=True, append_images=[colors()]),
    as_file(Image.fromarray(np.arange(20, dtype=np.uint16).reshape(4, 5)), "png"),
    as_file(colors().convert("RGBA"), "webp", lossless=True),
    as_file(colors().convert("LA"), "tiff", compression="tiff_lzw", exif=turned(8)),
    as_file(colors().convert("1"), "tiff", compression="group4"),
    as_file(colors(), "tiff", compression="jpeg"),
    as_file(colors().quantize(16), "gif", save_all=True, append_images=[colors()]),
    b"P3\n3 2\n255\n" + b" ".join(b"%d" % i for i in range(18)),
]

OTHER = {
    "an EPS picture": as_file(colors(), "eps"),
    "a PDF file": b"%PDF-1.4\n%\xe2\xe3",
    "an AVIF picture": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
    "a HEIC picture": b"\0\0\0\x20ftypheic\0\0\0\0mif1heic",
    "a JPEG 2000 picture": b"\0\0\0\x0cjP  \r\n\x87\n",
    "a DDS picture": as_file(colors(), "dds"),
    "a BLP picture": b"BLP2\1\0\0\0",
    "a Photoshop (PSD) picture": b"8BPS\0\1",
    "an icon (ICO)": as_file(colors(), "ico"),
    "a TGA picture": as_file(colors(), "tga"),
    "a DICOM picture": bytes(128) + b"DICM\2\0",
    "a web page (HTML)": b"\xef\xbb\xbf\n <!doctype html><html>",
    "an SVG picture": b'<svg xmlns="http://www.w3.org/2000/svg">',
    "a Git LFS pointer, which stands for a file that was not fetched": b"version https://git-lfs.github.com/spec/v1\n",
}
UNKNOWN = [as_file(colors().convert("F"), "spider"), as_file(colors(), "pcx"), b"no picture"]


@pytest.mark.parametrize("encoded", READ)
def test_the_content_says_what_a_picture_is_and_its_head_how_large(tmp_path, encoded):
    (tmp_path / "picture.eps").write_bytes(encoded)
    for color in (None, True, False):
        pixels = decode(tmp_path / "picture.eps", color)
        assert pixels.dtype == np.uint8 and decoded_shape(encoded, color) == pixels.shape
    assert load_image(tmp_path / "picture.eps").shape[:2] == pixels.shape[1:]


@pytest.mark.parametrize("format", OTHER)
def test_other_formats_are_refused_by_name(tmp_path, format, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)  # an EPS would start Ghostscript
    (tmp_path / "cat.jpg").write_bytes(OTHER[format])
    for read in (decode, decoded_shape, load_image):
        with pytest.raises(DataError) as caught:
            read(tmp_path / "cat.jpg")
        assert f"it is {format}; expected JPEG, PNG, BMP" in str(caught.value)


@pytest.mark.parametrize("encoded", [*UNKNOWN, b"", b"P", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(encoded):
    for read in (decode, decoded_shape, lambda data: load_image(io.BytesIO(data))):
        with pytest.raises(DataError, match="no picture that can be decoded: "):
            read(encoded)


def test_a_picture_from_a_pipe_is_read(tmp_path):
    code = (
        "from caffelite.data.image import decode, decoded_shape\nprint(decode('/dev/stdin').shape)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=as_file(colors(), "png"), capture_output=True, check=True)
    assert done.stdout == b"(3, 30, 41)\n"


def test_a_picture_that_never_comes_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("caffelite.reading.patience", 0.05)
    os.mkfifo(tmp_path / "cat.jpg")
    for path, why in (
        (tmp_path / "cat.jpg", "nothing came through"),
        ("/dev/zero", "it is a device"),
    ):
        with pytest.raises(DataError, match=f"cannot be read: {why}"):
            decode(path)


# Sizes


def png_of(height, width):
    """The first bytes of a PNG of this size."""
    encoded = bytearray(as_file(colors(), "png"))
    encoded[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    encoded[29:33] = zlib.crc32(encoded[12:29]).to_bytes(4, "big")
    return bytes(encoded)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    for read in (decode, decoded_shape, lambda data: load_image(io.BytesIO(data))):
        with pytest.raises(
            DataError, match="it has 30000 x 20000 = 600000000 pixels, more than 17"
        ):
            read(png_of(30000, 20000))
        with pytest.raises(
            DataError, match="set CAFFELITE_MAX_PIXELS=600000000 in the environment"
        ):
            read(png_of(30000, 20000))
    monkeypatch.setenv("CAFFELITE_MAX_PIXELS", "600000000")
    assert decoded_shape(png_of(30000, 20000)) == (3, 30000, 20000)
    monkeypatch.setenv("CAFFELITE_MAX_PIXELS", "1229")
    for encoded in READ[:7]:
        with pytest.raises(DataError, match="30 x 41 = 1230 pixels, more than 1229"):
            decode(encoded)
    monkeypatch.setenv("CAFFELITE_MAX_PIXELS", "many")
    with pytest.raises(
        CaffeliteError, match='CAFFELITE_MAX_PIXELS="many", expected a number of pixels'
    ):
        decode(READ[0])


def test_the_limit_of_pillow_counts_where_a_program_sets_it(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with pytest.raises(DataError, match="more than 1200"):
        decode(READ[1])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decoded_shape(png_of(30000, 20000)) == (3, 30000, 20000)


def test_large_pictures_are_converted_bit_by_bit(tmp_path, monkeypatch):
    pictures = [decode(encoded, color) for encoded in READ for color in (None, True, False)]
    for encoded in READ:
        (tmp_path / f"{len(list(tmp_path.iterdir()))}").write_bytes(encoded)
    paths = [tmp_path / str(i) for i in range(len(READ))]
    loaded = [load_image(path, color) for path in paths for color in (True, False)]
    monkeypatch.setattr("caffelite.data.picture_file._TILE", 100)
    again = [decode(encoded, color) for encoded in READ for color in (None, True, False)]
    for got, want in zip(again, pictures, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)
    again = [load_image(path, color) for path in paths for color in (True, False)]
    for got, want in zip(again, loaded, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    assert all(part.width * part.height <= 100 for _, part in tiles(upright(colors())))


# Damage


def damaged(random, encoded):
    """The bytes of a file with a few of them changed, cut off, put in or left out."""
    encoded = bytearray(encoded)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(max(1, min(len(encoded), random.choice([40, 100, 1 << 20]))))
        match random.randrange(5):
            case 0 if encoded:
                encoded[at] ^= 1 << random.randrange(8)
            case 1:
                encoded[at : at + 4] = random.choice([bytes(4), b"\xff" * 4, random.randbytes(4)])
            case 2:
                encoded[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                del encoded[at : at + random.randrange(1, 30)]
            case 4:
                del encoded[max(at, 1) :]
    return bytes(encoded)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(len(READ)))
def test_damage_ends_in_an_error_of_ours_or_in_pixels(seed, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("CAFFELITE_MAX_PIXELS", "100000")
    draw = random.Random(seed)
    for _ in range(40):
        encoded = damaged(draw, READ[seed])
        color = draw.choice([None, True, False])
        try:
            pixels = decode(encoded, color)
            assert decoded_shape(encoded, color) == pixels.shape
            load_image(io.BytesIO(encoded), color)
        except DataError:
            pass
