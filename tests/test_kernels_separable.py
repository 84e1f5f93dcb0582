"""Where blobs share memory, a convolution of single channels and one of 1 x 1 run as one."""

import numpy as np
import pytest

import caffelite
from caffelite.kernels import convolve, plan, separable
from caffelite.net.fused.separable import SeparableStep

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
    then = (1, 1), (0, 0), (1, 1), 1
    plans = plan.plan_separable(
        plan.plan_convolution(x.shape, w.shape, between.shape, *first, 4, kept=True),
        plan.plan_convolution(between.shape, v.shape, y.shape, *then, 4, kept=True),
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


@pytest.mark.parametrize(("lines", "batch", "threads", "pays"), [
    (14, 1, 2, True), (7, 1, 2, False), (7, 8, 2, True), (14, 1, 16, False), (112, 1, 16, True),
])  # fmt: skip
def test_threads_have_about_the_same(lines, batch, threads, pays, monkeypatch):
    monkeypatch.setattr(separable, "thread_count", lambda work: threads)
    shape, kept = (batch, 512, lines, lines), {"kept": True, "threads": threads}
    ones = (1, 1), (1, 1), (1, 1)
    first = plan.plan_convolution(shape, (512, 1, 3, 3), shape, *ones, 512, 4, **kept)
    ones = (1, 1), (0, 0), (1, 1)
    then = plan.plan_convolution(shape, (512, 512, 1, 1), shape, *ones, 1, 4, **kept)
    found = separable.plan(first.forward, then.forward, batch, 4)
    assert (found is not None) == pays
