"""Blob: what its memory holds, and what shapes it may have."""

import pytest

from caffelite.blob import Blob
from caffelite.errors import NetError


@pytest.mark.parametrize("kind", ["data", "diff"])
def test_memory_is_zero_at_first_kept_when_smaller_and_new_when_larger(kind):
    blob = Blob((2, 3))
    assert (getattr(blob, kind) == 0).all()
    getattr(blob, kind)[...] = [[1, 2, 3], [4, 5, 6]]
    blob.reshape(4)
    assert getattr(blob, kind).tolist() == [1, 2, 3, 4]
    blob.reshape(3, 2)
    assert getattr(blob, kind).tolist() == [[1, 2], [3, 4], [5, 6]]
    blob.reshape(7)
    assert (getattr(blob, kind) == 0).all()


def test_a_scalar_has_one_value_and_a_blob_without_shape_none():
    assert (Blob(()).count, Blob(()).data.shape) == (1, ())
    assert (Blob().count, Blob((3, 0)).count) == (0, 0)


@pytest.mark.parametrize("shape", [(1,) * 33, (2, -1), (2**31,), (2**16, 2**15), (0, 2**62)])
def test_shapes_caffe_cannot_have_are_refused(shape):
    blob = Blob((2, 3))
    with pytest.raises(NetError, match="a blob cannot have the shape"):
        blob.reshape(*shape)
    assert blob.shape == (2, 3)


def test_the_largest_shapes_are_accepted():
    for shape in ((1,) * 32, (2**31 - 1,)):
        assert Blob(shape).shape == shape  # memory comes later


@pytest.mark.parametrize("name", ["num", "channels", "height", "width"])
def test_legacy_sizes_end_at_four_axes(name):
    axis = ["num", "channels", "height", "width"].index(name)
    assert getattr(Blob((2, 3, 4, 5)), name) == (2, 3, 4, 5)[axis]
    with pytest.raises(NetError, match="need at most 4 axes"):
        getattr(Blob((2, 3, 4, 5, 6)), name)
