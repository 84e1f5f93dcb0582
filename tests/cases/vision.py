from functools import partial

import numpy as np

from caffelite.testing import TEST, TRAIN, case

from ..reference import vision as ref

# Each of these makes the arguments of `case`; `facts` are for the twin


def row(type, param, options, shape, twin, facts):
    options = f"{param} {{ {options} }}"
    expect = partial(twin, **facts)
    return {"type": type, "bottom_shapes": [shape], "options": options, "expect": expect}


def convolution(options, shape, **facts):
    return row("Convolution", "convolution_param", options, shape, ref.convolution, facts)


def deconvolution(options, shape, **facts):
    return row("Deconvolution", "convolution_param", options, shape, ref.deconvolution, facts)


def refused(type, shapes, options, error, **more):
    row = {"type": type, "bottom_shapes": shapes, "options": options, "error": error}
    return row | more


case(**convolution("num_output: 4 kernel_size: 3", (2, 3, 5, 6)))
case(**convolution("num_output: 4 kernel_size: 3 bias_term: false", (2, 3, 5, 6)))
case(**convolution("num_output: 5 kernel_size: 1", (2, 3, 4, 6)))
# More outputs than a register tile has rows, more pixels than a block
case(**convolution("num_output: 33 kernel_size: 3 pad: 1", (2, 18, 6, 5), pad=1))
case(**convolution("num_output: 3 kernel_size: 3 pad: 1", (2, 2, 23, 24), pad=1))
case(**convolution("num_output: 5 kernel_size: 1 stride: 2", (2, 3, 4, 7), stride=2))
case(**convolution("num_output: 4 kernel_size: 3 stride: 2 pad: 1", (2, 3, 7, 6), stride=2, pad=1))
case(**convolution("num_output: 2 kernel_size: 2 stride: 3 pad: 2", (2, 3, 6, 7), stride=3, pad=2))
case(**convolution("num_output: 6 kernel_size: 3 group: 2", (2, 4, 5, 6), group=2))
case(**convolution("num_output: 8 kernel_size: 3 pad: 1 group: 4", (2, 4, 5, 3), pad=1, group=4))
case(
    **convolution(
        "num_output: 3 kernel_size: 2 dilation: 3 pad: 1", (2, 2, 6, 5), dilation=3, pad=1
    )
)
case(
    **convolution(
        "num_output: 4 kernel_size: 3 kernel_size: 2 stride: 1 stride: 2 pad: 2 pad: 1"
        " dilation: 2 dilation: 1",
        (2, 3, 6, 7),
        stride=(1, 2),
        pad=(2, 1),
        dilation=(2, 1),
    )
)
case(
    **convolution(
        "num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 2",
        (2, 3, 4, 7),
        stride=(1, 3),
        pad=(2, 0),
    )
)
case(**convolution("num_output: 4 kernel_h: 1 kernel_w: 5 pad_w: 2", (2, 3, 4, 6), pad=(0, 2)))
case(
    **convolution("num_output: 4 kernel_size: 3 force_nd_im2col: true engine: CAFFE", (2, 3, 5, 6))
)
# Other numbers of axes: none, one, three; the channels elsewhere
case(**convolution("num_output: 4 kernel_size: 1", (2, 3)))
case(**convolution("num_output: 4", (2, 3)))
case(**convolution("num_output: 4 kernel_size: 1 axis: -1", (2, 5, 3), axis=2))
case(**convolution("num_output: 4 kernel_size: 3 stride: 2 pad: 1", (2, 3, 8), stride=2, pad=1))
case(
    **convolution(
        "num_output: 2 kernel_size: 2 pad: 1 pad: 0 pad: 2", (2, 3, 3, 4, 5), pad=(1, 0, 2)
    )
)
case(**convolution("num_output: 4 kernel_size: 2 axis: 2", (2, 3, 4, 5, 6), axis=2))
case(**convolution("num_output: 4 kernel_size: 2 axis: -2", (2, 3, 4, 5), axis=2))
# Truncation, not floor: room for less than one window still gives one
case(**convolution("num_output: 2 kernel_size: 3 stride: 2", (2, 2, 2, 5), stride=2))
case(**convolution("num_output: 2 kernel_size: 3 stride: 3", (2, 2, 2, 1), stride=3))
case(
    "Convolution",
    [(2, 3, 4, 5)] * 2,
    "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }",
    tops=2,
    expect=partial(ref.convolution_of_two, pad=1),
)
case(
    "Convolution",
    [(2, 3, 4, 5)],
    "convolution_param { num_output: 4 kernel_size: 3 } param { lr_mult: 0 } param { lr_mult: 0 }",
    blobs="filler",
    expect=ref.convolution,
)
case(
    "Convolution",
    [(1, 1, 2, 3)],
    "convolution_param { num_output: 1 kernel_h: 2 kernel_w: 2 bias_term: false }"
    " blobs { shape { dim: 1 dim: 1 dim: 2 dim: 2 } data: 1 data: 2 data: 3 data: 4 }",
    values={0: [1, 0, 0, 0, 1, 0]},
    blobs="filler",
    golden=[[[[5, 3]]]],  # by hand; a flipped kernel gives 5, 2
)

case(**deconvolution("num_output: 4 kernel_size: 3", (2, 3, 4, 5)))
case(**deconvolution("num_output: 4 kernel_size: 3 bias_term: false", (2, 3, 4, 5)))
case(
    **deconvolution("num_output: 2 kernel_size: 4 stride: 2 pad: 1", (2, 3, 3, 4), stride=2, pad=1)
)
case(
    **deconvolution(
        "num_output: 6 kernel_size: 3 group: 2 stride: 2", (2, 4, 3, 2), group=2, stride=2
    )
)
case(
    **deconvolution(
        "num_output: 3 kernel_size: 3 dilation: 2 pad: 2", (2, 2, 4, 5), dilation=2, pad=2
    )
)
case(
    **deconvolution(
        "num_output: 3 kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 1 pad_w: 1",
        (2, 2, 3, 4),
        stride=(3, 1),
        pad=(0, 1),
    )
)
case(**deconvolution("num_output: 4 kernel_size: 1", (2, 3)))
case(**deconvolution("num_output: 4 kernel_size: 3 stride: 2", (2, 3, 5), stride=2))
case(**deconvolution("num_output: 2 kernel_size: 2 stride: 1 stride: 2 stride: 3", (2, 3, 2, 3, 2),
              stride=(1, 2, 3)))  # fmt: skip
case(**deconvolution("num_output: 4 kernel_size: 2 axis: 2", (2, 3, 4, 3, 5), axis=2))
case(
    "Deconvolution",
    [(2, 3, 4, 5)] * 2,
    "convolution_param { num_output: 4 kernel_size: 3 }",
    tops=2,
    expect=ref.deconvolution_of_two,
)
case(
    "Deconvolution",
    [(1, 2, 2, 2)],
    "convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 group: 2 bias_term: false"
    ' weight_filler { type: "bilinear" } }',
    values={0: [1, 2, 3, 4, 0, 0, 0, 4]},
    blobs="filler",
    golden=[
        [  # doubled bilinearly, falling off towards the borders; by hand
            np.outer([0.75, 0.75, 0.25, 0], [0.75, 0.75, 0.25, 0])
            + 2 * np.outer([0.75, 0.75, 0.25, 0], [0, 0.25, 0.75, 0.75])
            + 3 * np.outer([0, 0.25, 0.75, 0.75], [0.75, 0.75, 0.25, 0])
            + 4 * np.outer([0, 0.25, 0.75, 0.75], [0, 0.25, 0.75, 0.75]),
            4 * np.outer([0, 0.25, 0.75, 0.75], [0, 0.25, 0.75, 0.75]),
        ]
    ],
)

IMAGE = [(2, 4, 5, 6)]
for kind in ("Convolution", "Deconvolution"):
    for options, error in [
        ("kernel_size: 3", "num_output is missing or 0"),
        ("num_output: 2", "kernel_size has 0 entries, expected 1 entry or 2 or kernel_h and"),
        ("num_output: 2 kernel_size: 0", "kernel_size: 0 x 0 is too small"),
        ("num_output: 2 kernel_h: 3", "kernel_size: 3 x 0 is too small"),
        ("num_output: 2 kernel_size: 3 kernel_h: 3", "kernel_size and kernel_h are both given"),
        ("num_output: 2 kernel_size: 3 kernel_size: 3 kernel_size: 3", "kernel_size has 3 entries"),
        ("num_output: 2 kernel_size: 3 stride: 0", "stride: 0 x 0 is too small"),
        ("num_output: 2 kernel_size: 3 stride_h: 2", "stride: 2 x 0 is too small"),
        ("num_output: 2 kernel_size: 3 stride: 2 stride_w: 2", "stride and stride_w are both"),
        ("num_output: 2 kernel_size: 3 pad: 1 pad_h: 2", "pad and pad_h are both given"),
        ("num_output: 2 kernel_size: 3 pad: 1 pad: 1 pad: 1", "pad has 3 entries"),
        ("num_output: 2 kernel_size: 3 dilation: 0", "dilation: 0 x 0 is too small"),
        ("num_output: 2 kernel_size: 3 dilation: 1 dilation: 1 dilation: 1", "dilation has 3"),
        ("num_output: 6 kernel_size: 3 group: 3", "a divisor of the 4 channels"),
        ("num_output: 3 kernel_size: 3 group: 2", "and of num_output, 3"),
        ("num_output: 2 kernel_size: 3 group: 0", "group is 0"),
        ("num_output: 2 kernel_size: 3 axis: 4", "axis: 4 is out of range"),
        ("num_output: 2 kernel_size: 3 engine: CUDNN", "needs a GPU"),
        ('num_output: 2 kernel_size: 3 weight_filler { type: "xavjer" }', "unknown filler type"),
    ]:
        case(**refused(kind, IMAGE, f"convolution_param {{ {options} }}", error))
    fine = "convolution_param { num_output: 2 kernel_size: 3 }"
    case(**refused(kind, [(2, 4, 5, 6), (2, 4, 6, 5)], fine, "as bottom[0]: they share", tops=2))
    case(**refused(kind, IMAGE * 2, fine, "expected a top per bottom", tops=1))
    case(**refused(kind, IMAGE, fine + " blobs { data: 1 }", "1 blobs are given with the layer"))
    h_and_w = "convolution_param { num_output: 2 kernel_h: 3 kernel_w: 3 }"
    case(**refused(kind, [(2, 4, 5, 6, 7)], h_and_w, "kernel_h is for 2 spatial axes"))
    flat = "convolution_param { num_output: 2 kernel_size: 3 bias_term: false }"
    shape = " blobs { shape { dim: 2 dim: 36 } }"
    case(**refused(kind, IMAGE, flat + shape, "a blob given with the layer has shape (2, 36)"))
case(
    **refused(
        "Convolution",
        [(2, 4, 2, 9)],
        "convolution_param { num_output: 2 kernel_size: 4 }",
        "a larger one: the top would be -1 x 6 in space",
    )
)
case(
    **refused(
        "Deconvolution",
        [(2, 4, 1, 3)],
        "convolution_param { num_output: 2 kernel_size: 1 pad: 1 }",
        "a larger one: the top would be -1 x 1 in space",
    )
)


def pooling(options, shape, **facts):
    return {"distinct": True} | row("Pooling", "pooling_param", options, shape, ref.pooling, facts)


GEOMETRIES = [
    ("kernel_size: 2 stride: 2", (2, 3, 4, 6), {"kernel": 2, "stride": 2}),
    ("kernel_size: 3 stride: 2", (2, 3, 4, 7), {"kernel": 3, "stride": 2}),
    ("kernel_size: 3 pad: 1", (2, 3, 4, 5), {"kernel": 3, "pad": 1}),
    ("kernel_size: 3 stride: 2 pad: 1", (2, 3, 6, 5), {"kernel": 3, "stride": 2, "pad": 1}),
    ("kernel_size: 3 stride: 2 pad: 1", (1, 2, 4, 75), {"kernel": 3, "stride": 2, "pad": 1}),
    ("kernel_size: 3 stride: 3 pad: 2", (2, 3, 7, 4), {"kernel": 3, "stride": 3, "pad": 2}),
    ("kernel_size: 2 stride: 3 pad: 1", (2, 3, 6, 8), {"kernel": 2, "stride": 3, "pad": 1}),
    ("kernel_size: 3 stride: 2 round_mode: FLOOR", (2, 3, 4, 6),
     {"kernel": 3, "stride": 2, "floor": True}),
    ("kernel_size: 3 stride: 2 ceil_mode: false", (2, 3, 6, 4),
     {"kernel": 3, "stride": 2, "floor": True}),
    ("kernel_size: 3 stride: 2 ceil_mode: true", (2, 3, 6, 4), {"kernel": 3, "stride": 2}),
    ("kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 2", (2, 3, 4, 5),
     {"kernel": (2, 3), "stride": (1, 2), "pad": (0, 2)}),
    ("kernel_size: 5 stride: 4", (2, 3, 4, 6), {"kernel": 5, "stride": 4}),
    ("global_pooling: true", (2, 3, 4, 5), {}),
    ("global_pooling: true stride: 1 pad: 0 engine: CAFFE", (2, 3, 1, 5), {}),
]  # fmt: skip
for options, shape, facts in GEOMETRIES:
    for method in ("MAX", "AVE", "L2"):
        case(**pooling(f"pool: {method} {options}", shape, method=method, **facts))
    if "pad" in facts:
        continue
    for phase in (TRAIN, TEST):
        # In TRAIN a value is drawn: tests/test_kernels_pooling.py holds the draws to a twin
        twin = partial(ref.pooling, method="EXPECTED", **facts) if phase == TEST else None
        case(
            "Pooling",
            [shape],
            f"pooling_param {{ pool: STOCHASTIC {options} }}",
            expect=twin,
            phase=phase,
            positive=True,
        )
for options, shape, facts in GEOMETRIES:
    case(
        "Pooling",
        [shape],
        f"pooling_param {{ {options} }}",
        tops=2,
        distinct=True,
        expect=partial(ref.pooling, method="MASK", **facts),
        fixed_tops=[1],
    )
case("Pooling", [(1, 1, 2, 2)], "pooling_param { pool: L2 kernel_size: 2 }",
     values={0: [1, 2, 3, 4]}, golden=[[[[30**0.5]]]])  # fmt: skip
case("Pooling", [(1, 1, 2, 2)], "pooling_param { kernel_size: 2 }", tops=2, gradient=False,
     values={0: [3, 5, 5, 5]}, golden=[[[[[5]]]], [[[[1]]]]])  # fmt: skip
case("Pooling", [(1, 1, 1, 2)], "pooling_param { kernel_size: 1 }", tops=2, gradient=False,
     values={0: [-np.inf, 7]}, empty=False,
     golden=[[[[[np.finfo("f4").min, 7]]]], [[[[-1, 1]]]]])  # fmt: skip

for options, error in [
    ("", "kernel_size is missing; give kernel_size, or kernel_h and kernel_w"),
    ("kernel_h: 3", "kernel_h is given without kernel_w"),
    ("kernel_size: 3 kernel_h: 3 kernel_w: 3", "kernel_size and kernel_h, kernel_w are both"),
    ("kernel_size: 0", "kernel_size: 0 x 0 is too small"),
    ("kernel_size: 3 stride: 0", "stride: 0 x 0 is too small"),
    ("kernel_size: 3 stride_w: 2", "stride_w is given without stride_h"),
    ("kernel_size: 3 stride: 2 stride_h: 2 stride_w: 2", "stride and stride_h, stride_w are both"),
    ("kernel_size: 3 pad_h: 1", "pad_h is given without pad_w"),
    ("kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1", "pad and pad_h, pad_w are both given"),
    ("kernel_size: 3 pad: 3", "pad (3, 3) must be smaller than the kernel (3, 3)"),
    ("kernel_h: 3 kernel_w: 2 pad_h: 1 pad_w: 2", "must be smaller than the kernel (3, 2)"),
    ("kernel_size: 3 pad: 1 pool: STOCHASTIC", "pad is not for pool: STOCHASTIC"),
    ("kernel_size: 3 global_pooling: true", "kernel_size and global_pooling are both given"),
    ("kernel_w: 3 global_pooling: true", "kernel_w and global_pooling are both given"),
    ("global_pooling: true pad: 1", "global_pooling needs pad 0 and stride 1"),
    ("global_pooling: true stride: 2", "global_pooling needs pad 0 and stride 1"),
    ("kernel_size: 9", "height: a window of 9 does not fit into 5 with pad 0"),
    ("kernel_size: 1 stride: 2", "width: the last window would start at 6, beyond the 6 values"),
    ("kernel_size: 3 round_mode: FLOOR ceil_mode: true", "contradict each other"),
    ("kernel_size: 3 engine: CUDNN", "needs a GPU"),
]:
    case(**refused("Pooling", IMAGE, f"pooling_param {{ {options} }}", error))
case(**refused("Pooling", [(2, 4, 5)], "pooling_param { kernel_size: 3 }", "expected 4 axes"))
for method in ("AVE", "L2", "STOCHASTIC"):
    case(**refused("Pooling", IMAGE, f"pooling_param {{ pool: {method} kernel_size: 3 }}",
            "a second top, the mask, comes with pool: MAX", tops=2))  # fmt: skip


def im2col(options, shape, **facts):
    return row("Im2col", "convolution_param", options, shape, ref.im2col, facts)


case(**im2col("kernel_size: 3", (2, 3, 4, 5), kernel=3))
case(**im2col("kernel_size: 3 stride: 2 pad: 1", (2, 3, 7, 6), kernel=3, stride=2, pad=1))
case(**im2col("kernel_h: 2 kernel_w: 3 dilation: 2", (2, 3, 5, 6), kernel=(2, 3), dilation=2))
case(**im2col("kernel_size: 2 kernel_size: 3 pad_h: 1", (2, 3, 4, 5), kernel=(2, 3), pad=(1, 0)))
case(**im2col("kernel_size: 3 stride: 2", (2, 3, 8), kernel=3, stride=2))
case(**im2col("kernel_size: 2 pad: 1 force_nd_im2col: true", (2, 2, 3, 2, 4), kernel=2, pad=1))
case(**im2col("kernel_size: 2 axis: 2", (2, 3, 4, 3, 5), kernel=2, axis=2))
case(**im2col("kernel_size: 3 num_output: 7 group: 5", (2, 3, 4, 5), kernel=3))  # not read
case(**refused("Im2col", IMAGE, "", "kernel_size has 0 entries"))
case(
    **refused(
        "Im2col", [(2, 4)], "convolution_param { kernel_size: 1 }", "spatial axes after axis 1"
    )
)
case(
    **refused(
        "Im2col", IMAGE, "convolution_param { kernel_size: 9 }", "a larger one: the top would be -3"
    )
)

for kind in ("DepthwiseConvolution", "ConvolutionDepthwise"):
    case(
        kind,
        [(2, 4, 5, 6)],
        "convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }",
        expect=partial(ref.convolution, pad=1, stride=2, group=4),
    )
    case(
        kind,
        [(2, 3, 7)],
        "convolution_param { num_output: 3 kernel_size: 3 group: 2 bias_term: false }",
        expect=partial(ref.convolution, group=3),
    )
    case(
        **refused(
            kind,
            IMAGE,
            "convolution_param { num_output: 8 kernel_size: 3 group: 4 }",
            "num_output is 8, expected 4, the channels of the bottom",
        )
    )

case("Crop", [(2, 3, 6, 7), (2, 3, 4, 5)], expect=lambda x, like: x[:, :, :4, :5])
case(
    "Crop",
    [(2, 3, 6, 7), (9, 9, 4, 5)],
    "crop_param { offset: 1 }",
    batch_axis=None,
    expect=lambda x, like: x[:, :, 1:5, 1:6],
)
case(
    "Crop",
    [(2, 6, 4, 5), (2, 3, 4, 2)],
    "crop_param { axis: -3 offset: 2 offset: 0 offset: 3 }",
    expect=lambda x, like: x[:, 2:5, :, 3:5],
)
case(
    "Crop",
    [(4, 3), (2, 2)],
    "crop_param { axis: 0 offset: 2 offset: 1 }",
    batch_axis=None,
    expect=lambda x, like: x[2:, 1:],
)
case("Crop", [(2, 3, 6, 7), (1, 1, 4, 5, 9)], batch_axis=None,
     expect=lambda x, like: x[:, :, :4, :5])  # fmt: skip
CROP = [(2, 3, 6, 7), (2, 3, 4, 5)]
case(
    **refused("Crop", CROP, "crop_param { offset: 3 }", "at least 7 on axis 2: offset 3 and size 4")
)
case(**refused("Crop", CROP, "crop_param { axis: 1 offset: 1 offset: 1 }", "expected none, 1 or 3"))
case(**refused("Crop", CROP, "crop_param { axis: 4 }", "axis: 4 is out of range"))
case(**refused("Crop", [(2, 3, 6, 7), (2, 3)], "", "at least 4 axes"))

for height, (shape, method) in enumerate(
    [((2, 3, 4, 5), "MAX"), ((2, 3, 6, 4), "AVE"), ((2, 3, 9, 11), "MAX"), ((2, 2, 8, 9), "AVE")]
):
    case(
        "SPP",
        [shape],
        f"spp_param {{ pyramid_height: {min(height, 2) + 1} pool: {method} }}",
        distinct=True,
        expect=partial(ref.spp, levels=min(height, 2) + 1, method=method),
    )
case("SPP", [(2, 3, 4, 8)], "spp_param { pyramid_height: 3 pool: STOCHASTIC }", positive=True)
case(
    "SPP",
    [(2, 3, 4, 8)],
    "spp_param { pyramid_height: 2 pool: STOCHASTIC engine: CAFFE }",
    positive=True,
    phase=TEST,
    expect=partial(ref.spp, levels=2, method="EXPECTED"),
)
case(**refused("SPP", IMAGE, "", "pyramid_height is 0, expected 1 to 31"))
case(**refused("SPP", IMAGE, "spp_param { pyramid_height: 4000000000 }", "expected 1 to 31"))
case(**refused("SPP", IMAGE, "spp_param { pyramid_height: 3 }", "the 4 x 4 bins of level 2"))
case(
    **refused(
        "SPP", [(2, 3, 7, 8)], "spp_param { pyramid_height: 2 pool: STOCHASTIC }", "2 divides"
    )
)
case(**refused("SPP", IMAGE, "spp_param { pyramid_height: 1 engine: CUDNN }", "needs a GPU"))
case(**refused("SPP", [(2, 3, 4)], "spp_param { pyramid_height: 1 }", "expected 4 axes"))


def interp(options, shape, rows, columns, part=lambda x: x, corners=True):
    def twin(x):
        return ref.interp(part(x), rows, columns, corners)

    return row("Interp", "interp_param", options, shape, twin, {})


case(**interp("height: 7 width: 4", (2, 3, 4, 6), 7, 4))
case(**interp("height: 1 width: 1", (2, 3, 4, 6), 1, 1))
case(**interp("height: 3 width: 5", (2, 3, 1, 1), 3, 5))
case(**interp("height: 4 width: 6", (2, 3, 4, 6), 4, 6))
case(**interp("zoom_factor: 3", (2, 3, 2, 4), 4, 10))
case(**interp("shrink_factor: 2", (2, 3, 6, 9), 3, 5))
case(**interp("shrink_factor: 2 zoom_factor: 3", (2, 3, 6, 9), 7, 13))
case(**interp("zoom_factor: 2 height: 9 width: 9", (2, 3, 2, 4), 3, 7))
case(**interp("shrink_factor: 2 zoom_factor: 3 height: 5 width: 8", (2, 3, 6, 9), 5, 8))
case(**interp("height: 5 width: 8 pad_beg: -1 pad_end: -2", (2, 3, 6, 7), 5, 8,
       lambda x: x[:, :, 1:-2, 1:-2]))  # fmt: skip
case(**interp("zoom_factor: 2 pad_beg: -2", (2, 3, 5, 6), 5, 7, lambda x: x[:, :, 2:, 2:]))
for options, shape, rows, columns in [
    ("height: 7 width: 4", (2, 3, 4, 6), 7, 4),
    ("height: 3 width: 1", (2, 3, 1, 5), 3, 1),
    ("zoom_factor: 3", (2, 3, 2, 4), 6, 12),
    ("shrink_factor: 2", (2, 3, 6, 9), 3, 5),
    ("shrink_factor: 2 zoom_factor: 3", (2, 3, 6, 9), 9, 15),
]:
    case(**interp(f"align_corners: false {options}", shape, rows, columns, corners=False))
case(
    "Interp",
    [(1, 1, 1, 2)],
    "interp_param { zoom_factor: 2 align_corners: false }",
    values={0: [0, 4]},
    golden=[[[[0, 1, 3, 4]] * 2]],
)
case("Interp", [(1, 1, 2, 2)], "interp_param { height: 3 width: 3 }", values={0: [0, 1, 2, 3]},
     golden=[[[[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]]])  # fmt: skip
case("Interp", [(1, 1, 3, 3)], "interp_param { height: 2 width: 2 }", values={0: range(9)},
     golden=[[[[0, 2], [6, 8]]]])  # fmt: skip
case(
    "Interp",
    [(2, 3, 4, 6), (2, 5, 7, 3)],
    "interp_param { use_blob_size: true }",
    expect=lambda x, like: ref.interp(x, 7, 3),
)
for options, error in [
    ("", "no size; give height and width"),
    ("height: 3", "no size"),
    ("height: 3 width: 0", "the top would be 3 x 0 in space"),
    ("zoom_factor: 0", "zoom_factor: 0 is below 1"),
    ("shrink_factor: -1", "shrink_factor: -1 is below 1"),
    ("zoom_factor: 2 pad_beg: 1", "pad_beg: 1 is above 0"),
    ("zoom_factor: 2 pad_beg: -2 pad_end: -3", "more than the 5 rows and columns cut off"),
    ("use_blob_size: true", "1 bottoms, expected 2 with use_blob_size"),
]:
    case(**refused("Interp", IMAGE, f"interp_param {{ {options} }}", error))
case(**refused("Interp", [(2, 3, 4)], "interp_param { zoom_factor: 2 }", "expected 4 axes"))
case(
    **refused("Interp", IMAGE * 2, "interp_param { zoom_factor: 2 }", "2 bottoms, expected 2 with")
)


def near_identity(free=range(6)):
    """Values for theta: what leaves a picture as it is, and a little more."""

    def theta(generator, shape):
        return np.resize(np.eye(2, 3).ravel()[list(free)], shape) + generator.normal(0, 0.3, shape)

    return {1: theta}


def transformer(options, size, *space, fixed=(), theta=None):
    free = [i for i in range(6) if i not in dict(fixed)]
    shapes = [(2, 3, *size), theta or (2, len(free))]
    expect = partial(ref.spatial_transformer, rows=space[0], columns=space[1], fixed=fixed)
    case("SpatialTransformer", shapes, f"st_param {{ {options} }}", expect=expect,
         values=near_identity(free))  # fmt: skip


transformer("", (4, 6), 4, 6)
transformer("output_H: 7 output_W: 3", (4, 6), 7, 3)
transformer("output_H: 2", (5, 4), 2, 4)
transformer("output_W: 5", (1, 4), 1, 5)
transformer("", (4, 1), 4, 1, theta=(2, 2, 3))
MOVED = "theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0 theta_2_2: 0.75"
transformer(MOVED, (4, 6), 4, 6, fixed=((0, 0.5), (1, 0), (3, 0), (4, 0.75)))
transformer("theta_1_3: 0.25 theta_2_1: -0.5", (4, 6), 4, 6, fixed=((2, 0.25), (3, -0.5)))
# By hand: as it is, the middle half of the columns, half a pixel on, a row down, sides swapped
for theta, golden in [
    ([1, 0, 0, 0, 1, 0], [[0, 1, 2, 3], [4, 5, 6, 7]]),
    ([1, 0, 0, 0, 0.5, 0], [[1, 1.5, 2, 2.5], [5, 5.5, 6, 6.5]]),
    ([1, 0, 0, 0, 1, 0.25], [[0.5, 1.5, 2.5, 1.5], [4.5, 5.5, 6.5, 3.5]]),
    ([1, 0, 1, 0, 1, 0], [[4, 5, 6, 7], [0, 0, 0, 0]]),
    ([0, 1, 0, 1, 0, 0], [[0, 2, 4, 2], [2, 4, 6, 3]]),
]:
    case("SpatialTransformer", [(1, 1, 2, 4), (1, 6)], values={0: range(8), 1: theta},
         golden=[[golden]], gradient=False)  # fmt: skip
for shapes, options, error in [
    ([(2, 3, 4), (2, 6)], "", "expected 4 axes"),
    ([(2, 3, 4, 5), (2, 5)], "", "(2, 6): for each sample of bottom[0] the entries theta_1_1, "),
    ([(2, 3, 4, 5), (3, 6)], "", 'bottom[1] "x1" has shape (3, 6), expected (2, 6)'),
    ([(2, 3, 4, 5), (2, 6)], MOVED, "(2, 2): for each sample of bottom[0] the entries theta_1_3"),
    ([(2, 3, 4, 5), (2, 6)], "output_H: 0", "the top would be 0 x 5 in space"),
    ([(2, 3, 4, 5), (2, 6)], 'transform_type: "tps"', 'transform_type: "tps" is not known'),
    ([(2, 3, 4, 5), (2, 6)], 'sampler_type: "nearest"', 'write "bilinear"'),
    ([(2, 3, 4, 5), (2, 5)], "theta_1_3: nan", "theta_1_3 is nan, expected a finite number"),
]:
    case(**refused("SpatialTransformer", shapes, f"st_param {{ {options} }}", error))
case(
    **refused("SpatialTransformer", [(2, 1, 4, 5), (2, 6)], "", "of sample 1 holds values that"),
    values={1: [1, 0, 0, 0, 1, 0, 1, 0, 0, 0, np.inf, 0]},
    phase=TEST,
)


def places(size):
    """Values for a mask: in each plane, different places below `size`."""
    return lambda generator, shape: np.array(
        [generator.permutation(size)[: shape[2] * shape[3]] for _ in range(shape[0] * shape[1])]
    ).reshape(shape)


def unpool(options, rows, columns):
    facts = {"rows": rows, "columns": columns}
    made = row("Upsample", "upsample_param", options, (2, 3, 4, 5), ref.unpool, facts)
    return made | {"bottom_shapes": [(2, 3, 4, 5)] * 2, "values": {1: places(rows * columns)}}


case(**unpool("", 8, 10))
case(**unpool("scale: 3", 12, 15))
case(**unpool("scale_h: 2 scale_w: 3", 8, 15))
case(**unpool("scale: 2 pad_out_h: true", 7, 10))
case(**unpool("pad_out_w: true pad_out_h: true", 7, 9))
case(**unpool("upsample_h: 9 upsample_w: 7", 9, 7))
case("Upsample", [(2, 3, 4, 5)], expect=lambda x: x)
case(
    "Upsample",
    [(2, 3, 4, 5)],
    "upsample_param { scale: 3 }",
    expect=lambda x: x.repeat(3, 2).repeat(3, 3),
)
case("Upsample", [(1, 1, 1, 2)] * 2, "upsample_param { scale: 2 }", values={0: [5, 6], 1: [3, 3]},
     golden=[[[[0, 0, 0, 6], [0, 0, 0, 0]]]], gradient=False)  # fmt: skip
MASKED = [(2, 3, 4, 5)] * 2
for options, shapes, error in [
    ("scale_h: 2", MASKED, "scale_h is given without scale_w"),
    ("upsample_w: 2", MASKED, "upsample_w is given without upsample_h"),
    ("scale: 1", MASKED, "scale: 1 x 1 is too small, expected at least 2"),
    ("scale: 0", IMAGE, "scale: 0 x 0 is too small, expected at least 1"),
    ("scale: 3 pad_out_w: true", MASKED, "pad_out_w is for scale 2, not 3"),
    ("upsample_h: 8 upsample_w: 8", IMAGE, "upsample_h is for upsampling with a mask"),
    ("scale_h: 2 scale_w: 2", IMAGE, "scale_h is for upsampling with a mask"),
    ("", [(2, 3, 4, 5), (2, 3, 5, 4)], "expected (2, 3, 4, 5), as bottom[0]"),
    ("", [(2, 3, 4)], "expected 4 axes"),
]:
    case(**refused("Upsample", shapes, f"upsample_param {{ {options} }}", error))
for wrong in (80, -1, np.nan):
    case(**refused("Upsample", MASKED, "upsample_param { scale: 2 }",
            "expected a place from 0 to 79", values={0: [0], 1: [0, 1, wrong]}))  # fmt: skip

case(
    "ReflectionPad",
    [(2, 3, 4, 5)],
    "reflection_pad_param { pad: 3 }",
    expect=partial(ref.reflection_pad, pad=3),
)
case("ReflectionPad", [(1, 1, 2, 2)], "reflection_pad_param { pad: 1 }", values={0: [1, 2, 3, 4]},
     golden=[[[[4, 3, 4, 3], [2, 1, 2, 1], [4, 3, 4, 3], [2, 1, 2, 1]]]])  # fmt: skip
case("ReflectionPad", [(2, 3, 4, 5)], error="pad is missing or 0")
case("ReflectionPad", [(2, 3, 4)], "reflection_pad_param { pad: 1 }", error="expected 4 axes")
case(
    "ReflectionPad",
    [(2, 3, 3, 5)],
    "reflection_pad_param { pad: 3 }",
    error="more rows and columns than the pad, 3",
)

for r in (1, 2, 3):
    case(
        "PixelShuffle",
        [(2, 2 * r**2, 3, 5)],
        f"pixel_shuffle_param {{ upscale_factor: {r} }}",
        expect=partial(ref.pixel_shuffle, r=r),
    )
case("PixelShuffle", [(2, 4, 3, 5)], error="upscale_factor is missing or 0")
case("PixelShuffle", [(2, 4, 3)], "pixel_shuffle_param { upscale_factor: 2 }", error="4 axes")
case(
    "PixelShuffle",
    [(2, 6, 3, 5)],
    "pixel_shuffle_param { upscale_factor: 2 }",
    error="a multiple of upscale_factor^2, 4, channels",
)
