"""Passes in TEST run again by the calls of kernels that they came to, and never by stale ones."""

import threading

import numpy as np
import pytest

import caffelite
from caffelite.kernels import plan
from caffelite.layers.vision.convolution import Convolution

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "n" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "d" type: "Convolution" bottom: "c" top: "d" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "e" type: "Convolution" bottom: "c" top: "e" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "d" bottom: "e" top: "sum" }
layer { name: "drop" type: "Dropout" bottom: "sum" top: "sum" }
layer { name: "both" type: "Concat" bottom: "sum" bottom: "d" top: "both" }
layer { name: "i" type: "InnerProduct" bottom: "p" top: "i" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "y" type: "Softmax" bottom: "i" top: "y" }
"""


def made(tmp_path, economized=True):
    """A net with weights that are always the same."""
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    net, rng = caffelite.Net(file, caffelite.TEST), np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.random(blob.shape)
    if economized:
        net.economize(forward_only=True)
    return net


@pytest.fixture(params=[False, True], ids=["plain", "economized"])
def make(request, tmp_path):
    return lambda: made(tmp_path, request.param)


def inputs(seed, batch=1, size=9):
    return np.random.default_rng(seed).standard_normal((batch, 3, size, size), np.float32)


def results(net, x):
    return {name: values.copy() for name, values in net.forward(x=x).items()}


def assert_as_new(net, make, x, change=lambda net: None):
    """What the net gives now is what one gives that never ran before."""
    new = make()
    change(new)
    expected = results(new, x)
    for name, values in results(net, x).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.fixture
def replaying(make):
    """A net whose passes replay."""
    net = make()
    for seed in range(3):
        net.forward(x=inputs(seed))
    return net


@pytest.fixture
def steps(monkeypatch):
    """Names of the convolutions that run otherwise than by a replay."""
    ran, forward = [], Convolution.forward_with

    def noted(layer, *arguments):
        ran.append(layer.name)
        forward(layer, *arguments)

    monkeypatch.setattr(Convolution, "forward_with", noted)
    return ran


def test_a_third_pass_makes_the_calls_again(replaying, make, steps):
    for seed in range(3, 5):
        x = inputs(seed)
        got = results(replaying, x)
        assert not steps
        expected = results(make(), x)
        steps.clear()
        assert got.keys() == expected.keys() == {"y", "both"}
        for name, values in got.items():
            np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("layer", "index"), [("c", 0), ("c", 1), ("n", 0), ("n", 2), ("s", 0), ("d", 1), ("i", 0)]
)
def test_weights_that_change(replaying, make, layer, index):
    def change(net):
        net.params[layer][index].data[:1] = 0.3

    assert_as_new(replaying, make, inputs(5))
    change(replaying)
    for seed in range(5, 9):
        assert_as_new(replaying, make, inputs(seed), change)


def test_weights_that_are_held_and_change_now_and_then(replaying, make):
    held = replaying.params["c"][0].data[2:]
    for value in (0.3, 0.7, 0.1):
        for seed in range(4):
            assert_as_new(
                replaying, make, inputs(seed),
                lambda net: np.copyto(net.params["c"][0].data, replaying.params["c"][0].data),
            )  # fmt: skip
        held[...] = value


def test_another_size_and_back(replaying, make, steps):
    def wider(net):
        net.blobs["x"].reshape(2, 3, 9, 9)
        net.reshape()

    for batch in (2, 2, 2, 1, 1, 1, 2, 1):
        x = inputs(batch, batch)
        assert_as_new(replaying, make, x, wider if batch == 2 else lambda net: None)
    results(replaying, inputs(0))
    results(replaying, inputs(0))
    steps.clear()
    caffelite.Blob((3, 5)).reshape(4)  # of another net: nothing of this one changed
    results(replaying, inputs(0))
    assert not steps


def test_memory_that_changes(replaying, make):
    other = make()
    replaying.blobs["x"].share_data(other.blobs["x"])
    other.blobs["x"].data[...] = inputs(7)
    got = {name: values.copy() for name, values in replaying.forward().items()}
    for name, values in results(other, inputs(7)).items():
        np.testing.assert_array_equal(got[name], values)


def test_weights_of_another_net(replaying, make):
    other = make()
    other.params["d"][0].data[...] = 0.2
    replaying.share_with(other)
    for seed in range(3):
        x = inputs(seed)
        got = results(replaying, x)
        for name, values in results(other, x).items():
            np.testing.assert_array_equal(got[name], values)


def test_parts_of_a_pass_and_blobs_asked_for(replaying, make):
    for seed in range(4):
        x, new = inputs(seed), make()
        for net in (replaying, new):
            net.blobs["x"].data[...] = x
            net.forward(end="s")
        found, expected = (net.forward(start="p", end="p")["p"] for net in (replaying, new))
        np.testing.assert_array_equal(found, expected)
        found, expected = (net.forward(blobs=["d"], x=x)["d"] for net in (replaying, make()))
        np.testing.assert_array_equal(found, expected)
    assert_as_new(replaying, make, inputs(9))


def test_callbacks_see_each_layer(replaying, steps):
    seen = []
    replaying.after_forward(seen.append)
    replaying.forward(x=inputs(0))
    assert seen == list(range(len(replaying.layers))) and steps


def test_other_conditions(replaying, make, steps, monkeypatch):
    def from_another_thread():
        results(replaying, inputs(1))

    thread = threading.Thread(target=from_another_thread)
    thread.start()
    thread.join()
    assert steps
    for _ in range(3):
        results(replaying, inputs(1))
    steps.clear()
    monkeypatch.setattr(plan, "FORCED", ["im2col"])
    assert_as_new(replaying, make, inputs(1))
    assert steps


def test_layers_that_are_more_than_calls_run_each_time(tmp_path, make, steps):
    class Doubles(Convolution):
        """Of a user, who knows nothing of calls."""

        def forward(self, bottom, top):
            super().forward(bottom, top)
            top[0].data[...] *= 2

    net = make()
    place = [layer.name for layer in net.layers].index("e")
    net.layers[place].__class__ = Doubles
    expected = results(net, inputs(0))
    for _ in range(3):
        steps.clear()
        for name, values in results(net, inputs(0)).items():
            np.testing.assert_array_equal(values, expected[name])
    assert steps == ["e"]
