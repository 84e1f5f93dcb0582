"""Pictures put into words: nets that do, `caffelite caption`, and how well it is done."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.text import Vocabulary
from caffelite.errors import NetError
from caffelite.predict.caption_net import CaptionNet
from caffelite.predict.preprocessing import Preprocessing
from tools import captions

WORDS = ["<end>", "<unknown>", "a", "red", "blue", "thing"]
INPUTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "sentence" type: "Input" top: "cont" top: "word" input_param { shape { dim: 1 dim: 1 } } }
"""  # noqa: E501
PUBLISHED = """
input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }
input: "cont" input_shape { dim: 1 dim: 1 }
input: "word" input_shape { dim: 1 dim: 1 }
"""
FILL = 'weight_filler { type: "uniform" min: -2 max: 2 }'
REST = f"""
layer {{ name: "fc8" type: "InnerProduct" bottom: "data" top: "fc8"
  inner_product_param {{ num_output: 5 {FILL} }} }}
layer {{ name: "relu8" type: "ReLU" bottom: "fc8" top: "fc8" }}
layer {{ name: "embedding" type: "Embed" bottom: "word" top: "seen"
  embed_param {{ input_dim: 6 num_output: 3 {FILL} }} }}
layer {{ name: "lstm1" type: "LSTM" bottom: "seen" bottom: "cont" top: "lstm1"
  recurrent_param {{ num_output: 4 {FILL} }} }}
layer {{ name: "lstm2" type: "LSTM" bottom: "lstm1" bottom: "cont" bottom: "fc8" top: "lstm2"
  recurrent_param {{ num_output: 7 {FILL} }} }}
layer {{ name: "predict" type: "InnerProduct" bottom: "lstm2" top: "predict"
  inner_product_param {{ axis: 2 num_output: 6 {FILL} }} }}
layer {{ name: "probs" type: "Softmax" bottom: "predict" top: "probs" softmax_param {{ axis: 2 }} }}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A net with its weights, a vocabulary and pictures, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(INPUTS + REST)
    caffelite.set_random_seed(4)
    caffelite.Net("net.prototxt", caffelite.TEST).save("w.caffemodel")
    Path("words.txt").write_bytes(Vocabulary(WORDS).content())
    random = np.random.default_rng(0)
    for name in ("one", "two"):
        Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).save(f"{name}.png")
    return tmp_path


def opened(model="net.prototxt"):
    made = Preprocessing.of_net(model, None)
    made.transform.scale = 1 / 100
    return CaptionNet(model, "w.caffemodel", made, Vocabulary(WORDS))


def likelihood(path, symbols):
    """Sum of log2 p of words that end, of the whole net in one pass over all steps."""
    steps = [0, *(WORDS.index(symbol) for symbol in symbols)]
    Path("all.prototxt").write_text(
        INPUTS.replace("dim: 1 dim: 1 }", f"dim: {len(steps)} dim: 1 }}") + REST
    )
    net = caffelite.Net("all.prototxt", caffelite.TEST, weights="w.caffemodel")
    net.blobs["cont"].data[:, 0] = [0, *[1] * len(symbols)]
    net.blobs["word"].data[:, 0] = steps
    pixels = np.asarray(Image.open(path))[:, :, ::-1].transpose(2, 0, 1)
    net.blobs["data"].data[...] = pixels / 100
    p = net.forward()["probs"][:, 0].astype(float)
    p[:, 1] = 0  # the unknown word is never said
    p /= p.sum(axis=1, keepdims=True)
    return [float(np.log2(p[k, word])) for k, word in enumerate(steps[1:])], p


def words_of(net, path, **how):
    rows = net.outputs([net.crops(path)])[:, 0]
    return net.caption(rows[0], **how)


@pytest.mark.parametrize("path", ["one.png", "two.png"])
def test_each_word_is_the_likeliest_of_the_whole_net(folder, path):
    found = words_of(opened(), path, length=5, beam=1)
    symbols = [one.symbol for one in found]
    logs, p = likelihood(path, symbols)
    np.testing.assert_allclose([one.log2 for one in found], logs, rtol=1e-4)
    assert [WORDS[k] for k in p[: len(symbols)].argmax(axis=1)] == symbols
    assert len(symbols) == 5 or p[len(symbols)].argmax() == 0


def test_a_beam_finds_the_likeliest_of_all_short_sentences(folder):
    """As wide as the vocabulary, it misses none of two words."""
    found = words_of(opened(), "one.png", length=2, beam=len(WORDS))
    every = {}
    for first in [2, 3, 4, 5]:
        for second in [2, 3, 4, 5]:
            symbols = [WORDS[first], WORDS[second]]
            every[tuple(symbols)] = np.mean(likelihood("one.png", symbols)[0])
    for first in [0, 2, 3, 4, 5]:
        logs, p = likelihood("one.png", [WORDS[k] for k in [first] if k])
        ended = [*logs, float(np.log2(p[len(logs), 0]))]
        every[tuple(WORDS[k] for k in [first] if k)] = np.mean(ended)
    assert tuple(one.symbol for one in found) == max(every, key=every.get)


def test_a_net_in_the_old_form_of_text_says_the_same(folder):
    before = words_of(opened(), "one.png", length=4, beam=2)
    Path("old.prototxt").write_text(PUBLISHED + REST)
    after = words_of(opened("old.prototxt"), "one.png", length=4, beam=2)
    assert before == after


def caption(*words):
    files = ["--model", "net.prototxt", "--weights", "w.caffemodel", "--vocabulary", "words.txt"]
    return main(["caption", *files, *words])


def test_the_command(folder, capsys):
    flags = "--scale 0.01 --beam 3 --length 4".split()
    assert caption("one.png", "two.png", *flags, "--json", "--draw", "out") == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told] == ["one.png", "two.png"]
    net = opened()
    for one in told:
        found = words_of(net, one["file"], length=4, beam=3)
        assert one["caption"].split() == [word.symbol for word in found]
        assert one["log2"] == pytest.approx(sum(word.log2 for word in found))
        assert Image.open(one["drawn"]).size[0] == 4
    assert caption("one.png", *flags) == 0
    assert capsys.readouterr().out == f"one.png\n  {told[0]['caption']}\n"


def test_a_sentence_goes_on_from_what_it_starts_with(folder, capsys):
    start = ["a", "red"]
    said = words_of(opened(), "two.png", length=1, beam=1, start=start)
    _, p = likelihood("two.png", start)
    best = int(p[len(start)].argmax())
    assert [one.symbol for one in said] == ([WORDS[best]] if best else [])
    flags = "--scale 0.01 --length 1 --start".split()
    assert caption("two.png", *flags, "a red") == 0
    words = " ".join([*start, *(one.symbol for one in said)])
    assert capsys.readouterr().out == f"two.png\n  {words}\n"
    assert caption("two.png", *flags, "a green") == 1
    message = "the start: word 2, 'green', is not in the vocabulary words.txt"
    assert message in capsys.readouterr().err


def test_what_the_command_refuses(folder, capsys):
    assert caption("one.png", "--scale", "1", "--beam", "7") == 1
    assert "a beam of 7 is wider than words.txt has symbols, 6" in capsys.readouterr().err
    Path("words.txt").write_bytes(Vocabulary([*WORDS, "more"]).content())
    assert caption("one.png", "--scale", "1") == 1
    assert "expected (1, 1, 7) or more symbols" in capsys.readouterr().err
    assert caption("one.png", "--beam", "0") == 2


def test_nets_that_put_nothing_into_words(folder):
    Path("net.prototxt").write_text(
        INPUTS.splitlines()[1] + REST.splitlines()[1] + REST.splitlines()[2]
    )
    with pytest.raises(NetError, match="says nothing about what it has seen"):
        opened()
    Path("net.prototxt").write_text(
        INPUTS + REST.replace('bottom: "fc8" top: "lstm2"', 'top: "lstm2"')
    )
    with pytest.raises(NetError, match="found such blobs: none"):
        opened()


# How well it is done


def test_bleu_is_that_of_the_paper():
    """By hand: 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, and no four; and one word too few."""
    said = "the cat sat on a mat".split()
    right = "the cat is on a mat now".split()
    brief = np.exp(1 - 7 / 6)
    values = captions.bleu([said], [right])
    assert values[0] == pytest.approx(brief * 5 / 6)
    assert values[1] == pytest.approx(brief * np.sqrt(5 / 6 * 3 / 5))
    assert values[2] == pytest.approx(brief * (5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3))
    assert values[3] == 0
    assert captions.bleu([["the"] * 7], [["the", "cat", "the"]])[0] == pytest.approx(2 / 7)


def test_bleu_is_that_of_nltk():
    nltk = pytest.importorskip("nltk.translate.bleu_score", reason="needs nltk")
    random = np.random.default_rng(1)
    said, right = (
        [random.choice(list("abc"), random.integers(5, 20)).tolist() for _ in range(30)]
        for _ in range(2)
    )
    for n, value in enumerate(captions.bleu(said, right), 1):
        other = nltk.corpus_bleu([[one] for one in right], said, weights=[1 / n] * n)
        assert value == pytest.approx(other, rel=1e-12)


def test_pairs_of_digits_and_places():
    right = ["a 3 at the top left , a 3 at the top left .", "a 7 at the middle center ."]
    said = ["a 3 at the top left .", "a 7 at the middle left , a 1 at the top left ."]
    assert captions.f1(said, right) == pytest.approx(2 * 1 / (3 + 3))
    assert captions.f1(right, right) == 1


def test_sentences_at_random_are_as_long():
    training = [["a"], ["b"], ["c", "d"]]
    found = captions.at_random(training, [["x"], ["x", "y"], ["z"]])
    assert [len(one) for one in found] == [1, 2, 1]
    with pytest.raises(KeyError):
        captions.at_random(training, [["x"] * 5])
