"""visualize: maps by numbers that are known, and the pictures of the command."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.errors import NetError
from caffelite.pictures import arrays
from caffelite.predict import sensitivity

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


@pytest.mark.parametrize("what", ["occlusion", "saliency"])
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


def test_squares_as_wished(files, capsys):
    _, coarse = picture_of(capsys, "occlusion", *SEEING, "--window=12", "--stride=12")
    heat = coarse[:, coarse.shape[1] // 2]
    assert (heat == heat[0]).all()  # one square hides all


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["filters", "out.jpg"], 2, "the name of a .png"),
        (["shapes", "out.png"], 2, "shapes"),
        (["features", "out.png"], 2, "--model and --picture"),
        (["filters", "out.png", "--layer=cnov"], 1, 'did you mean "conv"?'),
        (["filters", "out.png", "--layer=fc"], 1, 'no convolution "fc"'),
        (["features", "out.png", *SEEING, "--layer=fc"], 1, "no height and width"),
        (["features", "out.png", *SEEING, "--layer=convv"], 1, 'did you mean "conv"?'),
        (["saliency", "out.png", *SEEING, "--class=4"], 2, "expected 0 to 3"),
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
