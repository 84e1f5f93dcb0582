"""A branch that is normalized and added in one step is there for whoever looks, at any time."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.net.fused.normalized_sum import NormalizedSumStep
from caffelite.proto import caffe_pb2

from .test_memory import fill
from .test_steps import HEAD, TAIL, conv, on


def unit(bottom, name, *after):
    """A branch of two convolutions, added to its bottom."""
    return (
        conv(f"{name}a", bottom)
        + on(f"{name}a", "BatchNorm", "Scale", "ReLU")
        + conv(f"{name}b", f"{name}a", bias=False)
        + on(f"{name}b", "BatchNorm", "Scale")
        + f'layer {{ name: "{name}" type: "Eltwise" bottom: "{bottom}" bottom: "{name}b" '
        f'top: "{name}" }}' + on(name, *after)
    )


STEM = HEAD + conv("stem", "x") + on("stem", "ReLU")
NETS = {
    "one reader": STEM + unit("stem", "u", "ReLU") + TAIL % "u",
    "two readers": STEM + unit("stem", "u", "ReLU") + unit("u", "v", "Leaky") + TAIL % "v",
    "three readers": STEM
    + unit("stem", "u", "ReLU")
    + unit("u", "v")
    + 'layer { name: "w" type: "Eltwise" bottom: "u" bottom: "v" top: "w" }'
    + TAIL % "w",
    "own scale": (STEM + unit("stem", "u", "ReLU6") + TAIL % "u").replace(
        on("ub", "BatchNorm", "Scale"), on("ub", "OwnScale")
    ),
    "no scale": (STEM + unit("stem", "u", "ReLU") + TAIL % "u").replace(
        on("ub", "BatchNorm", "Scale"), on("ub", "BatchNorm")
    ),
    "one reader of two learns": STEM
    + unit("stem", "u", "ReLU")
    + 'layer { name: "silent" type: "Silence" bottom: "u" }'
    + TAIL % "u",
}


def build(text, monkeypatch, planned=True, economizes=False):
    monkeypatch.setenv("CAFFELITE_PLAN", "on" if planned else "off")
    param = text_format.Parse(text, caffe_pb2.NetParameter())
    net = caffelite.Net(param, caffelite.TRAIN, seed=5)
    if economizes:
        net.economize()
    fill(net, 0)
    return net


def assert_same(one, two, names, kind="data"):
    for name in names:
        a, b = (getattr(net.blobs[name], kind) for net in (one, two))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=f"{name} {kind}")


def assert_same_gradients(one, two):
    for name, blobs in one.params.items():
        for mine, theirs in zip(blobs, two.params[name], strict=True):
            np.testing.assert_allclose(mine.diff, theirs.diff, rtol=1e-4, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(mine.data, theirs.data, rtol=1e-4, atol=1e-5, err_msg=name)


def has_memory(net, name):
    return net.blobs[name]._data.flat is not None


@pytest.mark.parametrize("economizes", [False, True])
@pytest.mark.parametrize("name", list(NETS))
def test_it_learns_what_layers_one_by_one_learn(name, economizes, monkeypatch):
    fused = build(NETS[name], monkeypatch, economizes=economizes)
    alone = build(NETS[name], monkeypatch, planned=False)
    assert any(isinstance(step, NormalizedSumStep) for step in fused.steps)
    for step in range(3):
        for net in (fused, alone):
            fill(net, step)
            net.clear_param_diffs()
            net.forward_backward()
        assert_same_gradients(fused, alone)
    assert not has_memory(fused, "ub")
    assert_same(fused, alone, fused.blobs)
    if not economizes:
        assert_same(fused, alone, fused.blobs, "diff")


def test_the_same_bits_whether_somebody_looks_or_not(monkeypatch):
    nets = [build(NETS["two readers"], monkeypatch) for _ in range(2)]
    held = nets[1].blobs["ub"].data
    for step in range(2):
        for net in nets:
            fill(net, step)
            net.clear_param_diffs()
            net.forward_backward()
        assert not has_memory(nets[0], "vb")
        np.testing.assert_array_equal(nets[0].blobs["ub"].data, held)
        for mine, theirs in zip(*(net.learnable for net in nets), strict=True):
            np.testing.assert_array_equal(mine.blob.diff, theirs.blob.diff)


def test_what_is_seen_is_of_the_last_forward_whatever_came_after(monkeypatch):
    fused, alone = (build(NETS["two readers"], monkeypatch, on) for on in (True, False))
    for net in (fused, alone):
        net.forward_backward()
        net.params["ub_1"][0].data[...] *= 3  # as an update does
        net.params["ub"][0].data[...] += 1
        net.blobs["x"].data[...] = 0
    assert not has_memory(fused, "ub")
    assert_same(fused, alone, ["ub", "vb"])


def test_an_array_that_somebody_holds_shows_each_pass(monkeypatch):
    fused, alone = (build(NETS["one reader"], monkeypatch, on) for on in (True, False))
    for net in (fused, alone):
        net.forward()
    held = fused.blobs["ub"].data[1:]  # a part of it is enough
    for seed in (1, 2):
        for net in (fused, alone):
            fill(net, seed)
            net.forward_backward()
        np.testing.assert_allclose(held, alone.blobs["ub"].data[1:], rtol=1e-4, atol=1e-5)
    assert fused.blobs["ub"].data.base is held.base
    del held
    fused.forward()
    assert not has_memory(fused, "ub")
    assert_same(fused, alone, ["ub"])


@pytest.mark.parametrize("end", ["ub", "ub_0", "ub_1", "u", "u_0", "va"])
def test_a_pass_may_end_anywhere(end, monkeypatch):
    fused, alone = (build(NETS["two readers"], monkeypatch, on) for on in (True, False))
    for net in (fused, alone):
        net.forward()
        fill(net, 1)
        net.forward(end=end)
    assert_same(fused, alone, fused.blobs)
    for net in (fused, alone):
        net.forward()
        net.backward()
    assert_same(fused, alone, fused.blobs, "diff")


@pytest.mark.parametrize("start", ["ub_0", "ub_1", "u", "u_0", "va"])
def test_what_is_written_there_counts_where_a_pass_starts_behind_it(start, monkeypatch):
    fused, alone = (build(NETS["two readers"], monkeypatch, on) for on in (True, False))
    for net in (fused, alone):
        net.forward()
        net.blobs["ub"].data[...] *= -1
        net.forward(start=start)
    assert_same(fused, alone, fused.blobs)


def test_backward_may_stop_within_the_step(monkeypatch):
    fused, alone = (build(NETS["two readers"], monkeypatch, on) for on in (True, False))
    for end in ("u_0", "u", "ub_1", "ub_0"):
        for net in (fused, alone):
            net.clear_param_diffs()
            net.forward()
            net.backward(end=end)
        assert_same_gradients(fused, alone)
        for net in (fused, alone):
            before = list(net.layer_dict)[list(net.layer_dict).index(end) - 1]
            net.backward(start=before)
        assert_same_gradients(fused, alone)


def test_another_shape_leaves_nothing_of_the_one_before(monkeypatch):
    fused, alone = (build(NETS["two readers"], monkeypatch, on) for on in (True, False))
    for batch in (4, 6, 2):
        for net in (fused, alone):
            net.blobs["x"].reshape(batch, 3, 7, 6)
            net.blobs["t"].reshape(batch)
            net.reshape()
        assert fused.blobs["ub"].data.shape == (batch, 5, 7, 6)
        for net in (fused, alone):
            fill(net, batch)
            net.forward_backward()
        assert_same(fused, alone, fused.blobs)


def test_whoever_watches_the_layers_sees_each_of_them(monkeypatch):
    seen = []
    for planned in (True, False):
        net = build(NETS["one reader"], monkeypatch, planned)
        place = list(net.layer_dict).index("ub_1")
        own = []
        seen.append(own)
        net.after_forward(
            lambda i, net=net, own=own, place=place: (
                own.append(net.blobs["ub"].data.copy()) if i == place else None
            )
        )
        net.forward_backward()
        assert net.forward(blobs=["ub"])["ub"].any()
    np.testing.assert_allclose(*seen, rtol=1e-4, atol=1e-5)


def test_a_net_told_to_keep_the_branch_keeps_it(monkeypatch):
    net = build(NETS["one reader"], monkeypatch)
    net.economize(keep=["ub"])
    net.forward()
    assert not has_memory(net, "ub")  # its data is computed all the same, once it is looked at
    assert net.blobs["ub"].data.any()
