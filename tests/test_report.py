"""caffelite test --report: a whole data set, each sample once."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.lmdb import LmdbWriter
from caffelite.proto import caffe_pb2

COUNT, CLASSES = 23, 7


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    none = caffe_pb2.NetParameter(layer=[{}]).SerializeToString()
    Path("none.caffemodel").write_bytes(none)
    return tmp_path


def store(scores, labels):
    """db holds the scores as pixels, one sample each."""
    with LmdbWriter("db") as database:
        for i, (x, label) in enumerate(zip(scores, labels, strict=True)):
            datum = caffe_pb2.Datum(channels=len(x), height=1, width=1, label=int(label))
            datum.float_data.extend(x)
            database.put(b"%08d" % i, datum.SerializeToString())


def layer(name, kind, bottoms="", tops="", more=""):
    bottoms = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    tops = " ".join(f'top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }}\n'


def database(batch):
    more = f'data_param {{ source: "db" backend: LMDB batch_size: {batch} }}'
    return layer("data", "Data", "", "x y", more) + layer("s", "Flatten", "x", "scores")


def report(net, *words, code=0, capsys=None):
    Path("net.prototxt").write_text(net)
    command = ["test", "--model", "net.prototxt", "--weights", "none.caffemodel", "--report"]
    assert main([*command, "--json", *words]) == code
    return json.loads(capsys.readouterr().out) if code == 0 else capsys.readouterr().err


@pytest.fixture
def scored(folder):
    random = np.random.default_rng(0)
    scores = random.normal(size=(COUNT, CLASSES)).astype(np.float32)
    scores[3] = 0  # equal scores are wrong
    labels = random.integers(0, CLASSES - 1, COUNT)  # of the last class there is none
    store(scores, labels)
    return scores.astype(float), labels


def expected_top(scores, labels, k):
    own = scores[np.arange(len(labels)), labels]
    return np.mean(
        [(x > o).sum() < k and x.tolist().count(o) == 1 for x, o in zip(scores, own, strict=True)]
    )


@pytest.mark.parametrize(
    "batch, loss",
    [(1, "SoftmaxWithLoss"), (5, "FocalLoss"), (23, "SoftmaxWithLoss"), (40, "SoftmaxWithLoss")],
)
def test_each_sample_counts_once_whatever_the_batch(scored, capsys, batch, loss):
    scores, labels = scored
    net = database(batch) + layer("loss", loss, "scores y", "loss")
    net += layer("accuracy", "Accuracy", "scores y", "accuracy")
    (found,) = report(net, capsys=capsys)
    assert (found["scores"], found["labels"], found["samples"]) == ("scores", "y", COUNT)
    assert found["top_1"] == pytest.approx(expected_top(scores, labels, 1))
    assert found["top_5"] == pytest.approx(expected_top(scores, labels, 5))
    logs = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(COUNT), labels]
    assert found["cross_entropy"] == pytest.approx(logs.mean(), rel=1e-6)
    confusion = np.zeros((CLASSES, CLASSES), int)
    for x, label in zip(scores, labels, strict=True):
        confusion[label, x.argmax()] += 1
    assert found["confusion"] == confusion.tolist()
    shares = [row[k] / row.sum() if row.sum() else None for k, row in enumerate(confusion)]
    assert found["per_class"] == shares and shares[-1] is None
    assert found["labelled"] == confusion.sum(axis=1).tolist()
    assert found["right"] == confusion.diagonal().tolist()
    wrong = confusion * (1 - np.eye(CLASSES, dtype=int))
    assert [count for _, _, count in found["confused"]] == sorted(wrong[wrong > 0].tolist())[::-1]
    assert all(wrong[label, answer] == count for label, answer, count in found["confused"])
    assert found["mean_per_class"] == pytest.approx(np.mean(shares[:-1]))


def test_so_many_batches_if_asked_but_no_sample_twice(scored, capsys):
    net = database(5) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    assert report(net, "--iterations", "2", capsys=capsys)[0]["samples"] == 10
    assert report(net, "--iterations", "9", capsys=capsys)[0]["samples"] == COUNT
    assert "cross_entropy" not in report(net, capsys=capsys)[0]


def test_labels_that_do_not_count(scored, capsys):
    scores, labels = scored
    option = f"accuracy_param {{ ignore_label: {labels[0]} }}"
    net = database(4) + layer("accuracy", "Accuracy", "scores y", "accuracy", option)
    (found,) = report(net, capsys=capsys)
    counted = labels != labels[0]
    assert (found["samples"], found["counted"]) == (COUNT, counted.sum())
    assert found["top_1"] == pytest.approx(expected_top(scores[counted], labels[counted], 1))


def test_where_no_label_counts_there_is_nothing_to_tell(folder, capsys):
    store(np.eye(3, dtype=np.float32), [2, 2, 2])
    options = "ignore_label: 2"
    net = database(2) + layer(
        "loss", "SoftmaxWithLoss", "scores y", "loss", f"loss_param {{ {options} }}"
    )
    net += layer("accuracy", "Accuracy", "scores y", "accuracy", f"accuracy_param {{ {options} }}")
    (found,) = report(net, capsys=capsys)
    assert (found["samples"], found["counted"]) == (3, 0)
    assert {found[k] for k in ("top_1", "mean_per_class", "cross_entropy")} == {None}
    words = ["--model=net.prototxt", "--weights=none.caffemodel", "--report"]
    assert main(["test", *words]) == 0
    out = capsys.readouterr().out
    assert "labels that count: 0\ntop_1 = -\n" in out


def test_text_and_csv_name_the_classes(scored, capsys):
    net = database(5) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    Path("net.prototxt").write_text(net)
    words = ["--model=net.prototxt", "--weights=none.caffemodel", "--confusion=out.csv"]
    Path("names").write_text("ant\nbee\ncat\n")
    assert main(["test", *words, "--labels=names"]) == 0
    out = capsys.readouterr().out
    Path("labels.txt").write_text("ant\nbee\ncat\n")  # beside the database
    assert main(["test", *words]) == 0
    assert capsys.readouterr().out == out
    (found,) = report(net, capsys=capsys)
    assert out.startswith("scores against y: 23 samples\n")
    assert f"top_1 = {found['top_1']:.6g}\n" in out
    rows = list(csv.reader(Path("out.csv").open()))
    assert rows[0] == ["label \\ answer", "ant", "bee", "cat", "3", "4", "5", "6"]
    assert [row[0] for row in rows] == rows[0]
    assert [[int(n) for n in row[1:]] for row in rows[1:]] == found["confusion"]
    shown = out[out.index("confusion (") :].splitlines()
    assert shown[3].split() == rows[1]


def test_of_many_classes_the_worst_are_shown(folder, capsys):
    classes = 30
    labels = np.arange(classes).repeat(2)
    scores = np.eye(classes)[labels]
    scores[0] = np.eye(classes)[7]
    store(scores, labels)
    Path("net.prototxt").write_text(
        database(7) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    )
    words = ["--model=net.prototxt", "--weights=none.caffemodel", "--report"]
    assert main(["test", *words]) == 0
    out = capsys.readouterr().out.splitlines()
    worst = out.index("the 20 classes that do worst:")
    assert out[worst + 3].split() == ["0", "2", "1", "0.5000"]
    assert out[worst + 4].split()[-1] == "1.0000"
    assert out[-1].split() == ["0", "7", "1"]


def test_very_many_classes_have_no_matrix(folder, capsys):
    store(np.eye(2001, dtype=np.float32)[[5, 7, 2000]], [5, 8, 2000])
    net = database(2) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    (found,) = report(net, capsys=capsys)
    assert found["confusion"] is None and found["confused"] == [[8, 7, 1]]
    err = report(net, "--confusion=c.csv", code=1, capsys=capsys)
    assert "2001 classes are too many for a matrix" in err and not Path("c.csv").exists()


def test_every_place_of_a_map_counts(folder, capsys):
    random = np.random.default_rng(1)
    x, y = random.normal(size=(5, 3, 2, 4)), random.integers(0, 3, (5, 1, 2, 4))
    rows("values.h5", x=x, y=y)
    net = hdf5(2) + layer("loss", "SoftmaxWithLoss", "x y", "loss")
    (found,) = report(net, capsys=capsys)
    assert (found["samples"], found["counted"]) == (5, 40)
    assert found["top_1"] == pytest.approx((x.argmax(axis=1) == y[:, 0]).mean())


def rows(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array.astype(np.float32)
    Path("list.txt").write_text(path + "\n")


def hdf5(batch):
    more = f'hdf5_data_param {{ source: "list.txt" batch_size: {batch} }}'
    return layer("data", "HDF5Data", "", "x y", more)


@pytest.mark.parametrize("batch", [1, 4, 11])
def test_errors_of_values(folder, capsys, batch):
    random = np.random.default_rng(2)
    x, y = (random.normal(size=(11, 3)).astype(np.float32).astype(float) for _ in range(2))
    y += [10, 0, -10]
    rows("values.h5", x=x, y=y)
    (found,) = report(hdf5(batch) + layer("l", "EuclideanLoss", "x y", "l"), capsys=capsys)
    error = x - y
    each = found.pop("per_output")
    for k, part in [*enumerate(each), (slice(None), found)]:
        e, t = error[:, k], y[:, k]
        spread = ((t - t.mean(axis=0)) ** 2).sum()
        assert part["mean_error"] == pytest.approx(e.mean())
        assert part["mean_absolute_error"] == pytest.approx(abs(e).mean())
        assert part["root_mean_square_error"] == pytest.approx(np.sqrt((e**2).mean()))
        assert part["largest_error"] == pytest.approx(abs(e).max())
        assert part["r2"] == pytest.approx(1 - (e**2).sum() / spread)
    main(["test", "--model=net.prototxt", "--weights=none.caffemodel", "--report"])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "x against y: 11 samples"
    assert out[-1].split()[0] == "2" and len(out[-1].split()) == 6


def test_what_cannot_be_told(scored, capsys):
    err = report(database(5), code=1, capsys=capsys)
    assert "no layer compares scores with labels" in err
    dummy = "dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } }"
    net = layer("d", "DummyData", "", "x y", dummy) + layer("a", "Accuracy", "x y", "a")
    assert "give --iterations" in report(net, code=2, capsys=capsys)
    assert report(net, "--iterations=3", capsys=capsys)[0]["samples"] == 6
    net = layer("d", "DummyData", "", "x y", dummy.replace("dim: 2 }", "dim: 2 dim: 3 }"))
    net += layer("l", "EuclideanLoss", "x y", "l")
    words = ["--iterations=1", "--confusion=c.csv"]
    assert "has no scores of classes" in report(net, *words, code=1, capsys=capsys)
    assert not Path("c.csv").exists()


@pytest.mark.parametrize("more", [["--report"], ["--iterations=2"], []])
def test_a_net_for_use_is_not_for_testing(folder, capsys, more):
    """What it would print are its answers to zeros, 50 times."""
    shape = "input_param { shape { dim: 2 dim: 3 } }"
    net = layer("data", "Input", "", "data", shape) + layer("prob", "Softmax", "data", "prob")
    Path("deploy.prototxt").write_text(net)
    words = ["test", "--model=deploy.prototxt", "--weights=none.caffemodel", "-q", *more]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert 'is a net for use, not for testing: nobody fills its input "data"; give one with' in err
    Path("train_val.prototxt").write_text(database(2))
    assert main(words) == 1
    assert "; give train_val.prototxt, or ask" in capsys.readouterr().err


def test_scores_that_are_not_finite_are_an_error(folder, capsys):
    scores = np.ones((9, CLASSES))
    scores[5, 2] = np.nan
    store(scores, np.zeros(9))
    net = database(2) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    err = report(net, code=1, capsys=capsys)
    assert '"scores" has values that are not finite, in sample 4 or soon after' in err
