"""Layers of random shapes against PyTorch and OpenCV, where they are installed.

Convolution and pooling are in test_vision.py, normalization in test_normalization.py, and RNN, LSTM
and GRU in test_recurrent.py.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caffelite
from caffelite.testing import TEST, make_layer

sides = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=10, deadline=None, derandomize=True)


def shapes(smallest=1, largest=4):
    return st.lists(sides, min_size=smallest, max_size=largest).map(tuple)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def compare(torch, type, bottoms, options, compute, differentiable=1):
    """A layer forward and backward against `compute(*tensors of bottoms, *of blobs)`."""
    layer, bottom, (top,) = make_layer(type, bottoms, options)
    wanted = [i < differentiable for i in range(len(bottom))]
    learned = [*bottom[:differentiable], *layer.blobs]
    layer.forward(bottom, [top])
    tensors = {id(b): torch.tensor(b.data) for b in [*bottom, *layer.blobs]}
    for blob in learned:
        tensors[id(blob)].requires_grad_()
    y = compute(*tensors.values())
    np.testing.assert_allclose(top.data, y.detach().numpy(), 1e-6, 1e-6)  # options are float32
    top.diff[...] = np.random.default_rng(1).standard_normal(top.shape)
    y.backward(torch.tensor(top.diff))
    layer.backward([top], wanted, bottom)
    for blob in learned:
        np.testing.assert_allclose(blob.diff, tensors[id(blob)].grad.numpy(), 1e-6, 1e-6)


def normal(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


ACTIVATIONS = {
    "AbsVal": ("", lambda f, x: x.abs()),
    "BNLL": ("", lambda f, x: f.softplus(x)),
    "Clip": ("clip_param { min: -0.5 max: 1 }", lambda f, x: x.clamp(-0.5, 1)),
    "ELU": ("elu_param { alpha: 0.75 }", lambda f, x: f.elu(x, 0.75)),
    "Exp": ("exp_param { base: 2 scale: 0.5 shift: 1 }", lambda f, x: 2 ** (1 + 0.5 * x)),
    "Power": ("power_param { power: 3 scale: 2 shift: 1 }", lambda f, x: (1 + 2 * x) ** 3),
    "ReLU": ("relu_param { negative_slope: 0.25 }", lambda f, x: f.leaky_relu(x, 0.25)),
    "ReLU6": ("", lambda f, x: f.relu6(x)),
    "Sigmoid": ("", lambda f, x: x.sigmoid()),
    "Swish": ("", lambda f, x: f.silu(x)),
    "TanH": ("", lambda f, x: x.tanh()),
}


@pytest.mark.parametrize("type", ACTIVATIONS)
@some
@given(shape=shapes(), seed=seeds)
def test_activations(torch, type, shape, seed):
    options, function = ACTIVATIONS[type]
    x = 4 * normal(seed, shape)
    compare(torch, type, [x], options, lambda x: function(torch.nn.functional, x))


@some
@given(shape=shapes(2), seed=seeds)
def test_prelu(torch, shape, seed):
    compare(torch, "PReLU", [normal(seed, shape)], "", torch.nn.functional.prelu)


@some
@given(shape=shapes(), data=st.data())
def test_softmax(torch, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    options = f"softmax_param {{ axis: {axis} }}"
    compare(torch, "Softmax", [shape], options, lambda x: x.softmax(axis))


@some
@given(shape=shapes(), outputs=sides, data=st.data())
def test_inner_product(torch, shape, outputs, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    options = f"num_output: {outputs} axis: {axis}"
    options += ' weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
    options = f"inner_product_param {{ {options} }}"
    linear = torch.nn.functional.linear
    compare(torch, "InnerProduct", [shape], options, lambda x, w, b: linear(x.flatten(axis), w, b))


@some
@given(shape=shapes(), words=sides, outputs=sides, seed=seeds)
def test_embed(torch, shape, words, outputs, seed):
    index = np.random.default_rng(seed).integers(0, words, shape)
    options = f'input_dim: {words} num_output: {outputs} weight_filler {{ type: "gaussian" }}'
    embedding = torch.nn.functional.embedding
    compare(
        torch,
        "Embed",
        [index],
        f"embed_param {{ {options} }}",
        lambda i, w, b: embedding(i.long(), w) + b,
        differentiable=0,
    )


@some
@given(shape=shapes(2), seed=seeds, mode=st.sampled_from(["VALID", "BATCH_SIZE", "NONE"]))
def test_softmax_loss(torch, shape, seed, mode):
    labels = np.random.default_rng(seed).integers(0, shape[1], (shape[0], *shape[2:]))
    options = f"loss_param {{ ignore_label: 0 normalization: {mode} }}"
    divisor = {"VALID": max(1, (labels != 0).sum()), "BATCH_SIZE": shape[0], "NONE": 1}[mode]
    cross_entropy = torch.nn.functional.cross_entropy

    def loss(x, labels):
        return cross_entropy(x, labels.long(), ignore_index=0, reduction="sum") / divisor

    compare(torch, "SoftmaxWithLoss", [normal(seed, shape), labels], options, loss)


@some
@given(shape=shapes(2), seed=seeds)
def test_losses_of_two_arrays(torch, shape, seed):
    functional = torch.nn.functional
    x, t = normal(seed, shape), np.random.default_rng(seed).random(shape)
    for type, differentiable, loss in (
        ("SigmoidCrossEntropyLoss", 1, functional.binary_cross_entropy_with_logits),
        (
            "EuclideanLoss",
            2,
            lambda a, b, reduction: functional.mse_loss(a, b, reduction="sum") / 2,
        ),
        ("SmoothL1Loss", 2, functional.smooth_l1_loss),
    ):
        compare(
            torch,
            type,
            [x, t],
            "",
            lambda a, b, loss=loss: loss(a, b, reduction="sum") / shape[0],
            differentiable,
        )


@some
@given(shape=shapes(), data=st.data())
def test_axes(torch, shape, data):
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
    listed = " ".join(f"order: {i}" for i in order)
    repeats = [tiles if i == axis else 1 for i in range(len(shape))]
    for type, options, compute in (
        ("Permute", f"permute_param {{ {listed} }}", lambda x: x.permute(order)),
        ("Tile", f"tile_param {{ axis: {axis} tiles: {tiles} }}", lambda x: x.repeat(repeats)),
        ("Flatten", f"flatten_param {{ axis: {axis} }}", lambda x: x.flatten(axis)),
        (
            "Reduction",
            f"reduction_param {{ operation: {kind} axis: {axis} }}",
            lambda x: reduce(x.flatten(axis)),
        ),
    ):
        compare(torch, type, [shape], options, compute)


@some
@given(shape=shapes(), more=sides, data=st.data())
def test_several_bottoms(torch, shape, more, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    other = (*shape[:axis], more, *shape[axis + 1 :])
    along = f"concat_param {{ axis: {axis} }}"
    compare(torch, "Concat", [shape, other], along, lambda *x: torch.cat(x, axis), 2)
    for operation, compute in (("SUM", torch.add), ("PROD", torch.mul), ("MAX", torch.maximum)):
        options = f"eltwise_param {{ operation: {operation} }}"
        bottoms = [normal(1, shape), normal(2, shape)]
        compare(torch, "Eltwise", bottoms, options, compute, 2)
    index = np.random.default_rng(more).integers(0, shape[0], more)
    compare(torch, "BatchReindex", [shape, index], "", lambda x, i: x[i.long()])


@some
@given(shape=shapes(4), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_im2col(torch, shape, kernel, stride):
    pad = kernel // 2
    options = f"kernel_size: {kernel} stride: {stride} pad: {pad}"
    unfold = torch.nn.functional.unfold
    rows, columns = ((side + 2 * pad - kernel) // stride + 1 for side in shape[2:])
    compare(
        torch,
        "Im2col",
        [shape],
        f"convolution_param {{ {options} }}",
        lambda x: unfold(x, kernel, padding=pad, stride=stride).unflatten(2, (rows, columns)),
    )


# Whole nets: OpenCV 4 reads Caffe's files by itself

READ_BY_OPENCV = {
    "BatchNorm": "",
    "Convolution": """convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 pad: 1 stride: 2
        weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } }""",
    "Deconvolution": """convolution_param { num_output: 3 kernel_size: 3 stride: 2
        weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } }""",
    "ELU": "",
    "Flatten": "",
    "InnerProduct": """inner_product_param { num_output: 5 weight_filler { type: "gaussian" }
        bias_filler { type: "gaussian" } }""",
    "LRN": "lrn_param { local_size: 3 alpha: 0.5 }",
    "Pooling": "pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    "Power": "power_param { power: 2 scale: 0.5 shift: 1 }",
    "PReLU": "",
    "Scale": 'scale_param { bias_term: true filler { type: "gaussian" } }',
    "Softmax": "",
}


@pytest.mark.parametrize("type", READ_BY_OPENCV)
@some
@given(shape=st.tuples(sides, sides, st.integers(4, 9), st.integers(4, 9)), seed=seeds)
def test_opencv_reads_and_runs_the_same(tmp_path_factory, type, shape, seed):
    dnn = pytest.importorskip("cv2").dnn
    if not hasattr(dnn, "readNetFromCaffe"):
        pytest.skip("this OpenCV reads no Caffe nets")
    prototxt = tmp_path_factory.mktemp("opencv") / "net.prototxt"
    model = str(prototxt.with_suffix(".caffemodel"))
    dims = " ".join(f"dim: {side}" for side in shape)
    layer = f'layer {{ name: "y" type: "{type}" bottom: "x" top: "y" {READ_BY_OPENCV[type]} }}'
    data = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}'
    prototxt.write_text(data + layer)
    net = caffelite.Net(str(prototxt), TEST)
    if type == "BatchNorm":
        for blob in net.params["y"]:
            blob.data[...] = 1 + np.arange(blob.count)
    net.save(model)
    x = normal(seed, shape).astype(np.float32)
    want = dnn.readNetFromCaffe(str(prototxt), model)
    want.setInput(x)
    np.testing.assert_allclose(net.forward(x=x)["y"], want.forward(), 1e-4, 1e-5)
