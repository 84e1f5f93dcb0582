"""caffelite classify: pictures through nets, as the nets' own data layers prepare them."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data import binaryproto
from caffelite.data.image_list import read_picture
from caffelite.errors import DataError, NetError
from caffelite.io import load_image
from caffelite.layers import layer_types
from caffelite.layers.base import Layer
from caffelite.predict import runner
from caffelite.predict.deploy import data_layer, deploy
from caffelite.predict.preprocessing import Preprocessing
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse, write_net

TRAIN_VAL = """
name: "tiny"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mirror: true crop_size: 6 mean_file: "data/mean.binaryproto" scale: 0.02 }
        data_param { source: "data/train_lmdb" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        transform_param { crop_size: 6 mean_file: "data/mean.binaryproto" scale: 0.02 }
        data_param { source: "data/train_lmdb" backend: LMDB batch_size: 9 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "other" type: "Power" bottom: "label" top: "other" }
layer { name: "silence" type: "Silence" bottom: "other" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
        include { phase: TEST } }
"""

DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""  # noqa: E501


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A net in net/, its data, and the probabilities it has for them: {picture: three numbers}."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("ant", "bee", "cat"):
        Path("pictures", name).mkdir(parents=True)
        for i in range(3):
            pixels = random.integers(0, 256, (11, 14, 3), np.uint8)
            Image.fromarray(pixels).save(f"pictures/{name}/{i}.png")
    words = ["--resize", "8x9", "--no-shuffle"]
    assert main(["dataset", "pictures", *words]) == 0
    Path("net").mkdir()
    Path("net/train_val.prototxt").write_text(TRAIN_VAL)
    caffelite.set_random_seed(1)
    net = caffelite.Net("net/train_val.prototxt", caffelite.TEST)
    net.save("w.caffemodel")
    net.forward()
    scores = np.exp(net.blobs["ip"].data.astype(float))
    prob = scores / scores.sum(axis=1, keepdims=True)
    paths = [f"pictures/{name}/{i}.png" for name in ("ant", "bee", "cat") for i in range(3)]
    return dict(zip(paths, prob, strict=True))


@pytest.fixture
def classify(capsys):
    def run(*words, model="net/train_val.prototxt", code=0):
        """{picture: the probability of each class} of the JSON that is printed, or stderr."""
        capsys.readouterr()
        command = ["classify", *words, "--model", model, "--weights", "w.caffemodel", "--json"]
        assert main([str(word) for word in command]) == code
        out, err = capsys.readouterr()
        return as_arrays(json.loads(out)) if code == 0 else err

    return run


def as_arrays(results):
    return {
        one["file"]: np.array([t["score"] for t in sorted(one["top"], key=lambda t: t["label"])])
        for one in results
    }


def assert_same(found, expected):
    assert list(found) == list(expected)
    for path, prob in expected.items():
        np.testing.assert_allclose(found[path], prob, 1e-5)


def test_a_net_for_training_says_what_it_says_of_its_own_data(trained, classify):
    assert_same(classify("pictures"), trained)
    assert_same(classify("pictures/*/*.png"), trained)
    assert_same(classify(*trained), trained)


def test_a_net_for_use_takes_what_lies_beside_it(trained, classify):
    Path("net/deploy.prototxt").write_text(DEPLOY)
    assert_same(classify("pictures", model="net/deploy.prototxt"), trained)
    Path("alone").mkdir()
    Path("alone/deploy.prototxt").write_text(DEPLOY)
    words = ["--train_val", "net/train_val.prototxt"]
    assert_same(classify("pictures", *words, model="alone/deploy.prototxt"), trained)
    card = "name: x\nresize: [8, 9]\n"
    card += "transform_param: {mean_file: data/mean.binaryproto, scale: 0.02}\n"
    Path("alone/readme.md").write_text(f"---\n{card}labels: names\n---\n\n# x\n")
    Path("alone/names").write_text("p\nq\nr\n")
    assert_same(classify("pictures", model="alone/deploy.prototxt"), trained)


def test_flags_override_what_the_files_say(trained, classify):
    Path("deploy.prototxt").write_text(DEPLOY)
    flags = ["--mean", "data/mean.binaryproto", "--scale", "0.02"]
    assert_same(classify("pictures", *flags, model="deploy.prototxt"), trained)
    found = classify("pictures", "--mean_value", "9,8,7", "--scale", "0.01", "--resize", 6)
    net = caffelite.Net("deploy.prototxt", caffelite.TEST, weights="w.caffemodel")
    for path, prob in found.items():
        x = (read_picture(path, size=(6, 6)) - np.array([9, 8, 7.0]).reshape(3, 1, 1)) * 0.01
        net.blobs["data"].data[...] = x
        np.testing.assert_allclose(prob, net.forward()["prob"][0], 1e-4)


def test_without_a_word_pixels_stay_as_they_are(trained, classify, capsys):
    Path("alone").mkdir()
    Path("alone/deploy.prototxt").write_text(DEPLOY)
    words = ["classify", "pictures/ant/0.png", "--model=alone/deploy.prototxt"]
    assert main([*words, "--weights=w.caffemodel"]) == 0
    assert "they are taken from 0 to 255" in capsys.readouterr().err


def ten(pixels, size):
    """The corners and the middle of C x H x W, and the same mirrored."""
    h, w = pixels.shape[1] - size, pixels.shape[2] - size
    places = [(0, 0), (0, w), (h, 0), (h, w), (h // 2, w // 2)]
    five = [pixels[:, y : y + size, x : x + size] for y, x in places]
    return np.array([*five, *(crop[:, :, ::-1] for crop in five)])


def test_all_scores_are_those_of_a_classifier(trained, classify):
    Path("deploy.prototxt").write_text(DEPLOY)
    random = np.random.default_rng(0)
    Path("small").mkdir()
    for i in range(3):
        Image.fromarray(random.integers(0, 256, (8, 9, 3), np.uint8)).save(f"small/{i}.png")
    settings = {"mean": np.array([9, 8, 7]), "input_scale": 0.02, "raw_scale": 255}
    settings |= {"image_dims": (8, 9), "channel_swap": (2, 1, 0)}
    classifier = caffelite.Classifier("deploy.prototxt", "w.caffemodel", **settings)
    flags = ["--mean_value", "9,8,7", "--scale", "0.02", "--resize", "8x9", "--npy", "scores.npy"]
    for crops, oversample in ((1, False), (10, True)):
        found = classify("small", *flags, "--crops", crops, model="deploy.prototxt")
        images = [load_image(path) for path in found]
        scores = np.load("scores.npy")
        np.testing.assert_allclose(scores, classifier.predict(images, oversample), 1e-4)
        np.testing.assert_allclose(scores, list(found.values()), 1e-6)


def test_ten_crops_are_averaged(trained, classify):
    Path("deploy.prototxt").write_text(DEPLOY)
    net = caffelite.Net("deploy.prototxt", caffelite.TEST, weights="w.caffemodel")
    mean = binaryproto.read("data/mean.binaryproto")[0]
    for path, prob in classify("pictures", "--crops", 10).items():
        x = (read_picture(path, size=(8, 9)).astype(np.float32) - mean) * 0.02
        expected = net.forward_all(data=ten(x, 6))["prob"].mean(axis=0)
        np.testing.assert_allclose(prob, expected, 1e-4)


def test_many_crops_of_one_color_are_one(trained, classify):
    Image.new("RGB", (50, 31), (90, 60, 200)).save("plain.png")
    mean = binaryproto.read("data/mean.binaryproto")[0].mean(axis=(1, 2))
    flags = ["--mean_value", ",".join(map(str, mean))]
    assert_same(classify("plain.png", "--crops", "multi"), classify("plain.png", *flags))
    path = next(iter(trained))
    many, one = classify(path, "--crops", "multi"), classify(path)
    assert abs(many[path] - one[path]).max() > 1e-3


def test_nets_are_averaged(trained, capsys):
    Path("deploy.prototxt").write_text(DEPLOY)
    caffelite.set_random_seed(2)
    caffelite.Net("net/train_val.prototxt", caffelite.TEST).save("v.caffemodel")
    first = ["--model", "net/train_val.prototxt", "--weights", "w.caffemodel"]
    second = ["--model", "net/train_val.prototxt", "--weights", "v.caffemodel"]
    found = []
    for words in (first, second, first + second):
        assert main(["classify", "pictures", *words, "--json"]) == 0
        found.append(as_arrays(json.loads(capsys.readouterr().out)))
    for path in trained:
        np.testing.assert_allclose(found[2][path], (found[0][path] + found[1][path]) / 2, 1e-5)


def test_text_and_csv_name_the_best(trained, capsys):
    path, prob = next(iter(trained.items()))
    best = prob.argsort()[::-1]
    words = [path, "--model=net/train_val.prototxt", "--weights=w.caffemodel", "--top=2"]
    assert main(["classify", *words]) == 0
    names = ["ant", "bee", "cat"]  # from data/labels.txt
    lines = [f"  {prob[k]:.4f}  {names[k]}" for k in best[:2]]
    assert capsys.readouterr().out.splitlines() == [path, *lines]
    Path("names").write_text("one, of two\n")
    assert main(["classify", *words, "--csv", "--labels=names"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["file", "rank", "label", "name", "score"]
    names = ["one, of two", "1", "2"]
    for rank in (1, 2):
        k = best[rank - 1]
        assert rows[rank][:4] == [path, str(rank), str(k), names[k]]
        assert float(rows[rank][4]) == pytest.approx(prob[k], rel=1e-4)


MADE = ["--model=net/train_val.prototxt", "--weights=w.caffemodel"]


def test_bad_pictures_are_named_and_the_others_answered(trained, classify, capsys):
    Path("pictures/bee/1.png").write_bytes(Path("pictures/bee/1.png").read_bytes()[:-40])
    left = {path: prob for path, prob in trained.items() if path != "pictures/bee/1.png"}
    assert main(["classify", "pictures", *MADE, "--json", "--top=3", "--npy=all.npy"]) == 1
    out, err = capsys.readouterr()
    assert_same(as_arrays(json.loads(out)), left)
    assert "pictures/bee/1.png: no picture that can be decoded" in err
    assert "1 of 9 pictures cannot be read" in err and "--skip-bad" in err
    assert "all.npy: not written" in err and not Path("all.npy").exists()
    assert_same(classify("pictures", "--skip-bad"), left)
    assert main(["classify", "pictures", *MADE, "--skip-bad"]) == 0
    err = capsys.readouterr().err
    assert "skipped pictures/bee/1.png: no picture" in err and "skipped: 1 of 9 pictures" in err


def test_a_folder_that_cannot_be_looked_into_is_named(trained, classify, monkeypatch):
    """Its pictures would be left out in silence."""
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("bee"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "pictures/bee: cannot be read: Permission denied" in classify("pictures", code=1)


def test_csv_is_there_whole_or_not_at_all(trained, capsys, monkeypatch):
    Path("pictures/bee/1.png").write_bytes(b"")
    words = ["classify", "pictures", *MADE, "--csv"]
    assert main([*words, "--top=1"]) == 1
    whole = capsys.readouterr().out
    assert [row[0] for row in csv.reader(io.StringIO(whole))][1:] == sorted(
        set(trained) - {"pictures/bee/1.png"}
    )
    assert main([*words, "--top=1", "--out=all.csv"]) == 1
    assert Path("all.csv").read_text() == whole and capsys.readouterr().out == ""
    answer, asked = runner.PicturePredictor.predict, []

    def fails_late(self, read):
        asked.append(read)
        if len(asked) == 3:
            raise NetError("power cut")
        return answer(self, read)

    monkeypatch.setattr(runner.PicturePredictor, "predict", fails_late)
    monkeypatch.setattr(runner, "CROPS", 2)  # pictures at a time
    for more in ([], ["--out=new.csv"]):
        asked.clear()
        assert main([*words, *more]) == 1 and len(asked) == 3
        out, err = capsys.readouterr()
        assert out == "" and "power cut" in err
    assert sorted(map(str, Path().glob("*.csv"))) == ["all.csv"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.png"], 1, "none.png: no such file"),
        (["empty"], 1, "empty: holds no pictures"),
        (["*.tif"], 1, "*.tif: nothing has such a name"),
        (["plain.png", "--mean", "gray.binaryproto"], 1, "has the shape (3, 8, 9), but the mean"),
        (["plain.png", "--mean", "flat.binaryproto"], 1, "expected one image"),
        (["plain.png", "--mean", "flat.binaryproto", "--resize", "7"], 1, "expected one image"),
        (["plain.png", "--mean", "none.binaryproto"], 1, "none.binaryproto: cannot be read"),
        (["plain.png", "--mean_value", "1,2"], 1, "there are 2 of mean_value"),
        (["plain.png", "--mean_value", "x"], 2, "expected numbers, as 104,117,123"),
        (["plain.png", "--resize", "4"], 1, "4 x 4 pixels are too few for crop_size 6"),
        (["plain.png", "--resize", "6", "--crops", "10"], 1, "take larger pictures"),
        (["plain.png", "--output", "ipp"], 1, 'no blob "ipp"; its outputs are prob'),
        (["plain.png", "--labels", "none"], 1, "none: cannot be read"),
        (["plain.png", "--top", "0"], 2, "--top must be at least 1"),
        (["plain.png", "--csv"], 2, "exclude each other"),
        (["plain.png", "--weights", "w.caffemodel"], 2, "each --model needs its --weights"),
        (["plain.png", "--mean", "a", "--mean_value", "1"], 2, "exclude each other"),
        (["plain.png", "--train_val", "deploy.prototxt"], 1, "deploy.prototxt: has no data layer"),
    ],
)
def test_mistakes_are_named(trained, classify, words, code, message):
    Image.new("RGB", (9, 9)).save("plain.png")
    Path("empty").mkdir()
    Path("deploy.prototxt").write_text(DEPLOY)
    binaryproto.write("gray.binaryproto", np.zeros((1, 1, 8, 9), np.float32))
    flat = caffe_pb2.BlobProto(shape={"dim": [2]}, data=[1, 2])
    Path("flat.binaryproto").write_bytes(flat.SerializeToString())
    assert message in classify(*words, code=code)


def test_a_card_tells_what_the_data_layer_beside_it_does_not(trained, classify, capsys):
    shutil.rmtree("data")
    values = "mean_value: 100 mean_value: 110 mean_value: 120"
    text = TRAIN_VAL.replace('mean_file: "data/mean.binaryproto"', values)
    Path("net/train_val.prototxt").write_text(text)
    Path("net/deploy.prototxt").write_text(DEPLOY)
    seven = classify("pictures", model="net/deploy.prototxt")
    assert_same(seven, classify("pictures", "--resize", 7))
    words = ["--model=net/deploy.prototxt", "--weights=w.caffemodel"]
    assert main(["classify", "pictures", *words]) == 0
    assert "of what size pictures were before is not known: taking 7 x 7" in capsys.readouterr().err
    Path("net/readme.md").write_text("---\nname: x\nresize: 9\nlabels: names\n---\n")
    Path("net/names").write_text("p\nq\nr\n")
    assert_same(
        classify("pictures", model="net/deploy.prototxt"), classify("pictures", "--resize", 9)
    )
    capsys.readouterr()
    assert main(["classify", "pictures/ant/0.png", *words]) == 0
    assert sorted(line[-1] for line in capsys.readouterr().out.splitlines()[1:]) == ["p", "q", "r"]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("transform_param: {scail: 1}\n", "scail"),
        ("transform_param: [1]\n", "transform_param, resize: "),
        ("transform_param: {scale: 1}\nresize: big\n", "transform_param, resize: "),
        ("a: [\n", "cannot be read as a model's card"),
    ],
)
def test_a_card_that_is_wrong_is_named(trained, classify, card, message):
    Path("alone").mkdir()
    Path("alone/deploy.prototxt").write_text(DEPLOY)
    Path("alone/readme.md").write_text(f"---\n{card}---\n")
    err = classify("pictures", model="alone/deploy.prototxt", code=1)
    assert "alone/readme.md: " in err and message in err


def test_without_its_data_a_net_for_training_may_not_know_its_size(trained, classify):
    shutil.rmtree("data")
    err = classify("pictures", code=1)
    assert "mean.binaryproto: cannot be read" in err and "which net/train_val.prototxt names" in err
    text = TRAIN_VAL.replace('mean_file: "data/mean.binaryproto"', "mean_value: 9")
    Path("net/train_val.prototxt").write_text(text)
    err = classify("pictures", code=1)
    assert "neither mean_file nor the data tell the size of the pictures" in err


# A net for training as one for use


def deployed(*layers):
    text = """layer { name: "d" type: "HDF5Data" top: "x" top: "y" top: "z"
                      hdf5_data_param { source: "l" batch_size: 1 } }"""
    net = parse(text + "".join(layers), caffe_pb2.NetParameter)
    return [(ly.name, ly.type, *ly.bottom, *ly.top) for ly in deploy(net, (3, 2, 2)).layer]


IP = 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" }'


def test_losses_become_answers():
    head = [("x", "Input", "x"), ("ip", "InnerProduct", "x", "ip")]
    loss = 'layer { name: "l" type: "%s" bottom: "ip" bottom: "y" top: "l" }'
    for softmax in ("SoftmaxWithLoss", "FocalLoss", "SoftmaxWithCrossEntropyLoss", "InfogainLoss"):
        assert deployed(IP, loss % softmax) == [*head, ("l", "Softmax", "ip", "prob")]
    assert deployed(IP, loss % "SigmoidCrossEntropyLoss") == [*head, ("l", "Sigmoid", "ip", "prob")]
    assert deployed(IP, loss % "EuclideanLoss") == head
    both = deployed(IP, loss % "SoftmaxWithLoss", (loss % "SoftmaxWithLoss").replace('"l"', '"m"'))
    assert both == [*head, ("l", "Softmax", "ip", "l"), ("m", "Softmax", "ip", "prob")]


@pytest.mark.parametrize(
    "name", [name for name, made in layer_types().items() if made.role == "loss"]
)
def test_a_loss_leaves_the_answer_that_it_was_computed_from(name):
    made = layer_types()[name]
    labels = ['bottom: "y"', 'bottom: "z"']
    text = f'layer {{ name: "l" type: "{name}" bottom: "ip" {" ".join(labels)} top: "l" }}'
    end = deployed(IP, text)[-1]
    if re.search(r"p = softmax\(x\)|softmax_param", made.__doc__):
        assert end == ("l", "Softmax", "ip", "prob")
    elif "sigmoid(x)" in made.__doc__:
        assert end == ("l", "Sigmoid", "ip", "prob")
    elif made.finder is not Layer.finder:
        kind = "Yolov3DetectionOutput" if name == "Yolov3" else "YoloDetectionOutput"
        assert end == ("detection_out", kind, "ip", "detection_out")
    else:
        assert made.applies is None and end == ("ip", "InnerProduct", "x", "ip")


def test_what_depends_on_labels_goes():
    reader = 'layer { name: "r" type: "Power" bottom: "z" top: "r" }'
    mixer = 'layer { name: "m" type: "Eltwise" bottom: "ip" bottom: "r" top: "m" }'
    assert [name for name, *_ in deployed(IP, reader, mixer)] == ["x", "ip"]


def test_what_is_computed_on_the_way_keeps_its_name():
    gate = 'layer { name: "g" type: "Sigmoid" bottom: "ip" top: "g" }'
    last = 'layer { name: "o" type: "Power" bottom: "g" top: "o" }'
    loss = 'layer { name: "l" type: "EuclideanLoss" bottom: "o" bottom: "y" top: "l" }'
    assert deployed(IP, gate, last, loss)[2:] == [
        ("g", "Sigmoid", "ip", "g"),
        ("o", "Power", "g", "o"),
    ]


def test_a_net_with_an_input_is_for_use_already():
    text = (
        'layer { name: "c" type: "DummyData" top: "c" } layer { name: "x" type: "Input" top: "x" }'
    )
    assert data_layer(parse(text, caffe_pb2.NetParameter)) is None


def test_a_softmax_keeps_its_axis(tmp_path):
    net = parse(
        'layer { name: "d" type: "Data" top: "x" top: "y" }'
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "y"'
        " softmax_param { axis: 2 } }",
        caffe_pb2.NetParameter,
    )
    made = deploy(net, (3, 4, 5))
    assert made.layer[1].softmax_param.axis == 2
    net.layer[1].type = "InfogainLoss"
    net.layer[1].infogain_loss_param.axis = 3
    assert deploy(net, (3, 4, 5)).layer[1].softmax_param.axis == 3
    write_net(made, tmp_path / "net.prototxt")
    assert caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST).outputs == ["prob"]


def test_a_card_of_aliases_is_refused_at_once(tmp_path):
    """Ten lines of ten aliases each stand for ten thousand million words: it took 30 s and more."""
    lines = [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)]
    text = "\n".join(["---", "a0: &a0 [1]", *lines, "transform_param: *a9", "---", ""])
    (tmp_path / "readme.md").write_text(text)
    with pytest.raises(DataError, match=r"readme.md: cannot be read as a model's card: aliases"):
        Preprocessing.of_card(str(tmp_path / "readme.md"))


def test_a_net_for_use_is_not_made_one_again():
    net = parse('layer { name: "x" type: "Input" top: "x" }', caffe_pb2.NetParameter)
    with pytest.raises(NetError, match=r"x\.prototxt: has no layer that brings samples along"):
        deploy(net, (3, 4, 5), "x.prototxt")
