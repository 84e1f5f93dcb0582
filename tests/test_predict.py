"""caffelite predict: what nets answer to pictures, of each kind; --draw, also of detect."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.layers.base import create_layer
from caffelite.layers.utility.softmax import Softmax
from caffelite.layers.vision.convolution import Convolution
from caffelite.pictures.palette import color_of
from caffelite.predict.answers import ANSWERS, kind_of
from caffelite.predict.answers.boxes import Boxes
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse

HEAD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: %d kernel_size: 1 bias_term: false weight_filler { type: "gaussian" std: 1 } } }
"""  # noqa: E501
PROB = 'layer { name: "prob" type: "Softmax" bottom: "conv" top: "prob" }'
LABEL = (
    'layer { name: "label" type: "ArgMax" bottom: "conv" top: "label" argmax_param { axis: 1 } }'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("a/one", "b/one", "two"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).save(f"{name}.png")
    Path("bad.png").write_bytes(b"\x89PNG not")
    Path("names.txt").write_text("ground\nsky\n")


def net(text):
    Path("net.prototxt").write_text(text)
    caffelite.set_random_seed(1)
    made = caffelite.Net("net.prototxt", caffelite.TEST)
    made.save("w.caffemodel")
    return made


def predict(*words):
    return main(["predict", *words, "--model", "net.prototxt", "--weights", "w.caffemodel"])


def answers(capsys, *words):
    capsys.readouterr()
    assert predict(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def run(made, path, blob):
    made.blobs["data"].data[0] = pixels(path)[:, :, ::-1].transpose(2, 0, 1)
    made.forward()
    return made.blobs[blob].data[0].copy()


@pytest.mark.parametrize(("end", "blob"), [(PROB, "prob"), (LABEL, "label"), ("", "conv")])
def test_a_label_for_each_pixel(folder, capsys, end, blob):
    made = net(HEAD % 4 + end)
    (found,) = answers(capsys, "two.png", "--labels", "names.txt", "--draw", "out")
    labels = run(made, "two.png", blob)
    labels = labels[0].astype(int) if blob == "label" else labels.argmax(axis=0)
    assert (found["answer"], found["height"], found["width"]) == ("pixels", 6, 8)
    shares = {one["label"]: one["share"] for one in found["labels"]}
    assert shares == {int(k): np.mean(labels == k) for k in np.unique(labels)}
    names = {one["label"]: one["name"] for one in found["labels"]}
    assert all(names[k] == ["ground", "sky", "2", "3"][k] for k in names)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    drawn = pixels(found["drawn"])
    seen = pixels("two.png").astype(float)
    seen = np.rint((seen - seen.min()) / (seen.max() - seen.min()) * 255).astype(int)
    expected = np.where(labels[..., None] == 0, seen, (seen + color_of(labels)) // 2)
    assert found["drawn"] == str(Path("out/two.png")) and abs(drawn - expected).max() <= 1


def test_a_picture_from_a_picture(folder, capsys):
    made = net(HEAD % 3)
    (found,) = answers(capsys, "two.png", "--draw", "out")
    values = run(made, "two.png", "conv")
    assert (found["answer"], found["channels"]) == ("picture", 3)
    assert found["least"] == pytest.approx(values.min(), rel=1e-5)
    stretched = (values - values.min()) / (values.max() - values.min()) * 255
    expected = stretched[::-1].transpose(1, 2, 0)
    np.testing.assert_allclose(pixels(found["drawn"]), expected, atol=0.51)


def test_classes_are_those_of_classify(folder, capsys):
    net(HEAD % 4 + PROB.replace("conv", "pool").replace("layer", POOL + "layer"))
    found = answers(capsys, "a", "two.png", "--draw", "out")
    files = ["--model", "net.prototxt", "--weights", "w.caffemodel"]
    assert main(["classify", "a", "two.png", *files, "--json"]) == 0
    for one, want in zip(found, json.loads(capsys.readouterr().out), strict=True):
        assert one["answer"] == "classes"
        assert (one["file"], one["top"]) == (want["file"], want["top"])
        drawn = pixels(one["drawn"])
        assert drawn.shape[1] == 8 and len(drawn) > 6


POOL = """layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
"""


def test_another_kind_can_be_asked_for(folder, capsys):
    net(HEAD % 3)
    (found,) = answers(capsys, "two.png", "--answer", "pixels")
    assert found["answer"] == "pixels"
    (found,) = answers(capsys, "two.png", "--answer", "classes")
    assert found["answer"] == "classes" and len(found["top"]) == 3


def test_kinds_that_cannot_be_asked_for(folder, capsys):
    net(HEAD % 3)
    assert predict("two.png", "--answer", "pixel") == 2
    assert '--answer: unknown "pixel"; did you mean "pixels"' in capsys.readouterr().err
    assert predict("two.png", "--answer", "boxes") == 1
    assert "caffelite detect asks what is in given ones" in capsys.readouterr().err


def test_text_names_each_picture_once(folder, capsys):
    net(HEAD % 3)
    assert predict("a", "two.png") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[::2] == ["a/one.png", "two.png"] and shown[1].startswith("  3 x 6 x 8, from ")


def test_bad_pictures_are_named_and_the_others_answered(folder, capsys):
    net(HEAD % 3)
    assert predict("bad.png", "two.png", "--json") == 1
    out, err = capsys.readouterr()
    assert "bad.png: no picture" in err and "1 of 2 pictures cannot be read" in err
    assert [one["file"] for one in json.loads(out)] == ["two.png"]
    assert [one["file"] for one in answers(capsys, "*.png", "--skip-bad")] == ["two.png"]


def test_pictures_of_one_name_are_drawn_apart(folder, capsys):
    net(HEAD % 3)
    found = answers(capsys, "a", "b", "--draw", "out")
    assert [Path(one["drawn"]).name for one in found] == ["one.png", "one_1.png"]


def test_no_picture_is_drawn_over(folder, capsys):
    """A .png would be its own drawing, and what is read next that of a .jpg of its name."""
    net(HEAD % 3)
    before = Path("two.png").read_bytes()
    for where, picture in ((".", "two.png"), ("a", "a/../a/one.png"), ("a", "a")):
        assert predict(picture, "--draw", where) == 2
        assert "a drawing might take its place; name another folder" in capsys.readouterr().err
    assert Path("two.png").read_bytes() == before


@pytest.mark.parametrize("answer", ["classes", "picture"])
def test_what_is_no_number_is_null_in_json(folder, capsys, answer):
    made = net(HEAD % 3)
    made.params["conv"][0].data[...] = np.nan
    made.save("w.caffemodel")
    assert predict("two.png", "--answer", answer, "--json") == 0
    out = capsys.readouterr().out
    assert "NaN" not in out and "null" in out and json.loads(out)


def test_labels_of_pixels_take_a_wide_output_of_one_crop(folder, capsys):
    net(HEAD % 4 + PROB.replace("conv", "pool").replace("layer", POOL + "layer"))
    assert predict("two.png", "--answer", "pixels") == 0
    assert predict("two.png", "--answer", "pixels", "--crops", "10", "--resize", "9x10") == 1
    assert "of 10 crops, tells no label for each pixel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (Softmax, (1, 10), "classes"),
        (Softmax, (1, 10, 1, 1), "classes"),
        (Softmax, (1, 3, 5, 5), "pixels"),
        ("axis: 1", (1, 1, 5, 5), "pixels"),
        ("axis: -3", (1, 1, 5, 5), "pixels"),
        ("axis: 1 out_max_val: true", (1, 1, 5, 5), "picture"),
        ("axis: 1 top_k: 2", (1, 2, 5, 5), "classes"),
        ("top_k: 5", (1, 1, 5, 1), "classes"),
        (Convolution, (1, 21, 5, 5), "pixels"),
        (Convolution, (1, 3, 5, 5), "picture"),
        (Convolution, (1, 1, 5, 5), "picture"),
        (Convolution, (), "classes"),
    ],
)
def test_the_net_tells_what_it_answers(layer, shape, kind):
    if isinstance(layer, str):
        text = f'type: "ArgMax" argmax_param {{ {layer} }}'
        made = create_layer(parse(text, caffe_pb2.LayerParameter))
    else:
        made = layer.__new__(layer)
    assert kind_of(made, shape) is ANSWERS[kind]


@pytest.mark.parametrize("command", ["predict", "classify"])
def test_which_value_is_largest_is_no_score_of_a_class(folder, capsys, command):
    """Positions were averaged, and told as the score of class 0."""
    net(HEAD % 3 + POOL + LABEL.replace("axis: 1", "").replace("conv", "pool"))
    files = ["--model", "net.prototxt", "--weights", "w.caffemodel"]
    assert main([command, "two.png", *files]) == 1
    assert 'take its bottom as the output, --output "pool"' in capsys.readouterr().err
    assert main([command, "two.png", *files, "--output", "pool"]) == 0


# Boxes


def test_boxes_are_framed_and_named():
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    found = Boxes(([(40, 30, 90, 80), (-5.5, 2, 30, 500)], scores), ["dog"])
    assert [(one["name"], one["score"]) for one in found.as_json()["boxes"]] == [
        ("1", 0.9),
        ("dog", 0.8),
    ]
    picture = np.full((100, 120, 3), 255, np.uint8)
    drawn = found.draw(picture)
    assert (picture == 255).all() and drawn.shape == picture.shape
    for y, x, label in ((89, 60, 1), (60, 79, 1), (29, 90, 0)):
        assert drawn[y, x].tolist() == color_of(label + 1).tolist()
    assert drawn[60, 50].tolist() == [255, 255, 255]


def test_the_colors_are_those_of_voc():
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert color_of([0, 1, 2, 3, 4]).tolist() == expected
    assert color_of(20).tolist() == [0, 64, 128] and color_of(255).tolist() == [224, 224, 192]


def test_detect_draws_and_leaves_out_what_is_bad(folder, capsys):
    net(
        """layer { name: "data" type: "Input" top: "data"
          input_param { shape { dim: 4 dim: 3 dim: 6 dim: 5 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "score"
          inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }"""
    )
    lines = ["filename,ymin,xmin,ymax,xmax", "two.png,1,1,5,6", "bad.png,0,0,4,4"]
    Path("windows.csv").write_text("\n".join(lines))
    files = ["--model", "net.prototxt", "--weights", "w.caffemodel", "--context_pad", "0"]
    assert main(["detect", "windows.csv", "all.csv", *files]) == 1
    assert "bad.png: no picture" in capsys.readouterr().err
    words = ["--skip-bad", "--draw", "out", "--json"]
    assert main(["detect", "windows.csv", "out.csv", *files, *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": "out.csv", "windows": 1, "pictures": 1}
    assert len(Path("out.csv").read_text().splitlines()) == 2
    assert Path("out.csv").read_text() == Path("all.csv").read_text()
    assert (pixels("out/two.png") != pixels("two.png")).any()
