import numpy as np
import pytest

from caffelite.kernels import join

from .reference import join as ref


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", [(3,), (4, 1, 0, 17), (70000, 20000)])
@pytest.mark.parametrize("rows", [1, 3])
def test_join_and_part_agree_with_their_twins(rows, widths, dtype):
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((rows, width)).astype(dtype) for width in widths]
    starts = [sum(widths[:i]) for i in range(len(widths))]
    got, want = np.zeros((2, rows, sum(widths)), dtype)
    by_column = dict(zip(starts, arrays, strict=True))
    join.join(by_column, got)
    ref.join(by_column, want)
    np.testing.assert_array_equal(got, want)
    for index in range(len(widths)):
        outs = {starts[i]: np.zeros_like(a) for i, a in enumerate(arrays) if i != index}
        join.part(got, outs)
        for at, out in outs.items():
            expected = np.zeros_like(out)
            ref.part(want, {at: expected})
            np.testing.assert_array_equal(out, expected)
