"""Random windows against their twin."""

import numpy as np
import pytest

from caffelite.kernels import windows

from .reference import windows as slow

NONE = [np.nan] * 6
BOXES = np.float32([[0.1, 0.2, 0.45, 0.7], [0.5, 0.5, 0.95, 0.9]])


@pytest.mark.parametrize(
    "limits",
    [
        NONE,
        [0.3, np.nan, *NONE[2:]],
        [np.nan, 0.2, *NONE[2:]],
        [*NONE[2:4], 0.2, 0.5, *NONE[4:]],
        [*NONE[2:], 0.5, 0.9],
        [0.1, 0.8, np.nan, 0.9, 0.4, np.nan],
    ],
)
def test_windows_are_those_of_the_twin(limits):
    draws = np.random.default_rng(0).random((2, 80, 4))
    rows = np.array([[0.3, 1, 0.5, 2, *limits], [1, 1, 1, 1, *NONE]])
    trials, most = np.array([80, 3]), np.array([9, 2])
    got, want = np.full((12, 4), 7, np.float32), np.full((12, 4), 7, np.float32)
    counts = [
        one.draw(draws, rows, trials, most, BOXES, out)
        for one, out in ((windows, got), (slow, want))
    ]
    assert counts[0] == counts[1] > 3
    np.testing.assert_allclose(got[: counts[0]], want[: counts[0]], atol=1e-6)
    assert (got[counts[0] - 2 : counts[0]] == [0, 0, 1, 1]).all()
