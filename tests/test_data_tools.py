"""caffelite convert_imageset and compute_image_mean: databases and means of pictures."""

import configparser
import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main, tool
from caffelite.data import binaryproto
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.image import decode
from caffelite.data.leveldb import LevelDbSource
from caffelite.data.lmdb import LmdbSource, LmdbWriter

from .reference import resize as slow

CAFFE = Path(__file__).parent / "golden" / "caffe" / "data"


def records(path):
    source = LmdbSource(path)
    return [source.sample(i) for i in range(len(source))]


def samples(path):
    source = DatumSource(path)
    return [source.sample(i) for i in range(len(source))]


def convert(*words):
    return main(["convert_imageset", *map(str, words)])


def test_records_are_those_that_caffe_wrote(tmp_path, capsys):
    size = ["-resize_height", 32, "-resize_width=40"]
    assert convert(*size, f"{CAFFE}/", CAFFE / "list.txt", tmp_path / "raw") == 0
    assert capsys.readouterr().out == f"{tmp_path}/raw: 6 pictures\n"
    assert records(tmp_path / "raw") == records(CAFFE / "raw_lmdb")
    assert convert(*size, "--encoded", f"{CAFFE}/", CAFFE / "list.txt", tmp_path / "files") == 0
    got, want = DatumSource(tmp_path / "files"), DatumSource(CAFFE / "encoded_lmdb")
    for i in range(6):
        assert got.datum(i).encoded and not got.datum(i).HasField("channels")
        np.testing.assert_array_equal(got.sample(i)[0], want.sample(i)[0])
        assert got.sample(i)[1] == want.sample(i)[1]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("convert_imageset", "convert_imageset"),
        ("compute_image_mean", "compute_image_mean"),
        ("extract_features", "extract_features"),
        ("convert_annoset", "convert_annoset"),
        ("get_image_size", "get_image_size"),
        ("upgrade_net_proto_text", "upgrade"),
        ("upgrade_net_proto_binary", "upgrade"),
        ("upgrade_solver_proto_text", "upgrade"),
    ],
)
def test_caffes_tools_are_programs_of_their_own(name, command, monkeypatch, capsys):
    setup = configparser.ConfigParser()
    setup.read(CAFFE.parents[3] / "setup.cfg")
    programs = setup["options.entry_points"]["console_scripts"].split("\n")
    assert f"{name} = caffelite.cli:tool" in programs
    monkeypatch.setattr(sys, "argv", [f"/some/where/{name}.exe", "--help"])
    assert tool() == 0
    assert f"usage: caffelite {command}" in capsys.readouterr().out


def test_the_mean_is_that_which_caffe_computed(tmp_path, capsys):
    out = tmp_path / "mean.binaryproto"
    assert main(["compute_image_mean", str(CAFFE / "raw_lmdb"), str(out)]) == 0
    want = binaryproto.read(CAFFE / "mean.binaryproto")
    np.testing.assert_array_equal(binaryproto.read(out), want, strict=True)
    assert out.read_bytes() == (CAFFE / "mean.binaryproto").read_bytes()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Number of channels: 3"
    assert printed[1] == f"mean_value channel [0]: {want[0, 0].mean(dtype=float):g}"


@pytest.fixture
def album(tmp_path, monkeypatch):
    """Pictures in files of several kinds, listed in list.txt; {name: file content}."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:20, :26]
    picture = Image.fromarray(np.stack([9 * x, 12 * y, 5 * (x + y)], -1).astype(np.uint8))
    files = {}
    for name, kind in [("a.png", "png"), ("b.JPEG", "jpeg"), ("c d.jpg", "jpeg"), ("e.bmp", "bmp")]:
        out = io.BytesIO()
        picture.save(out, kind)
        files[name] = out.getvalue()
        Path(name).write_bytes(out.getvalue())
    Path("list.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(files)))
    return files


def test_files_are_kept_as_they_are_where_nothing_changes(album):
    assert convert("--encoded", "./", "list.txt", "same") == 0
    found = DatumSource("same")
    assert [found.datum(i).data for i in range(4)] == list(album.values())
    assert convert("--encode_type", "JPG", "./", "list.txt", "jpg") == 0
    found = DatumSource("jpg")
    kept = [found.datum(i).data == content for i, content in enumerate(album.values())]
    assert kept == [False, True, True, False]
    for i in range(4):
        assert Image.open(io.BytesIO(found.datum(i).data)).format == "JPEG"
        got, want = found.sample(i)[0].astype(float), decode(album["a.png"])
        assert got.shape == want.shape and abs(got - want).mean() < 6


def test_gray_and_resized_pictures(album):
    words = ["--gray", "--resize_height=7", "--resize_width=9", "--encode_type=png"]
    assert convert(*words, "./", "list.txt", "gray") == 0
    want = slow.bilinear(decode(album["a.png"], color=False), 7, 9)
    for pixels, _ in samples("gray"):
        assert pixels.shape == (1, 7, 9)
        assert abs(pixels - want).mean() < 2


@pytest.mark.parametrize("size", ["0", "-5"])
def test_sizes_that_are_not_above_0_do_not_resize(album, size):
    words = [f"-resize_height={size}", f"-resize_width={size}"]
    assert convert(*words, "./", "list.txt", "db") == 0
    assert {pixels.shape for pixels, _ in samples("db")} == {(3, 20, 26)}


def test_shuffling_numbers_the_pictures_anew(album):
    Path("list.txt").write_text("".join(f"a.png {i}\n" for i in range(50)))
    assert convert("--shuffle", "./", "list.txt", "db") == 0
    labels = [label for _, label in samples("db")]
    assert sorted(labels) == list(range(50)) and labels != list(range(50))
    assert [key for key, _ in records("db")] == [b"%08d_a.png" % i for i in range(50)]


def test_pictures_that_cannot_be_read_are_skipped_and_leave_their_numbers(album, capsys):
    Path("list.txt").write_text("a.png 0\nnone.png 1\nlist.txt 2\ne.bmp 3\n")
    assert convert("./", "list.txt", "db") == 0
    assert [key for key, _ in records("db")] == [b"00000000_a.png", b"00000003_e.bmp"]
    err = capsys.readouterr().err
    assert 'list.txt: skipped "./none.png": no such file' in err
    assert 'list.txt: skipped "./list.txt": no picture' in err


def test_unless_they_are_not_to_be_skipped(album, capsys):
    Path("list.txt").write_text("a.png 0\nlist.txt 2\ne.bmp 3\n")
    assert convert("-noskip_bad", "./", "list.txt", "db") == 1
    assert 'list.txt: "./list.txt": no picture' in capsys.readouterr().err
    assert not Path("db").exists()
    assert convert("-json", "./", "list.txt", "db") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {"database": "db", "pictures": 2, "skipped": 1}


def test_labels_that_are_no_numbers_are_read_as_caffe_does_with_a_warning(album, capsys):
    Path("list.txt").write_text("a.png cat\ne.bmp 2x\nb.JPEG 3\n")
    assert convert("./", "list.txt", "db") == 0
    assert [label for _, label in samples("db")] == [0, 2, 3]
    err = capsys.readouterr().err
    assert 'list.txt:1: expected a label, a whole number, at the end of "a.png cat"' in err
    assert "(2 such lines)" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none/", "list.txt", "db"], 1, "none of its pictures can be read from none/"),
        (["./", "none.txt", "db"], 1, "none.txt: cannot be read"),
        (["./", "list.txt", "list.txt"], 1, "list.txt: exists already"),
        (["--encode_type", "xyz", "./", "list.txt", "db"], 1, 'of the type "xyz"'),
        (["--encode_type", "pdf", "./", "list.txt", "db"], 1, 'of the type "pdf"'),
        (["-noskip_bad", "list.", "list.txt", "db"], 1, 'list.a.png": no such file'),
        (["--resize_width", "9", "./", "list.txt", "db"], 2, "give both"),
        (["--backend", "hdf5", "./", "list.txt", "db"], 2, "choose from"),
        (["./", "list.txt"], 2, "DB"),
    ],
)
def test_mistakes_leave_no_database(album, capsys, words, code, message):
    assert convert(*words) == code
    assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == sorted([*album, "list.txt"])


def test_sizes_are_checked_if_asked(album, capsys):
    Image.new("RGB", (3, 4)).save("small.png")
    Path("list.txt").write_text("a.png 0\nsmall.png 1\n")
    assert convert("--check_size", "./", "list.txt", "checked") == 1
    assert 'small.png": has 36 values, expected 1560' in capsys.readouterr().err
    assert not Path("checked").exists()
    assert convert("./", "list.txt", "db") == 0
    assert main(["compute_image_mean", "db", "mean"]) == 1
    assert "has the shape (3, 4, 3), expected (3, 20, 26)" in capsys.readouterr().err
    assert not Path("mean").exists()


def test_the_mean_of_floats_and_of_one_channel(tmp_path, capsys):
    values = np.random.default_rng(0).random((3, 1, 4, 5), np.float32)
    with LmdbWriter(tmp_path / "db") as database:
        for i, x in enumerate(values):
            datum = from_pixels(np.zeros((1, 4, 5), np.uint8), i)
            datum.ClearField("data")
            datum.float_data.extend(x.ravel())
            database.put(b"%d" % i, datum.SerializeToString())
    assert main(["compute_image_mean", str(tmp_path / "db"), str(tmp_path / "mean")]) == 0
    np.testing.assert_allclose(binaryproto.read(tmp_path / "mean")[0], values.mean(axis=0), 1e-6)
    assert main(["compute_image_mean", str(tmp_path / "db")]) == 0
    assert main(["compute_image_mean", str(tmp_path / "db"), "-pca"]) == 0
    out = capsys.readouterr().out
    assert out.count("Number of channels: 1") == 3
    assert out.splitlines()[-1] == f"eigenvalue {values.var(dtype=float):g}: (1)"


def test_a_leveldb_has_the_records_and_the_mean_of_an_lmdb(tmp_path, capsys):
    pytest.importorskip("plyvel")
    size = ["-resize_height", 32, "-resize_width=40", "-backend=leveldb"]
    for code in (0, 1):
        assert convert(*size, f"{CAFFE}/", CAFFE / "list.txt", tmp_path / "db") == code
    assert "db: exists already" in capsys.readouterr().err
    source = LevelDbSource(tmp_path / "db")
    assert [source.sample(i) for i in range(len(source))] == records(CAFFE / "raw_lmdb")
    words = ["-backend=leveldb", str(tmp_path / "db"), str(tmp_path / "mean")]
    assert main(["compute_image_mean", *words]) == 0
    assert (tmp_path / "mean").read_bytes() == (CAFFE / "mean.binaryproto").read_bytes()


def test_a_database_that_was_cut_off_has_no_mean(tmp_path, capsys):
    shutil.copytree(CAFFE / "raw_lmdb", tmp_path / "db")
    data = tmp_path / "db" / "data.mdb"
    data.write_bytes(data.read_bytes()[:20000])
    assert main(["compute_image_mean", str(tmp_path / "db"), str(tmp_path / "mean")]) == 1
    assert "data.mdb: is truncated" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()
