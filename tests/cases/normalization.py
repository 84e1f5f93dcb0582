from functools import partial

import numpy as np

from caffelite.testing import TEST, TRAIN, case

from ..reference import normalization as ref
from ..reference.lrn import lrn


def positive(generator, shape):
    return generator.uniform(0.5, 2, shape)


STORED = {1: positive, 2: positive}

case("BatchNorm", [(4, 3, 5, 2)], expect=ref.batch_norm, empty=False)
case("BatchNorm", [(6, 3)], expect=ref.batch_norm, empty=False)
case(
    "BatchNorm",
    [(4, 3, 5)],
    "batch_norm_param { eps: 0.5 moving_average_fraction: 0.9 }",
    expect=partial(ref.batch_norm, eps=0.5),
    empty=False,
)
case("BatchNorm", [(4, 3, 5, 2)], phase=TEST, blobs=STORED, expect=ref.batch_norm_stored)
case("BatchNorm", [(4, 3)], phase=TEST, blobs="filler", expect=ref.batch_norm_stored)
case("BatchNorm", [(4, 3)], phase=TEST, blobs={2: [0]}, expect=ref.batch_norm_stored)
case(
    "BatchNorm",
    [(4, 3, 5, 2)],
    "batch_norm_param { use_global_stats: true eps: 0.1 }",
    blobs=STORED,
    expect=partial(ref.batch_norm_stored, eps=np.float32(0.1)),
)
case(
    "BatchNorm",
    [(4, 3, 5, 2)],
    "batch_norm_param { use_global_stats: false }",
    phase=TEST,
    expect=ref.batch_norm,
    empty=False,
)
case(
    "BatchNorm",
    [(4, 3, 5, 2)],
    "batch_norm_param { scale_bias: true }",
    expect=ref.batch_norm,
    empty=False,
)
case(
    "BatchNorm",
    [(4, 3, 5, 2)],
    "batch_norm_param { scale_bias: true }",
    phase=TEST,
    blobs=STORED,
    expect=ref.batch_norm_stored,
)
for alone in ("scale_filler { value: 2 }", "filler { value: 2 }", "bias_filler { value: 7 }"):
    case(
        "BatchNorm",
        [(4, 3, 5, 2)],
        f"batch_norm_param {{ {alone} }}",
        expect=ref.batch_norm,
        empty=False,
    )
case(
    "BatchNorm",
    [(4, 3, 5)],
    "param { lr_mult: 0 } param { lr_mult: 0.1 }",
    error="param[1] has lr_mult 0.1, expected 0",
)
case("BatchNorm", [(4,)], error="has shape (4,), expected at least 2 axes")
case("BatchNorm", [(0, 3, 5)], error="expected at least one value per channel")

for phase in (TRAIN, TEST):
    case("InstanceNorm", [(4, 3, 5, 2)], phase=phase, expect=ref.instance_norm)
case(
    "InstanceNorm",
    [(2, 3, 5)],
    "instance_norm_param { eps: 0.5 }",
    expect=partial(ref.instance_norm, eps=0.5),
)
case("InstanceNorm", [(2, 0, 5)], error="with channels along axis 1")
case("InstanceNorm", [(2, 3, 0)], error="expected at least one value per channel")

case("Scale", [(2, 3, 4, 5)], expect=ref.scale, scratch=(0,))
case("Scale", [(2, 3, 4, 5)], blobs="filler", expect=lambda x, scale: x, scratch=(0,))
case("Scale", [(2, 3, 4, 5)], "scale_param { bias_term: true }", expect=ref.scale, scratch=(0,))
case(
    "Scale",
    [(2, 3, 4, 5)],
    "scale_param { bias_term: true filler { value: 2 } bias_filler { value: 0.5 } }",
    blobs="filler",
    expect=lambda x, scale, bias: 2 * x + 0.5,
    scratch=(0,),
)
case(
    "Scale",
    [(2, 3, 4)],
    "scale_param { num_axes: -1 bias_term: true }",
    expect=ref.scale,
    scratch=(0,),
)
case(
    "Scale",
    [(2, 3, 4, 5)],
    "scale_param { axis: -2 bias_term: true }",
    expect=partial(ref.scale, axis=2),
    scratch=(0,),
)
case(
    "Scale",
    [(2, 3, 4)],
    "scale_param { axis: 0 num_axes: 2 }",
    batch_axis=None,
    expect=partial(ref.scale, axis=0),
    scratch=(0,),
)
case(
    "Scale",
    [(2, 3, 4)],
    "scale_param { num_axes: 0 bias_term: true }",
    expect=ref.scale,
    scratch=(0,),
)
case("Scale", [(2, 3, 4, 5), (3, 4)], expect=ref.scale)
case(  # a bottom has no use for num_axes and filler, nor a number for axis
    "Scale",
    [(2, 3, 4), ()],
    "scale_param { axis: 7 num_axes: 9 filler { type: 'none' } }",
    expect=ref.scale,
)
case(
    "Scale",
    [(2, 3, 4), (2,)],
    "scale_param { axis: 0 bias_term: true }",
    batch_axis=None,
    expect=partial(ref.scale, axis=0),
)
case("Scale", [(2, 3, 4)], "scale_param { num_axes: 3 }", error="expected -1 (to the end) to 2")
case("Scale", [(2, 3, 4)], "scale_param { num_axes: -2 }", error="num_axes: -2 from axis 1")
case("Scale", [(2, 3, 4)], "scale_param { axis: 3 }", error="axis: 3 is out of range")
case(
    "Scale",
    [(2, 3, 4), (4,)],
    error='bottom[1] "x1" has shape (4,), expected (3,), that of bottom[0] from axis 1 on',
)
case("Scale", [(2, 3), (3, 4)], error="expected (3,), that of bottom[0] from axis 1 on")

case("Bias", [(2, 3, 4, 5)], expect=ref.bias)
case("Bias", [(2, 3, 4, 5)], blobs="filler", expect=lambda x, bias: x)
case(
    "Bias",
    [(2, 3, 4, 5)],
    "bias_param { axis: -3 num_axes: 2 filler { value: 0.5 } }",
    blobs="filler",
    expect=lambda x, bias: x + 0.5,
)
case(
    "Bias",
    [(2, 3, 4, 5)],
    "bias_param { axis: 2 num_axes: -1 }",
    expect=partial(ref.bias, axis=2),
)
case("Bias", [(2, 3, 4)], "bias_param { num_axes: 0 }", expect=ref.bias)
case("Bias", [(2, 3, 4, 5), (3, 4)], expect=ref.bias)
case("Bias", [(2, 3, 4), ()], expect=ref.bias)
case("Bias", [(2, 3, 4)], "bias_param { axis: 2 num_axes: 2 }", error="num_axes: 2 from axis 2")
case("Bias", [(2, 3, 4), (2,)], error="expected (3,), that of bottom[0] from axis 1 on")

case("LRN", [(2, 7, 3, 4)], expect=lrn)
case(
    "LRN",
    [(2, 4, 3, 5)],
    "lrn_param { local_size: 3 alpha: 0.5 k: 2 engine: CAFFE }",
    expect=partial(lrn, local_size=3, alpha=0.5, k=2),
)
for exponent in (0.5, 1, 0.3):
    case(
        "LRN",
        [(2, 5, 3, 4)],
        f"lrn_param {{ beta: {exponent} }}",
        expect=partial(lrn, beta=np.float32(exponent)),
    )
case("LRN", [(2, 3, 1, 4)], "lrn_param { local_size: 9 }", expect=partial(lrn, local_size=9))
case(
    "LRN",
    [(2, 3, 6, 5)],
    "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 2 beta: 0.6 k: 7 }",
    expect=partial(lrn, local_size=3, alpha=2, beta=np.float32(0.6), axes=(2, 3)),  # k is not used
)
case(
    "LRN",
    [(2, 3, 2, 4)],
    "lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 }",
    expect=partial(lrn, axes=(2, 3)),
)
case(
    "LRN",
    [(1, 3, 1, 1)],
    "lrn_param { local_size: 3 alpha: 3 beta: 0.5 }",
    values={0: [2, 2, 4]},
    golden=[[[[2 / 3]], [[2 / 5]], [[4 / 21**0.5]]]],  # by hand
)
case("LRN", [(2, 5, 3, 4)], "lrn_param { local_size: 4 }", error="local_size is 4, expected an odd")
case("LRN", [(2, 5, 3, 4)], "lrn_param { engine: CUDNN }", error="needs a GPU")
case("LRN", [(2, 5, 3)], error="expected 4 axes")

case("Normalize", [(2, 3, 4, 5)], expect=ref.normalize)
case(
    "Normalize",
    [(2, 3, 4, 5)],
    blobs="filler",
    expect=lambda x, scale: ref.normalize(x, scale * 0 + 1),
)
case(
    "Normalize",
    [(2, 3, 4)],
    "norm_param { across_spatial: false eps: 0.5 }",
    expect=partial(ref.normalize, across_spatial=False, eps=0.5),
)
for across in ("true", "false"):
    options = f"norm_param {{ across_spatial: {across} channel_shared: false"
    twin = partial(ref.normalize, across_spatial=across == "true")
    # The gradient to x is exact where all channels have one scale, and Caffe's where not
    case("Normalize", [(2, 3, 4, 5)], options + " }", blobs={0: [1.5]}, expect=twin)
    case("Normalize", [(2, 3, 4, 5)], options + " }", gradient=False, expect=twin)
    case(
        "Normalize",
        [(2, 3)],
        options + " scale_filler { value: 20 } }",
        blobs="filler",
        expect=twin,
    )
case("Normalize", [(3,)], error="expected at least 2 axes")

case("MVN", [(2, 3, 4, 5)], expect=ref.mvn)
case("MVN", [(2, 3, 5)], expect=ref.mvn)
case(  # its gradient is Caffe's, in test_normalization.py, and not that of the formula
    "MVN",
    [(2, 3, 5)],
    "mvn_param { eps: 0.25 }",
    expect=partial(ref.mvn, eps=0.25),
    gradient=False,
)
case(
    "MVN",
    [(2, 3, 4, 5)],
    "mvn_param { normalize_variance: false }",
    expect=partial(ref.mvn, variance=False),
)
case(
    "MVN",
    [(2, 3, 4, 5)],
    "mvn_param { across_channels: true }",
    expect=partial(ref.mvn, across=True),
)
case(
    "MVN",
    [(2, 6)],
    "mvn_param { across_channels: true normalize_variance: false }",
    expect=partial(ref.mvn, across=True, variance=False),
)
case("MVN", [(2, 3, 4, 5, 6)], error="expected at most 4 axes")

AVERAGES = {3: positive}
case("BN", [(4, 3, 5, 2)], expect=ref.bn, empty=False)
case("BN", [(4, 3)], "bn_param { eps: 0.5 }", expect=partial(ref.bn, eps=0.5), empty=False)
case("BN", [(4, 3, 5)], phase=TEST, blobs=AVERAGES, expect=ref.bn_stored)
case("BN", [(4, 3, 5)], "bn_param { frozen: true }", blobs=AVERAGES, expect=ref.bn_stored)
other = "bn_param { bn_mode: LEARN }"
case("BN", [(4, 3, 5)], other, expect=partial(ref.bn, eps=1e-9), empty=False)
case("BN", [(4, 3, 5)], other, phase=TEST, expect=partial(ref.bn, eps=1e-9), empty=False)
case(
    "BN",
    [(4, 3, 5)],
    other,
    tops=3,
    fixed_tops=(1, 2),
    expect=ref.bn_with_statistics,
    empty=False,
)
case(
    "BN",
    [(4, 3, 5)],
    "bn_param { var_eps: 0.25 }",
    expect=partial(ref.bn, eps=0.25),
    empty=False,
)
case(
    "BN",
    [(4, 3, 5)],
    "bn_param { bn_mode: INFERENCE }",
    expect=lambda x, slope, bias: ref.affine(x, slope.ravel(), bias.ravel()),
)
case("BN", [(4, 3, 5)], "bn_param { moving_average: true }", error="moving_average needs decay")
case("BN", [(4, 3, 5)], "bn_param { axis: 2 }", error="are not supported")
case("BN", [(4, 3, 5)], "bn_param { var_eps: 1 across_spatial: false }", error="are not supported")
case("BN", [(4, 3, 5)], tops=2, error="gives no statistics")
case("BN", [(4,)], error="at least 2 axes")
