"""Styles: what is compared, `caffelite style`, and the ways of published scripts and PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.errors import NetError
from caffelite.net import convert, memory
from caffelite.predict import style
from caffelite.predict.preprocessing import of_test_phase
from caffelite.predict.style import StyleLook
from caffelite.proto import caffe_pb2
from caffelite.run_log.reader import read_log, records
from caffelite.testing import text_format
from tools import benchmark_style

ROOT = Path(__file__).parent.parent


def conv(name, bottom, width):
    return f"""
    layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
      convolution_param {{ num_output: {width} kernel_size: 3 pad: 1
        weight_filler {{ type: "msra" }} bias_filler {{ type: "gaussian" std: 0.1 }} }} }}
    layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}
    """


HEAD = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
  transform_param { mean_value: 100 mean_value: 110 mean_value: 120 scale: 0.02 } }
"""
POOL = """layer { name: "pool" type: "Pooling" bottom: "b" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""
SMALL = HEAD + conv("a", "data", 4) + conv("b", "a", 6) + POOL + conv("c", "pool", 5)
SMALL += 'layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc" '
SMALL += "inner_product_param { num_output: 3 } }"
LAYERS = ["--style-layers", "a,c", "--content-layers", "b"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a net, its weights without those of its last layer, and pictures."""
    monkeypatch.chdir(tmp_path)
    Path("small.prototxt").write_text(SMALL)
    net = caffelite.Net("small.prototxt", caffelite.TEST, seed=2)
    layers = {name: [b.data for b in blobs] for name, blobs in net.params.items() if name != "fc"}
    convert.write("small.caffemodel", {k: dict(enumerate(blobs)) for k, blobs in layers.items()})
    random = np.random.default_rng(0)
    for name, shape in {"content": (10, 12), "style": (14, 9), "other": (12, 12)}.items():
        Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(f"{name}.png")
    return tmp_path


def run(*words):
    return main(["style", *words])


SMALL_NET = ["--model", "small.prototxt", "--weights", "small.caffemodel", "--size", "16", *LAYERS]


def test_the_loss_is_that_of_the_paper(here):
    """alpha (F - P)^2 / 2 + beta sum of 0.2 (G - A)^2 / (4 N^2 M^2), from the blobs, in a loop."""
    look = StyleLook("small.prototxt", "small.caffemodel", ["a", "b", "c"])
    random = np.random.default_rng(1)
    shape = (3, 8, 10)
    content, painted, x = random.normal(size=(3, *shape)).astype(np.float32)
    styles = look.styles(painted, ["a", "c"])
    net = look.comparing(shape, look.maps(content, ["b"]), styles, 3, 50)
    net.blobs["data"].data[...] = x
    loss = net.forward()
    expected = 0.5 * 3 * ((look.maps(x, ["b"])["b"] - look.maps(content, ["b"])["b"]) ** 2).sum()
    assert style.losses_of(net)["content"] == pytest.approx(expected, rel=1e-5)
    for name in ("a", "c"):
        f, s = (look.maps(y, [name])[name][0] for y in (x, painted))
        n, m = len(f), f[0].size
        g, a = (np.einsum("ixy,jxy->ij", y, y) for y in (f, s))
        expected += 50 * 0.2 * ((g - a) ** 2).sum() / (4 * n**2 * m**2)
    assert sum(style.losses_of(net).values()) == pytest.approx(expected, rel=1e-5)
    assert sum(float(v) for v in loss.values()) > 0


def test_a_picture_takes_on_a_style(here, capsys):
    pytest.importorskip("scipy")
    more = ["--iterations", "9", "--json", "--log", "style.jsonl"]
    assert run("content.png", "style.png", "out.png", *SMALL_NET, *more) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["size"] == "16 x 13" and told["iterations"] == len(told["losses"])
    first, last = told["losses"][0], told["losses"][-1]
    assert last["style"] < first["style"] and sum(last.values()) < 0.9 * sum(first.values())
    assert Image.open("out.png").size == (16, 13)
    curves = read_log("style.jsonl")
    assert curves.end == "done" and [dict(row.outputs) for row in curves.train] == [
        {f"{name}_loss": value for name, value in losses.items()} for losses in told["losses"]
    ]
    assert curves.train[-1].loss == sum(last.values())
    assert [*records("style.jsonl")][-1]["iteration"] == told["iterations"]


def test_adam_noise_colors_and_blends(here):
    more = ["--solver", "Adam", "--iterations", "4", "--save-every", "1"]
    assert run("content.png", "style.png", "plain.png", *SMALL_NET, *more) == 0
    assert run("content.png", "style.png", "kept.png", *SMALL_NET, *more, "--keep-color") == 0
    plain, kept = (
        np.asarray(Image.open(f).convert("YCbCr"), float) for f in ("plain.png", "kept.png")
    )
    assert abs(plain[..., 0] - kept[..., 0]).mean() < 12 < abs(plain[..., 1] - kept[..., 1]).mean()
    blend = ["content.png", "style.png", "other.png", "out.png", *SMALL_NET, *more]
    assert run(*blend, "--blend", "3,1", "--init", "noise", "--variation", "0.001") == 0


def test_blends_are_means_of_styles():
    one, two = {"a": np.eye(2)[None]}, {"a": np.ones((1, 2, 2))}
    np.testing.assert_allclose(style.blended([one, two], [3, 1])["a"], [[[1, 0.25], [0.25, 1]]])


def test_a_style_becomes_weights(here, capsys):
    assert run("style.png", "made.caffemodel", "--model", "small.prototxt", "--weights",
               "small.caffemodel", "--style-layers", "a,c", "--size", "16") == 0  # fmt: skip
    kept = convert.read("made.caffemodel")
    assert {name: blobs[0].shape for name, blobs in kept.items()} == {
        "a_style": (1, 4, 4),
        "c_style": (1, 5, 5),
    }
    text = HEAD + conv("a", "data", 4) + conv("b", "a", 6) + POOL + conv("c", "pool", 5)
    text += 'layer { name: "a_style" type: "Parameter" top: "s" param { lr_mult: 0 } '
    text += "parameter_param { shape { dim: 1 dim: 4 dim: 4 } } } "
    text += 'layer { name: "l" type: "StyleLoss" bottom: "a" bottom: "s" top: "l" }'
    net = caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TEST)
    net.copy_from("small.caffemodel,made.caffemodel")
    np.testing.assert_array_equal(net.params["a_style"][0].data, kept["a_style"][0])


PAINTER = HEAD + conv("a", "data", 3).replace('relu_a" type: "ReLU"', 'r" type: "TanH"')


@pytest.mark.parametrize("times", [1, 2])
def test_a_net_paints_in_one_pass(here, times, capsys):
    text = PAINTER
    if times > 1:
        text += 'layer { name: "up" type: "Interp" bottom: "a" top: "up" '
        text += "interp_param { zoom_factor: 2 align_corners: false } }"
    Path("painter.prototxt").write_text(text)
    net = caffelite.Net("painter.prototxt", caffelite.TEST, seed=1)
    net.save("painter.caffemodel")
    words = ["--model", "painter.prototxt", "--weights", "painter.caffemodel"]
    assert run("content.png", "out.png", *words) == 0
    assert Image.open("out.png").size == (12 * times, 10 * times)
    pixels = np.asarray(Image.open("content.png"), np.float32)[:, :, ::-1].transpose(2, 0, 1)
    net.blobs["data"].reshape(1, 3, 10, 12)
    net.blobs["data"].data[0] = (pixels - np.float32([100, 110, 120])[:, None, None]) * 0.02
    net.forward()
    made = net.blobs["up" if times > 1 else "a"].data[0] / 0.02
    made = np.clip(np.rint(made + np.float32([100, 110, 120])[:, None, None]), 0, 255)
    found = np.asarray(Image.open("out.png"), int)[:, :, ::-1].transpose(2, 0, 1)
    assert abs(found - made).max() <= 1


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["content.png", "style.png", "out.png"], 2, "caffelite weights hed makes"),
        (["content.png", "out.png", "--weights", "small.caffemodel"], 2, "expected a STYLE before"),
        (["content.png", "style.png", "content.png", *SMALL_NET], 2, "would be written over"),
        (["content.png", "style.png", "o.png", *SMALL_NET, "--blend", "1,2"], 2, "2 numbers for 1"),
        (["content.png", "style.png", "o.png", *SMALL_NET, "--rate", "1"], 2, "for --solver Adam"),
        (["content.png", "style.png", "o.png", *SMALL_NET[:-1], "conv9"], 1,
         'small.prototxt: has no layer "conv9"; it has data, a, relu_a'),
        (["content.png", "style.png", "o.png", *SMALL_NET[:-1], "fc"], 1, "small.caffemodel"),
        (["content.png", "style.png", "o.png", *SMALL_NET[:-4]], 1, 'has no layer "conv4_2"'),
        (["gone.png", "style.png", "o.png", *SMALL_NET], 1, "gone.png"),
        (["style.png", "o.caffemodel", *SMALL_NET[:-2], "--ratio", "1"], 2, "holds a style"),
        (["content.png", "o.png", *SMALL_NET], 2, "--content-layers goes with a STYLE"),
    ],
)  # fmt: skip
def test_mistakes_are_named(here, words, code, message, capsys):
    assert run(*words) == code
    assert message in capsys.readouterr().err
    assert not Path("o.png").exists()


def test_a_net_that_paints_no_picture_is_refused(here, capsys):
    Path("p.prototxt").write_text(HEAD + conv("a", "data", 4))
    words = ["--model", "p.prototxt", "--weights", "small.caffemodel"]
    assert run("content.png", "o.png", *words) == 1
    assert 'the output "a" has the shape (1, 4, 10, 12), expected' in capsys.readouterr().err


def test_a_picture_too_large_for_memory_is_refused_with_a_size(here, monkeypatch, capsys):
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    assert run("content.png", "style.png", "o.png", *SMALL_NET, "--size", "200") == 1
    found = capsys.readouterr().err
    assert "a picture of 200 x 167 pixels: takes" in found and "--size" in found
    side = int(found.rpartition("--size ")[2].split()[0])
    assert run("content.png", "style.png", "o.png", *SMALL_NET, "--size", str(side),
               "--iterations", "1", "--solver", "Adam") == 0  # fmt: skip


def test_the_input_has_to_take_pictures(here):
    Path("no.prototxt").write_text(HEAD.replace("dim: 8 dim: 8", ""))
    with pytest.raises(NetError, match="no.prototxt: expected one Input, of pictures"):
        StyleLook("no.prototxt", "small.caffemodel", ["data"])


# The way of published scripts


@pytest.mark.parametrize("plan", ["on", "off"])
def test_backward_by_parts_over_diffs_changed_from_outside(here, plan, monkeypatch):
    """Gatys' way with Caffe: backward(start=, end=) from layer to layer, each time adding to diffs.

    Starting at a convolution, it leaves out the ReLU in place on its top: the gradient is masked.
    """
    monkeypatch.setenv("CAFFELITE_PLAN", plan)
    look = StyleLook("small.prototxt", "small.caffemodel", ["a", "b", "c"])
    random = np.random.default_rng(1)
    content, painted, x = random.normal(size=(3, 3, 8, 10)).astype(np.float32)
    styles, contents = look.styles(painted, ["a", "c"]), look.maps(content, ["b"])
    whole = look.comparing((3, 8, 10), contents, styles, 3, 50)
    whole.blobs["data"].data[...] = x
    whole.forward_backward()

    net = look.net((3, 8, 10))
    net.forward(data=x[None])
    layers = ["a", "b", "c"]
    net.blobs["c"].diff[...] = 0
    for i, name in enumerate(reversed(layers)):
        f = net.blobs[name].data[0]
        grad = net.blobs[name].diff[0]
        flat, seen = f.reshape(len(f), -1), f > 0
        if name in styles:
            gram = flat @ flat.T / flat.size
            slope = (gram - styles[name][0]) @ flat / flat.size
            grad += 50 * 0.2 * slope.reshape(f.shape) * seen
        else:
            grad += 3 * (f - contents[name][0]) * seen
        below = layers[-i - 2] if i < len(layers) - 1 else None
        net.backward(start=name, end=below)
    np.testing.assert_allclose(
        net.blobs["data"].diff, whole.blobs["data"].diff, rtol=1e-4, atol=1e-5
    )


# Against PyTorch


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"base_lr": 2}], ids=["LBFGS", "Adam"])
def test_it_goes_as_pytorch_does(options, tmp_path):
    """Same weights, same start: losses of style within 1 % after 50 iterations."""
    pytest.importorskip("torch")
    pytest.importorskip("scipy")
    param = of_test_phase(str(ROOT / "models" / "vgg-16" / "deploy.prototxt"))
    del param.layer[26:]  # behind conv5_1
    for layer in param.layer:
        if layer.type == "Convolution":
            layer.convolution_param.weight_filler.type = "msra"
    caffelite.Net(param, caffelite.TEST, seed=3).save(weights := str(tmp_path / "vgg.caffemodel"))
    ours, theirs = (
        side(weights, *benchmark_style.pictures(48)) for side in benchmark_style.SIDES.values()
    )
    more = {"solver": "Adam", "momentum": 0.9} if options else {}
    before = ours.run(1, **options, **more)
    found = ours.run(50, **options, **more)
    assert found < before / 3
    assert found == pytest.approx(theirs.run(50, **options), rel=0.01)
