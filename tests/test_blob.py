"""Blob: what its memory holds, and what shapes it may have."""

import pytest

from caffelite.blob import Blob, Unchanged
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


CHANGES = {
    "a larger shape": lambda read, written, sealed: (read.reshape(9), read.data),
    "another shape": lambda read, written, sealed: written.reshape(2, 1),
    "other memory": lambda read, written, sealed: written.share_data(Blob((2,))),
    "memory given back": lambda read, written, sealed: read.let_go(),
    "values that come later": lambda read, written, sealed: read.fill_later(lambda array: None),
    "a look at sealed values": lambda read, written, sealed: sealed.data,
    "sealed values that come later": lambda read, written, sealed: sealed.fill_later(
        lambda array: None
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_no_longer_holds_is_told(change):
    blobs = read, written, sealed = [Blob((2,)) for _ in range(3)]
    for blob in blobs:
        blob.data[...] = 1
    unchanged = Unchanged([read], [written], [sealed])
    assert unchanged.is_true()
    read.data[...], written.data[...] = 2, 3  # whose values do not count
    Blob((5,)).data.fill(1)  # which is none of them
    assert unchanged.is_true() and unchanged.is_true()
    change(*blobs)
    assert not unchanged.is_true() and not unchanged.is_true()


def test_sealed_values_that_are_given_up_are_as_they_were():
    blob = Blob((2,))
    blob.data[...] = 4
    unchanged = Unchanged([], [], [blob])
    blob.restore_later(lambda array: array.fill(4))
    assert unchanged.is_true()
    assert blob.read().tolist() == [4, 4] and unchanged.is_true()
    assert blob.data.tolist() == [4, 4] and not unchanged.is_true()
