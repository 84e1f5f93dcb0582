"""One text after another: an encoder and a decoder, numbers and dates in words, and the command."""

import datetime
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data.datum import DatumSource
from caffelite.data.made import maker
from caffelite.data.made._number_words import cardinal, date, ordinal, year
from caffelite.data.text import Sequences, Text, Vocabulary
from caffelite.errors import NetError
from caffelite.predict.sequence_net import SequenceNet
from caffelite.predict.text_net import Symbol
from caffelite.proto.caffe_pb2 import SolverParameter
from caffelite.proto.text import parse
from tools import seq2seq

GIVEN, SAID = ["<end>", "<unknown>", "one", "two", "three"], ["<end>", "<unknown>", "1", "2", "3"]
STEPS = 4
INPUTS = """
layer { name: "words" type: "Input" top: "word" top: "cont_word"
  input_param { shape { dim: 4 dim: 1 } } }
layer { name: "digits" type: "Input" top: "digit" top: "cont" input_param { shape { dim: 1 dim: 1 } } }
"""  # noqa: E501
FILL = 'weight_filler { type: "uniform" min: -1.5 max: 1.5 }'


def layers(steps=STEPS, units=6, fill=FILL):
    return f"""
layer {{ name: "seen" type: "Embed" bottom: "word" top: "seen"
  embed_param {{ input_dim: 5 num_output: 3 {fill} }} }}
layer {{ name: "encoder" type: "LSTM" bottom: "seen" bottom: "cont_word" top: "encoder"
  recurrent_param {{ num_output: {units} {fill} }} }}
layer {{ name: "last" type: "Slice" bottom: "encoder" top: "before" top: "last"
  slice_param {{ axis: 0 slice_point: {steps - 1} }} }}
layer {{ name: "unused" type: "Silence" bottom: "before" }}
layer {{ name: "summary" type: "Reshape" bottom: "last" top: "summary"
  reshape_param {{ shape {{ dim: -1 dim: {units} }} }} }}
layer {{ name: "said" type: "Embed" bottom: "digit" top: "said"
  embed_param {{ input_dim: 5 num_output: 3 {fill} }} }}
layer {{ name: "decoder" type: "LSTM" bottom: "said" bottom: "cont" bottom: "summary" top: "decoder"
  recurrent_param {{ num_output: {units} {fill} }} }}
layer {{ name: "scores" type: "InnerProduct" bottom: "decoder" top: "scores"
  inner_product_param {{ axis: 2 num_output: 5 {fill} }} }}
"""


DECODER = """
layer { name: "said" type: "Embed" bottom: "digit" top: "said"
  embed_param { input_dim: 5 num_output: 3 } }
layer { name: "decoder" type: "LSTM" bottom: "said" bottom: "cont" top: "decoder"
  recurrent_param { num_output: 4 } }
layer { name: "scores" type: "InnerProduct" bottom: "decoder" top: "scores"
  inner_product_param { axis: 2 num_output: 5 } }
"""
PROBS = """
layer { name: "probs" type: "Softmax" bottom: "scores" top: "probs" softmax_param { axis: 2 } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A net with its weights, and its vocabularies, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(INPUTS + layers() + PROBS)
    caffelite.set_random_seed(3)
    caffelite.Net("net.prototxt", caffelite.TEST).save("w.caffemodel")
    for name, symbols in (("given", GIVEN), ("said", SAID)):
        Path(f"{name}.txt").write_bytes(Vocabulary(symbols).content())
    return tmp_path


def opened(weights="w.caffemodel"):
    return SequenceNet("net.prototxt", weights, Vocabulary(GIVEN), Vocabulary(SAID))


def log2_of(words, digits):
    """log2 p of each digit and the end, of the whole net in one pass over just as many steps."""
    read = [0, *(GIVEN.index(word) for word in words)]
    seen = [0, *(SAID.index(digit) for digit in digits)]
    text = INPUTS.replace("dim: 4", f"dim: {len(read)}").replace(
        "dim: 1 dim: 1", f"dim: {len(seen)} dim: 1"
    )
    Path("all.prototxt").write_text(text + layers(len(read)) + PROBS)
    net = caffelite.Net("all.prototxt", caffelite.TEST, weights="w.caffemodel")
    for name, values in (("word", read), ("digit", seen)):
        net.blobs[name].data[:, 0] = values
    for name in ("cont_word", "cont"):
        net.blobs[name].data[...] = 1
        net.blobs[name].data[0] = 0
    p = net.forward()["probs"][:, 0].astype(float)
    p[:, 1] = 0  # the unknown symbol is never said
    p /= p.sum(axis=1, keepdims=True)
    return [float(np.log2(p[k, number])) for k, number in enumerate([*seen[1:], 0])]


@pytest.mark.parametrize("words", ["one two three", "two", "three one"])
def test_a_text_is_read_as_by_a_net_of_its_length(folder, words):
    """What the encoder is filled up with before the text has no part in it."""
    found = opened().answer(words, length=3)
    symbols = [one.symbol for one in found]
    logs = log2_of(words.split(), symbols)[: len(found)]
    np.testing.assert_allclose([one.log2 for one in found], logs, rtol=1e-4)


def test_a_beam_finds_the_likeliest_of_all_short_texts(folder):
    """As wide as the vocabulary, it misses none of two symbols."""
    found = opened().answer("two one", length=2, beam=len(SAID))
    every = {(): np.mean(log2_of(["two", "one"], [])[:1])}
    for first in SAID[2:]:
        every[(first,)] = np.mean(log2_of(["two", "one"], [first]))
        for second in SAID[2:]:
            every[first, second] = np.mean(log2_of(["two", "one"], [first, second])[:2])
    assert tuple(one.symbol for one in found) == max(every, key=every.get)


def test_texts_of_all_lengths_are_learned_by_heart(folder):
    """One to three of three words become as many digits, in the order from behind."""
    texts = [text for n in (1, 2, 3) for text in product(range(2, 5), repeat=n)]
    vocabularies = Vocabulary(GIVEN), Vocabulary(SAID)
    sides = [
        [Text("", [vocabulary.symbols[k] for k in text[::turn]]) for text in texts]
        for vocabulary, turn in zip(vocabularies, (1, -1), strict=True)
    ]
    records = [
        Sequences("here", some, vocabulary, STEPS, fill_before=before).values
        for some, vocabulary, before in zip(sides, vocabularies, (True, False), strict=True)
    ]
    fill = 'weight_filler { type: "uniform" min: -0.3 max: 0.3 }'
    one = f"dim: {len(texts)} }}"
    inputs = INPUTS.replace("dim: 1 dim: 1 }", f"dim: {STEPS} {one}").replace("dim: 1 }", one)
    loss = (
        'layer { name: "label" type: "Input" top: "label" '
        f"input_param {{ shape {{ dim: {STEPS} {one} }} }}"
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" '
        "softmax_param { axis: 2 } loss_param { ignore_label: -1 } }"
    )
    Path("train.prototxt").write_text(inputs + layers(units=20, fill=fill) + loss)
    Path("net.prototxt").write_text(INPUTS + layers(units=20) + PROBS)
    param = parse('type: "Adam" base_lr: 0.03 lr_policy: "fixed" random_seed: 1', SolverParameter)
    param.net, param.snapshot_after_train = "train.prototxt", False
    solver = caffelite.get_solver(param)
    words, digits = (np.moveaxis(values[..., 0], 0, 2) for values in records)  # planes x steps x n
    blobs = solver.net.blobs
    tops = {"word": words[0], "cont_word": words[1], "digit": digits[0], "cont": digits[1]}
    for name, values in {**tops, "label": digits[2]}.items():
        blobs[name].data[...] = values
    solver.step(120)
    solver.net.save("w.caffemodel")
    net = opened()
    pairs = [(" ".join(a.symbols), "".join(b.symbols)) for a, b in zip(*sides, strict=True)]
    answers = ["".join(one.symbol for one in net.answer(text, STEPS, 2)) for text, _ in pairs]
    good, count = seq2seq.right(pairs, answers)["all"]
    assert count == 39 and good >= 37


# Numbers and dates


def test_words_of_numbers_and_dates():
    numbers = {
        0: "zero", 14: "fourteen", 40: "forty", 71: "seventy one", 100: "one hundred",
        305: "three hundred and five", 3_000: "three thousand", 12_005: "twelve thousand and five",
        312_340: "three hundred and twelve thousand three hundred and forty",
    }  # fmt: skip
    assert {number: " ".join(cardinal(number)) for number in numbers} == numbers
    which = {1: "first", 12: "twelfth", 13: "thirteenth", 20: "twentieth", 23: "twenty third"}
    assert {number: " ".join(ordinal(number)) for number in which} == which
    years = {
        1900: "nineteen hundred", 1905: "nineteen oh five", 1998: "nineteen ninety eight",
        2000: "two thousand", 2009: "two thousand and nine", 2010: "twenty ten",
    }  # fmt: skip
    assert {number: " ".join(year(number)) for number in years} == years
    day = datetime.date(1998, 3, 3)
    assert " ".join(date(day, False)) == "the third of march nineteen ninety eight"
    assert " ".join(date(day, True)) == "march the third nineteen ninety eight"


def test_every_number_has_words_of_its_own_and_finds_room():
    parts = maker("number-words").parts(count=3000)
    assert [len(part) for part in parts.values()] == [3000, 300] * 2
    words, digits = (
        {
            tuple(record[0, :, 0])
            for part in ("train", "test")
            for record in parts[part + end].values
        }
        for end in ("", "_digits")
    )
    assert len(words) == len(digits) == 3300, "no pair is there twice, nor in both parts"
    assert max(len(cardinal(number)) for number in range(999_900, 1_000_000)) == 11


def test_the_data_set(tmp_path, capsys):
    assert main(["dataset", "number-words", "--count", "50", "--out", str(tmp_path)]) == 0
    assert "number_train_digits_lmdb: 50 pairs" in capsys.readouterr().out
    lines = (tmp_path / "number_test_pairs.txt").read_text().splitlines()
    vocabularies = [
        Vocabulary.read(tmp_path / f"number_{side}_vocabulary.txt") for side in ("words", "digits")
    ]
    sources = [DatumSource(tmp_path / f"number_test{end}_lmdb") for end in ("", "_digits")]
    assert len(lines) == len(sources[0]) == 5
    for number, line in enumerate(lines):
        words, digits = line.split("\t")
        read, said = (source.sample(number)[0][:, :, 0] for source in sources)
        known = vocabularies[0].encode(words.split())
        assert read[0, -len(known) :].tolist() == known and read[2, -1] == 0
        assert said[2, : len(digits)].tolist() == vocabularies[1].encode(digits)
        assert "-" in digits or " ".join(cardinal(int(digits))) == words
    assert main(["dataset", "number-words", "--out", str(tmp_path), "--tar"]) == 1


# The command


def generate(*words):
    files = ["--model", "net.prototxt", "--weights", "w.caffemodel", "--vocabulary", "said.txt"]
    return main(["generate", *files, *words])


def test_the_command(folder, capsys):
    flags = "--given-vocabulary given.txt --length 3 --beam 2".split()
    texts = ["--given", "one two", "--given", "three"]
    assert generate(*flags, *texts, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    found = [opened().answer(text, 3, 2) for text in ("one two", "three")]
    assert [one["given"] for one in told] == ["one two", "three"]
    assert [one["text"] for one in told] == ["".join(s.symbol for s in made) for made in found]
    assert generate(*flags, *texts) == 0
    assert capsys.readouterr().out.split("\n") == [*(one["text"] for one in told), ""]


@pytest.mark.parametrize(
    "words, code, message",
    [
        ("", 2, "needs --given TEXT, --given-vocabulary FILE"),
        ("--given one --start x", 2, "--start: net.prototxt makes texts for those that are given"),
        ("--given |", 1, "what is given is empty"),
        ("--given four", 1, "what is given: word 1, 'four', is not in the vocabulary given.txt"),
        (
            "--given one|two|one|two",
            1,
            'has 4 symbols, expected at most 3: the net\'s input "word"',
        ),
        ("--given one --beam 9", 1, "a beam of 9 is wider than said.txt has symbols, 5"),
    ],
)
def test_what_the_command_refuses(folder, capsys, words, code, message):
    flags = [word.replace("|", " ") for word in words.split()]
    flags += ["--given-vocabulary", "given.txt"] if flags else []
    assert generate(*flags) == code
    assert message in capsys.readouterr().err


def test_nets_that_read_no_text(folder):
    text = INPUTS.replace('top: "cont_word"', 'top: "cont_word" top: "more"')
    use = 'layer { name: "all" type: "Eltwise" bottom: "word" bottom: "more" top: "both" }'
    Path("net.prototxt").write_text(
        text + use + layers().replace('bottom: "word"', 'bottom: "both"') + PROBS
    )
    with pytest.raises(NetError, match="expected two inputs for the text that is read"):
        opened()


def test_a_net_that_reads_nothing_first_takes_nothing_given(folder, capsys):
    other = INPUTS.replace("dim: 4", "dim: 1")
    Path("net.prototxt").write_text(other.splitlines()[3] + DECODER + PROBS)
    caffelite.Net("net.prototxt", caffelite.TEST).save("w.caffemodel")
    assert generate("--given", "one") == 2
    assert "--given: net.prototxt makes text, which have no such option" in capsys.readouterr().err


def test_the_tool_counts_what_the_net_cannot_read_as_wrong(folder, capsys, monkeypatch):
    for side, symbols in (("words", GIVEN), ("digits", SAID)):
        Path(f"number_{side}_vocabulary.txt").write_bytes(Vocabulary(symbols).content())
    Path("number_test_pairs.txt").write_text("two one\t21\nzero\t1\none\t1-1\n")
    said = {"two one": "21", "one": "1"}
    monkeypatch.setattr(
        SequenceNet, "answer", lambda net, words, *_: [Symbol(digit, 0) for digit in said[words]]
    )
    found = seq2seq.main([".", "--model", "net.prototxt", "--weights", "w.caffemodel"])
    assert found == {"numbers": (1, 2), "dates": (0, 1), "all": (1, 3)}
    out = capsys.readouterr().out
    assert "  zero: None, not 1\n" in out and "  one: 1, not 1-1\n" in out
