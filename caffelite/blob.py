"""Blob: an N-d array of data and its gradient, both allocated when first looked at."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .errors import NetError
from .types import Array, ArrayLike, DType, Shape

MAX_AXES = 32
MAX_COUNT = 2**31 - 1
_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
_MOST_VIEWS = 256  # of one memory: where many blobs use it in turn, and shapes come and go

# each number once, whichever threads count
_reshapes, _changes = itertools.count(1), itertools.count(1)


def _aligned_zeros(count: int, dtype: DType) -> Array:
    """A flat zeroed array that starts on a cache line."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(count * itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + count * itemsize].view(dtype)


_first_look = threading.RLock()


def _filling(array: Array) -> None:
    """Stands for a filler that is at work, and looks at what it fills."""


class _Memory:
    """Flat memory that blobs share; it grows, zeroed, and never shrinks."""

    __slots__ = ("dtype", "fill", "flat", "given_up", "is_shared", "seal", "views")

    changes = 0  # of all there is: where it stays the same, no memory or blob `has_changed`

    def __init__(self, dtype: DType) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.flat: Array | None = None
        self.views: dict[Shape, Array] = {}  # of `flat`: those that blobs hand out
        self.fill: Callable[[Array], object] | None = (
            None  # fills an array, at the first look at it
        )
        self.seal: object | None = None  # gone with the first look, see Blob.seal
        self.is_shared = False  # by several blobs
        self.given_up: tuple[int, Callable[[Array], object]] | None = None  # size, how to restore

    @staticmethod
    def has_changed() -> None:
        """Let it be known that some memory lies elsewhere, or has a filler, or lost its seal, or
        that a blob uses another: after that is so."""
        _Memory.changes = next(_changes)

    def break_seal(self) -> None:
        """Be looked at by somebody who may write."""
        if self.seal is not None:
            self.seal = None
            self.has_changed()

    def view(self, shape: Shape) -> Array:
        view = self.views.get(shape)
        if view is None or self.fill is not None:
            with _first_look:
                view = self._make_view(shape)
        return view

    def _make_view(self, shape: Shape) -> Array:
        """The view, filled: whoever else looks for the first time, in another thread, waits."""
        if self.given_up is not None:
            size, restore = self.given_up
            flat = _aligned_zeros(size, self.dtype)
            restore(flat)
            self.flat, self.given_up = flat, None
            self.has_changed()
        view = self.views.get(shape)
        if view is None:
            view = self._new_view(shape)
        if self.fill not in (None, _filling):
            fill, self.fill = self.fill, _filling
            try:
                fill(view)
            except BaseException:
                self.fill = fill
                raise
            self.fill = None
        return view

    def _new_view(self, shape: Shape) -> Array:
        count = math.prod(shape)
        if self.flat is None or self.flat.size < count:
            self.flat = _aligned_zeros(count, self.dtype)
            self.views.clear()
            self.has_changed()
        if len(self.views) >= _MOST_VIEWS:
            self.views.clear()
        view = self.views[shape] = self.flat[:count].reshape(shape)
        return view

    def give_up(self, restore: Callable[[Array], object]) -> None:
        """Do without values that a seal holds for, until the next look: restore(flat) sets them.

        Nothing happens where others may use the memory, or there is none.
        """
        with _first_look:
            seal, flat, views = self.seal, self.flat, self.views
            if flat is None or seal is None or self.is_shared or self.is_held():
                return
            self.flat, self.views, self.given_up = None, {}, (flat.size, restore)
            if self.seal is not seal:  # another thread has looked
                self.flat, self.views, self.given_up = flat, views, None
            self.has_changed()

    def is_held(self) -> bool:
        """Whether anybody but this holds an array of this memory, and could write to it."""
        if self.flat is None:
            return False
        whole, views = self._references()
        return whole > _ALONE or any(count > _HANDED_OUT for count in views)

    def let_go(self) -> bool:
        """Be without memory again, unless somebody holds an array of it; whether it is."""
        if self.is_held():
            return False
        self.flat = self.fill = self.seal = None
        self.views.clear()
        self.has_changed()
        return True

    def _references(self) -> tuple[int, list[int]]:
        """How often the memory is referred to, but for by `views`, and each of these is."""
        assert self.flat is not None
        views = list(self.views.values())
        whole = sys.getrefcount(self.flat.base) - len(views)
        return whole, [sys.getrefcount(view) for view in views]


def _references_if_alone() -> tuple[int, int]:
    memory = _Memory(np.float32)
    memory.view((1,))
    whole, (view,) = memory._references()
    return whole, view


_ALONE, _HANDED_OUT = _references_if_alone()


class Blob:
    """`data` and `diff` of one shape, by Caffe's habit N x C x H x W, of any rank up to 32.

    Memory comes at the first look at `data` or `diff` and reads as 0 (learnable blobs: as their
    filler says). A smaller shape keeps the memory, a larger one takes fresh zeroed memory.

    Where values are places in planes of another blob, as those of a pooling's mask are, `places_in`
    is that blob's (rows, columns).
    """

    reshapes = 0  # of all blobs there are: where it stays the same, no shape has changed
    places_in: Shape | None = None

    def __init__(self, shape: Iterable[int] = (0,), dtype: DType = np.float32) -> None:
        self._data = _Memory(dtype)
        self._diff = _Memory(dtype)
        self._shape: Shape = ()
        self.reshape(*shape)

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def count(self) -> int:
        """Number of values; 1 for the shape ()."""
        return math.prod(self._shape)

    def reshape(self, *dims: int, **keywords: Any) -> None:
        """Take the shape `dims` (no dims: a scalar); as in pycaffe, dims have no names."""
        if keywords:
            raise NetError(f"reshape takes the dims alone, reshape(2, 3), not {keywords}")
        shape = tuple(int(d) for d in dims)
        if shape == self._shape:
            return
        most = math.prod(max(d, 1) for d in shape)  # numpy wants it small beside a 0, too
        if len(shape) > MAX_AXES or min(shape, default=0) < 0 or most > MAX_COUNT:
            raise NetError(
                f"a blob cannot have the shape {shape}: at most {MAX_AXES} axes, "
                f"none negative, and at most {MAX_COUNT} values"
            )
        self._shape = shape
        Blob.reshapes = next(_reshapes)

    @property
    def data(self) -> Array:
        """The values: a live array, not a copy."""
        self._data.break_seal()
        return self._data.view(self._shape)

    def read(self) -> Array:
        """`data` for whoever reads it now and lets go of it: the seal holds."""
        return self._data.view(self._shape)

    @property
    def diff(self) -> Array:
        """The gradient of the loss at `data`: a live array, not a copy."""
        return self._diff.view(self._shape)

    @property
    def seal(self) -> object | None:
        """A mark of the values as they are: nobody has changed them while it is the same.

        It breaks when somebody looks at `data`, and there is none, but None, as long as somebody
        holds an array of it, or of a part of it. So what is made of the values may be kept beside
        the seal that they had then, see `Kept`.
        """
        memory = self._data
        if memory.seal is None and memory.fill is None and not memory.is_held():
            memory.seal = object()
        return memory.seal

    @property
    def diff_allocated(self) -> bool:
        """Whether anyone has looked at `diff`; if not, it is all 0."""
        return self._diff.flat is not None

    def fill_later(self, fill: Callable[[Array], object]) -> None:
        """Let `fill(array)` set the values when `data` is first looked at."""
        self._data.fill, self._data.seal = fill, None
        self._data.has_changed()

    def restore_later(self, restore: Callable[[Array], object]) -> None:
        """Give memory back, if nobody else may use it, until the values are looked at again.

        `restore(array)` is to set an array of this shape as they are now, while the seal holds.
        """
        shape = self._shape
        self._data.give_up(lambda flat: restore(flat[: math.prod(shape)].reshape(shape)))

    def unfilled(self) -> Array:
        """`data` for whoever overwrites all of it: no filler runs first."""
        self._data.fill = None
        return self.data

    def let_go(self) -> bool:
        """Give back the memory of `data`, unless somebody holds an array of it; whether it is."""
        return self._data.let_go()

    def assign(self, values: ArrayLike) -> None:
        """Set the data to `values` (same count), without running a filler first."""
        self.unfilled().reshape(-1)[...] = np.asarray(values).reshape(-1)

    def share_data(self, other: Blob) -> None:
        """Use `other`'s memory for `data`; the counts must agree."""
        if self._data is not other._data:
            self._data = other._data
            self._data.is_shared = True
            self._data.has_changed()

    def part_data(self) -> None:
        """Use memory that nobody else has for `data`, still without values."""
        self._data = _Memory(self._data.dtype)
        self._data.has_changed()

    def share_diff(self, other: Blob) -> None:
        """Use `other`'s memory for `diff`; the counts must agree."""
        self._diff = other._diff

    def shares_data_with(self, other: Blob) -> bool:
        """Whether both use one memory for `data`."""
        return self._data is other._data

    def shares_diff_with(self, other: Blob) -> bool:
        """Whether both use one memory for `diff`."""
        return self._diff is other._diff

    def _legacy_axis(self, axis: int) -> int:
        if len(self._shape) > 4:
            raise NetError(f"num, channels, height, width need at most 4 axes, not {self._shape}")
        return self._shape[axis] if axis < len(self._shape) else 1

    @property
    def num(self) -> int:
        """N: axis 0, or 1."""
        return self._legacy_axis(0)

    @property
    def channels(self) -> int:
        """C: axis 1, or 1."""
        return self._legacy_axis(1)

    @property
    def height(self) -> int:
        """H: axis 2, or 1."""
        return self._legacy_axis(2)

    @property
    def width(self) -> int:
        """W: axis 3, or 1."""
        return self._legacy_axis(3)

    def __repr__(self) -> str:
        return f"Blob({self._shape}, {self.dtype})"


class Part:
    """What stands for a blob where a part of a larger array is to get its data."""

    def __init__(self, data: Array) -> None:
        self.data = data


class Kept:
    """What was made of the values of blobs, kept until somebody may have changed these."""

    def __init__(self) -> None:
        self._seals: list[object] = [None]
        self._made: Any = None

    def get(self, blobs: Iterable[Blob], make: Callable[[], Any], use: object = None) -> Any:
        """What `make()` makes of the values of `blobs`, for this `use`, or made before."""
        blobs = tuple(blobs)
        if self._made is None or self._seals != [use, *(blob.seal for blob in blobs)]:
            self._seals, self._made = [None], None  # before what is new needs memory, too
            made = make()
            self._seals = [use, *(blob.seal for blob in blobs)]
            if None in self._seals[1:]:
                return made
            self._made = made
        return self._made


class Unchanged:
    """Whether blobs are as they were: their shapes and memory, and the values of some.

    So what was found from these, arrays of their data among it, still holds.
    """

    def __init__(
        self, read: Iterable[Blob], written: Iterable[Blob], sealed: Iterable[Blob]
    ) -> None:
        """Of the `sealed` blobs values count, not where they lie; others are read, and `written`,
        whenever it holds."""
        written, sealed = [*written], [*sealed]
        blobs = dict.fromkeys([*read, *written])
        self._shapes = [(blob, blob._shape) for blob in dict.fromkeys([*blobs, *sealed])]
        self._at = [(blob, blob._data, blob._data.flat) for blob in blobs]
        self._written = [*dict.fromkeys(blob._data for blob in written)]
        self._seals = [(blob, blob.seal) for blob in sealed]
        self._reshapes = Blob.reshapes
        self._changes = -1  # of memory, when all of it was last found as it was
        self._may_hold = all(seal is not None for _, seal in self._seals)

    def is_true(self) -> bool:
        """Whether all is as it was."""
        if self._reshapes != Blob.reshapes:
            if any(blob._shape != shape for blob, shape in self._shapes):
                return False
            self._reshapes = Blob.reshapes
        changes = _Memory.changes  # before any is looked at: another thread may change some
        if self._changes != changes:
            for blob, memory, flat in self._at:
                if blob._data is not memory or memory.flat is not flat or memory.fill is not None:
                    return False
            if any(blob._data.seal is not seal for blob, seal in self._seals):
                return False
            self._changes = changes
        return self._may_hold

    def break_seals(self) -> None:
        """Do to the written blobs what a look at their data does."""
        for memory in self._written:
            memory.break_seal()
