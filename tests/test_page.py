"""Pages of samples: thumbnails, and text that stays text."""

import io

import numpy as np
import pytest
from PIL import Image

from caffelite.pictures import page


def shown(pixels):
    return np.asarray(Image.open(io.BytesIO(page.thumbnail(pixels))))


def test_a_thumbnail_of_bytes_shows_them_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    assert (shown(pixels) == pixels[::-1].transpose(1, 2, 0)).all()  # blue first
    assert (shown(pixels[:1]) == pixels[0]).all()
    assert (shown(np.concatenate([pixels, pixels[:1]])) == pixels[::-1].transpose(1, 2, 0)).all()


def test_a_large_picture_becomes_the_means_of_squares():
    pixels = np.zeros((1, 2 * page.SIDE + 1, 9), np.uint8)
    pixels[:, :, ::3] = 90  # of three pixels a side, one column
    assert shown(pixels).shape == (107, 3) and (shown(pixels) == 30).all()


@pytest.mark.parametrize("shape", [(3, 1000, 1), (1, 1, 5000), (2, 400, 500)])
def test_no_shape_is_too_odd(shape):
    assert max(shown(np.full(shape, 7, np.uint8)).shape[:2]) <= page.SIDE


def test_other_values_are_stretched():
    assert shown(np.array([[[-2.0, 0, 2]]], np.float32))[0, :, 0].tolist() == [0, 128, 255]


def test_text_stays_text():
    name = "<i>&\"'\udc80"
    made = page.page(name, [page.heading(name), page.table((name,), [(name,)], 1)]).decode()
    assert "<i>" not in made and made.count("&lt;i&gt;&amp;") == 5
