"""Ask a layer the questions that matter: for caffelite's own layers and for yours.

    from caffelite.testing import check_gradient, make_layer

    layer, bottom, top = make_layer("ELU", [(2, 3, 4)], "elu_param { alpha: 0.7 }")
    check_gradient(layer, bottom, top)  # AssertionError names the first wrong coordinate

`case` adds a row to a table; tests/test_layers.py asks every question of every row.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from .blob import Blob
from .layers import create_layer
from .layers.base import TEST, TRAIN, Layer
from .proto import caffe_pb2
from .types import Array, DType, Shape

log = logging.getLogger("caffelite")

__all__ = ["TEST", "TRAIN", "Case", "case", "cases", "check_gradient", "make_layer"]

Made = tuple[Layer, list[Blob], list[Blob]]

EVERY_COORDINATE = 300
"""Arrays up to this size have every coordinate checked, larger ones a few directions."""

cases: list[Case] = []
"""All rows, in the order written."""


@dataclass
class Case:
    """A row: one layer with its options and bottoms, and what is known about it; see `case`."""

    type: str
    bottom_shapes: Sequence[Shape]
    options: str
    expect: Callable[..., Any] | None
    golden: Any
    error: str | None
    shapes: Sequence[Shape] | None
    tops: int | None
    phase: int
    labels: tuple[int, int] | None
    values: Mapping[int, Any]
    positive: bool
    distinct: bool
    kink: float | Sequence[float] | None
    blobs: Mapping[int, Any] | str
    gradient: bool
    fixed_tops: Sequence[int]
    batch_axis: int | None
    empty: bool
    scratch: Sequence[int]
    tolerance: float
    seed: int
    place: str

    def __str__(self) -> str:
        return f"{self.place}-{self.type}"

    def bottom_values(self, shapes: Sequence[Shape] | None = None) -> list[Array]:
        """The arrays for the bottoms, float64, of the row's shapes or of others."""
        generator = np.random.default_rng(self.seed)
        shapes = self.bottom_shapes if shapes is None else shapes
        return [self._bottom(i, shape, generator) for i, shape in enumerate(shapes)]

    def _bottom(self, index: int, shape: Shape, generator: np.random.Generator) -> Array:
        if index in self.values:
            return _given(self.values[index], shape, generator)
        if self.labels is not None and index == self.labels[0]:
            return generator.integers(0, self.labels[1], shape).astype(float)
        if self.distinct:
            count = int(np.prod(shape))
            return (generator.permutation(count).reshape(shape) - count / 2) * 0.05 + 0.01
        x: Array = generator.standard_normal(shape)
        if self.positive:
            x = abs(x) + 0.1
        for kink in np.atleast_1d([] if self.kink is None else self.kink):
            x = np.where(abs(x - kink) < 0.02, kink + np.where(x < kink, -0.02, 0.02), x)
        return x

    def blob_values(self, layer: Layer) -> Sequence[Array | None]:
        """The arrays for the learnable blobs of `layer`, or None for what its fillers gave."""
        if isinstance(self.blobs, str):  # "filler"
            return [None] * len(layer.blobs)
        generator = np.random.default_rng(self.seed + 1)
        return [
            _given(self.blobs.get(i, _normal), blob.shape, generator)
            for i, blob in enumerate(layer.blobs)
        ]

    def build(
        self,
        dtype: DType = np.float64,
        shapes: Sequence[Shape] | None = None,
        in_place: bool = False,
    ) -> Made:
        """(layer, bottom, top) of this row, values set, nothing run yet."""
        bottoms = self.bottom_values(shapes)
        made = make_layer(
            self.type, bottoms, self.options, self.phase, dtype, self.tops, in_place=in_place
        )
        for blob, values in zip(made[0].blobs, self.blob_values(made[0]), strict=True):
            if values is not None:
                blob.assign(values)
        return made

    def expected_tops(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> list[Array]:
        """What the twin says, as a list with an array per top."""
        assert self.expect is not None, f"{self} has no twin"
        said = self.expect(*bottoms, *blobs)
        said = said if isinstance(said, (list, tuple)) else [said]
        return [np.asarray(y, np.float64) for y in said]


def case(
    type: str,
    bottom_shapes: Sequence[Shape],
    options: str = "",
    *,
    expect: Callable[..., Any] | None = None,
    golden: Any = None,
    error: str | None = None,
    shapes: Sequence[Shape] | None = None,
    tops: int | None = None,
    phase: int = TRAIN,
    labels: tuple[int, int] | None = None,
    values: Mapping[int, Any] | None = None,
    positive: bool = False,
    distinct: bool = False,
    kink: float | Sequence[float] | None = None,
    blobs: Mapping[int, Any] | str | None = None,
    gradient: bool = True,
    fixed_tops: Sequence[int] = (),
    batch_axis: int | None = 0,
    empty: bool = True,
    scratch: Sequence[int] = (),
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Case:
    """Add a row to the table.

    Parameters
    ----------
    type, bottom_shapes, options
        The layer, the shapes of its bottoms, and any other fields of its LayerParameter as text.
        Give every axis its own size: with equal ones, a swapped pair passes.
    expect
        Twin: takes the arrays of the bottoms, then those of the learnable blobs (in order), and
        returns the top's array, or a list with one per top.
    golden
        The recorded top (or a list with one per top) for these `values`, from outside caffelite.
    error
        Text that the error must hold: this row is refused, at setup or in forward.
    shapes
        Top shapes, for rows without a twin, or where shapes are the point.
    tops
        How many tops, where the type leaves a choice.
    phase
        TRAIN or TEST.
    labels
        (bottom index, number of classes): that bottom holds whole numbers below it.
    values
        {bottom index: array, or function of (generator, shape)}; arrays repeat to fill a shape.
        Other bottoms hold standard normal numbers.
    positive, distinct
        Bottoms hold numbers above 0.1; numbers at least 0.05 apart (for a maximum).
    kink
        Where the layer has a corner (one or several): samples keep 0.02 away.
    blobs
        As `values`, for learnable blobs (otherwise normal); "filler" leaves what fillers gave.
    gradient
        False where there is none to check: values with corners or infinities.
    fixed_tops
        Tops through which no gradient flows (a pooling mask); their diffs are noise.
    batch_axis
        The axis along which the number of samples may change, None if it may not.
    empty
        Whether a batch of 0 makes sense.
    scratch
        Bottoms whose diffs the layer uses for itself where nobody asks for them.
    tolerance
        Of the gradient check, see `check_gradient`. If it is not the default, say why.
    seed
        Of the values.
    """
    frame = sys._getframe(1)
    row = Case(
        type=type,
        bottom_shapes=[tuple(shape) for shape in bottom_shapes],
        options=options,
        expect=expect,
        golden=golden,
        error=error,
        shapes=shapes,
        tops=tops,
        phase=phase,
        labels=labels,
        values=values or {},
        positive=positive,
        distinct=distinct,
        kink=kink,
        blobs=blobs or {},
        gradient=gradient,
        fixed_tops=fixed_tops,
        batch_axis=batch_axis,
        empty=empty,
        scratch=scratch,
        tolerance=tolerance,
        seed=seed,
        place=f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}",
    )
    cases.append(row)
    return row


def _normal(generator: np.random.Generator, shape: Shape) -> Array:
    return generator.standard_normal(shape)


def _given(value: Any, shape: Shape, generator: np.random.Generator) -> Array:
    if callable(value):
        return np.asarray(value(generator, shape), np.float64)
    return np.resize(np.asarray(value, np.float64), shape)


def make_layer(
    type: str,
    bottoms: Sequence[Any],
    options: str = "",
    phase: int = TRAIN,
    dtype: DType = np.float64,
    tops: int | None = None,
    *,
    in_place: bool = False,
    seed: int = 0,
) -> Made:
    """A layer on its own, set up and reshaped, with blobs to run it on.

    Parameters
    ----------
    type
        Registered type name.
    bottoms
        A shape (a tuple of ints; values are standard normal) or an array for each bottom.
    options
        More fields of the LayerParameter, as prototxt text.
    phase, dtype, seed
        As the Net would give them; float64 for gradient checks.
    tops
        How many tops; the least number the type has unless given (or named in `options`).
    in_place
        Let the first top be the first bottom.

    Returns
    -------
    layer, bottom, top
        The layer and two lists of Blobs: run `layer.forward(bottom, top)`, set `top[i].diff`,
        then `layer.backward(top, [True] * len(bottom), bottom)`.
    """
    param = caffe_pb2.LayerParameter(name="layer", type=type)
    text_format.Merge(options, param)
    if not param.bottom:
        param.bottom.extend(f"x{i}" for i in range(len(bottoms)))
    layer = create_layer(param, phase=phase, dtype=dtype, seed=seed)
    if not param.top:
        least = layer.tops if isinstance(layer.tops, int) else layer.tops[0]
        param.top.extend(f"y{i}" for i in range(least if tops is None else tops))
    if in_place:
        param.top[0] = param.bottom[0]

    generator = np.random.default_rng(seed)
    bottom = [_blob(given, dtype, generator) for given in bottoms]
    top = [Blob(dtype=dtype) for _ in range(layer.num_tops)]
    if in_place:
        top[0] = bottom[0]
    for line in layer.check_options():
        log.warning("%s", line)
    layer.setup([b.shape for b in bottom])
    layer.reshape(bottom, top)
    return layer, bottom, top


def _blob(given: Any, dtype: DType, generator: np.random.Generator) -> Blob:
    is_shape = isinstance(given, tuple) and all(isinstance(n, int) for n in given)
    values = generator.standard_normal(given) if is_shape else np.asarray(given)
    blob = Blob(values.shape, dtype)
    blob.assign(values)
    return blob


def check_gradient(
    layer: Layer,
    bottom: Sequence[Blob],
    top: Sequence[Blob],
    *,
    fixed_tops: Sequence[int] = (),
    step: float = 1e-5,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> None:
    """Hold `backward` against central differences of `forward`, in float64.

    The objective is the sum of all tops' data with random weights. Bottoms in
    `layer.no_gradient` and learnable blobs with `lr_mult: 0` are left out. Arrays of up to
    EVERY_COORDINATE values have each one moved by `step`, larger ones go along random directions.

    Parameters
    ----------
    layer, bottom, top
        As `make_layer` returns them. Diffs are overwritten, data is left as it was.
    fixed_tops
        Tops through which no gradient flows.
    step
        How far a value moves to each side.
    tolerance
        Largest difference, in units of the derivative or of 1, whichever is larger.

    Raises
    ------
    AssertionError
        Naming the array, the coordinate and both derivatives.
    """
    assert layer.dtype == np.float64, "gradient checks need dtype=np.float64"
    generator = np.random.default_rng(seed)
    layer_position = layer.position
    learned = [i for i in range(len(layer.blobs)) if _learns(layer, i)]
    others = [(b, b.data.copy()) for i, b in enumerate(layer.blobs) if i not in learned]

    def run() -> None:
        for blob, values in others:  # statistics that a forward pass updates
            blob.data[...] = values
        layer.seek(layer_position)
        layer.forward(bottom, top)

    run()
    weights = [generator.standard_normal(t.shape) for t in top]
    flowing = [i for i in range(len(top)) if i not in fixed_tops]

    def tops_at(blob: Blob, values: Array) -> Sequence[Array]:
        blob.data[...] = values
        run()
        return [top[i].data.copy() for i in flowing]

    wanted = [i not in layer.no_gradient for i in range(len(bottom))]
    for blob in layer.blobs:
        blob.diff[...] = 0
    for t, weight in zip(top, weights, strict=True):
        t.diff[...] = weight
    layer.backward(top, wanted, bottom)
    targets = [(f"bottom[{i}]", b) for i, b in enumerate(bottom) if wanted[i]]
    targets += [(layer.blob_names[i], layer.blobs[i]) for i in learned]
    analytic = [blob.diff.copy() for _, blob in targets]

    for (name, blob), gradient in zip(targets, analytic, strict=True):
        for where, direction in _directions(blob.shape, generator):
            at_rest = blob.data.copy()
            above = tops_at(blob, at_rest + step * direction)
            below = tops_at(blob, at_rest - step * direction)
            blob.data[...] = at_rest
            # weighted differences, not the difference of sums, which large tops round off
            changes = zip(above, below, (weights[i] for i in flowing), strict=True)
            numeric = sum(np.vdot(a - b, weight) for a, b, weight in changes) / (2 * step)
            said = np.vdot(gradient, direction)
            assert abs(said - numeric) <= tolerance * max(1, abs(numeric)), (
                f"{layer.at}: the gradient at {name}{where} is {said:.9g}, "
                f"central differences give {numeric:.9g}"
            )
    run()


def _learns(layer: Layer, index: int) -> bool:
    specs = layer.param.param
    return index >= len(specs) or specs[index].lr_mult != 0


def _directions(shape: Shape, generator: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """(name, array) pairs: each unit vector, or a few random vectors."""
    if np.prod(shape) > EVERY_COORDINATE:
        for _ in range(4):
            v = generator.standard_normal(shape)
            yield " along a random direction", v / np.linalg.norm(v)
        return
    for at in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[at] = 1
        yield f"[{', '.join(map(str, at))}]", unit
