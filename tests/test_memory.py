"""Nets whose blobs use memory in turn compute what nets compute that have it all."""

import sys

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import NetError
from caffelite.proto import caffe_pb2

from .test_steps import HEAD, NETS, TAIL, conv, on


class Forgetful(caffelite.Layer):
    """Gives no gradient to bottom 1, whatever it is asked for."""

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + bottom[1].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff


def one_by_one(name, bottom):
    return f"""
    layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
      convolution_param {{ num_output: 5 kernel_size: 1
        weight_filler {{ type: "gaussian" std: 0.3 }} }} }}"""


def concat(name, *bottoms):
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "Concat" {read} top: "{name}" }}'


ADDED_UP = {  # all readers of "a" but the last can add to its diff
    "a unit of DenseNet": HEAD
    + conv("a", "x")
    + 'layer { name: "n" type: "BatchNorm" bottom: "a" top: "n" }'
    + on("n", "Scale", "ReLU")
    + conv("b", "n")
    + concat("c", "a", "b")
    + TAIL % "c",
    "branches": HEAD
    + conv("a", "x")
    + on("a", "ReLU")
    + one_by_one("p", "a")
    + on("p", "ReLU")
    + one_by_one("q", "a")
    + conv("r", "a")
    + concat("c", "q", "r", "p")
    + TAIL % "c",
}
MORE = {
    **ADDED_UP,
    "no reader that adds": HEAD
    + conv("a", "x")
    + conv("b", "a")
    + one_by_one("p", "a")
    + concat("c", "b", "p")
    + TAIL % "c",
    "readers in place and in another shape": HEAD
    + conv("a", "x")
    + one_by_one("p", "a")
    + on("p", "BatchNorm")
    + 'layer { name: "f" type: "Flatten" bottom: "p" top: "f" }'
    + one_by_one("q", "p")
    + 'layer { name: "g" type: "Flatten" bottom: "q" top: "g" }'
    + concat("c", "f", "g")
    + TAIL % "c",
    "a long line": HEAD
    + "".join(conv(f"c{i}", f"c{i - 1}" if i else "x") for i in range(6))
    + TAIL % "c5",
    "shapes shared": HEAD
    + conv("a", "x")
    + 'layer { name: "f" type: "Flatten" bottom: "a" top: "f" }'
    + 'layer { name: "r" type: "Reshape" bottom: "f" top: "r" reshape_param {'
    " shape { dim: 0 dim: 5 dim: -1 dim: 6 } } }" + conv("b", "r") + TAIL % "b",
    "read but never written": HEAD
    + conv("a", "x")
    + conv("b", "a", num_output=5)
    + 'layer { name: "s" type: "Eltwise" bottom: "a" bottom: "b" top: "s"'
    " propagate_down: false propagate_down: true }" + TAIL % "s",
    "cropped": HEAD + conv("a", "x") + 'layer { name: "p" type: "Pooling" bottom: "a" top: "p"'
    " pooling_param { pool: AVE kernel_size: 2 stride: 2 } }"
    + 'layer { name: "c" type: "Crop" bottom: "a" bottom: "p" top: "c" }'
    + TAIL % "c",
    "forgetful": HEAD
    + conv("a", "x")
    + conv("b", "x")
    + 'layer { name: "p" type: "Python" bottom: "a" bottom: "b" top: "p"'
    f' python_param {{ module: "{__name__}" layer: "Forgetful" }} }}' + TAIL % "p",
    "parameter": HEAD
    + conv("a", "x")
    + 'layer { name: "w" type: "Parameter" top: "w" parameter_param {'
    " shape { dim: 4 dim: 5 dim: 7 dim: 6 } } }"
    + 'layer { name: "s" type: "Eltwise" bottom: "a" bottom: "w" top: "s" }'
    + TAIL % "s",
    "normalized apart": HEAD
    + conv("a", "x")
    + 'layer { name: "n" type: "BatchNorm" bottom: "a" top: "n" }'
    + on("n", "Scale", "ReLU")
    + conv("b", "n")
    + 'layer { name: "s" type: "Eltwise" bottom: "a" bottom: "b" top: "s" }'
    + TAIL % "s",
    "two losses": HEAD
    + conv("a", "x")
    + (TAIL % "a").replace('"ip"', '"aux"').replace('"loss"', '"aux_loss"')
    + conv("b", "a")
    + on("b", "ReLU")
    + TAIL % "b",
}


def build(text, phase=caffelite.TRAIN):
    assert sys.modules[__name__]  # where "forgetful" finds its layer
    param = text_format.Parse(text, caffe_pb2.NetParameter())
    net = caffelite.Net(param, phase, seed=5)
    fill(net, 0)
    return net


def fill(net, seed):
    generator = np.random.default_rng(seed)
    net.blobs["x"].data[...] = generator.standard_normal(net.blobs["x"].shape)
    net.blobs["t"].data[...] = generator.integers(0, 3, net.blobs["t"].shape)


def pieces(net, kind):
    """Sizes of the memory in use for the blobs of a net, each piece once."""
    found = {id(getattr(b, kind)): getattr(b, kind).flat for b in net.blobs.values()}
    return [flat.size for flat in found.values() if flat is not None]


@pytest.mark.parametrize("text", [*NETS.values(), *MORE.values()], ids=[*NETS, *MORE])
def test_training_computes_the_same(text):
    apart, economic = build(text), build(text)
    economic.economize()
    for step in range(3):
        for net in (apart, economic):
            fill(net, step)
            net.clear_param_diffs()
            net.forward_backward()
        for name, blobs in apart.params.items():
            for mine, theirs in zip(blobs, economic.params[name], strict=True):
                np.testing.assert_array_equal(mine.data, theirs.data, err_msg=name)
                np.testing.assert_array_equal(mine.diff, theirs.diff, err_msg=name)
    assert sum(pieces(economic, "_diff")) <= sum(pieces(apart, "_diff"))


@pytest.mark.parametrize("text", [*NETS.values(), *MORE.values()], ids=[*NETS, *MORE])
def test_testing_computes_the_same(text):
    apart, economic = build(text, caffelite.TEST), build(text, caffelite.TEST)
    economic.economize(forward_only=True)
    for step in range(3):
        for net in (apart, economic):
            fill(net, step)
            net.forward()
        for name in apart.outputs:
            # a convolution's bias and the mean after it are subtracted in one go
            mine, theirs = apart.blobs[name].data, economic.blobs[name].data
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_blobs_that_are_asked_for_are_as_they_should_be():
    text = MORE["a long line"]
    apart, economic = build(text, caffelite.TEST), build(text, caffelite.TEST)
    economic.economize(forward_only=True)
    before = sum(pieces(economic, "_data"))
    for names in ["c1"], ["c4", "c0"], ["c1"]:
        expected = apart.forward(blobs=names)
        for name, values in economic.forward(blobs=names).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
    economic.forward()
    np.testing.assert_array_equal(economic.blobs["c4"].data, apart.blobs["c4"].data)
    assert before < sum(pieces(economic, "_data")) < sum(pieces(apart, "_data"))


def test_what_users_have_stays_where_blobs_are_asked_for():
    text = MORE["a long line"]
    apart, economic = nets = build(text, caffelite.TEST), build(text, caffelite.TEST)
    economic.economize(forward_only=True)
    seen = [net.blobs["c4"].data for net in nets]
    for name, start in ("c4", None), ("c3", "c3"):
        for net in nets:
            net.blobs["c2"].data[...] = 0.5
        found, expected = (net.forward([name], start=start) for net in (economic, apart))
        for one, values in found.items():
            np.testing.assert_array_equal(values, expected[one], err_msg=one)
        np.testing.assert_array_equal(*seen)


def test_a_blob_that_others_have_written_over_is_refused():
    net = build(MORE["a long line"], caffelite.TEST)
    net.economize(forward_only=True)
    net.forward()
    with pytest.raises(NetError, match='"c1" is not made from layer "c3" on; .*keep='):
        net.forward(["c1"], start="c3")
    expected = net.forward(["c1"])["c1"].copy()
    np.testing.assert_array_equal(net.forward(["c1"], start="c3")["c1"], expected)


@pytest.mark.parametrize("keep", [(), ("n",)], ids=["for callbacks", "kept"])
def test_a_diff_that_somebody_looks_at_is_as_it_should_be(keep):
    found = []
    for economizes in (False, True):
        net, seen = build(MORE["normalized apart"]), {}

        def look(place, net=net, seen=seen):
            if net.layers[place].name == "n":
                seen["n"] = net.blobs["n"].diff.copy()

        if economizes:
            net.economize(keep=keep)
        if not keep:
            net.after_backward(look)
        net.forward_backward()
        found.append(seen["n"] if not keep else net.blobs["n"].diff.copy())
    assert found[0].any()
    np.testing.assert_array_equal(*found)


def test_a_long_line_needs_two_diffs_and_two_blobs():
    net = build(MORE["a long line"])
    net.economize()
    net.forward_backward()
    size = net.blobs["c0"].count
    assert [count for count in pieces(net, "_diff") if count >= size] == [size, size]
    net = build(MORE["a long line"], caffelite.TEST)
    net.economize(forward_only=True)
    net.forward()
    assert [count for count in pieces(net, "_data") if count >= size] == [size, size]


def test_another_batch_size_passes_through():
    nets = [build(NETS["residual"]) for _ in range(2)]
    nets[1].economize()
    for batch in (4, 9, 2):
        for net in nets:
            net.blobs["x"].reshape(batch, 3, 7, 6)
            net.blobs["t"].reshape(batch)
            fill(net, batch)
            net.clear_param_diffs()
            net.forward_backward()
        for name, blobs in nets[0].params.items():
            for mine, theirs in zip(blobs, nets[1].params[name], strict=True):
                np.testing.assert_array_equal(mine.diff, theirs.diff, err_msg=name)


def gradients(net):
    return [blob.diff.copy() for blobs in net.params.values() for blob in blobs]


def compare(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("text", ADDED_UP.values(), ids=ADDED_UP)
def test_readers_of_a_blob_add_to_one_diff(text):
    apart, net = build(text), build(text)
    net.economize()
    (split,) = (node for node in net.nodes if node.layer.splits)
    assert all(top.shares_diff_with(split.bottom_blobs[0]) for top in split.top_blobs)
    for one in (apart, net):
        one.forward_backward()
    compare(gradients(net), gradients(apart))
    for one in (apart, net):
        one.clear_param_diffs()
        for name in reversed(one.layer_dict):
            one.backward(start=name, end=name)
    compare(gradients(net), gradients(apart))
    net.backward(end="c")
    reader = next(name for name in net.layer_dict if name in "np")
    net.backward(start=reader, end=reader)  # a pass that nobody goes on with
    net.backward(start=reader, end=reader)
    net.clear_param_diffs()
    net.backward()  # layer by layer once more
    compare(gradients(net), gradients(apart))


def test_a_reader_that_can_no_longer_add_is_added_to():
    text = ADDED_UP["a unit of DenseNet"]
    apart, net = build(text), build(text)
    net.economize()
    for one in (apart, net):
        one.layer_dict["n"].options.use_global_stats = True
        one.layer_dict["n"].keep_statistics(np.full(5, 0.1), np.full(5, 2.0))
        one.forward_backward()
    compare(gradients(net), gradients(apart))


def test_diffs_of_readers_that_are_seen_are_their_own():
    text = ADDED_UP["a unit of DenseNet"]
    apart, net, told = build(text), build(text), build(text)
    (split,) = (node for node in net.nodes if node.layer.splits)
    net.economize(keep=split.top_names)
    for one in (apart, net):
        one.forward_backward()
    for name in split.top_names:
        np.testing.assert_array_equal(net.blobs[name].diff, apart.blobs[name].diff)
        assert net.blobs[name].diff.any()
    told.debug_info = True
    told.economize()
    assert not told.blobs[split.top_names[0]].shares_diff_with(told.blobs["a"])
