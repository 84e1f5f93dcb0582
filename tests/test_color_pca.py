"""Covariance of colors, and the file of its principal axes."""

import numpy as np
import pytest

from caffelite.data import binaryproto, color_pca
from caffelite.errors import DataError


def statistics(images):
    colors = color_pca.ColorStatistics(len(images[0]))
    for image in images:
        colors.add(image)
    return colors


def test_statistics_are_those_of_all_pixels():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (3, h, 9), np.uint8) for h in (5, 8, 2)]
    images[1][2] = images[1][0] // 2
    pixels = np.concatenate([x.reshape(3, -1) for x in images], 1)
    colors = statistics(images)
    assert colors.count == pixels.shape[1]
    np.testing.assert_allclose(colors.mean, pixels.mean(1))
    np.testing.assert_allclose(colors.covariance, np.cov(pixels, bias=True))


def test_the_axes_written_give_the_covariance_back(tmp_path):
    covariance = statistics([np.random.default_rng(1).integers(0, 256, (3, 4, 5))]).covariance
    color_pca.write(tmp_path / "pca", covariance)
    axes = color_pca.read(tmp_path / "pca")
    np.testing.assert_allclose(axes.T @ axes, covariance, rtol=1e-4)
    lengths = np.linalg.norm(axes, axis=1)
    assert lengths[0] > lengths[1] > lengths[2]
    np.testing.assert_allclose(axes @ axes.T, np.diag(lengths**2), atol=1e-2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((1, 3, 4, 4)), "expected 1 x 1 x .channels . 1. x channels"),
        (np.full((1, 1, 4, 3), -1), "expected numbers from 0 on"),
        (np.full((1, 1, 4, 3), np.nan), "expected numbers from 0 on"),
    ],
)
def test_what_is_no_pca_is_refused(tmp_path, rows, message):
    binaryproto.write(tmp_path / "pca", rows)
    with pytest.raises(DataError, match=message) as caught:
        color_pca.read(tmp_path / "pca")
    assert str(tmp_path / "pca") in str(caught.value)
