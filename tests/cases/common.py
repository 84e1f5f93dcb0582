from functools import partial

import numpy as np

from caffelite.testing import TEST, case

from ..reference import common as ref


def ip(more=""):
    return f"inner_product_param {{ num_output: 6 {more} }}"


case("InnerProduct", [(3, 4, 5, 2)], ip(), expect=ref.inner_product)
case("InnerProduct", [(3, 4)], ip("bias_term: false"), expect=ref.inner_product)
case("InnerProduct", [(3, 4, 5)], ip("axis: 2"), expect=partial(ref.inner_product, axis=2))
case("InnerProduct", [(3, 4, 5)], ip("axis: -1"), expect=partial(ref.inner_product, axis=-1))
case(
    "InnerProduct",
    [(4, 5)],
    ip("axis: 0"),
    expect=partial(ref.inner_product, axis=0),
    batch_axis=None,
)
case(
    "InnerProduct",
    [(3, 4, 5)],
    ip("transpose: true"),
    expect=partial(ref.inner_product, transpose=True),
)
case(
    "InnerProduct",
    [(3, 4)],
    ip("transpose: true bias_term: false"),
    expect=partial(ref.inner_product, transpose=True),
)
case("InnerProduct", [(40, 300)], ip(), expect=ref.inner_product)
case("InnerProduct", [(3, 4)], "", error="num_output is missing or 0")
case("InnerProduct", [(3, 4)], ip("axis: 2"), error="axis: 2 is out of range")
case("InnerProduct", [()], ip(), error="with 0 axes, expected a bottom that has axes")
case("InnerProduct", [(3, 4, 0)], ip(), error='bottom[0] "x0" has shape (3, 4, 0)')
case("InnerProduct", [(3, 4)], ip('weight_filler { type: "foo" }'), error="weight: unknown filler")
case("InnerProduct", [(3, 4)], ip('bias_filler { type: "foo" }'), error="bias: unknown filler")
case(
    "InnerProduct",
    [(3, 4)],
    ip() + "blobs { shape { dim: 6 dim: 5 } data: [1, 2, 3] }",
    error="weight: the net file brings 3 values for it, expected 24",
)

case("Dropout", [(3, 4, 5)], phase=TEST, expect=lambda x: x)
case("Dropout", [(3, 4, 5)])
case("Dropout", [(3, 4, 5)], "dropout_param { dropout_ratio: 0.8 }")
case("Dropout", [(3, 4, 5)], "dropout_param { dropout_ratio: 0 }", expect=lambda x: x)
case("Dropout", [(3, 4, 5)], "dropout_param { scale_train: false }")
case(
    "Dropout",
    [(3, 4, 5)],
    "dropout_param { scale_train: false dropout_ratio: 0.3 }",
    phase=TEST,
    expect=lambda x: 0.7 * x,
)
case("Dropout", [(3, 4, 5)], "dropout_param { sample_weights_test: true }", phase=TEST)
case("Dropout", [(3, 4)], "dropout_param { dropout_ratio: 1 }", error="dropout_ratio is 1")
case("Dropout", [(3, 4)], "dropout_param { dropout_ratio: -0.1 }", error="dropout_ratio is -0.1")


case("SpatialDropout", [(3, 4, 2, 5)], phase=TEST, expect=lambda x: x)
case("SpatialDropout", [(3, 4, 2, 5)])
case("SpatialDropout", [(3, 4)], "spatial_dropout_param { dropout_ratio: 0.8 }")
case("SpatialDropout", [(3,)], "spatial_dropout_param { dropout_ratio: 0 }", expect=lambda x: x)
case("SpatialDropout", [(3, 4)], "spatial_dropout_param { dropout_ratio: 1 }",
     error="dropout_ratio is 1, expected at least 0")  # fmt: skip


case("SeLuDropout", [(3, 4, 5)], phase=TEST, expect=lambda x: x)
case("SeLuDropout", [(3, 4, 5)])
case("SeLuDropout", [(3, 4, 5)], "selu_dropout_param { dropout_ratio: 0 }", expect=lambda x: x)
for ratio in (1, -0.5):
    options = f"selu_dropout_param {{ dropout_ratio: {ratio} }}"
    case("SeLuDropout", [(3, 4)], options, error=f"dropout_ratio is {ratio}, expected at least 0")


def margin(options):
    """Without a gradient to W, which is not the exact one."""
    return f"margin_inner_product_param {{ num_output: 5 {options} }} param {{ lr_mult: 0 }}"


FACES = [(4, 3), (4,)]
case("MarginInnerProduct", FACES, margin(""), labels=(1, 5), expect=ref.margin_inner_product)
for times, word in enumerate(("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"), 1):
    case(
        "MarginInnerProduct",
        [(12, 3, 1), (12, 1)],
        margin(f"type: {word} base: 8 gamma: 0.5 iteration: 5 lambda_min: 0.5"),
        labels=(1, 5),
        tops=2,
        fixed_tops=[1],
        gradient=times == 1,
        expect=partial(ref.margin_inner_product, times=times, ratio=8 / (1 + 0.5 * 6)),
    )
case(
    "MarginInnerProduct",
    [(2, 6, 3), (2, 6)],
    margin("type: DOUBLE axis: -1 base: 8 gamma: 1 power: 2 lambda_min: 3"),
    labels=(1, 5),
    gradient=False,
    expect=lambda x, t, w: ref.margin_inner_product(x.reshape(-1, 3), t, w, times=2, ratio=3)[
        0
    ].reshape(*x.shape[:2], 5),
)
case("MarginInnerProduct", FACES, error="num_output is missing or 0")
case("MarginInnerProduct", FACES, margin("axis: 2"), error="axis: 2 is out of range")
case("MarginInnerProduct", FACES, margin("gamma: -1"), error="gamma is -1, expected at least 0")
case("MarginInnerProduct", [(4, 3), (3,)], margin(""), error="expected 4 labels, one per sample")
case("MarginInnerProduct", FACES, margin(""), values={1: [5]}, error="holds the label 5 at [0]")
case(
    "MarginInnerProduct", FACES, margin(""), labels=(1, 5), error="there is no gradient for labels"
)


def embed(more=""):
    return f"embed_param {{ num_output: 5 input_dim: 7 {more} }}"


case("Embed", [(4, 3)], embed(), labels=(0, 7), expect=ref.embed)
case("Embed", [(6,)], embed("bias_term: false"), labels=(0, 7), expect=ref.embed)
case("Embed", [(4, 1)], embed(), values={0: [6, 0, 6, 6]}, expect=ref.embed)  # one row, thrice
case(
    "Embed", [(4,)], embed(), values={0: [1, 2, 7, 0]}, error='"x0" holds 7 at [2], expected whole'
)
case("Embed", [(4,)], embed(), values={0: [1, -1, 5, 0]}, error="holds -1 at [1]")
case("Embed", [(2, 2)], embed(), values={0: [1, 2, 0.5, 0]}, error="holds 0.5 at [1, 0]")
case("Embed", [(4,)], embed(), values={0: [np.nan]}, error="holds nan at [0]")
case("Embed", [(4,)], "embed_param { input_dim: 7 }", error="num_output is missing or 0")
case("Embed", [(4,)], "embed_param { num_output: 5 }", error="input_dim is missing or 0")
case("Embed", [(4,)], embed('weight_filler { type: "foo" }'), error="weight: unknown filler")
case("Embed", [(4,)], embed('bias_filler { type: "foo" }'), error="bias: unknown filler")
case("Embed", [(4,)], embed(), labels=(0, 7), error="there is no gradient for indices")
