"""caffelite dataset with pictures of one's own: folders and lists into databases."""

import json
import os
import resource
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data import binaryproto
from caffelite.data.dataset import read_names
from caffelite.data.datum import DatumSource
from caffelite.data.image import decode
from caffelite.data.statistics import Statistics


def picture(random, height=12, width=14):
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The current folder holds pictures/ant, bee and cat with 5, 10 and 15 pictures."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for count, name in [(5, "ant"), (10, "bee"), (15, "cat")]:
        folder = Path("pictures", name)
        folder.mkdir(parents=True)
        for i in range(count):
            picture(random).save(folder / f"{i}.png")
    return Path("pictures")


def dataset(*words):
    return main(["dataset", *map(str, words)])


def contents(path):
    source = DatumSource(path)
    keys = [source.records.sample(i)[0] for i in range(len(source))]
    return [(key, *source.sample(i)) for i, key in enumerate(keys)]


def nothing_left(*also):
    return sorted(os.listdir()) == sorted(["pictures", *also])


def test_a_folder_becomes_two_databases_with_a_share_of_each_class(pictures, capsys):
    assert dataset("pictures", "--out", "data", "--test", 0.2) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "data/train_lmdb: 24 pictures, 3 x 12 x 14; 3 classes, 4 to 12 pictures each" in out
    assert "data/test_lmdb: 6 pictures, 3 x 12 x 14; 3 classes, 1 to 3 pictures each" in out
    assert Path("data/labels.txt").read_text() == "ant\nbee\ncat\n"
    found = set()
    for part, counts in [("train", [4, 8, 12]), ("test", [1, 2, 3])]:
        rows = contents(f"data/{part}_lmdb")
        assert np.bincount([label for _, _, label in rows]).tolist() == counts
        for place, (key, pixels, label) in enumerate(rows):
            number, _, name = key.decode().partition("_")
            assert int(number) == place and name.startswith(("ant/", "bee/", "cat/")[label])
            np.testing.assert_array_equal(pixels, decode(str(pictures / name)))
            found.add(name)
    assert len(found) == 30
    labels = [label for _, _, label in contents("data/train_lmdb")]
    assert labels != sorted(labels)


def test_the_same_seed_makes_the_same_files(pictures):
    words = ["pictures", "--test", 0.4]
    for out, seed in [("a", 3), ("b", 3), ("c", 4)]:
        assert dataset(*words, "--out", out, "--seed", seed) == 0
    for part in ("train_lmdb", "test_lmdb"):
        keys = {out: [row[0] for row in contents(f"{out}/{part}")] for out in "abc"}
        assert keys["a"] == keys["b"] != keys["c"]
    assert dataset("pictures", "--out", "d", "--no-shuffle") == 0
    assert [label for _, _, label in contents("d/train_lmdb")] == [0] * 5 + [1] * 10 + [2] * 15


def test_the_mean_is_that_of_the_training_pictures(pictures, capsys):
    assert dataset("pictures", "--test", 0.2, "--resize", "6x8", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert main(["compute_image_mean", "data/train_lmdb", "again", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert Path("again").read_bytes() == Path("data/mean.binaryproto").read_bytes()
    assert again == {name: report[name] for name in again}
    assert again == {
        name: json.loads(Path("data/statistics.json").read_text())[name] for name in again
    }
    x = np.array([pixels for _, pixels, _ in contents("data/train_lmdb")], float)
    np.testing.assert_allclose(binaryproto.read("again")[0], x.mean(axis=0), 1e-6)
    np.testing.assert_allclose(report["mean_value"], x.mean(axis=(0, 2, 3)), 1e-12)
    cov = np.cov(x.transpose(1, 0, 2, 3).reshape(3, -1), bias=True)
    vectors = np.array(report["eigenvectors"])
    np.testing.assert_allclose(cov @ vectors, vectors * report["eigenvalues"], 1e-8, 1e-8)
    assert report["eigenvalues"] == sorted(report["eigenvalues"], reverse=True)
    assert report["shape"] == [3, 6, 8]


def test_statistics_of_several_sizes_have_no_mean_picture():
    statistics = Statistics()
    statistics.add(np.full((1, 2, 3), 6, np.uint8))
    statistics.add(np.full((1, 1, 2), 2, np.uint8))
    assert statistics.mean() is None
    assert statistics.channel_means().tolist() == [5]


def test_a_list_names_pictures_and_labels(pictures, capsys):
    ant = pictures.resolve() / "ant/0.png"
    Path("pictures/list.txt").write_text(f"cat/1.png 3\n{ant} 0\ncat/2.png 3\n")
    Path("names").write_text("a\nb\nc\nd\n")
    words = ["pictures/list.txt", "--labels", "names", "--no-shuffle"]
    assert dataset(*words, "--out", "x", "--gray") == 0
    assert "2 of the labels 0 to 3 have no pictures, as 1" in capsys.readouterr().err
    rows = contents("x/train_lmdb")
    assert [(key, label) for key, _, label in rows] == [
        (b"00000000_cat/1.png", 3),
        (b"00000001_" + bytes(ant), 0),
        (b"00000002_cat/2.png", 3),
    ]
    np.testing.assert_array_equal(rows[1][1], decode("pictures/ant/0.png", color=False))
    assert Path("x/labels.txt").read_text() == "a\nb\nc\nd\n"
    os.rename("pictures/list.txt", "list.txt")
    assert dataset("list.txt", "--root", "pictures", "--out", "y", "--no-shuffle") == 0
    assert [row[0] for row in contents("y/train_lmdb")] == [row[0] for row in rows]
    assert not Path("y/labels.txt").exists()


def test_cropping_keeps_proportions(pictures):
    y, x = np.mgrid[:40, :80]
    Image.fromarray(np.stack([3 * x, 6 * y, 0 * x], -1).astype(np.uint8)).save("pictures/ant/0.png")
    Path("list.txt").write_text("ant/0.png 0\n")
    words = ["list.txt", "--root", "pictures"]
    assert dataset(*words, "--out", "squeezed", "--resize", 20) == 0
    assert dataset(*words, "--out", "cut", "--resize", 20, "--crop") == 0
    ((_, squeezed, _),) = contents("squeezed/train_lmdb")
    ((_, cut, _),) = contents("cut/train_lmdb")
    assert squeezed.shape == cut.shape == (3, 20, 20)
    assert squeezed[2, 5, [0, -1]].tolist() == pytest.approx([4, 233], abs=2)
    assert cut[2, 5, [0, -1]].tolist() == pytest.approx([62, 176], abs=2)
    np.testing.assert_array_equal(cut[1], squeezed[1])


def test_a_strip_is_cut_before_it_grows(pictures):
    Image.new("RGB", (60000, 2), (1, 2, 3)).save("strip.png")
    Path("list.txt").write_text("strip.png 0\n")
    tracemalloc.start()
    assert dataset("list.txt", "--resize", 256, "--crop") == 0
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    ((_, pixels, _),) = contents("data/train_lmdb")
    assert pixels.shape == (3, 256, 256) and (pixels == [[[3]], [[2]], [[1]]]).all()


def test_encoded_files_are_kept_or_made_and_all_have_the_same_channels(pictures):
    Image.open("pictures/ant/0.png").convert("L").save("pictures/ant/0.png")
    Image.open("pictures/ant/1.png").convert("RGBA").save("pictures/ant/1.png")
    assert dataset("pictures", "--encode", "png", "--no-shuffle") == 0
    source = DatumSource("data/train_lmdb")
    kept = 0
    for i in range(30):
        datum, name = source.datum(i), source.records.sample(i)[0].decode()[9:]
        kept += datum.data == (pictures / name).read_bytes()
        np.testing.assert_array_equal(source.sample(i)[0], decode(str(pictures / name), color=True))
    assert kept == 28
    assert dataset("pictures", "--encode", "jpg", "--out", "small", "--resize", 8) == 0
    x = np.array([pixels for _, pixels, _ in contents("small/train_lmdb")], float)
    np.testing.assert_allclose(binaryproto.read("small/mean.binaryproto")[0], x.mean(0), 1e-6)


def test_names_need_not_be_utf8(pictures):
    try:
        os.rename(pictures / "bee", bytes(pictures / "b\u00e9e").replace(b"\xc3\xa9", b"\xe9"))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert dataset("pictures", "--no-shuffle") == 0
    assert Path("data/labels.txt").read_bytes() == b"ant\nb\xe9e\ncat\n"
    assert read_names("data/labels.txt") == ["ant", "b\udce9e", "cat"]


# Bad input


def test_pictures_that_cannot_be_read_are_all_named_and_counted(pictures, capsys):
    whole = (pictures / "bee/3.png").read_bytes()
    (pictures / "bee/3.png").write_bytes(whole[:-40])
    (pictures / "cat/7.png").write_bytes(b"")
    assert dataset("pictures", "--out", "data") == 1
    err = capsys.readouterr().err
    assert '"bee/3.png": no picture that can be decoded' in err and '"cat/7.png": ' in err
    assert "pictures that cannot be read: 2; --skip-bad leaves them out" in err
    assert nothing_left()
    assert dataset("pictures", "--out", "data", "--skip-bad") == 0
    out, err = capsys.readouterr()
    assert 'skipped "bee/3.png": no picture' in err and 'skipped "cat/7.png": ' in err
    assert "skipped: 2 pictures" in out and "28 pictures" in out


def test_only_so_many_are_named(pictures, capsys):
    for path in [*pictures.glob("cat/*.png"), *pictures.glob("bee/*.png")]:
        path.write_bytes(b"no picture")
    assert dataset("pictures") == 1
    err = capsys.readouterr().err
    assert err.count("no picture that can be decoded") == 20
    assert "and more, which are counted only" in err and "cannot be read: 25" in err


def bomb(path, side=60000):
    """A PNG of a few bytes that says it has side x side pixels."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def test_a_decompression_bomb_is_a_bad_picture(pictures, capsys):
    bomb("pictures/ant/bomb.png")
    assert dataset("pictures") == 1
    err = capsys.readouterr().err
    assert '"ant/bomb.png": no picture that can be decoded' in err and "bomb" in err
    assert nothing_left()


def test_pictures_that_are_there_twice_are_warned_about(pictures, capsys):
    data = (pictures / "ant/0.png").read_bytes()
    (pictures / "bee/again.png").write_bytes(data)
    assert dataset("pictures", "--json") == 0
    out, err = capsys.readouterr()
    assert '1 pictures are there twice, with different labels, as "' in err
    report = json.loads(out)
    assert (report["duplicates"], report["duplicates_across_labels"]) == (1, 1)
    for i in range(1, 5):
        (pictures / f"ant/{i}.png").write_bytes(data)
    (pictures / "bee/again.png").unlink()
    assert dataset("pictures", "--out", "two", "--test", 0.4) == 0
    assert "2 pictures for testing are for training, too, as " in capsys.readouterr().err


def spoil_list(line):
    def spoil():
        Path("list.txt").write_text(f"ant/0.png 0\n{line}\n")

    return spoil


def other_size():
    Image.new("RGB", (9, 9)).save("pictures/bee/z.png")


def empty_class():
    Path("pictures/dog").mkdir()


@pytest.mark.parametrize(
    ("prepare", "words", "code", "message"),
    [
        (other_size, ["pictures"], 1, 'has the shape (3, 9, 9), but "'),
        (empty_class, ["pictures"], 1, "pictures/dog: holds no pictures"),
        (None, ["pictures/ant"], 1, "pictures/ant: holds no folders"),
        (None, ["mnist5k"], 1, "mnist5k: no such folder of pictures, list of pictures"),
        (spoil_list("bee/0.png bee"), ["list.txt"], 1, "list.txt:2: expected a label"),
        (spoil_list("bee/0.png 1.5"), ["list.txt"], 1, "list.txt:2: expected a label"),
        (spoil_list("bee/0.png"), ["list.txt"], 1, "list.txt:2: expected a label"),
        (spoil_list("bee/0.png -1"), ["list.txt"], 1, "list.txt:2: the label is -1"),
        (spoil_list("bee/0.png 1"), ["list.txt", "--labels", "list.txt"], 0, ""),
        (spoil_list("bee/0.png 2"), ["list.txt", "--labels", "list.txt"], 1, "names 2"),
        (spoil_list("none.png 0"), ["list.txt"], 1, '"none.png": no such file'),
        (None, ["pictures", "--test", "0.01"], 1, "none is left for the part test"),
        (None, ["pictures", "--test", "0.99"], 1, "none is left for the part train"),
        (None, ["pictures", "--test", "1"], 2, "expected a number from 0 to below 1"),
        (None, ["pictures", "--resize", "0x9"], 2, "expected N or HEIGHTxWIDTH"),
        (None, ["pictures", "--resize", "big"], 2, "expected N or HEIGHTxWIDTH"),
        (None, ["pictures", "--seed", "-1"], 2, "--seed"),
        (None, ["pictures", "--labels", "x"], 1, "--root and --labels are for lists"),
        (None, ["pictures", "--crop"], 2, "--resize"),
        (None, ["pictures", "--encode", "xyz"], 1, 'pictures of the type "xyz"'),
        (None, ["pictures", "--idx", "x"], 2, "--idx belongs to mnist"),
        (None, ["mnist-5k", "--resize", "8"], 2, "--resize is for your own pictures"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_leave_nothing(pictures, capsys, prepare, words, code, message):
    if prepare:
        prepare()
    before = os.listdir()
    root = ["--root", "pictures"] if words[0] == "list.txt" else []
    assert dataset(*words, *root) == code
    assert message in capsys.readouterr().err
    assert os.listdir() == before or code == 0


def test_sizes_may_differ_if_the_net_crops(pictures):
    other_size()
    assert dataset("pictures", "--mixed-sizes") == 0
    shapes = {pixels.shape for _, pixels, _ in contents("data/train_lmdb")}
    assert shapes == {(3, 12, 14), (3, 9, 9)}
    assert not Path("data/mean.binaryproto").exists()
    assert json.loads(Path("data/statistics.json").read_text())["shape"] is None


def test_what_is_there_is_not_replaced(pictures, capsys):
    Path("data").mkdir()
    Path("data/labels.txt").write_text("mine")
    assert dataset("pictures") == 1
    assert "data/labels.txt: exists already" in capsys.readouterr().err
    assert os.listdir("data") == ["labels.txt"]


@pytest.mark.parametrize("limit", [100_000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_nothing(pictures, limit):
    """The limit on the size of a file stands for a disk that is full."""

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = ["dataset", "pictures", "--resize", "64", "--test", "0.2"]
    command = [sys.executable, "-m", "caffelite", *words]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_disk)
    assert done.returncode == 1
    assert "data/train_lmdb: cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert nothing_left()
