"""caffelite test --report: a whole data set, each sample once."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import caffelite
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
    assert out[worst + 3].split() == ["0", "2", "1", "1.0000", "0.5000", "0.6667"]
    assert out[worst + 4].split()[-2:] == ["1.0000", "1.0000"]
    assert out[out.index("the pairs that are confused most:") + 3].split() == ["0", "7", "1"]


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
    losses = np.log(np.exp(x).sum(axis=1)) - np.take_along_axis(x, y, axis=1)[:, 0]
    of_each = losses.mean(axis=(1, 2))
    assert [one["number"] for one in found["worst"]] == (-of_each).argsort().tolist()
    assert [one["loss"] for one in found["worst"]] == pytest.approx(sorted(of_each)[::-1], 1e-5)
    assert found["suspicious"] == []


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
    assert any(line.split()[:1] == ["2"] and len(line.split()) == 6 for line in out)
    sizes = np.sqrt((error**2).mean(axis=1))
    assert [one["number"] for one in found["worst"]] == (-sizes).argsort().tolist()
    assert found["worst"][0]["name"] == f"values.h5: row {sizes.argmax()}"
    assert out[-11].startswith(found["worst"][0]["name"])


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


def test_precision_recall_and_f1_are_those_of_scikit_learn(folder, capsys):
    """Of 7 classes, of which one is never a label, one never an answer, one neither."""
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    scores = random.normal(size=(60, CLASSES)).astype(np.float32)
    scores[:, [4, 6]] -= 100
    labels = random.integers(0, 5, 60)
    scores[np.arange(60), labels] += 1
    store(scores, labels)
    (found,) = report(database(7) + layer("a", "Accuracy", "scores y", "a"), capsys=capsys)
    answers = scores.argmax(axis=1)
    every = {"zero_division": 0, "labels": range(CLASSES)}
    want = metrics.precision_recall_fscore_support(labels, answers, **every)
    for name, values in zip(("precision", "recall", "f1"), want, strict=False):
        assert [one or 0 for one in found[name]] == pytest.approx(values.tolist())
    for kind in ("macro", "weighted"):
        want = metrics.precision_recall_fscore_support(
            labels, answers, average=kind, zero_division=0
        )
        assert list(found[kind].values()) == pytest.approx(want[:3])
    assert found["precision"][4] is None and found["recall"][5] is None
    assert found["precision"][6] is found["recall"][6] is found["f1"][6] is None
    assert found["macro_f1"] == found["macro"]["f1"]
    assert found["answered"] == np.bincount(answers, minlength=CLASSES).tolist()


def wrongly_labelled(count=40, classes=4):
    """Scores that are sure of the labels but for samples 5 and 31, and unsure of 12."""
    random = np.random.default_rng(4)
    labels = np.arange(count) % classes
    scores = random.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), labels] += 6
    scores[12] = 0.1 * np.arange(classes)[::-1]  # its label is 0
    labels[5], labels[31], labels[12] = 3, 0, 1
    return scores, labels


@pytest.mark.parametrize("scored_by", ["SoftmaxWithLoss", "probabilities"])
@pytest.mark.parametrize("batch", [7, 40])
def test_the_worst_and_the_suspicious_are_named(folder, capsys, batch, scored_by):
    scores, labels = wrongly_labelled()
    store(scores, labels)
    net = database(batch) + layer("loss", "SoftmaxWithLoss", "scores y", "loss p")
    if scored_by == "probabilities":  # known to be, since a Softmax made them
        net = database(batch) + layer("p", "Softmax", "scores", "p")
        net += layer("accuracy", "Accuracy", "p y", "accuracy")
    (found,) = report(net, capsys=capsys)
    logs = np.log(np.exp(scores.astype(float)).sum(axis=1))
    losses = logs - scores[np.arange(40), labels]
    assert [one["number"] for one in found["worst"]] == (-losses).argsort()[:20].tolist()
    assert [one["loss"] for one in found["worst"]] == pytest.approx(
        sorted(losses)[:-21:-1], 1e-4, 1e-6
    )
    assert {one["number"]: one["name"] for one in found["suspicious"]} == {
        k: f'db: record {k} (key "{k:08}")' for k in (5, 31)
    }
    assert found["more_suspicious"] == 0
    first = next(one for one in found["suspicious"] if one["number"] == 5)
    assert (first["label"], first["answer"]) == (3, 1)
    assert first["of_label"] == pytest.approx(np.exp(scores[5, 3] - logs[5]), 1e-4)
    assert first["of_answer"] == pytest.approx(np.exp(scores[5, 1] - logs[5]), 1e-4)
    assert main(["test", "--model=net.prototxt", "--weights=none.caffemodel", "--report"]) == 0
    out = capsys.readouterr().out
    assert 'db: record 5 (key "00000005")' in out.partition("labels that look wrong")[2]


def test_pictures_of_a_list_are_named_by_their_lines(folder, capsys):
    for k in range(5):
        Image.fromarray(np.full((2, 2), 40 * k, np.uint8)).save(f"{k}.png")
    Path("list.txt").write_text("".join(f"{k}.png {k % 2}\n" for k in range(5)))
    options = 'image_data_param { source: "list.txt" batch_size: 2 shuffle: true is_color: false }'
    net = layer("i", "ImageData", "", "x y", options) + layer("s", "Flatten", "x", "scores")
    (found,) = report(net + layer("l", "SoftmaxWithLoss", "scores y", "l"), capsys=capsys)
    assert sorted(one["name"] for one in found["worst"]) == [
        f'list.txt:{k + 1}: "{k}.png"' for k in range(5)
    ]
    for one in found["worst"]:  # in another order than that of the list
        assert one["label"] == (int(one["name"].split(":")[1]) - 1) % 2


def test_labels_of_which_there_may_be_several(folder, capsys):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(5)
    targets = random.integers(0, 2, (50, 3)).astype(float)
    targets[:, 2] = 0  # of which there is none
    targets[[3, 4], [0, 1]] = -1  # which do not count
    scores = np.round(random.normal(size=(50, 3)) + targets, 1)  # some are equal
    rows("values.h5", x=scores, y=targets)
    more = "loss_param { ignore_label: -1 }"
    net = hdf5(8) + layer("l", "SigmoidCrossEntropyLoss", "x y", "l", more)
    (found,) = report(net, capsys=capsys)
    assert (found["samples"], found["counted"]) == (50, 148)
    scores, right, counted = scores.astype(np.float32), 0, targets >= 0
    for k, each in enumerate(found["per_label"][:2]):
        x, t = scores[counted[:, k], k], targets[counted[:, k], k]
        assert each["average_precision"] == pytest.approx(metrics.average_precision_score(t, x))
        assert each["f1"] == pytest.approx(metrics.f1_score(t, x >= 0))
        assert each["precision"] == pytest.approx(metrics.precision_score(t, x >= 0))
        assert each["recall"] == pytest.approx(metrics.recall_score(t, x >= 0))
        precision, recall, _ = metrics.precision_recall_curve(t, x)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()
        assert each["best_f1"] == pytest.approx(best)
        chosen = 1 / (1 + np.exp(-x.astype(float))) >= each["best_threshold"]
        assert metrics.f1_score(t, chosen) == pytest.approx(best)
    assert found["per_label"][2]["average_precision"] is None
    each = [one["average_precision"] for one in found["per_label"][:2]]
    assert found["mean_average_precision"] == pytest.approx(np.mean(each))
    assert found["micro_f1"] == pytest.approx(
        metrics.f1_score(targets[counted], scores[counted] >= 0)
    )
    right = ((scores >= 0) == (targets == 1)) | ~counted
    assert found["all_right"] == pytest.approx(right.all(axis=1).mean())
    losses = (np.log1p(np.exp(scores)) - scores * targets) * counted
    assert found["cross_entropy"] == pytest.approx(losses.sum() / 148, 1e-5)
    assert found["worst"][0]["name"] == f"values.h5: row {losses.sum(axis=1).argmax()}"
    assert found["worst"][0]["label"] == losses[losses.sum(axis=1).argmax()].argmax()
    Path("names").write_text("sky\nsea\nsand\n")
    words = ["--model=net.prototxt", "--weights=none.caffemodel", "--report", "--labels=names"]
    assert main(["test", *words]) == 0
    assert re.search(r"^sea +\d+ +0\.", capsys.readouterr().out, re.M)


def test_a_threshold_below_all_scores_lets_all_be_answered(folder, capsys):
    scores = np.array([[-1.7], [0.3], [-2.33], [-0.1]])
    rows("values.h5", x=scores, y=np.array([[1.0], [0], [1], [0]]))
    net = hdf5(4) + layer("l", "SigmoidCrossEntropyLoss", "x y", "l")
    (each,) = report(net, capsys=capsys)[0]["per_label"]
    assert each["best_f1"] == pytest.approx(2 * 2 / (2 + 4))
    assert each["best_threshold"] == 0


@pytest.mark.parametrize("kind", ["shares", "signs"])
def test_targets_that_are_no_labels_have_but_a_loss(folder, capsys, kind):
    random = np.random.default_rng(6)
    targets = random.random((9, 4))
    targets = targets if kind == "shares" else np.where(targets < 0.5, -1, 1)
    rows("values.h5", x=random.normal(size=(9, 4)), y=targets)
    net = hdf5(4) + layer("l", "SigmoidCrossEntropyLoss", "x y", "l")
    (found,) = report(net, capsys=capsys)
    assert "cross_entropy" in found and "per_label" not in found
    assert main(["test", "--model=net.prototxt", "--weights=none.caffemodel", "--report"]) == 0
    assert "they are no labels" in capsys.readouterr().out


def test_samples_that_come_several_times_are_told_of(folder, capsys):
    store(np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1]], [0, 0, 0, 0, 1])
    net = database(2) + layer("accuracy", "Accuracy", "scores y", "accuracy")
    words = ["test", "--model=net.prototxt", "--weights=none.caffemodel", "--report"]
    for option, told in (("shuffle", False), ("label_shuffle", True), ("balanced_batches", True)):
        Path("net.prototxt").write_text(
            net.replace("data_param {", f"data_param {{ {option}: true")
        )
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert ("gives 8 samples for the 5 that there are" in err) == told, option
        assert f": {8 if told else 5} samples\n" in out


def test_a_shuffled_list_that_begins_in_the_middle_is_told_of(folder, capsys):
    lines = []
    for i in range(5):
        Image.fromarray(np.uint8([[i, 9 - i]])).save(f"{i}.png")
        lines.append(f"{i}.png {i % 2}\n")
    Path("list.txt").write_text("".join(lines))
    words = ["test", "--model=net.prototxt", "--weights=none.caffemodel", "--report"]
    for more, told in (("shuffle", False), ("rand_skip", False), ("shuffle rand_skip", True)):
        more = more.replace("shuffle", "shuffle: true").replace("rand_skip", "rand_skip: 5")
        options = f'image_data_param {{ source: "list.txt" is_color: false batch_size: 1 {more} }}'
        data = layer("data", "ImageData", "", "x y", options) + layer("s", "Flatten", "x", "scores")
        Path("net.prototxt").write_text(data + layer("a", "Accuracy", "scores y", "a"))
        caffelite.set_random_seed(1)
        assert main(words) == 0
        assert ("of a shuffled pass, by rand_skip" in capsys.readouterr().err) == told, more


def test_each_head_has_its_own_report(scored, capsys):
    scores, labels = scored
    net = database(5) + layer("minus", "Power", "scores", "minus", "power_param { scale: -1 }")
    net += layer("loss1", "SoftmaxWithLoss", "scores y", "loss1")
    net += layer("loss2", "SoftmaxWithLoss", "minus y", "loss2")
    net += layer("top5", "Accuracy", "minus y", "top5", "accuracy_param { top_k: 5 }")
    first, second = report(net, capsys=capsys)
    assert (first["scores"], second["scores"]) == ("scores", "minus")
    assert first["top_1"] == pytest.approx(expected_top(scores, labels, 1))
    assert second["top_1"] == pytest.approx(expected_top(-scores, labels, 1))
    assert first["worst"] != second["worst"]


def test_samples_of_several_rows_are_cut_where_they_end(folder, capsys):
    """The last of three batches has one real sample, which has two rows."""
    random = np.random.default_rng(7)
    x, y = random.normal(size=(5, 6)), random.integers(0, 3, (5, 2))
    rows("values.h5", x=x, y=y)
    shapes = ("reshape_param { shape { dim: -1 dim: 3 } }", "reshape_param { shape { dim: -1 } }")
    net = hdf5(2) + layer("r", "Reshape", "x", "scores", shapes[0])
    net += layer("q", "Reshape", "y", "labels", shapes[1])
    net += layer("l", "SoftmaxWithLoss", "scores labels", "l")
    (found,) = report(net, capsys=capsys)
    assert found["samples"] == 10
    assert found["top_1"] == pytest.approx((x.reshape(10, 3).argmax(1) == y.reshape(10)).mean())
    assert sorted(one["number"] for one in found["worst"]) == list(range(5))
    shapes = ("reshape_param { shape { dim: 1 dim: -1 } }", "reshape_param { shape { dim: 1 } }")
    net = net.replace("dim: -1 dim: 3", "dim: 1 dim: 12").replace("dim: -1 }", "dim: 1 dim: 4 }")
    net = net.replace("SoftmaxWithLoss", "EuclideanLoss").replace("dim: 12", "dim: 4 dim: 3")
    net = net.replace('bottom: "labels"', 'bottom: "scores"')
    err = report(net, code=1, capsys=capsys)
    assert '"scores" has 1 rows for a batch of 2 samples' in err


class Reader(HTMLParser):
    """What a browser would find in a page: tags, what they load, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "action")]

    def handle_data(self, data):
        self.text += data


def test_a_page_holds_its_pictures_and_takes_names_for_text(folder, capsys):
    scores, labels = wrongly_labelled()
    name = '<script>alert("1")</script>&'
    with LmdbWriter("db") as writer:
        for k, (x, label) in enumerate(zip(scores, labels, strict=True)):
            pixels = x.reshape(1, 2, 2) - x.min()
            datum = caffe_pb2.Datum(channels=1, height=2, width=2, label=int(label))
            datum.float_data.extend(pixels.ravel())
            writer.put(b"%08d_%s" % (k, name.encode()), datum.SerializeToString())
    Path("names").write_text("<b>ant\nbee\n'\"cat\ndog\n")
    Path("net.prototxt").write_text(
        database(7) + layer("loss", "SoftmaxWithLoss", "scores y", "loss")
    )
    words = ["--model=net.prototxt", "--weights=none.caffemodel", "--labels=names"]
    assert main(["test", *words, "--html=page.html"]) == 0
    page = Reader(Path("page.html").read_text())
    assert not {"script", "b>ant", "link", "iframe"} & set(page.tags)
    assert page.tags.count("img") == 20 + 2 == len(page.loads)
    assert all(url.startswith("data:image/png;base64,") for url in page.loads)
    first = Image.open(io.BytesIO(base64.b64decode(page.loads[0].partition(",")[2])))
    assert first.size == (2, 2)
    assert f'db: record 5 (key "00000005_{name}")' in page.text and "<b>ant" in page.text
    assert "default-src 'none'" in Path("page.html").read_text()
    before = Path("page.html").read_bytes()
    assert main(["test", *words, "--html=page.html"]) == 0
    assert Path("page.html").read_bytes() == before


@pytest.mark.parametrize("flag", ["--html", "--confusion"])
def test_a_file_that_cannot_be_written_is_refused_before_the_run(scored, capsys, flag):
    net = database(5) + layer("a", "Accuracy", "scores y", "a")
    err = report(net, f"{flag}=none/page", code=2, capsys=capsys)
    assert f"{flag}: none is no folder" in err


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
