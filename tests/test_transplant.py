"""caffelite transplant: the weights of one net for another, some of whose layers differ."""

import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.cli import main
from caffelite.errors import CaffeliteError
from caffelite.net import convert
from caffelite.net.transplant import transplant
from caffelite.proto import caffe_pb2

FILL = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "gaussian" }'


def data(*shape):
    dims = " ".join(f"dim: {size}" for size in shape)
    return (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'
    )


def conv(name, bottom, count, size, more="", kind="Convolution"):
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {count} kernel_size: {size} {FILL} {more} }} }}"
    )


def dense(name, bottom, count, more=""):
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: {count} {FILL} {more} }} }}"
    )


def up(name, bottom, count, size, stride, more=""):
    return (
        f'layer {{ name: "{name}" type: "Deconvolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {count} kernel_size: {size} stride: {stride} "
        f"{more} }} }}"
    )


def plain(name, kind, bottom, more=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {more} }}'


def net(*layers, seed=1):
    param = text_format.Parse("\n".join(layers), caffe_pb2.NetParameter())
    param.state.phase = caffelite.TEST
    return caffelite.Net.from_param(param, "net.prototxt", seed=seed)


DENSE = [
    data(1, 3, 9, 11),
    conv("conv1", "data", 4, 3),
    dense("fc6", "conv1", 5),
    dense("fc7", "fc6", 6),
    dense("fc8", "fc7", 2),
]
WINDOWS = [
    conv("conv1", "data", 4, 3),
    conv("fc6", "conv1", 5, 1, "kernel_h: 7 kernel_w: 9").replace("kernel_size: 1", ""),
    conv("fc7", "fc6", 6, 1),
    conv("score", "fc7", 2, 1),
]


def filled(target, moved):
    """The target with its new weights."""
    for name, blobs in moved.layers.items():
        for index, array in blobs.items():
            target.params[name][index].data[...] = array
    return target


def answer(net, x):
    return net.forward(data=x)[net.outputs[0]].copy()


def test_dense_layers_become_convolutions_and_give_at_each_place_what_they_gave():
    source, target = net(*DENSE), net(data(1, 3, 12, 13), *WINDOWS, seed=2)
    moved = transplant(source, target, [("fc8", "score")])
    assert [(row.layer, row.source, row.outcome) for row in moved.rows] == [
        ("conv1", "conv1", "copied"),
        ("fc6", "fc6", "dense layer to convolution"),
        ("fc7", "fc7", "dense layer to convolution"),
        ("score", "fc8", "dense layer to convolution"),
    ]
    x = np.random.default_rng(0).standard_normal((1, 3, 12, 13)).astype(np.float32)
    y = answer(filled(target, moved), x)
    assert y.shape == (1, 2, 4, 3)
    for i, j in np.ndindex(y.shape[2:]):
        here = answer(source, x[:, :, i : i + 9, j : j + 11])
        np.testing.assert_allclose(y[:, :, i, j], here, rtol=1e-5, atol=1e-5)
    back = transplant(target, net(*DENSE, seed=3), [("score", "fc8")])
    assert {row.outcome for row in back.rows} == {"copied", "convolution to dense layer"}
    for name, blobs in back.layers.items():
        for index, array in blobs.items():
            np.testing.assert_array_equal(array, source.params[name][index].data)


@pytest.mark.parametrize("first", ["", "transpose: true"])
@pytest.mark.parametrize("last", ["", "transpose: true"])
def test_dense_layers_may_keep_their_weights_the_other_way_round(first, last):
    source = net(data(2, 3), dense("ip", "data", 3, first))
    target = net(data(2, 3), dense("ip", "data", 3, last), seed=2)
    moved = transplant(source, target)
    assert moved.rows[0].outcome == ("copied" if first == last else "copied, transposed")
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_allclose(
        answer(filled(target, moved), x), answer(source, x), rtol=1e-6, atol=1e-6
    )


def test_what_a_dense_layer_sees_is_known_through_layers_that_flatten():
    flat = [plain("flat", "Flatten", "data"), plain("relu", "ReLU", "flat")]
    source = net(data(2, 3, 4, 5), *flat, dense("ip", "relu", 2))
    target = net(data(2, 3, 4, 5), conv("ip", "data", 2, 1, "kernel_h: 4 kernel_w: 5")
                 .replace("kernel_size: 1", ""))  # fmt: skip
    moved = transplant(source, target)
    assert moved.rows[0].outcome == "dense layer to convolution"
    np.testing.assert_array_equal(moved.layers["ip"][0].ravel(), source.params["ip"][0].data.flat)


ORDER = "permute_param { order: 0 order: 3 order: 1 order: 2 }"
SIZED = conv("x", "data", 2, 1, "kernel_h: 4 kernel_w: 5").replace("kernel_size: 1", "")
WRONG = {
    "another arrangement": (
        [data(1, 3, 5, 4), dense("x", "data", 2)],
        [data(1, 3, 4, 5), SIZED],
        "whose rows multiply 3x5x4, and those of this one 3x4x5",
    ),
    "axes in another order": (
        [data(1, 3, 4, 5), plain("p", "Permute", "data", ORDER), plain("f", "Flatten", "p"),
         dense("x", "f", 2)],
        [data(1, 3, 4, 5), SIZED],
        "whose rows multiply 5x3x4",
    ),
    "nobody knows the arrangement": (
        [data(1, 60), dense("x", "data", 2)],
        [data(1, 3, 4, 5), SIZED],
        "whose rows multiply 60, and those of this one 3x4x5",
    ),
    "dense layers of other samples": (
        [data(1, 3, 4, 5), dense("x", "data", 2)],
        [data(1, 5, 4, 3), dense("x", "data", 2)],
        "whose rows multiply 3x4x5, and those of this one 5x4x3",
    ),
    "groups": (
        [data(1, 4, 3, 3), conv("x", "data", 4, 3, "group: 2")],
        [data(1, 2, 3, 3), conv("x", "data", 4, 3)],
        "multiply 2x3x3 in 2 groups, and those of this one 2x3x3",
    ),
    "groups that upsample": (
        [data(1, 4, 3, 3), conv("x", "data", 2, 3, "group: 2", "Deconvolution")],
        [data(1, 4, 3, 3), conv("x", "data", 1, 3, "", "Deconvolution")],
        "which has group: 2",
    ),
    "the transpose": (
        [data(1, 2, 3, 3), conv("x", "data", 2, 3)],
        [data(1, 2, 3, 3), conv("x", "data", 2, 3, "", "Deconvolution")],
        'layer "x" (Convolution) of net.prototxt, whose weights mean something else',
    ),
    "outputs": (
        [data(1, 2, 3, 3), conv("x", "data", 7, 3)],
        [data(1, 2, 3, 3), conv("x", "data", 2, 3)],
        'blob 0 ("weight") has the shape (7, 2, 3, 3), and this one needs (2, 2, 3, 3)',
    ),
    "no bias": (
        [data(1, 2), dense("x", "data", 2, "bias_term: false").replace(FILL, "")],
        [data(1, 2), dense("x", "data", 2)],
        "which has 1 blobs, and this one has 2 (bias_term: false says",
    ),
    "channels": (
        [data(1, 3, 3, 3), conv("x", "data", 2, 3)],
        [data(1, 1, 3, 3), conv("x", "data", 2, 3)],
        "3 channels, and this one 1; --channels x=spread",
    ),
    "other names": (
        [data(1, 2), dense("x1", "data", 2)],
        [data(1, 2), dense("x2", "data", 2)],
        "--map OLD=NEW",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", WRONG)
def test_what_would_be_wrong_in_silence_is_refused(which):
    source, target, words = WRONG[which]
    with pytest.raises(CaffeliteError) as caught:
        transplant(net(*source), net(*target))
    assert words in str(caught.value)
    assert which == "other names" or "--skip x" in str(caught.value)


def test_layers_that_share_blobs_get_the_same_or_nothing():
    shared = [
        dense(name, "data", 2).replace('"InnerProduct"', '"InnerProduct" param { name: "w" } '
                                       'param { name: "b" }') for name in ("a", "b")
    ]  # fmt: skip
    source = net(data(1, 2), dense("a", "data", 2), dense("b", "data", 2))
    with pytest.raises(CaffeliteError, match='"b".*shares blob 0 with layer "a"'):
        transplant(source, net(data(1, 2), *shared))
    moved = transplant(source, net(data(1, 2), *shared), [("a", "b")])
    assert [row.source for row in moved.rows] == ["a", "a"]


def test_a_first_layer_of_fewer_channels_answers_gray_as_before():
    tail = plain("relu", "ReLU", "conv1")
    source = net(data(1, 3, 5, 6), conv("conv1", "data", 4, 3), tail)
    target = net(data(1, 1, 5, 6), conv("conv1", "data", 4, 3), tail, seed=2)
    moved = transplant(source, target, channels={"conv1": "spread"})
    assert moved.rows[0].outcome == "copied, 3 channels to 1: spread"
    gray = np.random.default_rng(0).standard_normal((1, 1, 5, 6)).astype(np.float32)
    wanted = answer(source, np.repeat(gray, 3, axis=1))
    np.testing.assert_allclose(answer(filled(target, moved), gray), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(CaffeliteError, match="conv1=keep would lose all but 1; conv1=spread"):
        transplant(source, target, channels={"conv1": "keep"})


@pytest.mark.parametrize("how", ["spread", "keep"])
def test_a_first_layer_of_more_channels(how):
    source = net(data(1, 3, 5, 6), conv("conv1", "data", 4, 3))
    target = net(data(1, 4, 5, 6), conv("conv1", "data", 4, 3), seed=2)
    filled(target, transplant(source, target, channels={"conv1": how}))
    x = np.random.default_rng(0).standard_normal((1, 4, 5, 6)).astype(np.float32)
    if how == "spread":
        x[:] = x[:, :1]
    np.testing.assert_allclose(answer(target, x), answer(source, x[:, :3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("count", "size"), [(1, 5), (3, 3)])
def test_other_channels_are_for_layers_that_differ_in_nothing_else(count, size):
    source = net(data(1, 3, 5, 6), conv("conv1", "data", 4, 3))
    target = net(data(1, count, 5, 6), conv("conv1", "data", 4, size))
    with pytest.raises(CaffeliteError, match="channels alone differ in number"):
        transplant(source, target, channels={"conv1": "spread"})


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 2), (8, 4), (1, 1)])
@pytest.mark.parametrize("group", [1, 3])
def test_deconvolutions_without_weights_upsample_bilinearly(size, stride, group):
    source = net(data(1, 3, 4, 5), conv("conv1", "data", 3, 1))
    more = f"group: {group}"
    target = net(
        data(1, 3, 4, 5), conv("conv1", "data", 3, 1), up("up", "conv1", 3, size, stride, more)
    )
    moved = transplant(source, target)
    assert moved.rows[1].outcome == "bilinear upsampling"
    weights, bias = moved.layers["up"][0], moved.layers["up"][1]
    row = [1 - abs((i - (size - 1) / 2) / -(-size // 2)) for i in range(size)]
    for c, m in np.ndindex(weights.shape[:2]):
        diagonal = group == 3 or c == m
        np.testing.assert_allclose(weights[c, m], diagonal * np.outer(row, row), atol=1e-6)
    assert not bias.any()


def test_a_bias_that_is_filled_stays_beside_bilinear_weights():
    more = 'bias_filler { type: "constant" value: 2 }'
    layers = data(1, 3, 4, 5), conv("conv1", "data", 3, 1), up("up", "conv1", 3, 4, 2, more)
    moved = transplant(net(*layers[:2]), net(*layers))
    np.testing.assert_array_equal(moved.layers["up"][1], [2, 2, 2])


def test_deconvolutions_that_learn_keep_their_fillers():
    source = net(data(1, 3, 4, 5), conv("conv1", "data", 3, 1))
    target = net(
        data(1, 3, 4, 5),
        conv("conv1", "data", 3, 1),
        up("up", "conv1", 3, 4, 2, 'weight_filler { type: "xavier" }'),
        up("filled", "up", 3, 4, 2, 'group: 3 bias_term: false weight_filler { type: "bilinear" }'),
    )
    moved = transplant(source, target)
    outcomes = {row.layer: row.outcome for row in moved.rows}
    assert outcomes["up"] == "left out: not in the source; its filler: xavier"
    assert outcomes["filled"] == "bilinear upsampling"
    np.testing.assert_array_equal(moved.layers["filled"][0], target.params["filled"][0].data)
    assert "up" not in moved.layers


@pytest.mark.parametrize(
    "layer",
    [
        up("up", "conv1", 2, 4, 2),
        up("up", "conv1", 3, 5, 2),
        up("up", "conv1", 3, 4, 2, "dilation: 2"),
        up("up", "conv1", 3, 4, 2, "kernel_h: 4 kernel_w: 2").replace("kernel_size: 4", ""),
    ],
)
def test_deconvolutions_that_would_stay_at_0_are_refused(layer):
    source = net(data(1, 3, 4, 5), conv("conv1", "data", 3, 1))
    target = net(data(1, 3, 4, 5), conv("conv1", "data", 3, 1), layer)
    with pytest.raises(CaffeliteError, match=r'"up".*leaves it at 0.*--skip up'):
        transplant(source, target)
    assert "up" not in transplant(source, target, skip=["up"]).layers


# the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.prototxt").write_text("\n".join(DENSE))
    Path("b.prototxt").write_text(
        "\n".join([data(1, 3, 12, 13), *WINDOWS, up("upscore", "score", 2, 4, 2)])
    )
    caffelite.Net("a.prototxt", caffelite.TEST, seed=4).save("a.caffemodel")
    return tmp_path


def run(*more, out="b.caffemodel"):
    return main(["transplant", "a.prototxt", "a.caffemodel", "b.prototxt", out, *more])


def test_the_command_tells_what_went_where(folder, capsys):
    assert run() == 0
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        *("conv1", "fc6", "fc7", "score", "upscore"),
        "not used: fc8 (2x6, 2)",
        "b.caffemodel: 4 layers, 1,479 values; 1 left out",
    ]
    assert list(convert.read("b.caffemodel")) == ["conv1", "fc6", "fc7", "upscore"]
    report = caffelite.Net("b.prototxt", caffelite.TEST).copy_from("b.caffemodel", missing="report")
    assert report.missing == ["score"]


def test_the_command_as_json_and_other_kinds_of_files(folder, capsys):
    pytest.importorskip("h5py")
    assert run("--map", "fc8=score", "--json", out="b.h5") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == "b.h5" and told["not_used"] == []
    assert told["layers"][1] == {
        "layer": "fc6",
        "from": "fc6",
        "shapes": [[5, 4, 7, 9], [5]],
        "from_shapes": [[5, 252], [5]],
        "outcome": "dense layer to convolution",
    }
    assert caffelite.Net("b.prototxt", caffelite.TEST).copy_from("b.h5", "refuse").missing == []


def test_flags_that_are_wrong_leave_no_file(folder, capsys):
    assert run("--map", "fc8") == 2
    assert "expected OLD=NEW" in capsys.readouterr().err
    assert run("--channels", "conv1=sum") == 2
    assert "expected spread or keep" in capsys.readouterr().err
    assert run(out="b.weights") == 2
    before = Path("a.caffemodel").read_bytes()
    assert run(out="../" + folder.name + "/a.caffemodel") == 2
    assert "is what the weights are read from, and would go" in capsys.readouterr().err
    assert Path("a.caffemodel").read_bytes() == before
    for flag, words in {
        "--map=fc9=score": 'the source has no layer "fc9"',
        "--map=fc8=scores": 'the target has no layer "scores" with weights; did you mean "score"?',
        "--skip=fc9": 'the target has no layer "fc9"',
        "--channels=fc6=keep": "--channels is for layers",
    }.items():
        assert run(flag) == 1
        assert words in capsys.readouterr().err
    assert run("--map", "fc8=score", "--map", "fc7=score") == 1
    assert 'layer "score" cannot be both "fc8" and "fc7"' in capsys.readouterr().err
    assert not list(folder.glob("b.*model"))


def test_weights_that_lack_a_layer_are_told(folder, capsys):
    layers = convert.read("a.caffemodel")
    convert.write("a.caffemodel", {name: layers[name] for name in ("conv1", "fc7", "fc8")})
    assert run() == 1
    assert "--skip fc6 leaves it out" in capsys.readouterr().err
    assert run("--skip", "fc6") == 0
    assert "left out: --skip" in capsys.readouterr().out


def test_a_net_whose_data_is_elsewhere_is_taken_by_its_sample(folder, capsys):
    source = (
        'layer { name: "data" type: "Data" top: "data" '
        'data_param { source: "gone" batch_size: 2 } }'
    )
    Path("b.prototxt").write_text("\n".join([source, *WINDOWS]))
    assert run() == 1
    assert "gone" in capsys.readouterr().err
    assert run("--data-shape", "3,12,13") == 0
    assert "dense layer to convolution" in capsys.readouterr().out
