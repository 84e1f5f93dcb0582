"""Where blobs share memory, a convolution of single channels and one of 1 x 1 run as one."""

import numpy as np
import pytest
from numba import config

import caffelite
from caffelite.kernels import convolve, direct_turned, plan, separable
from caffelite.kernels._vectors import VECTOR_BYTES
from caffelite.kernels.separable import LANED_X, LANED_Y
from caffelite.net.fused.separable import SeparableStep
from caffelite.net.laned import LanedStep

from .reference import convolve as slow
from .reference import epilogue

NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 6 dim: 9 dim: {width} }} }} }}
layer {{ name: "h" type: "Convolution" bottom: "x" top: "h" convolution_param {{
  num_output: 6 group: 6 kernel_size: 3 {first} weight_filler {{ type: "gaussian" std: 1 }}
  bias_filler {{ type: "gaussian" std: 1 }} }} }}
{norm}
layer {{ name: "p" type: "Convolution" bottom: "h" top: "p" convolution_param {{
  num_output: 40 kernel_size: 1 {then} weight_filler {{ type: "gaussian" std: 1 }} }} }}
layer {{ name: "a" type: "ReLU" bottom: "p" top: "p" }}
layer {{ name: "last" type: "Pooling" bottom: "p" top: "last" pooling_param {{
  kernel_size: 2 stride: 2 }} }}
"""  # noqa: E501
NORM = """
layer { name: "n" type: "BatchNorm" bottom: "h" top: "h" }
layer { name: "s" type: "Scale" bottom: "h" top: "h" scale_param { bias_term: true
  filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 } } }
layer { name: "r" type: "ReLU" bottom: "h" top: "h" }
"""


def text(first="pad: 1", then="", norm=NORM, width=7):
    return NET.format(first=first, then=then, norm=norm, width=width)


SINGLE = (1, 1), (0, 0), (1, 1), 1  # strides, pads, dilations and groups of 1 x 1 kernels

CASES = {  # and whether both run as one
    "narrow": (text(), True),
    "wide": (text(width=37), True),
    "stride": (text("pad: 1 stride: 2"), True),
    "wide, stride": (text("stride: 2", width=75), True),
    "plain": (text(norm=""), True),
    "spread": (text("pad: 2 dilation: 2"), False),
    "strided after": (text(then="stride: 2"), False),
    "groups after": (text(then="group: 2"), False),
}


@pytest.fixture
def lanes_pay(monkeypatch):
    """Whatever can be laned is, on any CPU."""
    monkeypatch.setattr(separable, "lanes_pay", lambda *_: True)
    monkeypatch.setattr(direct_turned, "lanes_pay", lambda _: True)


def build(folder, definition, economize):
    (folder / "net.prototxt").write_text(definition)
    net, rng = caffelite.Net(folder / "net.prototxt", caffelite.TEST), np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0.5 + rng.random(blob.shape)
    if economize:
        net.economize(forward_only=True)
    return net


@pytest.fixture
def runs(monkeypatch):
    """How often both ran as one, in blocks of a few lines."""
    ran, run = [], separable.multiply_packed

    def noted(*arguments):
        ran.append(arguments)
        run(*arguments)

    monkeypatch.setattr(separable, "multiply_packed", noted)
    monkeypatch.setattr(separable, "BLOCK_BYTES", 1000)
    return ran


@pytest.mark.parametrize("way", ["pointwise", "turned"])
@pytest.mark.parametrize("name", list(CASES))
def test_both_as_one_give_what_layers_give(name, way, tmp_path, monkeypatch, runs):
    monkeypatch.setattr(plan, "FORCED", ["depthwise", way])
    monkeypatch.setattr("caffelite.kernels.turned.MIN_ROWS", 1)
    definition, fuses = CASES[name]
    plain, economized = (build(tmp_path, definition, shared) for shared in (False, True))
    assert any(isinstance(step, SeparableStep) for step in economized.steps) or not fuses
    assert not any(isinstance(step, SeparableStep) for step in plain.steps)
    for batch in (2, 1, 3):
        shape = batch, *plain.blobs["x"].shape[1:]
        x = np.random.default_rng(batch).standard_normal(shape).astype(np.float32)
        found, expected = (net.forward(x=x)["last"] for net in (economized, plain))
        np.testing.assert_array_equal(found, expected)
    for layer in "h", "p":
        for net in plain, economized:
            net.params[layer][0].data[:1] = 0.25
        found, expected = (net.forward()["last"] for net in (economized, plain))
        np.testing.assert_array_equal(found, expected)
    assert bool(runs) == fuses


def test_the_kernel_gives_what_its_twin_gives(runs):
    draw = np.random.default_rng(0).integers
    x, w, v = (
        draw(-3, 4, shape).astype(np.float32)
        for shape in ((2, 3, 10, 7), (3, 1, 5, 5), (33, 3, 1, 1))
    )
    between, y, expected = (np.empty((2, n, 5, 4), np.float32) for n in (3, 33, 33))
    first = (2, 2), (2, 2), (1, 1), 3
    plans = plan.plan_separable(
        plan.plan_convolution(x.shape, w.shape, between.shape, *first, 4, kept=True),
        plan.plan_convolution(between.shape, v.shape, y.shape, *SINGLE, 4, kept=True),
        len(x), 4,
    )  # fmt: skip
    last = [epilogue.draw(epilogue.ACTIVATIONS["relu"], np.float32, n, True) for n in (3, 33)]
    keep = [lambda pack, use, w=w: pack(w) for w in (w, v)]
    convolve.forward_separable(x, y, plans, last, keep)
    slow.forward_separable(x, expected, plans, last, keep)
    np.testing.assert_array_equal(y, expected)


def test_whoever_looks_between_sees_what_the_first_gives(tmp_path, runs):
    plain, economized = (build(tmp_path, text(), shared) for shared in (False, True))
    x = np.random.default_rng(0).standard_normal(plain.blobs["x"].shape).astype(np.float32)
    for _ in range(4):
        economized.forward(x=x)
    runs.clear()
    expected = plain.forward(blobs=["h"], x=x)
    for name, values in economized.forward(blobs=["h"], x=x).items():
        np.testing.assert_array_equal(values, expected[name])
    np.testing.assert_array_equal(economized.forward(end="r", x=x)["h"], expected["h"])
    assert not runs


@pytest.mark.usefixtures("lanes_pay")
@pytest.mark.parametrize("number", [LANED_X, LANED_Y, LANED_X | LANED_Y])
@pytest.mark.parametrize(("size", "stride", "lines", "columns"), [
    (3, 1, 9, 11), (3, 2, 12, 3), (5, 2, 7, 16), pytest.param(5, 1, 3, 2, marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
def test_laned_arrays_hold_the_same(dtype, size, stride, lines, columns, number, monkeypatch):
    wide = VECTOR_BYTES // np.dtype(dtype).itemsize
    monkeypatch.setattr(separable, "BLOCK_BYTES", 3000)
    draw, outputs = np.random.default_rng(0).integers, 3 * wide
    x, w, v = (
        draw(-3, 4, shape).astype(dtype)
        for shape in (
            (2, 2 * wide, lines, columns),
            (2 * wide, 1, size, size),
            (outputs, 2 * wide, 1, 1),
        )
    )
    out = [-(-side // stride) for side in (lines, columns)]
    between, y, expected = (np.empty((2, n, *out), dtype) for n in (2 * wide, outputs, outputs))
    first = (stride, stride), (size // 2, size // 2), (1, 1), 2 * wide
    plans = plan.plan_separable(
        plan.plan_convolution(x.shape, w.shape, between.shape, *first, x.itemsize, kept=True),
        plan.plan_convolution(between.shape, v.shape, y.shape, *SINGLE, x.itemsize, kept=True),
        len(x), x.itemsize, number,
    )  # fmt: skip
    last = [
        epilogue.draw(epilogue.ACTIVATIONS[name], dtype, n, True)
        for name, n in (("relu", 2 * wide), ("leaky", outputs))
    ]
    keep = [lambda pack, use, w=w: pack(w) for w in (w, v)]
    given = slow.laned(x) if number & LANED_X else x
    convolve.forward_separable(given, y, plans, last, keep)
    slow.forward_separable(x, expected, plans, last, keep)
    np.testing.assert_array_equal(y, slow.laned(expected) if number & LANED_Y else expected)


@pytest.mark.usefixtures("lanes_pay")
@pytest.mark.parametrize(("shape", "size", "stride", "dilation"), [
    ((2, 3, 11, 31), 3, 2, 1), ((1, 2, 9, 5), 5, 1, 1), ((1, 4, 12, 40), 3, 1, 2),
])  # fmt: skip
def test_a_convolution_gives_a_laned_top(shape, size, stride, dilation):
    wide = VECTOR_BYTES // 4
    draw, pad = np.random.default_rng(0).integers, size // 2 * dilation
    x, w = (draw(-3, 4, s).astype(np.float32) for s in (shape, (3 * wide, shape[1], size, size)))
    out = [-(-side // stride) for side in shape[2:]]
    y, expected = np.empty((2, len(x), 3 * wide, *out), np.float32)
    geometry = (stride, stride), (pad, pad), (dilation, dilation), 1
    last = epilogue.draw(epilogue.ACTIVATIONS["relu"], np.float32, 3 * wide, True)
    for module, to in (convolve, y), (slow, expected):
        module.forward_laned(x, w.shape, to, *geometry, last, lambda pack, use: pack(w))
    np.testing.assert_array_equal(y, expected)


LANED_NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 17 dim: 19 } } }
"""
LAYER = """
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{
  num_output: {outputs} group: {group} kernel_size: {size} pad: {pad} stride: {stride}
  weight_filler {{ type: "gaussian" std: 0.2 }} bias_filler {{ type: "gaussian" std: 1 }} }} }}
layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}
"""


def laned_text():
    """A convolution and three separable ones; the top of the third is no whole vectors."""
    text, bottom, inputs = LANED_NET, "x", 3
    for name, outputs, stride in ("a", 32, 2), ("b", 48, 1), ("c", 64, 2), ("d", 40, 1):
        parts = [(name, outputs, 1, 3, stride)]
        if name != "a":
            parts = [(f"{name}1", inputs, inputs, 3, stride), (name, outputs, 1, 1, 1)]
        for part, outs, group, size, step in parts:
            text += LAYER.format(
                name=part, bottom=bottom, outputs=outs, group=group, size=size,
                pad=size // 2, stride=step,
            )  # fmt: skip
            bottom = part
        inputs = outputs
    return (
        text
        + """
layer { name: "last" type: "Pooling" bottom: "d" top: "last" pooling_param {
  pool: AVE global_pooling: true } }
"""
    )


@pytest.fixture
def numbers(lanes_pay, monkeypatch):
    """What was laned, of each pair that ran as one."""
    found, run = [], separable.multiply_packed

    def noted(x, packed, y, plans, *more):
        found.append(plans[1].laned)
        run(x, packed, y, plans, *more)

    monkeypatch.setattr(separable, "multiply_packed", noted)
    return found


def test_blobs_between_are_laned_where_nobody_looks(tmp_path, numbers):
    plain, economized = (build(tmp_path, laned_text(), shared) for shared in (False, True))
    (step,) = (step for step in economized.steps if isinstance(step, LanedStep))
    assert [part.nodes[0].layer.name for part in step.steps] == ["a", "b1", "c1", "d1"]
    for batch in (2, 1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 3, 17, 19)).astype(np.float32)
        numbers.clear()
        found, expected = (net.forward(x=x)["last"] for net in (economized, plain))
        assert numbers == [LANED_X | LANED_Y] * 2 + [LANED_X]
        for _ in range(3):  # replayed, in the end
            np.testing.assert_array_equal(found, expected)
            found = economized.forward()["last"]
    for layer in "a", "b1", "c":
        for net in plain, economized:
            net.params[layer][0].data[:1] = 0.25
        found, expected = (net.forward()["last"] for net in (economized, plain))
        np.testing.assert_array_equal(found, expected)
    for name in "a", "b1", "b", "d":
        expected = plain.forward(blobs=[name])
        for known, values in economized.forward(blobs=[name]).items():
            np.testing.assert_array_equal(values, expected[known])
        np.testing.assert_array_equal(economized.forward(end=f"{name}_relu")[name], expected[name])


def test_the_last_laned_blob_is_one_that_may_be_turned(tmp_path, numbers, monkeypatch):
    def pays(first, then, vector, laned):
        return laned != LANED_X or first.group < 64  # that of "d1"

    monkeypatch.setattr(separable, "lanes_pay", pays)
    plain, economized = (build(tmp_path, laned_text(), shared) for shared in (False, True))
    expected = plain.forward()["last"]
    np.testing.assert_array_equal(economized.forward()["last"], expected)
    assert numbers == [LANED_X | LANED_Y, LANED_X, 0]


@pytest.mark.parametrize(("inputs", "vectors", "side", "number", "broadcasts", "pays"), [
    (96, 4, 32, LANED_X, True, True), (64, 4, 32, LANED_X, True, False),
    (64, 4, 32, LANED_X | LANED_Y, True, True), (96, 3, 32, LANED_X | LANED_Y, True, False),
    (96, 4, 32, LANED_X, False, False), (32, 1, 1, LANED_X, False, True),
])  # fmt: skip
def test_lanes_are_outputs_where_that_pays(
    inputs, vectors, side, number, broadcasts, pays, monkeypatch
):
    wide = VECTOR_BYTES // 4
    shape, outputs = (1, inputs, side, side), vectors * wide
    plans = (
        plan.plan_convolution(shape, w, (1, w[0], side, side), *geometry, 4, kept=True).forward
        for w, geometry in (
            ((inputs, 1, 3, 3), ((1, 1), (1, 1), (1, 1), inputs)),
            ((outputs, inputs, 1, 1), SINGLE),
        )
    )
    monkeypatch.setattr(separable, "BROADCASTS", broadcasts)
    assert separable.lanes_pay(*plans, wide, number) == pays


@pytest.mark.usefixtures("lanes_pay")
@pytest.mark.parametrize(("lines", "batch", "threads", "shares"), [
    (14, 1, 2, "lines"), (7, 1, 2, "outputs"), (7, 8, 2, "lines"), (14, 1, 4, "outputs"),
    (14, 1, 16, "outputs"), (3, 1, 64, None), (112, 1, 16, "lines"),
])  # fmt: skip
def test_threads_have_about_the_same(lines, batch, threads, shares, monkeypatch):
    monkeypatch.setattr(separable, "thread_count", lambda work: threads)
    shape, kept = (batch, 512, lines, lines), {"kept": True, "threads": threads}
    ones = (1, 1), (1, 1), (1, 1)
    first = plan.plan_convolution(shape, (512, 1, 3, 3), shape, *ones, 512, 4, **kept)
    then = plan.plan_convolution(shape, (512, 512, 1, 1), shape, *SINGLE, 4, **kept)
    found = separable.plan(first.forward, then.forward, batch, 4, LANED_X | LANED_Y)
    assert (found is None) == (shares is None)
    if found is not None:
        assert (found.groups > 1) == (shares == "outputs")
        assert batch * found.blocks * found.groups % threads == 0


@pytest.mark.usefixtures("lanes_pay")
@pytest.mark.skipif(config.DISABLE_JIT, reason="compares threads")
def test_any_number_of_parts_gives_the_same_bits(tmp_path, monkeypatch):
    definition, found = laned_text(), []
    for threads in (1, 2, 3, 16):
        monkeypatch.setattr(separable, "thread_count", lambda work, threads=threads: threads)
        monkeypatch.setattr(plan, "thread_count", lambda work, threads=threads: threads)
        net = build(tmp_path, definition, True)
        x = np.random.default_rng(0).standard_normal((2, 3, 17, 19)).astype(np.float32)
        found.append(net.forward(x=x)["last"].copy())
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
