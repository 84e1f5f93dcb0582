"""Listings, figures and formulas of courses on convolutional networks, as slides print them."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.lint import lint_text
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto import caffe_pb2
from caffelite.proto.text import read_net
from caffelite.testing import make_layer

ROOT = Path(__file__).parents[1]
LISTINGS = ROOT / "tests" / "golden" / "course"

HEADERS = [
    "import caffelite as caffe\nfrom caffelite import layers as L, params as P\n",
    "import caffe\nfrom caffe import layers as L, params as P\n",
]


@pytest.fixture
def caffe_installed(monkeypatch):
    """`import caffe` finds caffelite, until the test ends."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "caffe"]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    caffelite.install_as_caffe()
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "caffe":
            del sys.modules[name]


@pytest.fixture(params=HEADERS, ids=["caffelite", "caffe"])
def listing(request, caffe_installed):
    """listing(name) runs one, and returns the names that it defines."""

    def run(name):
        names = {}
        exec(request.param + (LISTINGS / f"{name}.txt").read_text(), names)
        return names

    return run


def net_of(proto, phase=caffelite.TRAIN):
    assert text_format.Parse(str(proto), caffe_pb2.NetParameter()) == proto
    assert all(finding.advice for finding in lint_text(str(proto)))
    return caffelite.Net(proto, phase, seed=1)


def train_a_step(net):
    loss = net.forward()["loss"]
    net.backward()
    assert np.isfinite(loss)
    assert all(np.isfinite(b.diff).all() for blobs in net.params.values() for b in blobs)


def test_lenet_runs_as_printed(listing):
    net = net_of(listing("lenet")["lenet"](4))
    sizes = {name: blob.shape[1:] for name, blob in net.blobs.items()}
    assert sizes["conv1"] == (20, 24, 24) and sizes["pool1"] == (20, 12, 12)
    assert sizes["conv2"] == (50, 8, 8) and sizes["pool2"] == (50, 4, 4)
    assert sum(b.count for blobs in net.params.values() for b in blobs) == 431_080
    train_a_step(net)


def test_blocks_of_caffenet_run_as_printed(listing):
    names = listing("caffenet")
    conv_relu, fc_relu = names["conv_relu"], names["fc_relu"]
    n = NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[1, 3, 67, 67]), dict(dim=[1])], ntop=2)
    n.conv1, n.relu1 = conv_relu(n.data, 11, 8, stride=4)
    n.pool1 = L.Pooling(n.relu1, kernel_size=3, stride=2, pool=P.Pooling.MAX)
    n.norm1 = L.LRN(n.pool1, local_size=5, alpha=1e-4, beta=0.75)
    n.conv2, n.relu2 = conv_relu(n.norm1, 5, 8, pad=2, group=2)
    n.fc6, n.relu6 = fc_relu(n.relu2, 16)
    n.drop6 = L.Dropout(n.relu6, in_place=True)
    n.fc8 = L.InnerProduct(n.drop6, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    n.acc = L.Accuracy(n.fc8, n.label, include=dict(phase=caffelite.TEST))
    net = net_of(n.to_proto())
    assert net.params["conv2"][0].shape == (8, 4, 5, 5)
    train_a_step(net)


def test_units_of_a_residual_net_run_as_printed(listing):
    unit = listing("resnet_v2")["res_v2_unit"]
    n = NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[2, 3, 8, 8]), dict(dim=[2])], ntop=2)
    fill = dict(weight_filler=dict(type="gaussian"))
    n.conv0 = L.Convolution(n.data, kernel_size=3, pad=1, num_output=4, **fill)
    n.res1 = unit(n.conv0, 3, 4)
    n.res2 = unit(n.res1, 3, 4)
    n.fc = L.InnerProduct(n.res2, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.fc, n.label)
    net = net_of(n.to_proto())
    types = [layer.type for layer in net.layers if layer.type != "Split"]
    each = ["BatchNorm", "Scale", "ReLU", "Convolution"]
    rest = ["InnerProduct", "SoftmaxWithLoss"]
    assert types == ["DummyData", "Convolution", *2 * (each + each + ["Eltwise"]), *rest]
    train_a_step(net)
    (conv,) = (bottoms[0] for name, bottoms in net.bottom_names.items() if name == "res1")
    total = net.blobs[conv].data + net.blobs["conv0"].data  # in place: the ReLU's, as in Caffe
    np.testing.assert_array_equal(net.blobs["res1"].data, total)


@pytest.mark.parametrize(
    "fragment, rate",
    [
        ('base_lr: 0.01\nlr_policy: "fixed"', lambda t: 0.01),
        (
            'base_lr: 0.01\nlr_policy: "step"\ngamma: 0.1\nstepsize: 100000',
            lambda t: 0.01 * 0.1 ** (t // 100000),
        ),
        (
            'base_lr: 0.01\nlr_policy: "poly"\npower: 0.5',
            lambda t: 0.01 * float(1 - np.float32(t) / 450000) ** 0.5,  # in float32, as in Caffe
        ),
        (
            'base_lr: 0.01\nlr_policy: "inv"\ngamma: 0.0001\npower: 0.75',
            lambda t: 0.01 * (1 + 0.0001 * t) ** -0.75,
        ),
    ],
    ids=["fixed", "step", "poly", "inv"],
)
def test_learning_rates_follow_their_formulas(tmp_path, fragment, rate):
    (finding,) = lint_text(fragment)
    assert finding.advice and finding.message.startswith("only part of a solver")
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'
        'layer { name: "w" type: "Bias" bottom: "x" top: "y" bias_param { axis: 0 } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "x" top: "loss" }'
    )
    solver_file = tmp_path / "solver.prototxt"
    solver_file.write_text(f'net: "{tmp_path}/net.prototxt"\nmax_iter: 450000\n{fragment}')
    solver = caffelite.get_solver(str(solver_file))
    for solver.iter in (0, 1, 99_999, 100_000, 200_000, 449_999):
        assert solver.lr == pytest.approx(rate(solver.iter), rel=1e-6)


# Formulas


@pytest.mark.parametrize("name, layers", [("alexnet-ungrouped", 2), ("vgg-11-lrn", 1)])
def test_normalization_across_maps_has_the_numbers_of_its_paper(name, layers):
    """y_p = x_p / (k + alpha * sum_j x_j^2)^beta, j = max(1, p - n / 2) .. min(P, p + n / 2)."""
    n, k, alpha, beta, maps = 5, 2, 1e-4, 0.75, 8
    x = np.random.default_rng(0).normal(0, 100, (2, maps, 3, 4))
    y = np.empty_like(x)
    for p in range(1, maps + 1):
        neighbours = range(max(1, p - n // 2), min(maps, p + n // 2) + 1)
        squares = sum(x[:, j - 1] ** 2 for j in neighbours)
        y[:, p - 1] = x[:, p - 1] / (k + alpha * squares) ** beta
    net = read_net(ROOT / "models" / name / "train_val.prototxt")
    found = [layer.lrn_param for layer in net.layer if layer.type == "LRN"]
    assert len(found) == layers
    for options in found:
        layer, bottom, top = make_layer("LRN", [x], f"lrn_param {{ {options} }}")
        layer.forward(bottom, top)
        np.testing.assert_allclose(top[0].data, y, rtol=1e-6)  # alpha is a float32


# Sizes


def test_alexnet_has_the_sizes_and_numbers_of_parameters_of_the_listing():
    """Each line gives the size of a layer's output, its name, and what it does."""
    n, x, sizes = NetSpec(), None, {}
    for line in (LISTINGS / "alexnet.txt").read_text().splitlines():
        size, _, rest = line[1:].partition("] ")
        name, _, what = rest.partition(": ")
        size = [int(side) for side in size.split("x")]
        x = n[name] = described(x, what, size)
        sizes[name] = (1, *size[-1:], *size[:-1])
    net = net_of(n.to_proto(), caffelite.TEST)
    assert {name: net.blobs[name].shape for name in sizes} == sizes
    learned = {name: sum(b.count for b in blobs) for name, blobs in net.params.items()}
    assert learned["CONV1"] == 34_944 and learned["CONV2"] == 614_656
    assert learned["CONV4"] == 1_327_488
    assert (learned["FC6"], learned["FC7"], learned["FC8"]) == (37_752_832, 16_781_312, 4_097_000)


def described(x, what, size):
    """The layer that such words stand for: "96 11x11 filters at stride 4, pad 0", ..."""
    numbers = [int(number) for number in re.findall(r"\d+", what)]
    if not what:
        return L.Input(shape=dict(dim=[1, size[2], *size[:2]]))
    if "pad" in what:
        outputs, kernel, _, stride, pad = numbers
        return L.Convolution(x, num_output=outputs, kernel_size=kernel, stride=stride, pad=pad)
    if "stride" in what:
        return L.Pooling(x, kernel_size=numbers[0], stride=numbers[2])
    return L.InnerProduct(x, num_output=numbers[0]) if numbers else L.LRN(x)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_sizes_follow_their_formula(stride, pad):
    for side in range(5, 12):
        options = f"num_output: 1 kernel_size: 3 stride: {stride} pad: {pad}"
        _, _, (top,) = make_layer(
            "Convolution", [(1, 1, side, side)], f"convolution_param {{ {options} }}"
        )
        assert top.shape[2] == (side + 2 * pad - 3) // stride + 1


def test_lenet_5_has_the_sizes_of_the_notes_and_60_thousand_parameters():
    n = NetSpec()
    n.x = L.Input(shape=dict(dim=[1, 1, 32, 32]))
    n.c1 = L.Convolution(n.x, kernel_size=5, num_output=6)
    n.s2 = L.Pooling(n.c1, kernel_size=2, stride=2, pool=P.Pooling.AVE)
    n.c3 = L.Convolution(n.s2, kernel_size=5, num_output=16)
    n.s4 = L.Pooling(n.c3, kernel_size=2, stride=2, pool=P.Pooling.AVE)
    n.c5 = L.InnerProduct(n.s4, num_output=120)
    n.f6 = L.InnerProduct(n.c5, num_output=84)
    n.y = L.InnerProduct(n.f6, num_output=10)
    net = net_of(n.to_proto(), caffelite.TEST)
    shapes = [blob.shape[1:] for blob in net.blobs.values()]
    assert shapes[1:5] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]
    assert round(sum(b.count for blobs in net.params.values() for b in blobs), -4) == 60_000


# Worked examples
