"""Resizing against its twin, and against OpenCV."""

import platform

import numpy as np
import pytest
from numba import config

from caffelite.kernels import resize

from .reference import resize as slow

SIZES = pytest.mark.parametrize(
    ("old", "new"),
    [
        ((5, 7), (5, 7)),
        ((5, 7), (11, 4)),
        ((6, 10), (3, 5)),  # halved: means
        ((6, 10), (3, 7)),
        ((1, 1), (3, 2)),
        ((9, 8), (1, 1)),
        ((1, 9), (4, 30)),
        ((40, 3), (7, 11)),
    ],
)


def picture(shape, channels=3):
    return np.random.default_rng(0).integers(0, 256, (channels, *shape), np.uint8)


@SIZES
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "area", "cubic", "lanczos4"])
def test_resizing_is_within_rounding_of_its_twin(mode, old, new):
    x = picture(old)
    got = getattr(resize, mode)(x, *new)
    assert got.dtype == np.uint8 and got.shape == (3, *new)
    off = 1.01 if mode == "bilinear" else 0.51
    assert abs(got - getattr(slow, mode)(x, *new)).max() < off


@SIZES
def test_bilinear_is_that_of_opencv(old, new):
    cv2 = pytest.importorskip("cv2")
    x = picture(old)
    want = cv2.resize(np.ascontiguousarray(x.transpose(1, 2, 0)), new[::-1])
    off = abs(resize.bilinear(x, *new).astype(int) - want.transpose(2, 0, 1))
    other_build = platform.machine() not in ("x86_64", "AMD64")  # with other shortcuts
    assert off.max() <= other_build


@SIZES
@pytest.mark.parametrize("mode", ["nearest", "area", "cubic", "lanczos4"])
def test_other_modes_are_within_rounding_of_opencv(mode, old, new):
    cv2 = pytest.importorskip("cv2")
    x = picture(old)
    pixels = np.ascontiguousarray(x.transpose(1, 2, 0))
    want = cv2.resize(pixels, new[::-1], interpolation=getattr(cv2, f"INTER_{mode.upper()}"))
    got = getattr(resize, mode)(x, *new)
    assert abs(got.astype(int) - want.transpose(2, 0, 1)).max() <= (mode != "nearest")


@pytest.mark.parametrize("mode", ["area", "cubic", "lanczos4"])
def test_a_flat_picture_stays_flat_in_every_mode(mode):
    x = np.full((1, 13, 9), 255, np.uint8)
    for size in [(4, 4), (30, 31), (13, 2)]:
        assert (getattr(resize, mode)(x, *size) == 255).all()


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "area", "cubic", "lanczos4"])
def test_what_is_as_large_stays_as_it_is(mode):
    x = picture((5, 7))
    np.testing.assert_array_equal(getattr(resize, mode)(x, 5, 7), x)


def test_resizing_reads_and_writes_views():
    x = picture((6, 8)).transpose(0, 2, 1)
    for mode in (resize.bilinear, resize.area):
        np.testing.assert_array_equal(mode(x, 5, 5), mode(np.ascontiguousarray(x), 5, 5))


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_pictures_that_may_be_written_to_are_no_other_type():
    for x in (picture((6, 10)), np.frombuffer(bytes(180), np.uint8).reshape(3, 6, 10)):
        resize.nearest(x, 4, 5)
    assert len(resize.pick.signatures) == 1
