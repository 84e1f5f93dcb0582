"""Layers of random shapes against PyTorch, where it is installed: forward and backward.

Convolution, pooling and others with windows are in test_vision.py, over random geometries; ONNX
Runtime's recurrent layers in test_recurrent.py; OpenCV's own reader of Caffe in test_opencv.py.
"""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caffelite
from caffelite.layers import layer_types
from caffelite.testing import make_layer

torch = pytest.importorskip("torch")
functional = torch.nn.functional

sides = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)

COMPARED = {
    *["Convolution", "Deconvolution", "LRN", "Pooling", "ShuffleChannel", "Upsample"],
}
"""The types that a test here, or in test_vision.py, holds against PyTorch."""

NOT_COMPARED = {
    "no operation, but a source or a sink of samples": [
        *[
            "CsvData",
            "Data",
            "DummyData",
            "HDF5Data",
            "HDF5Output",
            "ImageData",
            "Input",
            "MemoryData",
        ],
        *[
            "DenseImageData",
            "ImageLabelmapData",
            "ImageSegData",
            "Parameter",
            "Silence",
            "WindowData",
            "AnnotatedData",
            "BoxData",
            "RoIData",
        ],
    ],
    "held against torchvision's in test_kernels_rois.py": [
        *["PSROIPooling", "ROIAlign", "ROIPooling"],
    ],
    "held against OpenCV's in test_opencv.py": ["PriorBox", "DetectionOutput", "Proposal"],
    "its whole step is held against a twin in test_benchmark.py": ["MultiBoxLoss"],
    "held against what forks recorded, and slow twins in tests/reference": [
        *["AnchorTarget", "ProposalTarget"],
        *["DetectionEvaluate", "DetectionLoss", "EvalDetection", "RegionLoss", "Yolov3"],
        *["YoloDetectionOutput", "Yolov3DetectionOutput"],
    ],
    "rests on SoftmaxWithLoss or SmoothL1Loss, which are held against PyTorch's": [
        *["BoxAnnotatorOHEM", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM"],
    ],
    "draws its own random numbers": ["Dropout", "SeLuDropout", "SpatialDropout"],
    "a measure that none has": ["SegAccuracy"],
    "a term or two of arithmetic, in tests/cases": ["STLoss", "LocLoss", "PowerFile"],
    "computes what its user wrote": ["Python"],
}
"""The other types, by the reason why no framework has them."""


def oracle(*types):
    """Mark a test of these types, to be run on a few examples."""
    COMPARED.update(types)
    return settings(max_examples=10)


def shapes(smallest=1, largest=4):
    return st.lists(sides, min_size=smallest, max_size=largest).map(tuple)


def normal(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


def whole(seed, below, shape):
    return np.random.default_rng(seed).integers(0, below, shape)


def compare(type, bottoms, options, compute, differentiable=1, tops=None):
    """A layer forward and backward against `compute(*tensors of bottoms, *of blobs)`.

    The first `differentiable` bottoms and all blobs that learn, filled with normal numbers, are
    to get the same gradients.
    """
    layer, bottom, top = make_layer(type, bottoms, options, tops=tops)
    specs = layer.param.param
    blobs = [b for i, b in enumerate(layer.blobs) if i >= len(specs) or specs[i].lr_mult]
    for i, blob in enumerate(blobs):
        blob.data[...] = normal(i, blob.shape)
    layer.forward(bottom, top)
    tensors = [torch.tensor(blob.data) for blob in [*bottom, *blobs]]
    learned = [*range(differentiable), *range(len(bottom), len(tensors))]
    for i in learned:
        tensors[i].requires_grad_()
    wanted = compute(*tensors)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for i, (blob, y) in enumerate(zip(top, wanted, strict=True)):
        assert blob.shape == tuple(y.shape)
        np.testing.assert_allclose(blob.data, y.detach(), 1e-6, 1e-6)  # options are float32
        blob.diff[...] = normal(i, blob.shape)
    if learned:
        torch.autograd.backward(wanted, [torch.tensor(blob.diff) for blob in top])
        layer.backward(top, [i < differentiable for i in range(len(bottom))], bottom)
    for i in learned:
        np.testing.assert_allclose([*bottom, *blobs][i].diff, tensors[i].grad, 1e-6, 1e-6)


ACTIVATIONS = {
    "AbsVal": ("", torch.abs),
    "BNLL": ("", functional.softplus),
    "Clip": ("clip_param { min: -0.5 max: 1 }", lambda x: x.clamp(-0.5, 1)),
    "ELU": ("elu_param { alpha: 0.75 }", lambda x: functional.elu(x, 0.75)),
    "Exp": ("exp_param { base: 2 scale: 0.5 shift: 1 }", lambda x: torch.exp2(1 + 0.5 * x)),
    "Log": ("log_param { base: 10 scale: 0.25 shift: 9 }", lambda x: torch.log10(9 + 0.25 * x)),
    "Power": ("power_param { power: 3 scale: 2 shift: 1 }", lambda x: (1 + 2 * x) ** 3),
    "ReLU": ("relu_param { negative_slope: 0.25 }", lambda x: functional.leaky_relu(x, 0.25)),
    "ReLU6": ("", functional.relu6),
    "Sigmoid": ("", torch.sigmoid),
    "ReLUX": ("relux_param { maximal_value: 2 }", lambda x: functional.hardtanh(x, 0, 2)),
    "SeLu": ("", functional.selu),
    "Swish": ("", functional.silu),
    "TanH": ("", torch.tanh),
} | {  # a new one without options needs no line here, if PyTorch calls it the same
    name: ("", getattr(functional, name.lower()))
    for name, layer in layer_types().items()
    if layer.pointwise and not layer.options_field and hasattr(functional, name.lower())
}


@pytest.mark.parametrize("type", ACTIVATIONS)
@oracle(*ACTIVATIONS)
@given(shape=shapes(), seed=seeds)
def test_activations(type, shape, seed):
    options, function = ACTIVATIONS[type]
    compare(type, [4 * normal(seed, shape)], options, function)


@oracle("PReLU")
@given(shape=shapes(2), seed=seeds)
def test_prelu(shape, seed):
    compare("PReLU", [normal(seed, shape)], "", functional.prelu)


@oracle("Threshold")
@given(shape=shapes(), seed=seeds)
def test_threshold(shape, seed):
    options = "threshold_param { threshold: 0.5 }"
    compare("Threshold", [normal(seed, shape)], options, lambda x: torch.gt(x, 0.5).double(), 0)


@oracle("Expectation")
@given(shape=shapes(), seed=seeds, data=st.data())
def test_expectation(shape, seed, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    options = f"expectation_param {{ first: 3 axis: {axis} }}"

    def mean(x):
        numbers = torch.arange(3, 3 + shape[axis], dtype=x.dtype)
        return torch.tensordot(x.movedim(axis, -1), numbers, 1).unsqueeze(axis)

    compare("Expectation", [normal(seed, shape)], options, mean)


@pytest.mark.parametrize("normalize", [True, False])
@oracle("LabelDistribution")
@given(samples=sides, classes=sides, seed=seeds)
def test_label_distribution(normalize, samples, classes, seed):
    fields = f"first: 1 num_output: {classes} deviation: 2 normalize: {str(normalize).lower()}"

    def odds(x):
        gaussian = torch.distributions.Normal(x, 2.0)
        logs = gaussian.log_prob(torch.arange(1, classes + 1, dtype=x.dtype))
        return logs.softmax(1) if normalize else logs.exp() * math.sqrt(2 * math.pi)

    labels = 1 + whole(seed, classes, (samples, 1))
    compare("LabelDistribution", [labels], f"label_distribution_param {{ {fields} }}", odds, 0)


# Learned maps and look-ups


@oracle("InnerProduct")
@given(shape=shapes(), outputs=sides, data=st.data())
def test_inner_product(shape, outputs, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    options = f"inner_product_param {{ num_output: {outputs} axis: {axis} %s }}"
    for option, turn in (("", lambda w: w), ("transpose: true", torch.t)):
        compare(
            "InnerProduct",
            [shape],
            options % option,
            lambda x, w, b, turn=turn: functional.linear(x.flatten(axis), turn(w), b),
        )


@oracle("MarginInnerProduct")
@given(samples=sides, values=sides, outputs=sides, seed=seeds)
def test_inner_product_of_directions(samples, values, outputs, seed):
    options = f"num_output: {outputs} weight_filler {{ value: 2 }}"
    row = torch.full((outputs, values), 2, dtype=torch.double)
    compare(
        "MarginInnerProduct",
        [normal(seed, (samples, values)), whole(seed, outputs, samples)],
        f"margin_inner_product_param {{ {options} }} param {{ lr_mult: 0 }}",
        lambda x, labels: functional.linear(x, functional.normalize(row)),
    )


@oracle("Embed")
@given(shape=shapes(), words=sides, outputs=sides, seed=seeds)
def test_embed(shape, words, outputs, seed):
    compare(
        "Embed",
        [whole(seed, words, shape)],
        f"embed_param {{ input_dim: {words} num_output: {outputs} }}",
        lambda i, w, b: functional.embedding(i.long(), w) + b,
        differentiable=0,
    )


@oracle("Filter", "BatchReindex")
@given(shape=shapes(), more=sides, seed=seeds)
def test_choosing_samples(shape, more, seed):
    index = whole(seed, shape[0], more)
    compare("BatchReindex", [shape, index], "", lambda x, i: x.index_select(0, i.long()))
    chosen = whole(seed, 2, shape[0])
    compare("Filter", [shape, chosen], "", lambda x, chosen: x[chosen != 0])


# Normalization and scaling


@pytest.mark.parametrize("type", ["BatchNorm", "BN"])
@oracle("BatchNorm", "BN")
@given(samples=st.integers(2, 5), rest=shapes(1, 3))
def test_batch_norm(type, samples, rest):
    options = "batch_norm_param { scale_bias: true }" if type == "BatchNorm" else ""
    compare(
        type,
        [(samples, *rest)],
        options,
        lambda x, scale, bias: functional.batch_norm(
            x, None, None, scale.ravel(), bias.ravel(), training=True
        ),
    )


@oracle("MVN")
@given(shape=st.tuples(sides, sides, st.integers(2, 5), st.integers(2, 5)))
def test_mvn(shape):
    for options, compute in (
        ("", lambda x: functional.instance_norm(x, eps=1e-30)),
        ("across_channels: true", lambda x: functional.layer_norm(x, shape[1:], eps=1e-30)),
        ("normalize_variance: false", lambda x: x - x.mean((2, 3), keepdim=True)),
    ):
        compare("MVN", [shape], f"mvn_param {{ eps: 1e-15 {options} }}", compute)


@oracle("Normalize")
@given(shape=shapes(2))
def test_normalize(shape):
    compare(
        "Normalize",
        [shape],
        "norm_param { across_spatial: false }",
        lambda x, scale: scale * functional.normalize(x, dim=1),
    )
    compare(
        "Normalize",
        [shape],
        "",
        lambda x, scale: scale * functional.normalize(x.flatten(1), dim=1).view(shape),
    )


@oracle("LRN")
@given(shape=st.tuples(sides, sides, sides, sides), half=st.integers(0, 2))
def test_lrn_within_channels(shape, half):
    size = 2 * half + 1
    options = f"local_size: {size} alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL"
    compare(
        "LRN",
        [shape],
        f"lrn_param {{ {options} }}",
        lambda x: x * (1 + 0.5 * functional.avg_pool2d(x * x, size, 1, half)) ** -0.75,
    )


@oracle("Scale", "Bias", "Axpy")
@given(shape=shapes(2), data=st.data())
def test_scale_and_bias(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    last = data.draw(st.integers(axis, len(shape)))
    part, fit = shape[axis:last], (-1,) + (1,) * (len(shape) - last)

    def spread(a):
        return a.view(*part, *fit[1:])

    span = f"axis: {axis} num_axes: {last - axis}"
    compare(
        "Scale",
        [shape],
        f"scale_param {{ {span} bias_term: true }}",
        lambda x, scale, bias: torch.addcmul(spread(bias), x, spread(scale)),
    )
    compare("Bias", [shape], f"bias_param {{ {span} }}", lambda x, b: x + spread(b))
    if part:
        options = f"axis: {axis}"
        compare(
            "Scale",
            [shape, part],
            f"scale_param {{ {options} }}",
            lambda x, scale: x * spread(scale),
            differentiable=2,
        )
        compare(
            "Bias",
            [shape, part],
            f"bias_param {{ {options} }}",
            lambda x, bias: x + spread(bias),
            differentiable=2,
        )
    shape = (*shape, 1, 1)[:4]
    factors = (*shape[:2], 1, 1)
    compare("Axpy", [factors, shape, shape], "", lambda a, x, y: torch.addcmul(y, a, x), 3)


# Shapes


@oracle("Permute", "Transpose", "Reverse", "Tile", "Flatten", "Reduction", "Softmax", "Reshape")
@given(shape=shapes(), data=st.data())
def test_axes(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    order = data.draw(st.permutations(range(len(shape))))
    tiles = data.draw(sides)
    kind = data.draw(st.sampled_from(["SUM", "ASUM", "SUMSQ", "MEAN"]))
    reduce = {
        "SUM": lambda x: x.sum(-1),
        "ASUM": lambda x: x.abs().sum(-1),
        "SUMSQ": lambda x: (x * x).sum(-1),
        "MEAN": lambda x: x.mean(-1),
    }[kind]
    listed, dims = (" ".join(f"{name}: {i}" for i in order) for name in ("order", "dim"))
    repeats = [tiles if i == axis else 1 for i in range(len(shape))]
    for type, options, compute in (
        ("Permute", f"permute_param {{ {listed} }}", lambda x: x.permute(order)),
        ("Transpose", f"transpose_param {{ {dims} }}", lambda x: x.permute(order)),
        ("Reverse", f"reverse_param {{ axis: {axis} }}", lambda x: x.flip(axis)),
        ("Tile", f"tile_param {{ axis: {axis} tiles: {tiles} }}", lambda x: x.repeat(repeats)),
        ("Flatten", f"flatten_param {{ axis: {axis} }}", lambda x: x.flatten(axis)),
        ("Softmax", f"softmax_param {{ axis: {axis} }}", lambda x: x.softmax(axis)),
        (
            "Reduction",
            f"reduction_param {{ operation: {kind} axis: {axis} coeff: 0.5 }}",
            lambda x: 0.5 * reduce(x.flatten(axis)),
        ),
        (
            "Reshape",
            f"reshape_param {{ axis: {axis} shape {{ dim: 1 dim: -1 }} }}",
            lambda x: x.reshape(*shape[:axis], 1, -1),
        ),
    ):
        compare(type, [shape], options, compute)


@oracle("Concat", "Slice", "Split")
@given(shape=shapes(), more=sides, data=st.data())
def test_parts(shape, more, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    other = (*shape[:axis], more, *shape[axis + 1 :])
    along = f"concat_param {{ axis: {axis} }}"
    compare("Concat", [shape, other], along, lambda *x: torch.cat(x, axis), 2)
    long = (*shape[:axis], shape[axis] + more, *shape[axis + 1 :])
    points = data.draw(st.sets(st.integers(1, shape[axis] + more - 1), min_size=1).map(sorted))
    listed = " ".join(f"slice_point: {point}" for point in points)
    compare(
        "Slice",
        [long],
        f"slice_param {{ axis: {axis} {listed} }}",
        lambda x: x.tensor_split(points, axis),
        tops=len(points) + 1,
    )
    compare("Split", [shape], "", lambda x: tuple(x.clone() for _ in range(more)), tops=more)


@oracle("Eltwise", "Maxout")
@given(shape=shapes(), more=sides, data=st.data())
def test_several_values_to_one(shape, more, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    for options, compute in (
        ("operation: SUM coeff: 2 coeff: -0.5", lambda a, b: 2 * a - 0.5 * b),
        ("operation: PROD", torch.mul),
        ("operation: MAX", torch.maximum),
    ):
        options = f"eltwise_param {{ {options} }}"
        compare("Eltwise", [normal(1, shape), normal(2, shape)], options, compute, 2)
    long = (*shape[:axis], more * shape[axis], *shape[axis + 1 :])
    compare(
        "Maxout",
        [long],
        f"maxout_param {{ axis: {axis} num_pieces: {more} }}",
        lambda x: x.unflatten(axis, (more, shape[axis])).amax(axis),
    )


@oracle("Crop")
@given(shape=shapes(), data=st.data())
def test_crop(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    offsets = [data.draw(st.integers(0, size - 1)) for size in shape[axis:]]
    lengths = [
        data.draw(st.integers(1, size - at)) for at, size in zip(offsets, shape[axis:], strict=True)
    ]
    part = [slice(at, at + n) for at, n in zip(offsets, lengths, strict=True)]
    listed = " ".join(f"offset: {at}" for at in offsets)
    compare(
        "Crop",
        [shape, (*shape[:axis], *lengths)],
        f"crop_param {{ axis: {axis} {listed} }}",
        lambda x, like: x[(..., *part)],
    )


@oracle("ArgMax")
@given(shape=shapes(2), data=st.data())
def test_argmax(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    top_k = data.draw(st.integers(1, shape[axis]))
    for values in (False, True):
        options = (
            f"argmax_param {{ axis: {axis} top_k: {top_k} out_max_val: {str(values).lower()} }}"
        )
        compare("ArgMax", [shape], options, lambda x, v=values: pick(x.topk(top_k, axis), v), 0)
    top_k = data.draw(st.integers(1, int(np.prod(shape[1:]))))
    options = f"argmax_param {{ top_k: {top_k} out_max_val: true }}"

    def both(x):
        values, places = x.flatten(1).topk(top_k)
        pair = torch.stack((places.double(), values), 1)
        return pair.reshape(*pair.shape, *[1] * (len(shape) - 3))

    compare("ArgMax", [shape], options, both, 0)


def pick(found, values):
    return found.values if values else found.indices.double()


@oracle("Flip", "Reorg")
@given(shape=shapes(4), stride=st.integers(1, 3))
def test_places_in_maps(shape, stride):
    shape = (*shape, 1, 1, 1)[:4]
    for rows, columns in ((0, 1), (1, 0), (1, 1)):
        axes = [axis for axis, wanted in ((2, rows), (3, columns)) if wanted]
        options = f"flip_param {{ flip_height: {bool(rows)} flip_width: {bool(columns)} }}".lower()
        compare("Flip", [shape], options, lambda x, axes=axes: x.flip(axes))
    n, r, h, w = shape
    square = stride**2
    wide = (n, r, h * stride**2, w * stride**2)  # what pixel_unshuffle reads the bottom as
    down = (n, r * square, h * stride, w * stride)
    compare(
        "Reorg",
        [down],
        f"reorg_param {{ stride: {stride} }}",
        lambda x: (
            functional.pixel_unshuffle(x.reshape(wide), stride)
            .unflatten(1, (r, square))
            .transpose(1, 2)
            .reshape(n, r * square**2, h, w)
        ),
    )
    compare(
        "Reorg",
        [(n, r * square, h, w)],
        f"reorg_param {{ stride: {stride} reverse: true }}",
        lambda x: functional.pixel_shuffle(
            x.unflatten(1, (square, r)).transpose(1, 2).flatten(1, 2), stride
        ),
    )


@oracle("PixelShuffle")
@given(shape=shapes(4), r=st.integers(1, 3))
def test_pixel_shuffle(shape, r):
    n, c, h, w = (*shape, 1, 1, 1)[:4]
    options = f"pixel_shuffle_param {{ upscale_factor: {r} }}"
    compare(
        "PixelShuffle", [(n, c * r**2, h, w)], options, lambda x: functional.pixel_shuffle(x, r)
    )


@oracle("ReflectionPad")
@given(shape=shapes(4), pad=st.integers(1, 4))
def test_reflection_pad(shape, pad):
    n, c, h, w = (*shape, 1, 1, 1)[:4]
    compare(
        "ReflectionPad",
        [(n, c, h + pad, w + pad)],
        f"reflection_pad_param {{ pad: {pad} }}",
        lambda x: functional.pad(x, (pad,) * 4, "reflect"),
    )


# Pictures and their styles


@oracle("GramMatrix")
@given(shape=shapes(3, 4))
def test_gram_matrix(shape):
    def gram(x, share):
        f = x.flatten(2)
        return f @ f.transpose(1, 2) / share

    compare("GramMatrix", [shape], "", lambda x: gram(x, 1))
    compare(
        "GramMatrix",
        [shape],
        "gram_matrix_param { normalize: true }",
        lambda x: gram(x, x[0].numel()),
    )


@oracle("StyleLoss")
@given(shape=shapes(3, 4), one=st.booleans())
def test_style_loss(shape, one):
    def loss(x, style):
        f = x.flatten(2)
        grams = f @ f.transpose(1, 2) / x[0].numel()
        return functional.mse_loss(grams, style.expand_as(grams), reduction="sum") / 4 / len(x)

    style = (1 if one else shape[0], shape[1], shape[1])
    compare("StyleLoss", [shape, style], "", loss)


@oracle("TVLoss")
@given(shape=shapes(4), beta=st.sampled_from((1, 2, 2.5)))
def test_tv_loss(shape, beta):
    shape = tuple(side + 1 for side in (*shape, 1, 1, 1)[:4])

    def variation(x):
        right = (x[..., :-1, :-1] - x[..., :-1, 1:]) ** 2
        below = (x[..., :-1, :-1] - x[..., 1:, :-1]) ** 2
        return ((right + below) ** (beta / 2)).sum()

    compare("TVLoss", [shape], f"tv_loss_param {{ beta: {beta} }}", variation)


@oracle("InstanceNorm")
@given(shape=shapes(4))
def test_instance_norm(shape):
    n, c, h, w = (*shape, 1, 1, 1)[:4]
    compare("InstanceNorm", [(n, c, h + 1, w)], "", functional.instance_norm)


# Windows


@oracle("Im2col")
@given(shape=shapes(4), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_im2col(shape, kernel, stride):
    pad = kernel // 2
    rows, columns = ((side + 2 * pad - kernel) // stride + 1 for side in shape[2:])
    compare(
        "Im2col",
        [shape],
        f"convolution_param {{ kernel_size: {kernel} stride: {stride} pad: {pad} }}",
        lambda x: functional.unfold(x, kernel, padding=pad, stride=stride).unflatten(
            2, (rows, columns)
        ),
    )


@pytest.mark.parametrize("type", ["DepthwiseConvolution", "ConvolutionDepthwise"])
@oracle("DepthwiseConvolution", "ConvolutionDepthwise")
@given(shape=shapes(4), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_depthwise_convolution(type, shape, kernel, stride):
    channels, pad = shape[1], kernel // 2
    options = f"num_output: {channels} kernel_size: {kernel} stride: {stride} pad: {pad}"
    compare(
        type,
        [shape],
        f"convolution_param {{ {options} }}",
        lambda x, w, b: functional.conv2d(x, w, b, stride, pad, groups=channels),
    )


@oracle("Pooling")
@given(shape=shapes(4), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_l2_pooling(shape, kernel, stride):
    shape = (*shape[:2], shape[2] + kernel, shape[3] + kernel)
    options = f"pool: L2 kernel_size: {kernel} stride: {stride} round_mode: FLOOR"
    compare(
        "Pooling",
        [shape],
        f"pooling_param {{ {options} }}",
        lambda x: functional.lp_pool2d(x, 2, kernel, stride),
    )


@oracle("SPP")
@given(shape=shapes(4), height=st.integers(2, 3))
def test_spatial_pyramid(shape, height):
    """Where all bins have one size, they are those of adaptive pooling."""
    shape = (*shape[:2], *(side * 2 ** (height - 1) for side in shape[2:]))
    for method, pool in (
        ("MAX", functional.adaptive_max_pool2d),
        ("AVE", functional.adaptive_avg_pool2d),
    ):
        compare(
            "SPP",
            [shape],
            f"spp_param {{ pyramid_height: {height} pool: {method} }}",
            lambda x, pool=pool: torch.cat(
                [pool(x, 2**level).flatten(1) for level in range(height)], 1
            ),
        )


@oracle("Interp", "Upsample")
@given(shape=shapes(4), rows=sides, columns=sides, scale=sides)
def test_resizing(shape, rows, columns, scale):
    for corners in (True, False):
        resize = partial(functional.interpolate, mode="bilinear", align_corners=corners)
        rule = f"align_corners: {str(corners).lower()}"
        compare(
            "Interp",
            [shape],
            f"interp_param {{ height: {rows} width: {columns} {rule} }}",
            lambda x, resize=resize: resize(x, (rows, columns)),
        )
    compare(
        "Upsample",
        [shape],
        f"upsample_param {{ scale: {scale} }}",
        lambda x: functional.interpolate(x, scale_factor=scale),
    )


def grid_sampled(x, theta, space):
    """PyTorch's: places without half a pixel, of theta and of x, and the horizontal one first."""
    theta = theta.reshape(-1, 2, 3)
    half_out = torch.tensor([1 / space[0], 1 / space[1], 0], dtype=x.dtype)
    half_in = torch.tensor([[1 / x.shape[2]], [1 / x.shape[3]]], dtype=x.dtype)
    moved = theta[:, :, 2:] - (theta * half_out).sum(2, keepdim=True) + half_in
    swapped = torch.cat([theta[:, :, 1:2], theta[:, :, :1], moved], 2).flip(1)
    grid = functional.affine_grid(swapped, (*x.shape[:2], *space), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


@oracle("SpatialTransformer")
@given(shape=shapes(4), rows=sides, columns=sides, seed=seeds)
def test_spatial_transformer(shape, rows, columns, seed):
    theta = normal(seed, (shape[0], 6)) + [1, 0, 0, 0, 1, 0]
    options = f"st_param {{ output_H: {rows} output_W: {columns} }}"
    compare(
        "SpatialTransformer",
        [normal(seed + 1, shape), theta],
        options,
        lambda x, theta: grid_sampled(x, theta, (rows, columns)),
        differentiable=2,
    )


@oracle("Upsample")
@given(shape=shapes(4), scale=st.integers(2, 4), more=st.integers(0, 1), seed=seeds)
def test_unpooling(shape, scale, more, seed):
    n, c, h, w = shape
    rows, columns = size = h * scale + more, w * scale
    all_places = np.tile(np.arange(rows * columns), (n * c, 1))
    places = np.random.default_rng(seed).permuted(all_places, axis=1)
    mask = places[:, : h * w].reshape(shape)
    compare(
        "Upsample",
        [normal(seed, shape), mask],
        f"upsample_param {{ upsample_h: {rows} upsample_w: {columns} }}",
        lambda x, mask: functional.max_unpool2d(x, mask.long(), scale, output_size=size),
    )


# Recurrence


def reordered(gates, order):
    """Rows of four gates in another order."""
    return torch.cat([gates.chunk(len(order))[i] for i in order])


def run_rnn(x, cont, w, b, u, w_out, b_out):
    h, outputs = x.new_zeros(x.shape[1], len(u)), []
    for x_t, cont_t in zip(x, cont[..., None], strict=True):
        h = torch.rnn_tanh_cell(x_t, cont_t * h, w, u, b, torch.zeros_like(b))
        outputs.append(torch.tanh(functional.linear(h, w_out, b_out)))
    return torch.stack(outputs)


def run_lstm(x, cont, w, b, u):
    c = h = x.new_zeros(x.shape[1], u.shape[1])
    w, b, u = (reordered(a, [0, 1, 3, 2]) for a in (w, b, u))
    outputs = []
    for x_t, cont_t in zip(x, cont[..., None], strict=True):
        h, c = torch.lstm_cell(x_t, (cont_t * h, cont_t * c), w, u, b, torch.zeros_like(b))
        outputs.append(h)
    return torch.stack(outputs)


def run_gru(x, cont, w, b, u, c):
    h = x.new_zeros(x.shape[1], u.shape[1])
    c = functional.pad(c.ravel(), (2 * len(c.ravel()), 0))
    outputs = []
    for x_t, cont_t in zip(x, cont[..., None], strict=True):
        h = torch.gru_cell(x_t, cont_t * h, w, u, b, c)
        outputs.append(h)
    return torch.stack(outputs)


RECURRENT = {
    "RNN": ("recurrent_param { %s }", run_rnn),
    "LSTM": ("recurrent_param { %s }", run_lstm),
    "GRU": ("gru_param { %s reset_after: true }", run_gru),
}


@pytest.mark.parametrize("type", RECURRENT)
@oracle(*RECURRENT)
@given(shape=shapes(3), units=sides, seed=seeds)
def test_recurrent(type, shape, units, seed):
    options, run = RECURRENT[type]
    cont = whole(seed, 2, shape[:2])
    options = options % f"num_output: {units}"
    compare(type, [normal(seed, shape), cont], options, lambda x, *rest: run(x.flatten(2), *rest))


@oracle("Lstm")
@given(steps=sides, streams=sides, values=sides, units=sides, seed=seeds)
def test_lstm_over_rows(steps, streams, values, units, seed):
    clip = whole(seed, 2, steps * streams)
    clip[:streams] = 0

    def run(x, clip, w, u, b):
        by_step = x.reshape(steps, streams, values), clip.reshape(steps, streams)
        return run_lstm(*by_step, w, b, u).flatten(0, 1)

    bottoms = [normal(seed, (steps * streams, values)), clip]
    compare("Lstm", bottoms, f"lstm_param {{ num_output: {units} batch_size: {streams} }}", run)


@oracle("LSTMUnit")
@given(streams=sides, units=sides, seed=seeds)
def test_lstm_unit(streams, units, seed):
    def step(c, sums, cont):
        """A cell that passes its gates through."""
        pass_on = torch.eye(4 * units, dtype=torch.double)
        zero, none = sums.new_zeros(streams, units), sums.new_zeros(4 * units, units)
        before = (zero, cont[0][:, None] * c[0])
        gates = reordered(sums[0].T, [0, 1, 3, 2]).T
        h, c = torch.lstm_cell(gates, before, pass_on, none)
        return c[None], h[None]

    sums = normal(seed, (1, streams, 4 * units))
    bottoms = [normal(seed + 1, (1, streams, units)), sums, whole(seed, 2, (1, streams))]
    compare("LSTMUnit", bottoms, "", step, 2)


# Losses


@oracle("SoftmaxWithLoss")
@given(shape=shapes(2), seed=seeds, mode=st.sampled_from(["VALID", "BATCH_SIZE", "NONE"]))
def test_softmax_loss(shape, seed, mode):
    labels = whole(seed, shape[1], (shape[0], *shape[2:]))
    options = f"loss_param {{ ignore_label: 0 normalization: {mode} }}"
    divisor = {"VALID": max(1, (labels != 0).sum()), "BATCH_SIZE": shape[0], "NONE": 1}[mode]

    def loss(x, labels):
        summed = functional.cross_entropy(x, labels.long(), ignore_index=0, reduction="sum")
        return summed / divisor

    compare("SoftmaxWithLoss", [normal(seed, shape), labels], options, loss)


@oracle("FocalLoss", "CenterLoss", "TripletLoss")
@given(samples=sides, classes=sides, seed=seeds)
def test_losses_of_recognition(samples, classes, seed):
    x, labels = normal(seed, (samples, classes)), whole(seed, classes, samples)

    def focal(x, labels):
        losses = functional.cross_entropy(x, labels.long(), reduction="none")
        return (0.5 * (1 - torch.exp(-losses)) ** 3 * losses).mean()

    compare("FocalLoss", [x, labels], "focal_loss_param { alpha: 0.5 gamma: 3 }", focal)
    frozen = "param { lr_mult: 0 }"
    compare(
        "CenterLoss",
        [x, labels],
        f"center_loss_param {{ num_output: {classes} center_filler {{ value: 0.5 }} }} {frozen}",
        lambda x, labels: ((x - 0.5) ** 2).sum() / (2 * samples),
    )
    compare(
        "TripletLoss",
        [normal(seed + i, (samples, classes)) for i in range(3)],
        "",
        lambda a, p, n: (
            functional.relu(1 + ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1)).mean() / 2
        ),
        3,
    )


@oracle("InfogainLoss", "MultinomialLogisticLoss", "HingeLoss", "Accuracy")
@given(samples=sides, classes=sides, seed=seeds)
def test_losses_of_labels(samples, classes, seed):
    x, labels = normal(seed, (samples, classes)), whole(seed, classes, samples)
    gains = np.random.default_rng(seed).random((classes, classes))
    compare(
        "InfogainLoss",
        [x, labels, gains],
        "",
        lambda x, labels, gains: functional.cross_entropy(x, gains[labels.long()]),
    )
    compare(
        "MultinomialLogisticLoss",
        [np.random.default_rng(seed).random((samples, classes)) + 0.01, labels],
        "",
        lambda p, labels: functional.nll_loss(p.log(), labels.long()),
    )

    def hinge(x, labels, power):
        sign = 2 * functional.one_hot(labels.long(), classes) - 1
        below = functional.hinge_embedding_loss(sign * x, -torch.ones_like(x), reduction="none")
        return (below**power).sum() / samples

    for power, norm in ((1, "L1"), (2, "L2")):
        options = f"hinge_loss_param {{ norm: {norm} }}"
        compare("HingeLoss", [x, labels], options, lambda x, t, p=power: hinge(x, t, p))
    for top_k in range(1, classes + 1):
        compare(
            "Accuracy",
            [x, labels],
            f"accuracy_param {{ top_k: {top_k} }}",
            lambda x, t, k=top_k: (x.topk(k).indices == t[:, None]).any(1).double().mean(),
            differentiable=0,
        )


@oracle("SigmoidCrossEntropyLoss", "EuclideanLoss", "SmoothL1Loss", "SoftmaxWithCrossEntropyLoss")
@given(shape=shapes(2), seed=seeds)
def test_losses_of_two_arrays(shape, seed):
    def over_samples(loss):
        return lambda a, b: loss(a, b, reduction="sum") / shape[0]

    positions = np.prod(shape) / shape[1]
    for type, options, differentiable, loss in (
        (
            "SigmoidCrossEntropyLoss",
            "",
            1,
            over_samples(functional.binary_cross_entropy_with_logits),
        ),
        ("EuclideanLoss", "", 2, lambda a, b: over_samples(functional.mse_loss)(a, b) / 2),
        ("SmoothL1Loss", "", 2, over_samples(functional.smooth_l1_loss)),
        (
            "SmoothL1Loss",
            "smooth_l1_loss_param { sigma: 2 }",
            2,
            lambda a, b: functional.smooth_l1_loss(a, b, reduction="sum", beta=0.25) / shape[0],
        ),
        (
            "SoftmaxWithCrossEntropyLoss",
            "",
            1,
            lambda a, b: (
                functional.kl_div(
                    a.log_softmax(1), b.log_softmax(1), reduction="sum", log_target=True
                )
                / positions
            ),
        ),
    ):
        bottoms = [normal(seed, shape), np.random.default_rng(seed).random(shape)]
        compare(type, bottoms, options, loss, differentiable)


@pytest.mark.parametrize("legacy", [False, True])
@oracle("ContrastiveLoss")
@given(samples=sides, features=sides, seed=seeds)
def test_contrastive_loss(legacy, samples, features, seed):
    def loss(a, b, similar):
        squared = ((a - b) ** 2).flatten(1).sum(1)
        root = squared.detach().sqrt()
        root = root + (squared - root**2) / (2 * (root + 1e-4))  # its gradient, as Caffe has it
        sign, margin = 2 * similar.ravel() - 1, 2.5
        if legacy:
            losses = functional.hinge_embedding_loss(squared, sign, margin, reduction="none")
        else:
            apart = functional.hinge_embedding_loss(root, sign, margin, reduction="none") ** 2
            losses = torch.where(sign > 0, squared, apart)
        return losses.sum() / (2 * samples)

    shape = (samples, features, 1, 1)
    options = f"margin: 2.5 legacy_version: {str(legacy).lower()}"
    bottoms = [normal(seed, shape), normal(seed + 1, shape), whole(seed, 2, (samples, 1, 1, 1))]
    compare("ContrastiveLoss", bottoms, f"contrastive_loss_param {{ {options} }}", loss, 2)


# Boxes


@pytest.mark.parametrize("agnostic", [False, True])
@oracle("RoIDetectionOutput")
@given(regions=st.integers(1, 12), classes=st.integers(2, 4), seed=seeds)
def test_boxes_of_regions(agnostic, regions, classes, seed):
    """Codes to boxes as in Girshick's paper; suppression as the fixed point of who is kept."""
    random, least, most_overlap, most = np.random.default_rng(seed), 0.25, 0.375, 5
    numbers = 8 if agnostic else 4 * classes
    low = random.uniform(0, 40, (regions, 2))
    rois = np.column_stack([np.sort(random.integers(0, 2, regions)), low, low + 30])
    bottoms = [rois, random.random((regions, classes)), normal(seed, (regions, numbers)) / 3]
    bottoms.append(np.array([[50, 75, 1], [60.0, 65, 1]]))
    fields = f"confidence_threshold: {least} nms_threshold: {most_overlap} keep_top_k: {most}"

    def of_class(rois, scores, codes, right, bottom):
        size = rois[:, 2:] - rois[:, :2] + 1
        center = codes[:, :2] * size + rois[:, :2] + size / 2
        half = codes[:, 2:].exp() * size / 2
        x1, x2 = ((center + side * half)[:, 0].clamp(0, right) for side in (-1, 1))
        y1, y2 = ((center + side * half)[:, 1].clamp(0, bottom) for side in (-1, 1))
        wide, high = (
            (torch.minimum(b, b[:, None]) - torch.maximum(a, a[:, None]) + 1).clamp(min=0)
            for a, b in ((x1, x2), (y1, y2))
        )
        area, shared = (x2 - x1 + 1) * (y2 - y1 + 1), wide * high
        beats = shared / (area + area[:, None] - shared) >= most_overlap
        beats &= (scores[:, None] > scores) & (scores > least)[:, None]  # row beats column
        kept, before = scores > least, None
        while before is None or (kept != before).any():
            before, kept = kept, (scores > least) & ~(beats & kept[:, None]).any(0)
        rows = torch.stack([scores, x1 / right, y1 / bottom, x2 / right, y2 / bottom], 1)
        return rows[kept]

    def compute(rois, scores, codes, sizes):
        found = []
        for picture, (bottom, right, _) in enumerate(sizes):
            own, rows = rois[:, 0] == picture, []
            for label in range(1, classes):
                at = 4 if agnostic else 4 * label
                args = rois[own, 1:], scores[own, label], codes[own, at : at + 4]
                boxes = of_class(*args, right, bottom)
                rows.append(functional.pad(functional.pad(boxes, (1, 0), value=label), (1, 0)))
            rows = torch.cat(rows)
            rows[:, 0] = picture
            found.append(rows[rows[:, 2].argsort(descending=True)[:most]])
        found = torch.cat(found)
        if not len(found):
            found = torch.full((2, 7), -1.0).double()
            found[:, 0] = torch.arange(2)
        return found[None, None]

    options = f"roi_detection_output_param {{ {fields} class_agnostic: {str(agnostic).lower()} "
    options += f"num_classes: {classes} }}"
    compare("RoIDetectionOutput", bottoms, options, compute, differentiable=0)


def test_every_layer_type_is_compared_or_has_a_reason():
    others = {type for types in NOT_COMPARED.values() for type in types}
    assert not others & COMPARED
    assert others | COMPARED == set(caffelite.layer_type_list())
