"""Where blobs share memory, what a Concat reads is computed where it is to lie."""

import logging

import numpy as np
import pytest

import caffelite
from caffelite.kernels import plan
from caffelite.layers.utility import concat
from caffelite.net.join import JoinStep


def convolution(name, bottom, outputs, size, more=""):
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: {size} pad: {size // 2} {more} "
        'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "gaussian" std: 1 } } }'
    )


def layer(name, kind, bottoms, top, options=""):
    bottoms = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {options} }}'


def in_place(kind, blob, options=""):
    return layer(f"{blob}_{kind}", kind, [blob], blob, options)


INPUT = (
    'layer { name: "x" type: "Input" top: "x" '
    "input_param { shape { dim: 2 dim: 18 dim: 9 dim: 7 } } }"
)
MAXIMUM = "pooling_param { kernel_size: 3 stride: 1 pad: 1 }"
INNER = [
    convolution("a", "x", 20, 1),
    in_place("ReLU", "a"),
    convolution("b", "x", 40, 3),
    in_place("BatchNorm", "b"),
    in_place("Scale", "b"),
    in_place("ReLU", "b"),
    convolution("r", "x", 4, 1),
    convolution("c", "r", 12, 3, "group: 2"),
    in_place("ReLU", "c"),
    in_place("Dropout", "c"),  # a step of its own, in place on what keeps its own memory
    layer("d", "Pooling", ["x"], "d", MAXIMUM),
]
BLOBS = ["a", "b", "c", "d"]


def text(axis=1):
    """A net of two Concats: the second joins the first with what is computed from that."""
    return "\n".join(
        [
            INPUT,
            *INNER,
            layer("cat", "Concat", BLOBS, "cat", f"concat_param {{ axis: {axis} }}"),
            in_place("ReLU", "cat"),
            convolution("e", "cat", 16, 1),
            layer("more", "Concat", ["cat", "e"], "more"),
            layer(
                "last", "Pooling", ["more"], "last", "pooling_param { kernel_size: 2 stride: 2 }"
            ),
        ]
    )


def build(tmp_path, economize, definition=None, **options):
    (tmp_path / "net.prototxt").write_text(definition or text())
    net, rng = caffelite.Net(tmp_path / "net.prototxt", caffelite.TEST, seed=3), None
    rng = np.random.default_rng(0)
    for name in ("b_BatchNorm", "b_Scale"):
        for blob in net.params.get(name, []):
            blob.data[...] = 0.5 + rng.random(blob.shape)
    if economize:
        net.economize(forward_only=True, **options)
    return net


def values(batch, seed=0):
    x = np.random.default_rng([batch, seed]).standard_normal((batch, 18, 9, 7))
    return x.astype(np.float32)


def joins(net):
    return [step for step in net.steps if isinstance(step, JoinStep)]


@pytest.fixture(params=[None, "winograd", "turned", "pointwise", "direct", "taps", "im2col"])
def way(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(plan, "FORCED", [request.param])
    monkeypatch.setattr("caffelite.kernels.turned.MIN_ROWS", 1)


def test_it_gives_what_copies_give(tmp_path, way):
    plain, economized = (build(tmp_path, economize) for economize in (False, True))
    assert [step.hidden for step in joins(economized)] == [{"a", "b", "d"}, {"e"}]
    assert not joins(plain)
    for batch in (2, 1, 3):
        for seed in range(4):  # the third pass makes the calls of the second again
            x = values(batch, seed)
            found, expected = (net.forward(x=x)["last"] for net in (economized, plain))
            np.testing.assert_array_equal(found, expected)
    for net in (economized, plain):
        net.params["b"][0].data[...] += 0.25
    np.testing.assert_array_equal(economized.forward()["last"], plain.forward()["last"])


@pytest.mark.parametrize("batch, left", [(1, [60]), (2, [60, 72])])
def test_the_rest_alone_is_copied(batch, left, tmp_path, monkeypatch):
    copied = []
    monkeypatch.setattr(concat.join, "join", lambda arrays, out: copied.append([*arrays]))
    net = build(tmp_path, True)
    net.forward(x=values(batch))
    assert copied == [[channels * 63 for channels in left], [0]]


def looks_by_name(net, x):
    seen = net.forward(blobs=BLOBS, end="cat", x=x)
    return {name: seen[name].copy() for name in BLOBS}


def looks_by_end(net, x):
    net.blobs["x"].data[...] = x
    return {name: net.forward(end=f"{name}{more}")[name].copy() for name, more in ENDS.items()}


def looks_by_callback(net, x):
    seen = {}
    places = {[*net.layer_dict].index(f"{name}{more}"): name for name, more in ENDS.items()}

    def look(place):
        if place in places:
            seen[places[place]] = net.blobs[places[place]].data.copy()

    net.after_forward(look)
    return {**seen, "last": net.forward(x=x)["last"]}


def looks_at_what_was_kept(net, x):
    net.forward(x=x)
    return {name: net.blobs[name].data.copy() for name in BLOBS}


ENDS = {"a": "_ReLU", "b": "_ReLU", "c": "_Dropout", "d": ""}


@pytest.mark.parametrize(
    "look, keep",
    [
        (looks_by_name, ()),
        (looks_by_end, ()),
        (looks_by_callback, ()),
        (looks_at_what_was_kept, BLOBS),
    ],
)
def test_whoever_looks_sees_what_is_joined(look, keep, tmp_path):
    plain, economized = build(tmp_path, False), build(tmp_path, True, keep=keep)
    for seed in range(3):
        x = values(2, seed)
        economized.forward(x=values(2, seed + 10))
        for name, seen in look(economized, x).items():
            expected = plain.forward(blobs=[name], x=x)[name]
            np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_debug_info_and_no_plan_run_layers_one_by_one(tmp_path, monkeypatch, caplog):
    expected = build(tmp_path, False).forward(x=values(2))["last"].copy()
    net = build(tmp_path, True)
    net.debug_info = True
    with caplog.at_level(logging.INFO, "caffelite"):
        np.testing.assert_allclose(net.forward(x=values(2))["last"], expected, rtol=1e-5, atol=1e-5)
    assert any("top blob a" in line for line in caplog.messages)
    monkeypatch.setenv("CAFFELITE_PLAN", "off")
    assert not joins(build(tmp_path, True))


def test_a_part_of_a_pass_runs_some_of_its_steps(tmp_path):
    plain, economized = (build(tmp_path, economize) for economize in (False, True))
    x = values(2)
    for net in (plain, economized):
        net.blobs["x"].data[...] = x
        net.forward(end="b_ReLU")
        net.forward(start="r")
    np.testing.assert_array_equal(economized.blobs["last"].data, plain.blobs["last"].data)


ALONE = [INPUT, convolution("a", "x", 4, 1), convolution("b", "x", 4, 1), in_place("ReLU", "b")]


def concat_of(*names, axis=1):
    return layer("cat", "Concat", names, "cat", f"concat_param {{ axis: {axis} }}")


OTHERS = {
    "the batch's axis": [*ALONE, concat_of("a", "b", axis=0)],
    "lines": [*ALONE, concat_of("a", "b", axis=2)],
    "one twice": [*ALONE, concat_of("a", "a", "b")],
    "one alone": [*ALONE[:2], concat_of("a")],
    "one with a loss weight": [
        INPUT, ALONE[1][:-1] + "loss_weight: 2 }", *ALONE[2:], concat_of("a", "b"),
    ],
    "one that is written again": [
        *ALONE[:2], layer("first", "Concat", ["a", "x"], "first"), in_place("ReLU", "first"),
        convolution("e", "first", 4, 1), concat_of("first", "e"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", list(OTHERS))
def test_other_joins(name, tmp_path):
    plain, economized = (
        build(tmp_path, economize, "\n".join(OTHERS[name])) for economize in (0, 1)
    )
    for batch in (1, 2, 2, 2):
        found, expected = (net.forward(x=values(batch))["cat"] for net in (economized, plain))
        np.testing.assert_array_equal(found, expected)


def test_what_a_step_among_those_joined_hides_is_seen_where_it_is_kept(tmp_path):
    definition = "\n".join(
        [
            INPUT,
            convolution("q", "x", 16, 1),
            convolution("h", "x", 18, 3, "group: 18"),
            convolution("p", "h", 24, 1),
            concat_of("q", "p"),
        ]
    )
    plain, *others = (
        build(tmp_path, economize, definition, **options)
        for economize, options in ((False, {}), (True, {}), (True, {"keep": ["h"]}))
    )
    assert [step.hidden for step in joins(others[0])] == [{"q", "h"}]
    expected = plain.forward(blobs=["h"], x=values(2))["h"]
    for net in others:
        np.testing.assert_array_equal(net.forward(blobs=["h"], x=values(2))["h"], expected)
