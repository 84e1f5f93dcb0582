from functools import partial

import numpy as np

from caffelite.testing import TEST, TRAIN, case

from ..reference import vision as ref


def convolution(options, shape, twin=ref.convolution, **facts):
    """A row for one bottom, `facts` those of the twin."""
    options = f"convolution_param {{ {options} }}"
    case("Convolution", [shape], options, expect=partial(twin, **facts))


def deconvolution(options, shape, **facts):
    options = f"convolution_param {{ {options} }}"
    case("Deconvolution", [shape], options, expect=partial(ref.deconvolution, **facts))


def refused(type, shapes, options, error, **facts):
    case(type, shapes, options, error=error, **facts)


convolution("num_output: 4 kernel_size: 3", (2, 3, 5, 6))
convolution("num_output: 4 kernel_size: 3 bias_term: false", (2, 3, 5, 6))
convolution("num_output: 5 kernel_size: 1", (2, 3, 4, 6))
convolution("num_output: 5 kernel_size: 1 stride: 2", (2, 3, 4, 7), stride=2)
convolution("num_output: 4 kernel_size: 3 stride: 2 pad: 1", (2, 3, 7, 6), stride=2, pad=1)
convolution("num_output: 2 kernel_size: 2 stride: 3 pad: 2", (2, 3, 6, 7), stride=3, pad=2)
convolution("num_output: 6 kernel_size: 3 group: 2", (2, 4, 5, 6), group=2)
convolution("num_output: 8 kernel_size: 3 pad: 1 group: 4", (2, 4, 5, 3), pad=1, group=4)
convolution("num_output: 3 kernel_size: 2 dilation: 3 pad: 1", (2, 2, 6, 5), dilation=3, pad=1)
convolution(
    "num_output: 4 kernel_size: 3 kernel_size: 2 stride: 1 stride: 2 pad: 2 pad: 1"
    " dilation: 2 dilation: 1",
    (2, 3, 6, 7),
    stride=(1, 2),
    pad=(2, 1),
    dilation=(2, 1),
)
convolution(
    "num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 2",
    (2, 3, 4, 7),
    stride=(1, 3),
    pad=(2, 0),
)
convolution("num_output: 4 kernel_h: 1 kernel_w: 5 pad_w: 2", (2, 3, 4, 6), pad=(0, 2))
convolution("num_output: 4 kernel_size: 3 force_nd_im2col: true engine: CAFFE", (2, 3, 5, 6))
# Other numbers of axes: none, one, three; the channels elsewhere
convolution("num_output: 4 kernel_size: 1", (2, 3))
convolution("num_output: 4", (2, 3))
convolution("num_output: 4 kernel_size: 1 axis: -1", (2, 5, 3), axis=2)
convolution("num_output: 4 kernel_size: 3 stride: 2 pad: 1", (2, 3, 8), stride=2, pad=1)
convolution("num_output: 2 kernel_size: 2 pad: 1 pad: 0 pad: 2", (2, 3, 3, 4, 5), pad=(1, 0, 2))
convolution("num_output: 4 kernel_size: 2 axis: 2", (2, 3, 4, 5, 6), axis=2)
convolution("num_output: 4 kernel_size: 2 axis: -2", (2, 3, 4, 5), axis=2)
# Truncation, not floor: room for less than one window still gives one
convolution("num_output: 2 kernel_size: 3 stride: 2", (2, 2, 2, 5), stride=2)
convolution("num_output: 2 kernel_size: 3 stride: 3", (2, 2, 2, 1), stride=3)
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

deconvolution("num_output: 4 kernel_size: 3", (2, 3, 4, 5))
deconvolution("num_output: 4 kernel_size: 3 bias_term: false", (2, 3, 4, 5))
deconvolution("num_output: 2 kernel_size: 4 stride: 2 pad: 1", (2, 3, 3, 4), stride=2, pad=1)
deconvolution("num_output: 6 kernel_size: 3 group: 2 stride: 2", (2, 4, 3, 2), group=2, stride=2)
deconvolution("num_output: 3 kernel_size: 3 dilation: 2 pad: 2", (2, 2, 4, 5), dilation=2, pad=2)
deconvolution(
    "num_output: 3 kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 1 pad_w: 1",
    (2, 2, 3, 4),
    stride=(3, 1),
    pad=(0, 1),
)
deconvolution("num_output: 4 kernel_size: 1", (2, 3))
deconvolution("num_output: 4 kernel_size: 3 stride: 2", (2, 3, 5), stride=2)
deconvolution("num_output: 2 kernel_size: 2 stride: 1 stride: 2 stride: 3", (2, 3, 2, 3, 2),
              stride=(1, 2, 3))  # fmt: skip
deconvolution("num_output: 4 kernel_size: 2 axis: 2", (2, 3, 4, 3, 5), axis=2)
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
        refused(kind, IMAGE, f"convolution_param {{ {options} }}", error)
    fine = "convolution_param { num_output: 2 kernel_size: 3 }"
    refused(kind, [(2, 4, 5, 6), (2, 4, 6, 5)], fine, "as bottom[0]: they share", tops=2)
    refused(kind, IMAGE * 2, fine, "expected a top per bottom", tops=1)
    refused(kind, IMAGE, fine + " blobs { data: 1 }", "1 blobs are given with the layer")
    h_and_w = "convolution_param { num_output: 2 kernel_h: 3 kernel_w: 3 }"
    refused(kind, [(2, 4, 5, 6, 7)], h_and_w, "kernel_h is for 2 spatial axes")
    flat = "convolution_param { num_output: 2 kernel_size: 3 bias_term: false }"
    shape = " blobs { shape { dim: 2 dim: 36 } }"
    refused(kind, IMAGE, flat + shape, "a blob given with the layer has shape (2, 36)")
refused(
    "Convolution",
    [(2, 4, 2, 9)],
    "convolution_param { num_output: 2 kernel_size: 4 }",
    "a larger one: the top would be -1 x 6 in space",
)
refused(
    "Deconvolution",
    [(2, 4, 1, 3)],
    "convolution_param { num_output: 2 kernel_size: 1 pad: 1 }",
    "a larger one: the top would be -1 x 1 in space",
)


def pooling(options, shape, **facts):
    options = f"pooling_param {{ {options} }}"
    case("Pooling", [shape], options, expect=partial(ref.pooling, **facts), distinct=True)


GEOMETRIES = [
    ("kernel_size: 2 stride: 2", (2, 3, 4, 6), {"kernel": 2, "stride": 2}),
    ("kernel_size: 3 stride: 2", (2, 3, 4, 7), {"kernel": 3, "stride": 2}),
    ("kernel_size: 3 pad: 1", (2, 3, 4, 5), {"kernel": 3, "pad": 1}),
    ("kernel_size: 3 stride: 2 pad: 1", (2, 3, 6, 5), {"kernel": 3, "stride": 2, "pad": 1}),
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
        pooling(f"pool: {method} {options}", shape, method=method, **facts)
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
    ("global_pooling: true pad: 1", "global_pooling needs pad 0 and stride 1"),
    ("global_pooling: true stride: 2", "global_pooling needs pad 0 and stride 1"),
    ("kernel_size: 9", "height: a window of 9 does not fit into 5 with pad 0"),
    ("kernel_size: 1 stride: 2", "width: the last window would start at 6, beyond the 6 values"),
    ("kernel_size: 3 round_mode: FLOOR ceil_mode: true", "contradict each other"),
    ("kernel_size: 3 engine: CUDNN", "needs a GPU"),
]:
    refused("Pooling", IMAGE, f"pooling_param {{ {options} }}", error)
refused("Pooling", [(2, 4, 5)], "pooling_param { kernel_size: 3 }", "expected 4 axes")
for method in ("AVE", "L2", "STOCHASTIC"):
    refused("Pooling", IMAGE, f"pooling_param {{ pool: {method} kernel_size: 3 }}",
            "a second top, the mask, comes with pool: MAX", tops=2)  # fmt: skip
