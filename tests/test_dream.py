"""`caffelite dream`: a net sees more of what it is asked for."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main

CLASSES = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 20 dim: 24 } }
  transform_param { mean_value: 100 mean_value: 110 mean_value: 120 scale: 0.02 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "InnerProduct" bottom: "conv" top: "score" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(CLASSES)
    caffelite.Net("net.prototxt", caffelite.TEST, seed=2).save("net.caffemodel")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")
    return tmp_path


def run(*words):
    return main(["dream", *words, "--model", "net.prototxt", "--weights", "net.caffemodel"])


def test_the_picture_of_a_class_scores_for_it(here, capsys):
    words = ["--class", "3", "--iterations", "20", "--jitter", "0"]
    assert run("class.png", *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layer"] == "score" and told["at last"] > told["at first"] + 1
    pixels = np.asarray(Image.open("class.png"), np.float32)[:, :, ::-1].transpose(2, 0, 1)
    assert pixels.shape == (3, 20, 24)
    net = caffelite.Net("net.prototxt", caffelite.TEST, weights="net.caffemodel")
    mean = np.float32([100, 110, 120])[:, None, None]
    net.blobs["data"].data[0] = (pixels - mean) * 0.02
    net.forward()
    assert net.blobs["score"].data[0].argmax() == 3
    assert net.blobs["score"].data[0, 3] == pytest.approx(told["at last"], rel=0.1)


def test_decay_draws_values_to_the_mean(here):
    spread = []
    for decay in ("0", "0.2"):
        words = ["--class", "3", "--iterations", "20", "--decay", decay]
        assert run("class.png", *words) == 0
        spread.append(np.asarray(Image.open("class.png"), float).std())
    assert spread[1] < 0.8 * spread[0]


def test_a_dream_keeps_the_size_and_gives_a_layer_more(here, capsys):
    words = ["picture.png", "dream.png", "--layer", "conv", "--iterations", "4", "--octaves", "2"]
    assert run(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["at last"] > 1.1 * told["at first"]
    pictures = [Image.open(name) for name in ("picture.png", "dream.png")]
    assert pictures[0].size == pictures[1].size
    moved = np.subtract(*(np.asarray(picture, float) for picture in pictures))
    assert 1 < abs(moved).mean() < 30


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["dream.png", "--layer", "convv"], 1, 'no layer "convv"; did you mean "conv"?'),
        (["class.png", "--class", "5"], 1, 'layer "score" has no 5; expected 0 to 4'),
        (["map.png", "--layer", "conv", "--map", "4"], 1, 'layer "conv" has no 4; expected 0 to 3'),
        (["picture.png", "dream.png"], 2, "a dream needs --layer"),
        (["picture.png", "picture.png", "--layer", "conv"], 2, "would be written over"),
        (["map.png", "--class", "1", "--map", "1"], 2, "give one of them"),
        (["a.png", "b.png", "c.png", "--layer", "conv"], 2, "expected PICTURE OUT, or OUT"),
        (["map.png", "--octave-scale", "1"], 2, "expected more than 1, not 1"),
    ],
)
def test_mistakes_are_named(here, words, code, message, capsys):
    assert run(*words) == code
    assert message in capsys.readouterr().err
