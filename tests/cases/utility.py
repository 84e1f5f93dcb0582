from functools import partial

import numpy as np

import caffelite
from caffelite.testing import TEST, case

from ..reference import utility as ref
from ..reference.loss import softmax

case("Split", [(2, 3, 4)], tops=3, expect=lambda x: [x, x, x])
case("Split", [(2, 3, 4)], expect=lambda x: x)

case("Silence", [(2, 3, 4), (5,)], shapes=[])

case("Flatten", [(2, 3, 4, 5)], expect=lambda x: x.reshape(len(x), 60))
case(
    "Flatten",
    [(2, 3, 4, 5)],
    "flatten_param { axis: -3 end_axis: 2 }",
    expect=lambda x: x.reshape(len(x), 12, 5),
)
case(
    "Flatten",
    [(2, 3, 4)],
    "flatten_param { axis: 0 }",
    batch_axis=None,
    expect=lambda x: x.reshape(24),
)
case(
    "Flatten",
    [(2, 3, 4)],
    "flatten_param { axis: 2 end_axis: 1 }",
    expect=lambda x: x[:, :, None],
)
case("Flatten", [(2, 3)], "flatten_param { axis: 2 }", error="axis: 2 is out of range")
case("Flatten", [(2, 3)], "flatten_param { end_axis: -3 }", error="end_axis: -3 is out of range")
case("Flatten", [(2, 3, 4)], "flatten_param { axis: 2 end_axis: 0 }", error="end_axis: 0 lies bef")


def reshape(dims, options=""):
    dims = " ".join(f"dim: {d}" for d in dims)
    return f"reshape_param {{ shape {{ {dims} }} {options} }}"


def reshaped(*dims):
    return lambda x: x.reshape(len(x), *dims)


case("Reshape", [(2, 8, 3)], reshape((0, 4, -1)), expect=reshaped(4, 6))
case("Reshape", [(2, 8, 3)], reshape((2, 4), "axis: 1 num_axes: 1"), expect=reshaped(2, 4, 3))
case("Reshape", [(2, 8, 3)], reshape((3, 1), "axis: -2"), expect=reshaped(8, 3, 1))
case("Reshape", [(2, 8, 3)], reshape((1,), "axis: -1"), expect=reshaped(8, 3, 1))
case("Reshape", [(2, 8, 3)], reshape((1, 1), "axis: 1 num_axes: 0"), expect=reshaped(1, 1, 8, 3))
case("Reshape", [(2, 8, 3)], reshape((2, -1), "axis: 1 num_axes: 1"), expect=reshaped(2, 4, 3))
case("Reshape", [(2, 1, 3)], reshape((), "axis: 1 num_axes: 1"), expect=reshaped(3))
case("Reshape", [(2, 8, 3)], reshape((-1,)), expect=lambda x: x.reshape(x.size))
case(
    "Reshape", [(2, 8, 3)], reshape((0, 5, -1)), error="expected a multiple of 10 values for shape"
)
case(
    "Reshape",
    [(2, 8, 3)],
    reshape((2, 0), "axis: 1 num_axes: 1"),
    error="expected 36 values for shape { dim: 2 dim: 3 }",
)
case("Reshape", [(2, 8, 3)], reshape((-1, -1)), error="more than one dim -1")
case("Reshape", [(2, 8, 3)], reshape((-2,)), error="dim -2 is not a size")
case("Reshape", [(0,)], reshape((2**32, 2**32, -1)), error="at most 2147483647 values")
case("Reshape", [(2, 8)], reshape((0, 8, 0)), error="copies axis 2 of the bottom")
case("Reshape", [(2, 8)], reshape((1,), "axis: 3"), error="expected -3 to 2")
case("Reshape", [(2, 8)], reshape((1,), "axis: -4"), error="expected -3 to 2")
case(
    "Reshape", [(2, 8)], reshape((1,), "axis: 1 num_axes: 2"), error="expected -1 (to the end) to 1"
)
case("Reshape", [(2, 8)], reshape((1,), "num_axes: -2"), error="num_axes: -2 from axis 0")

case("Concat", [(2, 3, 4), (2, 1, 4), (2, 2, 4)], expect=ref.concat)
case(
    "Concat",
    [(2, 3, 4), (2, 3, 1)],
    "concat_param { axis: -1 }",
    expect=partial(ref.concat, axis=2),
)
case(
    "Concat",
    [(2, 3), (4, 3)],
    "concat_param { concat_dim: 0 }",
    batch_axis=1,
    expect=partial(ref.concat, axis=0),
)
case("Concat", [(2, 3)], expect=ref.concat)
case("Concat", [(2, 3), (2, 3)], "concat_param { axis: 1 concat_dim: 1 }", error="both given")
case("Concat", [(2, 3), (2, 3)], "concat_param { axis: 2 }", error="axis: 2 is out of range")
case("Concat", [(2, 3), (2, 3)], "concat_param { concat_dim: 2 }", error="concat_dim: 2 is out")
case("Concat", [(2, 3), (2, 3, 1)], error="(2, 3, 1), expected (2, 3), that of bottom[0], but for")
case("Concat", [(2, 3), (3, 3)], error='bottom[1] "x1" has shape (3, 3), expected (2, 3)')

case("Slice", [(2, 6, 4)], tops=3, expect=partial(ref.sliced, tops=3))
case(
    "Slice",
    [(2, 6, 4)],
    "slice_param { axis: -1 slice_point: 1 slice_point: 3 }",
    tops=3,
    expect=partial(ref.sliced, points=[1, 3], axis=2),
)
case(
    "Slice",
    [(6, 2)],
    "slice_param { slice_dim: 0 slice_point: 4 }",
    tops=2,
    batch_axis=1,
    expect=partial(ref.sliced, points=[4], axis=0),
)
case("Slice", [(2, 6, 4)], expect=lambda x: x)
case(
    "Slice", [(2, 6, 4)], tops=4, error="has shape (2, 6, 4), expected a multiple of 4 along axis 1"
)
case("Slice", [(2, 6)], "slice_param { slice_point: 2 }", tops=3, error="given 1 times, expected 2")
case("Slice", [(2, 6)], "slice_param { slice_point: 6 }", tops=2, error="below 6")
case("Slice", [(2, 6)], "slice_param { slice_point: 0 }", tops=2, error="from above 0")
case(
    "Slice",
    [(2, 6)],
    "slice_param { slice_point: 3 slice_point: 3 }",
    tops=3,
    error="slice_point: 3, 3 must rise",
)
case("Slice", [(2, 6)], "slice_param { axis: 1 slice_dim: 1 }", tops=2, error="both given")

three = [(2, 3, 4)] * 3
case("Eltwise", three, expect=partial(ref.weighted_sum, coeff=[1, 1, 1]))
case("Eltwise", three[:2], expect=partial(ref.weighted_sum, coeff=[1, 1]))
case(
    "Eltwise",
    three,
    "eltwise_param { coeff: 1 coeff: -0.5 coeff: 2 }",
    expect=partial(ref.weighted_sum, coeff=[1, -0.5, 2]),
)
case("Eltwise", three, "eltwise_param { operation: PROD }", expect=ref.product)
case("Eltwise", three[:2], "eltwise_param { operation: PROD }", expect=ref.product)
case(
    "Eltwise",
    three,
    "eltwise_param { operation: PROD stable_prod_grad: false }",
    positive=True,
    expect=ref.product,
)
case(
    "Eltwise",
    three,
    "eltwise_param { operation: MAX coeff: 5 coeff: 6 coeff: 7 }",
    expect=ref.maximum,
)
case(
    "Eltwise",
    [(3, 4, 2), (3, 4, 2), (2, 3)],
    "eltwise_param { coeff_blob: true }",
    batch_axis=None,
    expect=ref.sum_by_blob,
)
case(
    "Eltwise",
    [(3, 4), (3, 4), (2, 3)],
    "eltwise_param { coeff_blob: true coeff: 1 coeff: -2 }",
    batch_axis=None,
    expect=partial(ref.sum_by_blob, coeff=(1, -2)),
)
case(  # a single term
    "Eltwise",
    [(3, 4), (1, 3)],
    "eltwise_param { coeff_blob: true }",
    batch_axis=None,
    expect=ref.sum_by_blob,
)
stochastic = "eltwise_param { operation: STOCHASTIC_SUM coeff: 1 coeff: 0.5 coeff: 0 }"
case("Eltwise", three, stochastic, shapes=[(2, 3, 4)])
case(
    "Eltwise",
    three,
    stochastic,
    phase=TEST,
    expect=partial(ref.weighted_sum, coeff=[1, 0.5, 0]),
)
case("Eltwise", [(2, 3), (2, 4)], error='bottom[1] "x1" has shape (2, 4), expected (2, 3)')
case("Eltwise", three, "eltwise_param { coeff: 1 coeff: 2 }", error="coeff has 2 entries")
case(
    "Eltwise",
    three[:2],
    "eltwise_param { operation: PROD coeff: 1 coeff: 2 }",
    error="coeff: a product takes none",
)
case(
    "Eltwise",
    three,
    "eltwise_param { operation: MAX coeff_blob: true }",
    error="coeff_blob needs operation: SUM, not MAX",
)
case(
    "Eltwise",
    three[:2],
    "eltwise_param { operation: STOCHASTIC_SUM coeff: 1 coeff: 1.5 }",
    error="needs probabilities",
)
case(
    "Eltwise",
    [(3, 4), (3, 4), (3, 3)],
    "eltwise_param { coeff_blob: true }",
    error="expected 2 rows of coefficients",
)
case(
    "Eltwise",
    [(3, 4), (3, 4), (2, 4)],
    "eltwise_param { coeff_blob: true }",
    error="each the shape of the first axes of (3, 4)",
)
case(
    "Eltwise",
    [(3, 4), (3, 4), (2, 3)],
    "eltwise_param { coeff_blob: true }",
    error="there is no gradient for the coefficients",
)


case("Tile", [(2, 3, 4)], "tile_param { tiles: 3 }", expect=partial(ref.tile, tiles=3))
case(
    "Tile",
    [(2, 3, 4)],
    "tile_param { tiles: 2 axis: -1 }",
    expect=partial(ref.tile, tiles=2, axis=2),
)
case("Tile", [(2, 3)], "tile_param { tiles: 1 }", expect=lambda x: x)
case("Tile", [(2, 3)], error="tiles: expected at least 1, not 0")
case("Tile", [(2, 3)], "tile_param { tiles: -1 }", error="tiles: expected at least 1, not -1")
case("Tile", [(2, 3)], "tile_param { tiles: 1000000000 }", error="at most 2147483647 values")
case("Tile", [(2, 3)], "tile_param { tiles: 2 axis: 2 }", error="axis: 2 is out of range")


def reduction(operation, axis, more=""):
    return f"reduction_param {{ operation: {operation} axis: {axis} {more} }}"


case("Reduction", [(2, 3, 4)], batch_axis=None, expect=ref.reduction)
case(
    "Reduction",
    [(2, 3, 4)],
    reduction("SUM", 1, "coeff: 0.5"),
    expect=partial(ref.reduction, axis=1, factor=0.5),
)
case(
    "Reduction",
    [(2, 3, 4)],
    reduction("ASUM", -1, "coeff: 0.5"),
    kink=0,
    expect=partial(ref.reduction, of=abs, axis=2, factor=0.5),
)
case(
    "Reduction",
    [(2, 3, 4)],
    reduction("SUMSQ", 1, "coeff: -2"),
    expect=partial(ref.reduction, of=np.square, axis=1, factor=-2),
)
case(
    "Reduction",
    [(2, 3, 4)],
    reduction("MEAN", 1, "coeff: 3"),
    expect=partial(ref.reduction, axis=1, factor=3 / 12),
)
case("Reduction", [(2, 3)], reduction("SUM", 2), error="axis: 2 is out of range")

ties = {0: [3, 1, 3, 2, 5, 5, 0, -1]}
case("ArgMax", [(3, 4, 2)], expect=ref.arg_max)
case("ArgMax", [(3, 4)], expect=ref.arg_max, shapes=[(3, 1, 1)])
case("ArgMax", [(3, 2, 2, 5)], expect=ref.arg_max, shapes=[(3, 1, 1, 1)])
case(
    "ArgMax",
    [(2, 4, 3)],
    "argmax_param { top_k: 3 out_max_val: true }",
    values=ties,
    expect=partial(ref.arg_max, k=3, values=True),
)
case(
    "ArgMax",
    [(2, 4, 3)],
    "argmax_param { axis: 1 top_k: 2 }",
    values=ties,
    expect=partial(ref.arg_max_along, axis=1, k=2),
)
case(
    "ArgMax",
    [(2, 4, 3)],
    "argmax_param { axis: -1 out_max_val: true }",
    values=ties,
    expect=partial(ref.arg_max_along, axis=2, values=True),
)
case("ArgMax", [(2, 4)], "argmax_param { top_k: 4 }", expect=partial(ref.arg_max, k=4))
case("ArgMax", [(2, 4)], "argmax_param { top_k: 5 }", error="expected 1 to 4")
case("ArgMax", [(2, 4, 3)], "argmax_param { top_k: 5 axis: 1 }", error="5 of 4 values along axis 1")
case("ArgMax", [(2, 4)], "argmax_param { top_k: 0 }", error="top_k: 0")
case("ArgMax", [(2, 4)], "argmax_param { axis: 2 }", error="axis: 2 is out of range")
case("ArgMax", [()], error='bottom[0] "x0" has shape (), expected at least 1 axis')
case("ArgMax", [(2, 4)], error="no gradient")

choice = [0, 1, -2, 0, 0.5]
case("Filter", [(5, 3, 2), (5,)], values={1: choice}, expect=ref.selected)
case(
    "Filter",
    [(5, 3), (5, 2, 4), (5, 1, 1)],
    values={2: choice},
    tops=2,
    expect=ref.selected,
)
case("Filter", [(5, 3), (5,)], values={1: [0]}, expect=ref.selected)
case("Filter", [(5, 3), (5, 2)], values={1: choice}, error="has shape (5, 2), expected (N) or")
case("Filter", [(4, 3), (5,)], values={1: choice}, error="expected 5 samples")
case("Filter", [(5, 3), (5,)], tops=2, error="has 2 bottoms and 2 tops, expected a top for each")
case("Filter", [(5, 3), (5,)], values={1: choice}, error="no gradient for the selector")

case(
    "BatchReindex",
    [(4, 3, 2), (6,)],
    values={1: [2, 0, 3.9, 2, 2, -0.9]},
    batch_axis=None,
    expect=lambda x, index: x[index.astype(int)],
)
for wrong in (4, -1, np.nan):
    asks = f"asks for sample {wrong:g}, expected 0 to 3, bottom[0] has 4"
    case("BatchReindex", [(4, 3), (2,)], values={1: [0, wrong]}, error=asks)
case("BatchReindex", [(4, 3), (2, 1)], values={1: [0, 1]}, error="expected a single axis")
case("BatchReindex", [(4, 3), (2,)], values={1: [0, 1]}, error="no gradient for the index")

case(
    "Parameter",
    [],
    "parameter_param { shape { dim: 2 dim: 3 } }",
    expect=lambda blob: blob,
)
case("Parameter", [], blobs="filler", expect=lambda blob: np.zeros(()))

case("Axpy", [(2, 3), (2, 3, 4, 5), (2, 3, 4, 5)], expect=ref.axpy)
case("Axpy", [(2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5)], expect=ref.axpy)
case("Axpy", [(2, 3, 2), (2, 3, 4), (2, 3, 4)], error="expected (2, 3), a number for each channel")
case("Axpy", [(2, 4), (2, 3, 4), (2, 3, 4)], error="expected (2, 3), a number for each channel")
case("Axpy", [(2, 3), (2, 3, 4), (2, 3, 5)], error='bottom[2] "x2" has shape (2, 3, 5)')
case("Axpy", [(2,), (2,), (2,)], error="expected at least 2 axes")

case("Maxout", [(2, 6, 4)], distinct=True, expect=partial(ref.maxout, pieces=2))
case(
    "Maxout",
    [(2, 4, 6)],
    "maxout_param { num_pieces: 3 axis: -1 }",
    distinct=True,
    expect=partial(ref.maxout, pieces=3, axis=2),
)
case("Maxout", [(2, 5)], error="expected a multiple of num_pieces 2 along axis 1")
case("Maxout", [(2, 5)], "maxout_param { num_pieces: 0 }", error="num_pieces 0")


def ages(fields):
    return f"label_distribution_param {{ {fields} }}"


AGES = [3, 1, 9.5, 4.25]
case(
    "LabelDistribution",
    [(4,)],
    ages("num_output: 10"),
    values={0: AGES},
    expect=partial(ref.label_distribution, classes=10),
)
case(
    "LabelDistribution",
    [(4, 1, 1)],
    ages("num_output: 8 first: 1 deviation: 2.5 normalize: false"),
    values={0: AGES},
    expect=partial(ref.label_distribution, classes=8, first=1, deviation=2.5, normalize=False),
)
case(  # e^(-1/2) and e^(-2) beside 1: 1 / (1 + 2 * 0.606531 + 2 * 0.135335) in the middle
    "LabelDistribution",
    [(1,)],
    ages("num_output: 5 first: 23"),
    values={0: [25]},
    golden=[[0.054489, 0.244201, 0.402620, 0.244201, 0.054489]],
)
case("LabelDistribution", [(2,)], error="num_output is missing or 0")
case("LabelDistribution", [(2, 3)], ages("num_output: 5"), error="expected a number for each")
case("LabelDistribution", [()], ages("num_output: 5"), error="expected a number for each sample")
for deviation in ("0", "-1", "1e-30"):
    fields = f"num_output: 5 deviation: {deviation}"
    case("LabelDistribution", [(2,)], ages(fields), error="expected at least 1e-09")
for first, count in (("-1e8", 5), ("16777214", 5), ("0", 2**32 - 1)):
    fields = f"num_output: {count} first: {first}"
    case("LabelDistribution", [(2,)], ages(fields), error="does not tell them apart")
fields = "expectation_param { first: 1e8 }"
case("Expectation", [(2, 5)], fields, error="does not tell them apart")
for word in ("nan", "inf"):
    for option in ("deviation", "first"):
        fields = f"num_output: 5 {option}: {word}"
        said = f"{option} is {word}, expected a finite number"
        case("LabelDistribution", [(2,)], ages(fields), error=said)
    fields = f"expectation_param {{ first: {word} }}"
    case("Expectation", [(2, 5)], fields, error=f"first is {word}, expected a finite number")
for away in (-1.5, 6.1, np.nan, np.inf):
    case(
        "LabelDistribution",
        [(3,)],
        ages("num_output: 5 first: 1"),
        values={0: [0, 6, away]},
        error=f'bottom[0] "x0" holds {away:g} for sample 2, expected numbers from 1 to 5',
    )
case(
    "LabelDistribution",
    [(2,)],
    ages("num_output: 5"),
    values={0: [1, 2]},
    error="this layer type has no gradient",
)

case("Expectation", [(3, 5)], expect=ref.expectation)
case(
    "Expectation",
    [(2, 3, 4)],
    "expectation_param { first: 1.5 axis: -1 }",
    expect=partial(ref.expectation, first=1.5, axis=2),
)
case("Expectation", [(1, 4)], values={0: [0.1, 0.2, 0.3, 0.4]}, golden=[[2]])
case("Expectation", [(3,)], error="axis: 1 is out of range")


class Weighted(caffelite.Layer):
    """y0 = w * x, y1 = the sum of x."""

    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.power = int(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        top[1].reshape()

    def forward(self, bottom, top):
        self.x = bottom[0].data.copy()
        top[0].data[...] = self.blobs[0].data * self.x**self.power
        top[1].data[...] = self.x.sum()

    def backward(self, top, propagate_down, bottom):
        x, dy = self.x, top[0].diff
        self.blobs[0].diff[...] += (dy * x**self.power).sum()
        if propagate_down[0]:
            slope = self.power * self.blobs[0].data * x ** (self.power - 1)
            bottom[0].diff[...] = dy * slope + top[1].diff


def python(layer, module=__name__, more=""):
    return f'python_param {{ module: "{module}" layer: "{layer}" {more} }}'


case(
    "Python",
    [(2, 3)],
    python("Weighted", more="param_str: '2'"),
    tops=2,
    expect=lambda x, w: [w * x**2, np.sum(x)],
)
case("Python", [(2, 3)], python("Weighted"), tops=2, error="Weighted.setup raised ValueError")
case("Python", [(2, 3)], python("Weigthed"), error='no layer "Weigthed"; did you mean "Weighted"?')
case("Python", [(2, 3)], python("partial"), error="derive it from caffelite.Layer")
case("Python", [(2, 3)], python("L", "antigravity"), error="--allow-python antigravity")
case("Python", [(2, 3)], python(""), error="needs module and layer")

case("Flip", [(2, 3, 4, 5)], expect=lambda x: x[:, :, :, ::-1])
for height, width in ((True, True), (True, False), (False, False)):
    case(
        "Flip",
        [(2, 3, 4, 5)],
        f"flip_param {{ flip_height: {height} flip_width: {width} }}".lower(),
        expect=partial(ref.flip, height=height, width=width),
    )
case("Flip", [(2, 3, 4)], error="has shape (2, 3, 4), expected 4 axes")

case("GramMatrix", [(2, 3, 4, 5)], expect=ref.gram_matrix)
case(
    "GramMatrix",
    [(2, 3, 7)],
    "gram_matrix_param { normalize: true }",
    expect=partial(ref.gram_matrix, normalize=True),
)
case("GramMatrix", [(2, 3)], expect=ref.gram_matrix)
case(  # by hand
    "GramMatrix", [(1, 2, 3)], values={0: [1, 2, 3, 4, 5, 6]}, golden=[[[14, 32], [32, 77]]]
)
case("GramMatrix", [(3,)], error="has shape (3,), expected at least 2 axes")

case("Reorg", [(2, 8, 4, 6)], "reorg_param { stride: 2 }", expect=partial(ref.reorg, stride=2))
case("Reorg", [(2, 9, 3, 6)], "reorg_param { stride: 3 }", expect=partial(ref.reorg, stride=3))
case("Reorg", [(2, 3, 4, 5)], "reorg_param { stride: 1 }", expect=lambda x: x)
case(
    "Reorg",
    [(2, 8, 3, 5)],
    "reorg_param { stride: 2 reverse: true }",
    expect=partial(ref.reorg, stride=2, reverse=True),
)
case(
    "Reorg",
    [(1, 4, 2, 2)],
    "reorg_param { stride: 2 }",
    values={0: range(16)},
    golden=np.reshape([0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15], (1, 16, 1, 1)),
)
case("Reorg", [(2, 4, 2, 2)], error="stride is missing or 0")
case("Reorg", [(2, 4, 2)], "reorg_param { stride: 2 }", error="expected 4 axes")
case(
    "Reorg",
    [(2, 6, 2, 2)],
    "reorg_param { stride: 2 }",
    error="a multiple of stride^2, 4, channels",
)
case("Reorg", [(2, 4, 2, 3)], "reorg_param { stride: 2 }", error="in multiples of stride 2")

case(
    "ShuffleChannel",
    [(2, 6, 3, 4)],
    "shuffle_channel_param { group: 3 }",
    expect=lambda x: x[:, [0, 2, 4, 1, 3, 5]],
)
case("ShuffleChannel", [(2, 6)], expect=lambda x: x)
case(
    "ShuffleChannel",
    [(2, 6, 3)],
    "shuffle_channel_param { group: 2 }",
    expect=lambda x: x[:, [0, 3, 1, 4, 2, 5]],
)
for group in (0, 4):
    options = f"shuffle_channel_param {{ group: {group} }}"
    case("ShuffleChannel", [(2, 6)], options, error="expected a divisor of the 6 channels")
case("ShuffleChannel", [(6,)], error="expected at least 2 axes")

case(
    "Permute",
    [(2, 3, 4, 5)],
    "permute_param { order: 0 order: 2 order: 3 order: 1 }",
    expect=lambda x: x.transpose(0, 2, 3, 1),
)
case(
    "Permute",
    [(2, 3, 4, 5)],
    "permute_param { order: 3 order: 1 }",
    batch_axis=None,
    expect=lambda x: x.transpose(3, 1, 0, 2),
)
case("Permute", [(2, 3, 4)], expect=lambda x: x)
case(
    "Permute",
    [(2, 3)],
    "permute_param { order: 1 }",
    batch_axis=None,
    expect=lambda x: x.T,
)
case("Permute", [(2, 3)], "permute_param { order: 2 }", error="order: 2 is out of range")
case("Permute", [(2, 3)], "permute_param { order: 1 order: 1 }", error="axis 1 is named twice")
case(
    "Transpose",
    [(2, 3, 4)],
    "transpose_param { dim: 0 dim: 2 dim: 1 }",
    expect=lambda x: x.transpose(0, 2, 1),
)
case("Transpose", [(2, 3)], "transpose_param { dim: -1 }", error="dim: -1 is out of range")
case("Reverse", [(2, 3)], expect=lambda x: x[::-1])
case("Reverse", [(2, 3, 4)], "reverse_param { axis: -1 }", expect=lambda x: x[..., ::-1])
case("Reverse", [(2, 3)], "reverse_param { axis: 2 }", error="axis: 2 is out of range")

case("Softmax", [(4, 5)], expect=softmax)
case("Softmax", [(2, 5, 3, 4)], expect=softmax)
case("Softmax", [(2, 3, 5)], "softmax_param { axis: -1 }", expect=partial(softmax, axis=2))
case("Softmax", [(3, 5)], "softmax_param { axis: 0 }", expect=partial(softmax, axis=0))
case("Softmax", [(1, 3)], values={0: [1000, 1000, -1000]}, golden=[[0.5, 0.5, 0]])
case("Softmax", [(4, 5)], "softmax_param { axis: 2 }", error="axis: 2 is out of range")
case("Softmax", [(4, 5)], "softmax_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")
