"""Where blobs share memory, a convolution adds the other branch before it stores its sums."""

import numpy as np
import pytest

import caffelite
from caffelite.kernels import plan
from caffelite.net.fused.shortcut import ShortcutStep

NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 6 dim: 7 dim: 5 }} }} }}
layer {{ name: "h" type: "Convolution" bottom: "x" top: "h" convolution_param {{
  num_output: 40 kernel_size: {size} pad: {pad} weight_filler {{ type: "gaussian" std: 1 }}
  bias_filler {{ type: "gaussian" std: 1 }} }} }}
{affine}
layer {{ name: "p" type: "Convolution" bottom: "x" top: "p" convolution_param {{
  num_output: 40 kernel_size: 1 weight_filler {{ type: "gaussian" std: 1 }} }} }}
{norm}
layer {{ name: "e" type: "Eltwise" bottom: {bottoms} top: "{top}" }}
{activation}
layer {{ name: "last" type: "Pooling" bottom: "{top}" top: "last" pooling_param {{
  kernel_size: 2 stride: 2 }} }}
"""  # noqa: E501
NORM = """
layer { name: "n" type: "BatchNorm" bottom: "p" top: "p" }
layer { name: "s" type: "Scale" bottom: "p" top: "p" scale_param { bias_term: true
  filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 } } }
"""
ACTIVATIONS = {
    "none": "",
    "relu": 'layer {{ name: "a" type: "ReLU" bottom: "{0}" top: "{0}" }}',
    "clip": 'layer {{ name: "a" type: "ReLU6" bottom: "{0}" top: "{0}" }}',
    "leaky": 'layer {{ name: "a" type: "ReLU" bottom: "{0}" top: "{0}" relu_param {{ '
    "negative_slope: 0.1 }} }}",
}


def text(bottoms='"h" "p"', top="e", norm=NORM, activation="relu", affine="", size=1):
    bottoms = bottoms.replace('" "', '" bottom: "')
    last = ACTIVATIONS[activation].format(top)
    return NET.format(
        bottoms=bottoms, top=top, norm=norm, activation=last, affine=affine, size=size,
        pad=size // 2,
    )  # fmt: skip


BEFORE = 'layer { name: "b" type: "ReLU" bottom: "p" top: "p" }'

CASES = {  # and whether one step does it
    "relu": (text(), True),
    "first": (text('"p" "h"'), True),
    "plain": (text(norm="", activation="none"), True),
    "clip": (text(activation="clip"), True),
    "leaky": (text(activation="leaky"), False),
    "activation before": (text(norm=NORM + BEFORE), False),
}  # fmt: skip


def build(file, economize):
    net, rng = caffelite.Net(file, caffelite.TEST), np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0.5 + rng.random(blob.shape)
    if economize:
        net.economize(forward_only=True)
    net.blobs["x"].data[...] = rng.standard_normal(net.blobs["x"].shape)
    return net


@pytest.mark.parametrize("way", ["pointwise", "turned", "direct"])
@pytest.mark.parametrize("name", list(CASES))
def test_one_step_gives_what_layers_give(name, way, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", [way])
    monkeypatch.setattr("caffelite.kernels.turned.MIN_ROWS", 1)
    definition, fuses = CASES[name]
    (tmp_path / "net.prototxt").write_text(definition)
    plain, economized = (build(tmp_path / "net.prototxt", shared) for shared in (False, True))
    assert any(isinstance(step, ShortcutStep) for step in economized.steps) == fuses
    assert economized.blobs["e"].shares_data_with(economized.blobs["h"]) == fuses
    assert not any(isinstance(step, ShortcutStep) for step in plain.steps)
    for batch in (2, 1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 6, 7, 5)).astype(np.float32)
        found, expected = (net.forward(x=x)["last"] for net in (economized, plain))
        np.testing.assert_array_equal(found, expected)
    economized.params["p"][0].data[...] = plain.params["p"][0].data[...] = 0.25
    np.testing.assert_array_equal(economized.forward()["last"], plain.forward()["last"])


LATER = 'layer { name: "later" type: "Power" bottom: "h" top: "later" power_param { scale: 2 } }'


@pytest.mark.parametrize("way", ["turned", "direct"])
def test_a_sum_lies_apart_from_what_is_read_later(way, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", [way])
    (tmp_path / "net.prototxt").write_text(text() + LATER)
    plain, economized = (build(tmp_path / "net.prototxt", shared) for shared in (False, True))
    assert any(isinstance(step, ShortcutStep) for step in economized.steps)
    for _ in range(3):
        for name, values in economized.forward().items():
            np.testing.assert_array_equal(values, plain.forward()[name])


@pytest.mark.parametrize("way", ["pointwise", "turned", "direct"])
def test_a_sum_lies_apart_from_what_its_convolution_reads(way, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", [way])
    monkeypatch.setattr("caffelite.kernels.turned.MIN_ROWS", 1)
    own = text().replace(
        'name: "p" type: "Convolution" bottom: "x"', 'name: "p" type: "Convolution" bottom: "h"'
    )
    (tmp_path / "net.prototxt").write_text(own)
    plain, economized = (build(tmp_path / "net.prototxt", shared) for shared in (False, True))
    assert any(isinstance(step, ShortcutStep) for step in economized.steps)
    x = plain.blobs["x"].data.copy()
    for _ in range(3):
        expected = plain.forward(x=x)["last"]
        np.testing.assert_array_equal(economized.forward(x=x)["last"], expected)


def test_whoever_looks_between_layers_sees_the_branch(tmp_path):
    (tmp_path / "net.prototxt").write_text(text())
    plain, economized = (build(tmp_path / "net.prototxt", shared) for shared in (False, True))
    expected = plain.forward(blobs=["p"])["p"].copy()
    np.testing.assert_array_equal(economized.forward(end="p")["p"].shape, expected.shape)
    seen = []
    place = list(economized.layer_dict).index("s")
    economized.after_forward(
        lambda i: seen.append(economized.blobs["p"].data.copy()) if i == place else None
    )
    economized.forward()
    np.testing.assert_allclose(seen[0], expected, rtol=1e-5, atol=1e-5)
