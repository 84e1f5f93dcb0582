"""Which way a convolution goes, and in which blocks: decided here and nowhere else.

`winograd` is for 3 by 3 kernels with stride 1, and needs a quarter of the
multiplications, as does `folded`, for strided ones that can be made such; of 7 by 1 and 1 by 7
kernels, `winograd_line` needs a third; `depthwise` is for channels that do not mix; `direct` reads
windows in place, in up to two axes, as does `direct_turned` where weights are kept; `taps`
multiplies pixels of small maps by taps, all images at once; `im2col` writes windows as matrices, in
any number of axes. The gradient to the input is a convolution of the
gradient to the output with transposed weights, where that does not multiply too many zeros. With
strides there is one like it, `phases`, where windows are whole strides long or nearly so; elsewhere
the products are added up where they belong, which is called `scatter`, or `spread` where channels
do not mix. Strided windows of one pixel are convolved at stride 1, once x is `thinned`.

From how many tiles on Winograd's algorithm pays is what `tuning` says.

CAFFELITE_CONVOLUTION in the environment names ways that are taken wherever they can run, whether
they pay or not: any of them, with commas between them; im2col is the way for the rest.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from ..environment import choices
from . import (
    depthwise,
    depthwise_weight,
    direct,
    direct_turned,
    direct_weight,
    folded,
    im2col_multiply,
    im2col_scatter,
    im2col_weight,
    phases,
    pointwise,
    separable,
    spread,
    taps,
    thinned,
    tuning,
    turned,
    winograd,
    winograd_line,
    winograd_line_weight,
    winograd_weight,
)
from ._jit import thread_count
from ._pack import WeightLayout, layout_of, transposed_layout
from ._problem import Problem
from ._turned_tiles import LANED_Y
from ._vectors import VECTOR_BYTES
from .im2col import geometry_of

WAYS = "winograd", "turned", "pointwise", "depthwise", "direct", "taps", "im2col"
FORCED = choices("CAFFELITE_CONVOLUTION", WAYS)
"""Ways to take wherever they can run; with None, shapes decide."""
TRANSPOSED_PIXELS = 4
"""Pixels of x for one of y up to which the gradient to the input is one with transposed weights."""
TRANSPOSED_EXTRA = 512
"""Multiplications by zero, for a product of the window's, up to which it is: adding a product to
the input takes as long as some 20, and where there are many, weights do not fit in caches."""
BAND_PIXELS = 128
"""Pixels of a band from which on it pays to read heavy weights again for the next."""
BAND_DEPTH = 1 << 12
"""Products of a value from which on it pays, too: with matrices, values are read and written again
for each block of products."""


class ConvolutionPlan(NamedTuple):
    """The blocks of the three products: each is the Plan of the module that computes it."""

    forward: tuple
    input_gradient: tuple
    weight_gradient: tuple
    forward_weights: WeightLayout
    input_weights: WeightLayout  # None where the gradient to the input is scattered

    def __str__(self):
        return "\n".join(f"{name}: {_describe(getattr(self, name))}" for name in self._fields[:3])


class Conditions(NamedTuple):
    """What plans depend on beside shapes."""

    threads: int  # that there are for kernels
    forced: tuple | None
    tuned: tuning.Thresholds

    @classmethod
    def now(cls):
        threads, forced = thread_count(math.inf), None if FORCED is None else tuple(FORCED)
        return cls(threads, forced, tuning.thresholds(threads))


def _describe(plan):
    """The way and its numbers; tables are left out."""
    numbers = (f"{k} {v}" for k, v in plan._asdict().items() if isinstance(v, int))
    return f"{plan.way} ({', '.join(numbers)})"


def plan_convolution(
    x_shape, w_shape, y_shape, stride, pad, dilation, group, itemsize,
    threads=None, vector_bytes=VECTOR_BYTES, kept=False,
) -> ConvolutionPlan:  # fmt: skip
    """How y = conv(x, w) and its gradients are computed.

    Parameters
    ----------
    x_shape, w_shape, y_shape : tuples
        (N, C, *in), (M, C / group, *kernel) and (N, M, *out), without a 0 in them.
    stride, pad, dilation : tuples
        A number for each spatial axis.
    itemsize : int
        Bytes of a value.
    threads : int, optional
        How many may be used; by default those that kernels have here.
    vector_bytes : int, optional
        Bytes of a vector register; by default this processor's.
    kept : bool
        Whether weights are packed once for many products, by `convolve.pack`.
    """
    here, forced, tuned = Conditions.now()
    threads = here if threads is None else threads
    geometry = tuple(stride), tuple(pad), tuple(dilation)
    return _plan(
        x_shape, w_shape, y_shape, *geometry, group, itemsize, threads, vector_bytes, kept, forced,
        tuned,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _plan(
    x, w, y, stride, pad, dilation, group, itemsize, threads, vector_bytes, kept, forced, tuned
):
    here = itemsize, threads, vector_bytes, kept, tuned
    problem = _problem(x, w, y, stride, pad, dilation, group, *here)
    transposes = _transposing_pays(problem)
    return ConvolutionPlan(
        _multiply(problem, forced),
        _multiply(problem.transposed(), forced) if transposes else _scatter(problem, forced),
        _weight_gradient(problem, forced),
        layout_of(problem),
        transposed_layout(problem) if transposes else None,
    )


def _problem(x, w, y, stride, pad, dilation, group, *here):
    geometry = geometry_of(x[2:], y[2:], w[2:], stride, pad, dilation)
    return Problem(x[0], w[1], w[0] // group, group, *map(tuple, geometry.tolist()), *here)


def plan_laned(x_shape, w_shape, y_shape, stride, pad, dilation, group, itemsize):
    """(the ConvolutionPlan, how forward makes laned y) of weights that are kept; None if it is no
    gain, see `direct_turned`."""
    here, forced, tuned = Conditions.now()
    shapes, geometry = (x_shape, w_shape, y_shape), (tuple(stride), tuple(pad), tuple(dilation))
    return _plan_laned(*shapes, *geometry, group, itemsize, here, forced, tuned)


@lru_cache(maxsize=128)
def _plan_laned(x, w, y, stride, pad, dilation, group, itemsize, threads, forced, tuned):
    if not _allows("turned", forced):
        return None
    here = itemsize, threads, VECTOR_BYTES, True, tuned
    plane = _problem(x, w, y, stride, pad, dilation, group, *here).plane()
    usual = plan_convolution(x, w, y, stride, pad, dilation, group, itemsize, threads, kept=True)
    is_direct = isinstance(usual.forward, direct.Plan | direct_turned.Plan)
    whole = is_direct and direct_turned.fits(plane) and plane.outputs % plane.lanes == 0
    if not (whole and direct_turned.lanes_pay(plane)):
        return None
    return usual, direct_turned.plan(plane, LANED_Y)


def plan_separable(first, then, batch, itemsize, laned=0):
    """(`first`, `then`, how both are computed as one) of two convolutions; None if that is no gain.

    The second reads what the first gives; their plans are for weights that are kept. What is
    `laned`, see `separable.plan`, lies as nobody else reads it.
    """
    if laned and not _allows("turned", FORCED):
        return None
    own = separable.plan(first.forward, then.forward, batch, itemsize, laned)
    return None if own is None else (first, then, own)


def _transposing_pays(problem):
    """Whether stride is 1, and few products are with zeros.

    The convolution looks at windows around each pixel of x, of which only those of y are in dy.
    Winograd's algorithm makes up for many.
    """
    size, pixels = math.prod(problem.size), problem.pixels
    if any(step > 1 for step in problem.stride) or size > TRANSPOSED_PIXELS * pixels:
        return False
    few = (size - pixels) * problem.outputs <= TRANSPOSED_EXTRA * pixels
    plane = problem.transposed().plane()
    return few or (winograd.fits(plane) and winograd.pays(plane))


def _multiply(problem, forced):
    return _or_taps(_usual(problem, forced), problem, forced, taps.plan, taps.pays)


def _or_taps(planned, problem, forced, by_taps, pays):
    """`planned`, or what `by_taps` plans, where that is allowed and faster."""
    if not (_allows("taps", forced) and taps.fits(problem)):
        return planned
    takes = pays(problem, planned) if forced is None else planned.way in ("im2col", "scatter")
    return by_taps(problem) if takes else planned


def _usual(problem, forced):
    plane = problem.plane()
    if _takes_winograd(winograd, plane, forced):
        return winograd.plan(plane)
    if _takes_winograd(winograd_line, plane, forced):
        return winograd_line.plan(plane)
    if _folds(winograd, plane, forced):
        return folded.plan(plane, winograd)
    if _allows("turned", forced) and turned.fits(plane):
        if forced is not None or turned.pays(plane):
            return turned.plan(plane)
    if _allows("pointwise", forced) and thinned.fits(plane):
        return thinned.plan(plane, pointwise)
    if _allows("pointwise", forced) and pointwise.fits(plane):
        return pointwise.plan(plane)
    if _allows("depthwise", forced) and depthwise.fits(plane):
        return depthwise.plan(plane)
    if _allows("turned", forced) and direct_turned.fits(plane):
        if forced is not None or direct_turned.pays(plane):
            return direct_turned.plan(plane)
    if _allows("direct", forced) and direct.fits(plane):
        planned = direct.plan(plane)
        if forced is not None or not _reads_weights_often(problem, planned):
            return planned
    return im2col_multiply.plan(problem)


def _reads_weights_often(problem, planned):
    """Whether bands are so short that windows as matrices, of which more fit, are faster."""
    heavy = problem.weights * problem.itemsize >= direct.HEAVY_WEIGHTS and problem.positions > 1
    few = planned.images * planned.lines * planned.width < BAND_PIXELS
    return heavy and few and planned.items > planned.group and problem.depth < BAND_DEPTH


def _scatter(problem, forced):
    planned = _usual_scatter(problem, forced)
    return _or_taps(planned, problem, forced, taps.plan_back, taps.pays_back)


def _usual_scatter(problem, forced):
    if _allows("pointwise", forced) and thinned.fits(problem.plane()):
        return thinned.plan_back(problem.plane())
    if forced is None and spread.fits(problem) and spread.pays(problem):
        return spread.plan(problem)
    if _allows("direct", forced) and phases.fits(problem):
        by_winograd = _takes_winograd(winograd, phases.together(problem), forced)
        if forced is not None or phases.pays(problem, by_winograd):
            return phases.plan(problem, by_winograd)
    return im2col_scatter.plan(problem)


def _weight_gradient(problem, forced):
    planned = _usual_weight_gradient(problem, forced)
    return _or_taps(planned, problem, forced, taps.plan_weights, taps.pays_for_weights)


def _usual_weight_gradient(problem, forced):
    plane = problem.plane()
    if _takes_winograd(winograd_weight, plane, forced):
        return winograd_weight.plan(plane)
    if _takes_winograd(winograd_line_weight, plane, forced):
        return winograd_line_weight.plan(plane)
    if _folds(winograd_weight, plane, forced):
        return folded.plan(plane, winograd_weight)
    if _allows("depthwise", forced) and depthwise.fits(plane):
        return depthwise_weight.plan(plane)
    if _allows("direct", forced) and plane is not None:
        if forced is not None or direct_weight.pays(plane):
            strided = thinned.fits(plane)
            return thinned.plan(plane, direct_weight) if strided else direct_weight.plan(plane)
    return im2col_weight.plan(problem)


def _takes_winograd(module, plane, forced):
    able = _allows("winograd", forced) and module.fits(plane)
    return able and (forced is not None or module.pays(plane))


def _folds(module, plane, forced):
    able = _allows("winograd", forced) and folded.fits(plane)
    return able and (forced is not None or folded.pays(plane, module))


def _allows(way, forced):
    return forced is None or way in forced
