"""Text as streams, nets that say which symbol comes next, and what they generate."""

import json
import math
import os
import shutil

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data import text
from caffelite.data.datum import DatumSource
from caffelite.errors import DataError, SolverError
from caffelite.measures import Batch, of_net
from caffelite.measures.accuracy import Accuracy
from caffelite.measures.perplexity import Perplexity
from caffelite.models.text import LanguageModel, language_model, streams
from caffelite.net_spec import layers as L
from caffelite.predict.text_net import TextNet
from caffelite.proto.caffe_pb2 import NetParameter, SolverParameter
from caffelite.proto.text import parse
from tools import ngram

LINES = "the cat sat on the mat.\nthe hat sat on the cat.\na mat, a hat; that is that.\n" * 4
SYMBOLS, UNITS = 24, 7


def recurrent(kind):
    def layer(bottom, cont):
        fill = {"type": "uniform", "min": -0.8, "max": 0.8}
        options = {"num_output": UNITS, "weight_filler": fill}
        if kind == "GRU":
            return L.GRU(bottom, cont, gru_param=options | {"reset_after": True})
        own = {"output_hidden": True} if kind == "RNN" else {}
        return getattr(L, kind)(bottom, cont, recurrent_param=options | own)

    return layer


def small(kind="LSTM", ratio=0.1):
    """A language model like those of models/, its docstring that of this module."""

    def net(n):
        language_model(n, "h", recurrent(kind), SYMBOLS, embedded=5, units=UNITS, ratio=ratio)

    return LanguageModel("small", net, streams("text"))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Streams of lines, in the folder `data` of the folder that is now the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text(LINES)
    command = "dataset text lines.txt --lines --streams 3 --steps 10 --test 0.25 --out data"
    assert main(command.split()) == 0
    return tmp_path


# Streams


def test_texts_lie_behind_one_another_in_streams():
    texts = [text.Text("one", list("abba")), text.Text("two", list("cab"))]
    vocabulary = text.Vocabulary.of(texts, least=2)
    assert vocabulary.symbols == ["<end>", "<unknown>", "a", "b"]
    found = text.Streams("here", texts, vocabulary, streams=2, steps=4)
    seen, cont, label = found.values[:, :, :, 0].transpose(1, 2, 0).astype(int)
    # 0 a b b a | 0 c a b in all, cut in two of five, filled up to eight steps
    assert seen.tolist() == [[0, 2, 3, 3, 2, 0, 0, 0], [0, 1, 2, 3, 0, 0, 0, 0]]
    assert cont.tolist() == [[0, 1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 0, 0, 0]]
    assert label.tolist() == [[2, 3, 3, 2, 0, -1, -1, -1], [1, 2, 3, 0, -1, -1, -1, -1]]
    assert (found.symbols, found.unknown, len(found)) == (9, 1, 8)


def test_a_stream_that_begins_within_a_text_does_not_go_on():
    texts = [text.Text("one", list("abcdefgh"))]
    found = text.Streams("here", texts, text.Vocabulary.of(texts), streams=3, steps=1)
    assert found.values[:, 1, :, 0].tolist() == [[0, 0, 0], [1, 1, 1], [1, 1, 1]]


def test_a_sequence_is_filled_up_to_its_steps():
    texts = [text.Text("one", list("abba")), text.Text("two", list("c"))]
    vocabulary = text.Vocabulary.of(texts, least=2)
    found = text.Sequences("here", texts, vocabulary, steps=6)
    seen, cont, label = found.values[:, :, :, 0].transpose(1, 0, 2).astype(int)
    assert seen.tolist() == [[0, 2, 3, 3, 2, 0], [0, 1, 0, 0, 0, 0]]
    assert cont.tolist() == [[0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 0, 0]]
    assert label.tolist() == [[2, 3, 3, 2, 0, -1], [1, 0, -1, -1, -1, -1]]
    assert (found.symbols, found.unknown, len(found)) == (7, 1, 2)
    before = text.Sequences("here", texts, vocabulary, steps=6, fill_before=True).values
    seen, cont, label = before[:, :, :, 0].transpose(1, 0, 2).astype(int)
    assert seen.tolist() == [[0, 0, 2, 3, 3, 2], [0, 0, 0, 0, 0, 1]]
    assert cont.tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
    assert label.tolist() == [[-1, 2, 3, 3, 2, 0], [-1, -1, -1, -1, 1, 0]]
    with pytest.raises(DataError, match="one: has 5 symbols with its end, expected at most 4"):
        text.Sequences("here", texts, vocabulary, steps=4)


@pytest.mark.parametrize(
    "streams, said",
    [(6, "10 steps of 6 streams, each of 7 characters and then filled up"), (4, "")],
)
def test_streams_of_less_than_their_steps_are_told(tmp_path, capsys, streams, said):
    (tmp_path / "a.txt").write_text("abcdefgh" * 5)
    words = f"dataset text {tmp_path}/a.txt --test 0 --steps 10 --streams {streams} --out"
    assert main([*words.split(), str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert said in out and ("filled up" in out) == bool(said)


def test_sequences_lie_in_the_order_of_their_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("b a\na\na b a\n")
    (tmp_path / "b.txt").write_text("a c\n")
    words = "dataset text a.txt --lines --words --padded 5 --least 1 --test-text b.txt --json"
    assert main([*words.split(), "--out", "data"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parts"]["train"] | told["parts"]["test"] == {
        "path": "data/words_test_lmdb",
        "texts": 1,
        "symbols": 3,
        "unknown": 1,
        "steps": 5,
    }
    source = DatumSource("data/words_train_lmdb")
    assert source.sample(0)[0].shape == (3, 5, 1)
    labels = [source.sample(k)[0][2, :, 0].astype(int).tolist() for k in range(3)]
    assert labels == [[3, 2, 0, -1, -1], [2, 0, -1, -1, -1], [2, 3, 2, 0, -1]]
    source.close()
    words = "dataset text b.txt --lines --words --padded 5 --test 0 --out other --json"
    assert main([*words.split(), "--vocabulary", "data/words_vocabulary.txt"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["vocabulary"], told["symbols"]) == ("data/words_vocabulary.txt", 4)
    assert not (tmp_path / "other" / "words_vocabulary.txt").exists()


def test_whole_texts_are_held_out_by_seed():
    texts = [text.Text(str(k), ["a"]) for k in range(20)]
    parts = [text.split(texts, 0.1, seed) for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    assert [len(parts[0][part]) for part in ("train", "test")] == [18, 2]
    assert sorted(t.name for part in parts[0].values() for t in part) == sorted(map(str, range(20)))
    assert [*text.split(texts, 0, 0)] == ["train"]


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    symbols = [text.END, text.UNKNOWN, "\n", " ", "\\", "\t", "é", "\u2028", "\r", "n"]
    path = tmp_path / "v.txt"
    path.write_bytes(text.Vocabulary(symbols).content())
    found = text.Vocabulary.read(path)
    assert found.symbols == symbols and not found.words
    assert found.encode("né?") == [9, 6, 1]


@pytest.mark.parametrize(
    "content, message",
    [
        ("a\nb\n", ":1: expected a vocabulary, whose first two lines are"),
        ("<end>\n<unknown>\na\n\nb\n", ":4: a symbol is empty"),
        ("<end>\n<unknown>\na\nb\na\n", ":5: a symbol is there twice"),
    ],
)
def test_a_file_that_is_no_vocabulary(tmp_path, content, message):
    (tmp_path / "v.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        text.Vocabulary.read(tmp_path / "v.txt")


def test_words_come_back_with_spaces_where_they_were():
    written = "Well, (this) is it.\nIs it?"
    symbols = text.cut(written, words=True)
    assert symbols == "Well , ( this ) is it . \n Is it ?".split(" ")
    assert text.join(symbols, words=True) == written


@pytest.mark.parametrize(
    "content, flags, message",
    [
        (b"fine\nand \xe9 not", "", "a.txt:2: expected text, but byte 0xe9 is not UTF-8; save"),
        (b" \n", "", "a.txt: holds no text"),
        (b"alone", "", "1 text, expected at least 2 to hold whole ones out"),
        (b"ab\ncd", "--lines", "have 3 symbols with their ends, expected at least 50, the steps"),
    ],
)
def test_bad_text_is_named(tmp_path, capsys, content, flags, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert main(["dataset", "text", str(path), "--out", str(tmp_path), *flags.split()]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        ("text --lines", "--lines is for FILEs"),
        ("text --padded 5 --steps 5", "leave out --streams and --steps"),
        ("text --fill-before", "give --padded N, too"),
        ("mnist-5k --fill-before", "--fill-before is for text, not for mnist-5k"),
        ("text --vocabulary v.txt --least 5", "leave out --least and --most"),
        ("text --test-text a.txt --test 0.5", "leave out --test"),
        ("text --tar", "--shards and --tar are for pictures"),
        ("text --gray", "--gray is for your own pictures, not for text"),
        ("mnist-5k --words", "--words is for text, not for mnist-5k"),
        ("mnist-5k more", "expected one SOURCE, or check DATABASE; not also more"),
    ],
)
def test_flags_that_do_not_go_with_text(capsys, words, message):
    assert main(["dataset", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_hdf5_has_the_same_streams(data):
    pytest.importorskip("h5py")
    words = "dataset text lines.txt --lines --streams 3 --steps 10 --test 0.25 --out data --hdf5"
    assert main(words.split()) == 0
    tops = " ".join(f'top: "{name}"' for name in text.PLANES)
    net = caffelite.Net(
        parse(
            f'layer {{ name: "text" type: "HDF5Data" {tops} hdf5_data_param '
            '{ source: "data/text_test.txt" batch_size: 10 } }',
            NetParameter,
        ),
        caffelite.TEST,
    )
    net.forward()
    source = DatumSource("data/text_test_lmdb")
    stored = np.stack([source.sample(k)[0][:, :, 0] for k in range(10)], axis=1)
    for plane, name in zip(stored, text.PLANES, strict=True):
        np.testing.assert_array_equal(net.blobs[name].data, plane)


# The measure


def test_perplexity_is_that_of_the_symbols_that_count(data):
    net = caffelite.Net(small().train_val(), caffelite.TEST, seed=1)
    assert [type(measure) for measure in of_net(net, [Accuracy, Perplexity])] == [Perplexity]
    (measure,) = of_net(net, [Perplexity])
    logs = []
    for _ in range(2):
        measure.add(Batch.run(net))
        scores = np.float64(net.blobs["scores"].data).reshape(-1, SYMBOLS)
        labels = net.blobs["label"].data.astype(int).ravel()
        for row, label in zip(scores, labels, strict=True):
            if label >= 0:
                logs.append(row[label] - np.log(np.exp(row).sum()))
    report = measure.report()
    assert 0 < report["counted"] == len(logs) < 300  # the others are -1
    assert report["bits_per_symbol"] == pytest.approx(-np.mean(logs) / math.log(2))
    assert report["perplexity"] == pytest.approx(math.exp(-np.mean(logs)))
    assert not measure.rises("scores/perplexity") and measure.rises("scores/top_1")


def test_classes_of_pictures_have_no_perplexity():
    shape = "input_param { shape { dim: 2 dim: 3 dim: 4 } }"
    net = caffelite.Net(
        parse(
            f'layer {{ name: "x" type: "Input" top: "x" {shape} }}'
            'layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 2 dim: 4 } } }'
            'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" }',
            NetParameter,
        ),
        caffelite.TEST,
    )
    assert not of_net(net, [Perplexity])


# Training


def solver_of(program, steps, seed=3):
    param = SolverParameter(
        net_param=program.train_val(), type="Adam", base_lr=0.02, momentum=0.9, momentum2=0.999,
        lr_policy="fixed", max_iter=steps, clip_gradients=2, random_seed=seed, display=0,
        snapshot_prefix="small", snapshot_after_train=True, eval_type="perplexity",
        test_iter=[2], test_interval=steps, test_initialization=False,
    )  # fmt: skip
    return caffelite.get_solver(param)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_run_that_was_killed_goes_on_with_its_states_to_the_bit(data, kind):
    """Two steps behind a snapshot, which it made in the midst of texts; dropout is on."""
    program = small(kind, ratio=0.3)
    whole = solver_of(program, 20)
    whole.solve()
    killed = solver_of(program, 20)
    killed.step(7)
    killed.snapshot()
    killed.step(2)
    resumed = solver_of(program, 20)
    resumed.restore("small_iter_7.solverstate")
    resumed.solve()
    for name, blobs in whole.net.params.items():
        for ours, theirs in zip(resumed.net.params[name], blobs, strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)
    states = [[b.data for y in s.net.layers for b in y.carried] for s in (whole, resumed)]
    assert len(states[0]) == (4 if kind == "LSTM" else 2)
    assert all(np.any(state) for state in states[0])
    np.testing.assert_array_equal(*states)


def test_states_of_another_number_of_streams_are_refused(data):
    trained = solver_of(small(), 20)
    trained.step(1)
    trained.snapshot()
    words = "dataset text lines.txt --lines --streams 2 --steps 10 --test 0.25 --out other"
    assert main(words.split()) == 0
    shutil.rmtree("data")
    os.rename("other", "data")
    said = (
        r'small_iter_1.solverstate: what .*layer "h1" \(LSTM\) carries .* has '
        r"\(1, 3, 7\) of 21 numbers, .* in it, expected \(1, 2, 7\) of 14 numbers, "
    )
    with pytest.raises(SolverError, match=said):
        solver_of(small(), 20).restore("small_iter_1.solverstate")


# Generating


@pytest.fixture
def model(data):
    """A TextNet of a net with the weights that its fillers gave it."""
    trained = caffelite.Net(small().train_val(), caffelite.TRAIN, seed=5)
    trained.save("small.caffemodel")
    (data / "deploy.prototxt").write_text(str(small().deploy()))
    net = caffelite.Net("deploy.prototxt", caffelite.TEST, weights="small.caffemodel")
    return TextNet(net, text.Vocabulary.read("data/text_vocabulary.txt"))


def by_one_pass(numbers):
    """p behind each of the symbols, by a net that sees them all at once."""
    param = small().deploy()
    param.layer[0].input_param.shape[0].dim[0] = len(numbers)
    net = caffelite.Net(param, caffelite.TEST)
    net.copy_from("small.caffemodel")
    net.blobs["data"].data[:, 0] = numbers
    net.blobs["cont"].data[...] = 1
    net.blobs["cont"].data[0] = 0
    return np.float64(net.forward()["prob"][:, 0])


def test_step_by_step_is_what_one_pass_says(model):
    made = list(model.sample(list("the "), 12, temperature=0.8, seed=4))
    numbers = [0, *model.encode(list("the ")), *model.encode([one.symbol for one in made])]
    p = by_one_pass(numbers[:-1])[:, : len(model.vocabulary)]
    p[:, 1] = 0
    p /= p.sum(axis=1, keepdims=True)
    expected = [np.log2(p[4 + k, number]) for k, number in enumerate(numbers[5:])]
    assert [one.log2 for one in made] == pytest.approx(expected, abs=1e-4)
    assert made == list(model.sample(list("the "), 12, 0.8, seed=4))
    assert made != list(model.sample(list("the "), 12, 0.8, seed=5))


def test_at_temperature_0_the_likeliest_symbol_comes_next(model):
    made = list(model.sample("t", 8, temperature=0))
    best = model.beam("t", 8, width=1)
    assert made and made == best


def test_a_beam_as_wide_as_the_vocabulary_finds_the_likeliest_pair(model):
    size = len(model.vocabulary)
    found = model.beam("a", 2, width=size)
    start = [0, *model.encode("a")]
    totals = {}
    first = by_one_pass(start)[-1][:size]
    for k in range(size):
        if k not in (0, 1):
            second = by_one_pass([*start, k])[-1][:size]
            norms = np.delete(first, 1).sum() * np.delete(second, 1).sum()
            for j in range(size):
                if j not in (0, 1):
                    totals[k, j] = np.log2(first[k] * second[j] / norms)
    best = max(totals, key=totals.get)
    assert len(found) == 2, "no end is as likely with these weights"
    assert tuple(model.encode([one.symbol for one in found])) == best
    assert sum(one.log2 for one in found) == pytest.approx(totals[best], abs=1e-4)


def test_what_generate_prints(model, capsys):
    command = "generate --model deploy.prototxt --weights small.caffemodel --length 9"
    command += " --vocabulary data/text_vocabulary.txt"
    capsys.readouterr()
    assert main([*command.split(), "--start", "the ", "--seed", "2"]) == 0
    made = list(model.sample("the ", 9, 1, seed=2))
    assert capsys.readouterr().out == "the " + "".join(one.symbol for one in made) + "\n"
    assert main([*command.split(), "--beam", "3", "--json"]) == 0
    report, best = json.loads(capsys.readouterr().out), model.beam("", 9, 3)
    assert report["text"] == "".join(one.symbol for one in best)
    assert report["bits_per_symbol"] == pytest.approx(-np.mean([one.log2 for one in best]))


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--start Q", "the start: character 1, 'Q', is not in the vocabulary"),
        ("--beam 60", "a beam of 60 is wider than data/text_vocabulary.txt has symbols, 1"),
        ("--beam 2 --seed 1", "--beam leaves nothing to chance"),
        ("--count 9", "--count: deploy.prototxt makes text"),
        ("--temperature -1", "expected a number from 0 on"),
        ("--vocabulary many.txt", "expected (1, 1, 30) or more symbols"),
        ("--model net.prototxt", "expected a net for use: a language model"),
    ],
)
def test_what_generate_refuses(model, capsys, flags, message):
    many = [text.END, text.UNKNOWN, *map(chr, range(200, 228))]
    with open("many.txt", "wb") as file:
        file.write(text.Vocabulary(many).content())
    with open("net.prototxt", "w") as file:
        file.write(str(small().train_val()))
    command = "generate --model deploy.prototxt --weights small.caffemodel"
    command += " --vocabulary data/text_vocabulary.txt"
    capsys.readouterr()
    try:
        assert main([*command.split(), *flags.split()]) != 0
    except SystemExit as left:
        assert left.code == 2
    assert message in capsys.readouterr().err


# The n-gram beside it


def test_an_n_gram_is_that_of_witten_and_bell():
    """By hand, of "ab" and "aa", 4 symbols: 2 of 6 are a behind the start, ..."""
    model = ngram.WittenBell([(0, 2, 3, 0), (0, 2, 2, 0)], order=2, size=4)
    empty = (3 + 3 / 4) / (6 + 3)  # of a: 3 of 6 symbols, 3 different ones
    assert model.probability(2, ()) == pytest.approx(empty)
    assert model.probability(2, (0,)) == pytest.approx((2 + 1 * empty) / (2 + 1))
    assert model.probability(2, (3,)) == pytest.approx((0 + 1 * empty) / (1 + 1))
    assert model.probability(2, (1,)) == pytest.approx(empty)
    assert sum(model.probability(k, (2,)) for k in range(4)) == pytest.approx(1)
    assert model.bits([(0, 2)], 1) == pytest.approx(-math.log2(empty))


def test_texts_come_back_from_their_streams(data):
    vocabulary = text.Vocabulary.read("data/text_vocabulary.txt")
    found = ngram.texts("data/text_train_lmdb")
    lines = ["".join(vocabulary.symbols[k] for k in one[1:-1]) for one in found]
    assert len(found) == 9 and {*lines} <= {*LINES.splitlines()}
    assert all(one[0] == one[-1] == 0 for one in found)
