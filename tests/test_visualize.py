"""visualize: maps by numbers that are known, and the pictures of the command."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.errors import NetError
from caffelite.pictures import arrays
from caffelite.predict import sensitivity
from caffelite.proto import caffe_pb2

NET = """
layer { name: "data" type: "Input" top: "data" input_param {
        shape { dim: 1 dim: 3 dim: 12 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
        num_output: 6 kernel_size: 3 stride: 2 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param {
        num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def test_filters_have_one_scale():
    weight = np.zeros((2, 1, 2, 2), np.float32)
    weight[0, 0] = [[-1, 0], [1, 3]]
    picture = arrays.filters(weight)
    height, width = picture.shape[:2]
    assert height <= width and width >= 640
    quarter = picture[height // 4, [width // 8, 3 * width // 8], 0]
    assert quarter.tolist() == [0, round(255 / 4)]  # the upper row of the first filter
    lower = picture[3 * height // 4, [width // 8, 3 * width // 8], 0]
    assert lower.tolist() == [round(255 / 2), 255]
    assert (picture[height // 4, 5 * width // 8] == round(255 / 4)).all()  # 0 in the second


def test_filters_of_colors_are_blue_first():
    weight = np.zeros((1, 3, 1, 1), np.float32)
    weight[0, :, 0, 0] = [1, 0.5, 0]  # blue, green, red
    picture = arrays.filters(weight)
    assert picture[len(picture) // 2, len(picture) // 2].tolist() == [0, 128, 255]


@pytest.mark.parametrize("shape", [(3, 5), (0, 1, 3, 3)])
def test_what_is_no_filter(shape):
    with pytest.raises(NetError, match="shape"):
        arrays.filters(np.zeros(shape, np.float32))


def test_values_that_are_not_finite_are_shown():
    weight = np.full((1, 1, 2, 2), np.nan, np.float32)
    assert arrays.filters(weight).dtype == np.uint8


def test_maps_are_black_at_zero():
    values = np.zeros((1, 1, 2), np.float32)
    values[0, 0] = [-5, 2]
    picture = arrays.feature_maps(values)
    middle = picture[len(picture) // 2]
    assert middle[picture.shape[1] // 4, 0] == 0 and middle[3 * picture.shape[1] // 4, 0] == 255


def test_occlusion_of_a_sum_is_what_was_hidden():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((2, 3, 4, 5))
    tried = []
    fall = sensitivity.occlusion(
        lambda batch: (batch * w).sum(axis=(1, 2, 3)), x, 1, 1, tried.append
    )
    np.testing.assert_allclose(fall, (w * x).sum(axis=0), atol=1e-12)
    assert sum(tried) == sensitivity.occlusion_count(x.shape, 1, 1) == 20


def test_occlusion_covers_the_borders():
    x = np.ones((1, 7, 5))
    fall = sensitivity.occlusion(lambda batch: batch.sum(axis=(1, 2, 3)), x, 3, 2)
    assert (fall == 9).all()  # each square hides nine ones
    assert sensitivity.occlusion_count(x.shape, 3, 2) == 3 * 2
    assert sensitivity.occlusion_count(x.shape, 9, 2) == 1  # larger than the picture


def test_saliency_is_the_gradient(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true" + NET)
    net = caffelite.Net(path, caffelite.TEST, dtype=np.float64, seed=1)
    x = np.random.default_rng(2).standard_normal((3, 12, 9))
    found = sensitivity.saliency(net, "data", x, net.layer_dict["fc"], 2)

    def score(x):
        net.blobs["data"].data[...] = x
        net.forward()
        return net.blobs["fc"].data[0, 2]

    slopes = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-5
        slopes[at] = (score(x + step) - score(x - step)) / 2e-5
    np.testing.assert_allclose(found, abs(slopes).max(axis=0), atol=1e-7)
    assert found.max() > 0.01


GUIDED = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param {
        shape { dim: 1 dim: 2 dim: 9 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
        num_output: 5 kernel_size: 3 weight_filler { type: "gaussian" std: 0.4 } } }
layer { name: "act1" type: "ACT" bottom: "conv1" top: "TOP" OPTIONS }
layer { name: "conv2" type: "Convolution" bottom: "TOP" top: "conv2" convolution_param {
        num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.4 } } }
layer { name: "act2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "shift" type: "Power" bottom: "conv2" top: "conv2" power_param { shift: -0.5 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc" inner_product_param {
        num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

RECTIFIERS = [  # type, options, the same in PyTorch
    ("ReLU", "", "relu(x)"),
    ("ReLU", "relu_param { negative_slope: 0.3 }", "leaky_relu(x, 0.3)"),
    ("ReLU6", "", "relu6(x)"),
    ("ReLUX", "relux_param { maximal_value: 0.7 }", "hardtanh(x, 0, 0.7)"),
    ("PReLU", "prelu_param { filler { value: 0.1 } }", "leaky_relu(x, 0.1)"),
    ("ELU", "elu_param { alpha: 0.5 }", "elu(x, 0.5)"),
    ("SeLu", "", "selu(x)"),
    ("BNLL", "", "softplus(x)"),
    ("GELU", "", "gelu(x)"),
    ("Swish", "", "silu(x)"),
]


def test_every_rectifier_is_tried():
    from caffelite.layers.base import layer_types

    kinds = {name for name, kind in layer_types().items() if kind.rectifies}
    assert kinds == {name for name, *_ in RECTIFIERS}


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(("kind", "options", "twin"), RECTIFIERS)
def test_guided_backpropagation_is_that_of_hooks_in_pytorch(kind, options, twin, in_place):
    torch = pytest.importorskip("torch")
    text = GUIDED.replace("ACT", kind).replace("OPTIONS", options)
    param = text_format.Parse(
        text.replace("TOP", "conv1" if in_place else "act1"), caffe_pb2.NetParameter()
    )
    net = caffelite.Net(param, caffelite.TEST, dtype=np.float64, seed=1)
    x = np.random.default_rng(3).standard_normal((2, 9, 8))
    weights = {name: torch.tensor(blobs[0].data) for name, blobs in net.params.items()}
    f = torch.nn.functional

    def rectified(x, rectify):
        y = rectify(x)
        y.register_hook(lambda dy: dy * (dy > 0) * (x > 0))
        return y

    def twin_map(start):
        seen = torch.tensor(x[None], requires_grad=True)
        y = f.conv2d(seen, weights["conv1"])
        y = rectified(y, lambda x: eval(f"f.{twin}", {"f": f, "x": x}))
        y = f.conv2d(y, weights["conv2"])
        if start == "conv2":
            y[0, 1].max().backward()
            return seen.grad[0].numpy()
        y = rectified(y, f.relu) - 0.5
        (y.flatten() @ weights["fc"][2]).backward()
        return seen.grad[0].numpy()

    for layer, index in (("fc", 2), ("conv2", 1)):
        found = sensitivity.guided_backpropagation(net, "data", x, net.layer_dict[layer], index)
        np.testing.assert_allclose(found, twin_map(layer), atol=1e-12)
        assert abs(found).max() > 0.01


def test_only_what_speaks_for_a_unit_is_found():
    """By hand: two ReLUs, one on and one off, and a unit that both speak for and against."""
    net = caffelite.Net(
        text_format.Parse(
            """force_backward: true
            layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
            layer { name: "h" type: "InnerProduct" bottom: "x" top: "h"
                    inner_product_param { num_output: 3 bias_term: false } }
            layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
            layer { name: "y" type: "InnerProduct" bottom: "h" top: "y"
                    inner_product_param { num_output: 1 bias_term: false } }""",
            caffe_pb2.NetParameter(),
        ),
        caffelite.TEST,
    )
    net.params["h"][0].data[...] = [[2, 0, 1], [0, -1, 0], [0, 3, 0]]
    net.params["y"][0].data[...] = [[5, 7, -4]]  # the second is off, the third speaks against
    found = sensitivity.guided_backpropagation(net, "x", np.ones(3), net.layer_dict["y"], 0)
    assert found.tolist() == [10, 0, 5]


CAM = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param {
        shape { dim: 1 dim: 2 dim: 12 dim: 10 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
        num_output: 5 kernel_size: 3 weight_filler { type: "gaussian" std: 0.4 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2" convolution_param {
        num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.4 } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "all" type: "Pooling" bottom: "conv2" top: "all"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "most" type: "Pooling" bottom: "conv2" top: "most"
        pooling_param { pool: MAX global_pooling: true } }
layer { name: "both" type: "Concat" bottom: "all" bottom: "most" top: "both" }
layer { name: "fc" type: "InnerProduct" bottom: "both" top: "fc" inner_product_param {
        num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "beside" type: "Pooling" bottom: "conv1" top: "beside"
        pooling_param { kernel_size: 2 stride: 2 } }
"""


@pytest.mark.parametrize("at", ["conv1", "relu1", "conv2", "relu2", None])
def test_grad_cam_is_that_of_hooks_in_pytorch(at):
    """The blob of conv2 is read twice, and overwritten in place."""
    torch = pytest.importorskip("torch")
    net = caffelite.Net(
        text_format.Parse(CAM, caffe_pb2.NetParameter()), caffelite.TEST, dtype=np.float64, seed=2
    )
    f, kept = torch.nn.functional, {}
    weights = {name: torch.tensor(blobs[0].data) for name, blobs in net.params.items()}
    x = np.random.default_rng(5).standard_normal((2, 12, 10))

    def keep(name, y):
        y.register_hook(lambda dy: kept.update({name: (y[0].detach(), dy[0])}))
        return y

    y = torch.tensor(x[None], requires_grad=True)
    for conv, relu in (("conv1", "relu1"), ("conv2", "relu2")):
        y = keep(relu, f.relu(keep(conv, f.conv2d(y, weights[conv]))))
    both = torch.cat([y.mean(dim=(2, 3)), y.amax(dim=(2, 3))], dim=1)
    (both @ weights["fc"][0]).backward()
    maps, slopes = kept[at or "relu2"]
    want = f.relu((maps * slopes.mean(dim=(1, 2), keepdim=True)).sum(0))
    want = f.interpolate(want[None, None], (12, 10), mode="bilinear", align_corners=False)
    layers = net.layer_dict
    found = sensitivity.grad_cam(net, "data", x, layers["fc"], 0, maps=at and layers[at])
    np.testing.assert_allclose(found, want[0, 0].numpy(), atol=1e-12)
    assert found.max() > 0.01
    assert sensitivity.last_with_maps(net, layers["fc"]) is layers["relu2"]
    with pytest.raises(NetError, match='layer "beside".*"fc" makes does not depend on it'):
        sensitivity.grad_cam(net, "data", x, layers["fc"], 1, maps=layers["beside"])


def test_grad_cam_wants_a_layer_with_places():
    text = (
        GUIDED.partition('layer { name: "conv1')[0]
        + """
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {
                num_output: 3 } }"""
    )
    net = caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TEST)
    with pytest.raises(NetError, match='layer "fc".*no layer below it has maps'):
        sensitivity.grad_cam(net, "data", np.ones((2, 9, 8)), net.layer_dict["fc"], 0)


BRANCHES = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "relu" type: "ReLU" bottom: "x" top: "u" }
layer { name: "beside" type: "Power" bottom: "u" top: "beside" power_param { scale: 7 } }
layer { name: "loss" type: "Reduction" bottom: "u" top: "loss" loss_weight: 9 }
layer { name: "y" type: "Power" bottom: "u" top: "y" power_param { scale: 2 } }
layer { name: "above" type: "Eltwise" bottom: "beside" bottom: "y" top: "above" }
"""


@pytest.mark.parametrize("find", [sensitivity.saliency, sensitivity.guided_backpropagation])
def test_a_map_is_of_its_unit_alone(find):
    """Neither losses nor what another map or backward left in blobs beside the unit add to it."""
    net = caffelite.Net(text_format.Parse(BRANCHES, caffe_pb2.NetParameter()), caffelite.TEST)

    def trained():
        net.forward(x=np.ones(net.blobs["x"].shape))
        net.blobs["above"].diff[...] = 5
        net.backward()
        return net.blobs["x"].diff.ravel().tolist()

    before = trained()
    x = np.array([1, 2, -3], np.float32)[:, None, None]
    for layer, slope in (("above", 9), ("y", 2), ("beside", 7)):
        found = find(net, "x", x, net.layer_dict[layer], 1)
        assert found.max() == found.sum() == slope
    assert trained() == before == [5 * 9 + 9] * 3  # losses count again


def test_nothing_is_guided_without_rectifiers():
    text = GUIDED.replace("ReLU", "TanH").replace("ACT", "TanH")
    text = text.replace("TOP", "act1").replace("OPTIONS", "")
    net = caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TEST)
    x = np.ones((2, 9, 8))
    with pytest.raises(NetError, match='layer "fc".*no ReLU.*saliency'):
        sensitivity.guided_backpropagation(net, "data", x, net.layer_dict["fc"], 0)


def test_heat_goes_from_black_to_white():
    colors = arrays.heat(np.array([[-1.0, 0.0, 1.0, 2.0]]))[0].tolist()
    assert colors[0] == colors[1] == [0, 0, 0] and colors[3] == [255, 255, 255]
    assert colors[2] == [240, 90, 0]
    assert (arrays.heat(np.zeros((2, 2))) == 0).all()


# The command


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    net = caffelite.Net("net.prototxt", caffelite.TEST, seed=3)
    net.save("net.caffemodel")
    pixels = np.random.default_rng(4).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("x.png")
    return net, pixels


def picture_of(capsys, *words):
    """(what the command says, its picture) of `caffelite visualize WORDS`."""
    assert (
        main(["visualize", words[0], "out.png", "--weights=net.caffemodel", *words[1:], "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told.pop("file") == "out.png"
    return told, np.asarray(Image.open(io.BytesIO(Path("out.png").read_bytes())))


SEEING = ("--model=net.prototxt", "--picture=x.png", "--scale=0.02")


def test_filters_of_a_file(files, capsys):
    told, picture = picture_of(capsys, "filters")
    assert told == {"layer": "conv", "shape": "6 x 3 x 3 x 3"}
    np.testing.assert_array_equal(picture, arrays.filters(files[0].params["conv"][0].data))


def seen(pixels):
    return 0.02 * pixels[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)


def test_features_of_a_picture(files, capsys):
    net, pixels = files
    told, picture = picture_of(capsys, "features", *SEEING)
    assert told == {"layer": "conv", "shape": "6 x 5 x 4"}
    net.forward(end="conv", data=seen(pixels)[None])
    expected = arrays.feature_maps(net.blobs["conv"].data[0])
    assert np.abs(picture.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("what", ["occlusion", "saliency", "gradcam", "guided"])
def test_maps_of_a_picture(files, what, capsys):
    net, pixels = files
    scores = net.forward(data=seen(pixels)[None])["prob"][0].copy()
    told, picture = picture_of(capsys, what, *SEEING)
    assert told["class"] == scores.argmax()
    assert told["score"] == pytest.approx(scores.max(), rel=1e-5)
    assert picture.shape[0] == 12 * (picture.shape[0] // 12)
    other = (scores.argmax() + 1) % 4
    told, of_other = picture_of(capsys, what, *SEEING, f"--class={other}")
    assert told == {"class": other, "score": pytest.approx(scores[other], rel=1e-5)}
    assert (picture != of_other).any()


def test_what_speaks_for_a_map(files, capsys):
    net, pixels = files
    net.forward(end="conv", data=seen(pixels)[None])
    largest = net.blobs["conv"].data[0].max(axis=(1, 2)).copy()
    told, strongest = picture_of(capsys, "guided", *SEEING, "--layer=conv")
    assert told == {
        "layer": "conv", "map": largest.argmax(), "value": pytest.approx(largest.max(), rel=1e-5)
    }  # fmt: skip
    told, other = picture_of(capsys, "guided", *SEEING, "--layer=conv", "--map=2")
    assert told["map"] == 2 and (other != strongest).any()
    left, right = (other.shape[1] - 16) // 3 + 8, 2 * ((other.shape[1] - 16) // 3) + 8
    lit = other[:, left:right].any(axis=2)  # the window of one unit, 3 x 3 of 12 x 9 pixels
    factor = len(other) // 12
    assert lit.any(axis=1).sum() <= 3 * factor and lit.any(axis=0).sum() <= 3 * factor
    assert lit.any()


def test_the_field_of_a_unit(files, capsys):
    """3 x 3 pixels, 2 further on for each place, of 12 x 9."""
    net, pixels = files
    net.forward(end="conv", data=seen(pixels)[None])
    maps = net.blobs["conv"].data[0].copy()
    told, picture = picture_of(capsys, "field", *SEEING, "--place", "4", "1", "--map=2")
    assert told.pop("value") == pytest.approx(maps[2, 4, 1], rel=1e-5)
    assert told == {
        "layer": "conv", "map": 2, "place": "4 1", "rows": "8 to 10", "columns": "2 to 4"
    }  # fmt: skip
    factor, width = len(picture) // 12, (picture.shape[1] - 16) // 3
    lit = picture[:, width + 8 : 2 * width + 8].any(axis=2)
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    assert [*rows[[0, -1]]] == [8 * factor, 11 * factor - 1]
    assert [*columns[[0, -1]]] == [2 * factor, 5 * factor - 1]
    told, _ = picture_of(capsys, "field", *SEEING)
    largest = np.unravel_index(maps.argmax(), maps.shape)
    assert (told["map"], told["place"]) == (largest[0], f"{largest[1]} {largest[2]}")


TOP = 'layer {{ name: "prob" type: "Softmax" bottom: "{}" top: "{}" }}'
ENDS = {  # the end of a net with the scores fc: (layers, how many of fc come before the classes)
    "in place": (TOP.format("fc", "fc"), 0),
    "second top": (
        'layer { name: "slice" type: "Slice" bottom: "fc" top: "a" top: "b" slice_param { '
        'axis: 1 slice_point: 1 } } layer { name: "s" type: "Silence" bottom: "a" }'
        + TOP.format("b", "prob"),
        1,
    ),
}


@pytest.mark.parametrize("what", ["saliency", "guided"])
@pytest.mark.parametrize("end", ENDS)
def test_scores_are_found_where_they_are(files, what, end, capsys):
    text = NET[: NET.index('layer { name: "prob"')]
    layers, before = ENDS[end]
    Path("net.prototxt").write_text(text + layers)
    _, found = picture_of(capsys, what, *SEEING, "--class=1")
    Path("net.prototxt").write_text(text)
    _, expected = picture_of(capsys, what, *SEEING, f"--class={1 + before}")
    np.testing.assert_array_equal(found, expected)


def test_a_number_made_of_all_probabilities_is_no_class(files, capsys):
    """What it changes with is not what the score of the first class does."""
    text = Path("net.prototxt").read_text()
    _, first = picture_of(capsys, "saliency", *SEEING, "--class=0")
    Path("net.prototxt").write_text(
        text + 'layer { name: "mean" type: "Expectation" bottom: "prob" top: "mean" }'
    )
    _, of_mean = picture_of(capsys, "saliency", *SEEING)
    assert (first != of_mean).any()
    Path("net.prototxt").write_text(
        text + 'layer { name: "best" type: "ArgMax" bottom: "prob" top: "best" }'
    )
    assert main(["visualize", "saliency", "o.png", "--weights=net.caffemodel", *SEEING]) == 1
    assert "no gradient goes through" in capsys.readouterr().err


def test_squares_as_wished(files, capsys):
    _, coarse = picture_of(capsys, "occlusion", *SEEING, "--window=12", "--stride=12")
    heat = coarse[:, coarse.shape[1] // 2]
    assert (heat == heat[0]).all()  # one square hides all


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["filters", "out.jpg"], 2, "the name of the .png to make"),
        (["shapes", "out.png"], 2, "shapes"),
        (["features", "out.png"], 2, "--model and --picture"),
        (["filters", "out.png", "--layer=cnov"], 1, 'did you mean "conv"?'),
        (["filters", "out.png", "--layer=fc"], 1, 'no convolution "fc"'),
        (["features", "out.png", *SEEING, "--layer=fc"], 1, "no height and width"),
        (["features", "out.png", *SEEING, "--layer=convv"], 1, 'did you mean "conv"?'),
        (["saliency", "out.png", *SEEING, "--class=4"], 2, "expected 0 to 3"),
        (["guided", "out.png", *SEEING, "--class=4"], 2, "expected 0 to 3"),
        (["guided", "out.png", *SEEING, "--layer=conv", "--map=6"], 2, "--map: expected 0 to 5"),
        (["guided", "out.png", *SEEING, "--map=2"], 2, "--map is for guided, with --layer"),
        (["guided", "out.png", *SEEING, "--layer=conv", "--class=1"], 2, "not both"),
        (["guided", "out.png", *SEEING, "--layer=fc"], 1, "no height and width"),
        (["field", "out.png", *SEEING, "--layer=fc"], 1, "no height and width"),
        (["field", "out.png", *SEEING, "--place", "5", "0"], 2, "5 x 4 places"),
        (["guided", "out.png", *SEEING, "--place", "0", "0"], 2, "--place is for field"),
        (["saliency", "out.png", *SEEING, "--layer=conv"], 2, "not for saliency"),
        (["field", "out.png", *SEEING, "--class=1"], 2, "--class is for occlusion, saliency"),
        (["filters", "out.png", "--stride=2"], 2, "--stride is for occlusion, not for filters"),
        (["occlusion", "out.png", *SEEING, "--window=0"], 2, "at least 1"),
        (["occlusion", "out.png", *SEEING, "--picture=net.prototxt"], 1, "net.prototxt"),
        (["occlusion", "out.png", *SEEING, "--picture=missing.png"], 1, "missing.png"),
        (["filters", "no/folder/out.png"], 1, "no/folder"),
    ],
)
def test_mistakes(files, words, code, said, capsys):
    assert main(["visualize", *words[:2], "--weights=net.caffemodel", *words[2:]]) == code
    assert said in capsys.readouterr().err
    assert not Path("out.png").exists()
