"""Hue and saturation against their twin, and against OpenCV."""

import numpy as np
import pytest

from caffelite.kernels import hsv

from .reference import hsv as slow


def colors():
    """Colors of all kinds, 3 x 64 x 64, with gray, black and white ones."""
    x = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    x[:, 0] = np.linspace(0, 255, 64).astype(np.uint8)
    x[0, 1], x[1, 2], x[2, 3] = 255, 255, 255
    return x


CHANGES = pytest.mark.parametrize(
    ("factor", "delta"), [(1, 0), (0, 0), (0.5, 0), (1.7, 0), (1, 25.4), (1, -40), (1, 150)]
)


@CHANGES
def test_adjusting_is_within_a_step_of_its_twin(factor, delta):
    off = abs(hsv.adjust(colors(), factor, delta) - slow.adjust(colors(), factor, delta))
    assert np.median(off) < 0.5
    assert off.max() < 9 + factor  # 8.5 for an h, 1 for an s that is halfway and rounded elsewhere


@CHANGES
def test_adjusting_is_within_rounding_of_opencv(factor, delta):
    cv2 = pytest.importorskip("cv2")
    x = colors()
    h, s, v = cv2.split(cv2.cvtColor(np.ascontiguousarray(x.transpose(1, 2, 0)), 40))
    h, s = (np.rint(c).clip(0, 255).astype(np.uint8) for c in (h + float(delta), s * float(factor)))
    want = cv2.cvtColor(cv2.merge([h, s, v]), cv2.COLOR_HSV2BGR).transpose(2, 0, 1)
    assert abs(hsv.adjust(x, factor, delta).astype(int) - want).max() <= 1


def test_gray_has_no_hue():
    x = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 256))
    np.testing.assert_array_equal(hsv.adjust(np.ascontiguousarray(x), 2, 77), x)


def test_values_are_replaced_before_that():
    values = np.random.default_rng(1).integers(0, 256, 256).astype(np.uint8)
    replaced = hsv.lookup(colors(), values)
    np.testing.assert_array_equal(replaced, slow.lookup(colors(), values))
    np.testing.assert_array_equal(
        hsv.adjust(colors(), 1.3, 20, values), hsv.adjust(replaced, 1.3, 20)
    )
