"""Every question, asked of every row of tests/cases.

A row is one test: what failed is told by the name of the question in its traceback.
"""

import gc
import weakref
from contextlib import ExitStack

import numpy as np
import pytest

import tests.cases  # noqa: F401  (fills the table)
from caffelite.errors import CaffeliteError
from caffelite.kernels._again import Again
from caffelite.kernels._tape import taken_down
from caffelite.testing import cases, check_gradient

ROWS = [row for row in cases if row.error is None]
OPTIONS = 1e-6  # options are float32, so 0.7 reaches a layer as 0.699999988
REFUSED = [row for row in cases if row.error is not None]

QUESTIONS = []
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def question(ask):
    """Ask this of every row, with a function that builds its layer, bottoms and tops."""
    QUESTIONS.append(ask)
    return ask


def builder(row, stack):
    """Row.build, closing what it made when the stack ends."""

    def build(**how):
        made = row.build(**how)
        stack.callback(made[0].close)
        return made

    return build


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_question(row):
    for ask in QUESTIONS:
        with ExitStack() as stack:
            ask(row, builder(row, stack))


def forward(layer, bottom, top):
    """The tops' data, from the start of the layer's random stream."""
    layer.seek(0)
    layer.reshape(bottom, top)
    layer.forward(bottom, top)
    return [t.data.copy() for t in top]


def backward(layer, bottom, top, wanted=None, stale=7):
    """Diffs of the bottoms before, of the bottoms after, of the blobs; tops' diffs are noise."""
    generator = np.random.default_rng(5)
    for b in bottom:
        b.diff[...] = stale
    for t in top:
        t.diff[...] = generator.standard_normal(t.shape)
    before = [b.diff.copy() for b in bottom]
    layer.backward(top, differentiable(layer) if wanted is None else wanted, bottom)
    return before, [b.diff.copy() for b in bottom], [b.diff.copy() for b in layer.blobs]


def differentiable(layer):
    return [i not in layer.no_gradient for i in range(len(layer.param.bottom))]


def asked_for(layer, bottoms):
    return [b for b, wanted in zip(bottoms, differentiable(layer), strict=True) if wanted]


def has_backward(row):
    return row.gradient and len(row.bottom_shapes) > 0


def assert_same(got, want, tolerance=0.0):
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(g, w, tolerance, tolerance, err_msg=f"array {i}", strict=True)


@question
def top_shapes_are_inferred(row, build):
    layer, bottom, top = build()
    inferred = [tuple(s) for s in layer.infer_shapes([b.shape for b in bottom])]
    assert len(inferred) == len(top)
    reshaped = [t.shape for t in top]
    assert inferred == reshaped
    got = [t.shape for t in forward(layer, bottom, top)]
    if row.shapes is not None:
        assert got == [tuple(s) for s in row.shapes]
    elif row.expect is not None:
        blobs = [b.data for b in row.build()[0].blobs]
        assert got == [np.shape(y) for y in row.expected_tops(row.bottom_values(), blobs)]
    assert all(np.less_equal(g, i).all() for g, i in zip(got, inferred, strict=True))


@question
def values_agree_with_the_twin(row, build):
    layer, bottom, top = build()
    blobs = [b.data.copy() for b in layer.blobs]
    got = forward(layer, bottom, top)
    if row.expect is not None:
        assert_same(got, row.expected_tops(row.bottom_values(), blobs), OPTIONS)
    if row.golden is not None:
        golden = [row.golden] if len(top) == 1 else row.golden
        assert_same(got, [np.asarray(g, np.float64) for g in golden], OPTIONS)


@question
def a_forward_that_replays_is_but_calls_of_kernels(row, build):
    layer, bottom, top = build()
    layer.needs_backward = False
    if not layer.is_replayed():
        return
    forward(layer, bottom, top)
    with taken_down() as calls:
        layer.forward(bottom, top)
    for t in top:
        t.data[...] = np.nan
    for b, values in zip(bottom, row.bottom_values(), strict=True):
        b.data[...] = values.reshape(-1)[::-1].reshape(b.shape)
    Again(calls)()
    assert_same([t.data.copy() for t in top], forward(layer, bottom, top))


def reads(layer, bottom, top, at, place):
    """Whether the value of a top at `at` may see what a bottom has at `place`."""
    reaches = layer.reach(bottom.shape, top.shape)
    if reaches is None:
        return True
    assert len(reaches) == len(bottom.shape[2:])
    ends = [reach.at(y) for reach, y in zip(reaches, at[2:], strict=True)]
    return all(first <= x <= last for (first, last), x in zip(ends, place[2:], strict=True))


@question
def a_top_sees_no_more_of_a_bottom_than_its_reach(row, build):
    """Values of the bottoms, one by one, become others: which values of the tops do so, too?"""
    layer, bottom, top = build()
    if layer.normalizes_channels and not layer.is_fixed:
        return  # statistics of the batch do not count
    before = forward(layer, bottom, top)
    for i in [i for i in range(len(bottom)) if i not in layer.no_gradient]:
        if all(layer.reach(bottom[i].shape, t.shape) is None for t in top):
            continue  # each top may see all of it
        for n in np.random.default_rng(3).permutation(bottom[i].count)[:8]:
            place = np.unravel_index(n, bottom[i].shape)
            kept, bottom[i].data[place] = bottom[i].data[place], bottom[i].data[place] + 0.37
            after = forward(layer, bottom, top)
            bottom[i].data[place] = kept
            for t, x, y in zip(top, before, after, strict=True):
                for at in np.argwhere(~np.isclose(x, y, 0, 0, equal_nan=True)):
                    assert reads(layer, bottom[i], t, at, place), (i, place, at)


@question
def gradients_agree_with_central_differences(row, build):
    if row.gradient:
        check_gradient(*build(), fixed_tops=row.fixed_tops, tolerance=row.tolerance)


@question
def in_place_changes_no_result(row, build):
    apart = build()
    if not apart[0].in_place:
        return  # not a layer that works in place
    together = build(in_place=True)
    assert_same(forward(*together), forward(*apart))
    if has_backward(row):
        _, bottoms, blobs = backward(*apart)
        _, bottoms_together, blobs_together = backward(*together)
        assert_same(asked_for(together[0], bottoms_together), asked_for(apart[0], bottoms), 1e-9)
        assert_same(blobs_together, blobs, 1e-9)


CAFFES_IN_PLACE = set(
    "BNLL BatchNorm Bias Clip Dropout ELU Exp Log MVN PReLU Power ReLU Scale Sigmoid Softmax Swish "
    "TanH Threshold".split()
)


def test_layers_work_in_place_where_caffes_do():
    able = {row.type for row in ROWS if row.type in CAFFES_IN_PLACE and row.build()[0].in_place}
    assert able == CAFFES_IN_PLACE


@question
def blob_diffs_accumulate_and_bottom_diffs_are_overwritten(row, build):
    layer, bottom, top = build()
    if not has_backward(row):
        return
    forward(layer, bottom, top)
    _, bottoms, blobs = backward(layer, bottom, top)
    _, bottoms_again, blobs_again = backward(layer, bottom, top, stale=-3)
    assert_same(asked_for(layer, bottoms_again), asked_for(layer, bottoms))
    assert_same(blobs_again, [2 * g for g in blobs], 1e-9)


@question
def a_bottom_diff_is_added_to_where_the_layer_is_told_to(row, build):
    layer, bottom, top = build()
    shapes = [[blob.shape for blob in blobs] for blobs in (bottom, top)]
    one = len(bottom) == len(top) == 1 and has_backward(row)
    if not (one and layer.can_add(*shapes[0], *shapes[1])):
        return
    forward(layer, bottom, top)
    _, (own,), blobs = backward(layer, bottom, top)
    for blob in layer.blobs:
        blob.diff[...] = 0
    layer.adds_up = True
    _, (total,), blobs_again = backward(layer, bottom, top, stale=-3)
    assert_same([total], [own - 3], 1e-9)
    assert_same(blobs_again, blobs)


@question
def propagate_down_is_honoured(row, build):
    layer, bottom, top = build()
    if not has_backward(row):
        return
    forward(layer, bottom, top)
    _, everything, blobs = backward(layer, bottom, top)
    wanted = differentiable(layer)
    for i in np.flatnonzero(wanted):
        but_one = [w and j != i for j, w in enumerate(wanted)]
        for blob in layer.blobs:
            blob.diff[...] = 0
        before, after, blobs_after = backward(layer, bottom, top, but_one)
        if i not in row.scratch:
            np.testing.assert_array_equal(after[i], before[i], f"bottom {i} was not asked for")
        for j in np.flatnonzero(but_one):
            np.testing.assert_allclose(after[j], everything[j], err_msg=f"bottom {j}")
        assert_same(blobs_after, blobs, 1e-9)
    for i in layer.no_gradient:
        if i < len(bottom):
            only = [j == i for j in range(len(bottom))]
            try:
                before, after, _ = backward(layer, bottom, top, only)
            except CaffeliteError as refusal:
                assert layer.at in str(refusal)
            else:
                np.testing.assert_array_equal(after[i], before[i])


def shapes_with(row, samples):
    """The row's bottom shapes with another number of samples."""
    axis, first = row.batch_axis, row.bottom_shapes[0]
    return [
        (*s[:axis], samples, *s[axis + 1 :]) if s[axis : axis + 1] == first[axis : axis + 1] else s
        for s in row.bottom_shapes
    ]


@question
def another_batch_size_works_through_reshape(row, build):
    """A layer reshaped to another batch, and back, does what a new layer of that size does."""
    if not row.bottom_shapes or row.batch_axis is None:
        return  # the number of samples is fixed
    others = [shapes_with(row, samples) for samples in ([7, 1, 0] if row.empty else [7, 1])]
    for way in ([others[0]], [others[1]], others[2:], [others[1], row.bottom_shapes]):
        if way:
            reshaped_agrees_with_new(row, way, build)


def reshaped_agrees_with_new(row, way, build):
    """Compare a layer reshaped to the bottom shapes on the `way` with a new one of the last."""
    new = build(shapes=way[-1])
    layer, bottom, top = build()
    forward(layer, bottom, top)
    if has_backward(row):
        backward(layer, bottom, top)
    for shapes in way:
        for b, shape in zip(bottom, shapes, strict=True):
            b.reshape(*shape)
        layer.reshape(bottom, top)
    for b, n in zip(bottom, new[1], strict=True):
        b.assign(n.data)
    for blob, fresh in zip(layer.blobs, new[0].blobs, strict=True):
        blob.assign(fresh.data)
        blob.diff[...] = 0
    assert_same(forward(layer, bottom, top), forward(*new), 1e-9)
    if has_backward(row):
        _, bottoms, blobs = backward(layer, bottom, top)
        _, new_bottoms, new_blobs = backward(*new)
        assert_same(bottoms, new_bottoms, 1e-9)
        assert_same(blobs, new_blobs, 1e-9)


@question
def float32_stays_float32(row, build):
    single, double = build(dtype=np.float32), build()
    results, exact = [], []
    for made, found in ((single, results), (double, exact)):
        found += forward(*made)
        if has_backward(row):
            _, bottoms, blobs = backward(*made)
            found += bottoms + blobs
    layer, bottom, top = single
    for blob in [*bottom, *top, *layer.blobs]:
        assert blob.data.dtype == blob.diff.dtype == np.float32
    for name, value in vars(layer).items():
        if isinstance(value, np.ndarray):
            assert value.dtype != np.float64, f"self.{name} is float64"
    for got, want in zip(results, exact, strict=True):
        scale = max(1, np.nanmax(abs(want), initial=0, where=np.isfinite(want)))
        np.testing.assert_allclose(got / scale, want / scale, 1e-4, 1e-4)


@question
def running_again_gives_the_same_and_leaves_data_alone(row, build):
    layer, bottom, top = build()
    before = [b.data.copy() for b in bottom]
    first = forward(layer, bottom, top)
    assert_same([b.data for b in bottom], before)
    if has_backward(row):
        backward(layer, bottom, top)
        assert_same([b.data for b in bottom], before)
        assert_same([t.data for t in top], first)
    assert_same(forward(layer, bottom, top), first)


@pytest.mark.parametrize("row", {row.type: row for row in ROWS}.values(), ids=str)
def test_a_layer_goes_as_soon_as_nobody_holds_it(row):
    """A cycle of references would keep the memory of nets until the garbage collector runs."""
    layer, bottom, top = row.build()
    forward(layer, bottom, top)
    if has_backward(row):
        backward(layer, bottom, top)
    layer.close()
    ref = weakref.ref(layer)
    gc.disable()
    del layer, bottom, top
    gc.enable()
    assert ref() is None


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_mistakes_are_refused(row):
    with pytest.raises(CaffeliteError) as caught:
        layer, bottom, top = row.build()
        layer.forward(bottom, top)
        layer.backward(top, [True] * len(bottom), bottom)
    assert row.error in str(caught.value)
    assert f'layer "layer" ({row.type})' in str(caught.value)
