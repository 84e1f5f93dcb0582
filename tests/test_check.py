"""caffelite dataset check."""

import json

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.datum import from_pixels
from caffelite.data.leveldb import new_leveldb
from caffelite.data.lmdb import LmdbWriter
from caffelite.proto.caffe_pb2 import Datum

MAKERS = {"LMDB": LmdbWriter, "LevelDB": new_leveldb}


def datums(count, shape):
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return [from_pixels(image, i % 3).SerializeToString() for i, image in enumerate(images)]


def make(path, values, kind="LMDB"):
    if kind == "LevelDB":
        pytest.importorskip("plyvel")
    with MAKERS[kind](str(path)) as database:
        for i, value in enumerate(values):
            database.put(b"%08d" % i, value)
    return path


def run(capsys, *arguments):
    code = main(["dataset", "check", *map(str, arguments)])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 64)])
def test_a_whole_database_is_counted(tmp_path, capsys, kind, shape):
    path = make(tmp_path / "db", datums(500, shape), kind)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    code, out = run(capsys, path)
    size = " x ".join(map(str, shape))
    assert code == 0
    assert f"{path}: {kind}, 500 records" in out
    assert f"pictures: 500, {size}; 3 labels, 0 to 2\nwhole\n" in out
    code, out = run(capsys, path, "--json")
    facts = json.loads(out)
    assert (code, facts["records"], facts["faults"]) == (0, 500, [])
    assert facts["labels"] == {"0": 167, "1": 167, "2": 166}
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("kind", MAKERS)
def test_records_that_are_no_datums_are_named(tmp_path, capsys, kind):
    good = datums(30, (1, 8, 8))
    few = Datum(channels=1, height=2, width=2, data=b"123").SerializeToString()
    no_picture = Datum(encoded=True, data=b"none").SerializeToString()
    path = make(tmp_path / "db", [*good, b"\xff\xff", few, no_picture, *([b"\xff"] * 30)], kind)
    code, out = run(capsys, path)
    assert code == 1
    assert f'{path}: record 30 (key "00000030"): is not a Datum' in out
    assert 'record 31 (key "00000031"): channels x height x width is 1 x 2 x 2 = 4' in out
    assert 'record 32 (key "00000032"): ' in out
    assert out.endswith("and 13 more faults\ndamaged\n")


def patch(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def test_behind_a_damaged_page_the_check_goes_on(tmp_path, capsys):
    path = make(tmp_path / "db", datums(2000, (1, 20, 20)))
    patch(path / "data.mdb", 50 * 4096 + 10, b"\7")
    patch(path / "data.mdb", 90 * 4096 + 12, b"\1")
    code, out = run(capsys, path)
    assert code == 1
    assert f"{path}/data.mdb: is damaged: page 50 is no leaf" in out
    assert f"{path}/data.mdb: is damaged: page 90 is no leaf" in out
    assert "LMDB, 198" in out


def test_large_values_are_checked(tmp_path, capsys):
    path = make(tmp_path / "db", datums(20, (3, 64, 64)))
    data = (path / "data.mdb").read_bytes()
    (first, *_) = (i for i in range(2, len(data) // 4096) if data[i * 4096 + 10] == 4)
    patch(path / "data.mdb", first * 4096 + 12, b"\1")
    code, out = run(capsys, path)
    assert code == 1
    assert f"page {first} is no place for a value of" in out


def test_counts_that_are_wrong_are_a_fault(tmp_path, capsys):
    path = make(tmp_path / "db", datums(20, (1, 8, 8)))
    for page in (0, 4096):
        patch(path / "data.mdb", page + 16 + 104, b"\x13")  # 19 records
    code, out = run(capsys, path)
    assert code == 1
    assert f"{path}/data.mdb: has 20 records, but says 19" in out


def test_a_damaged_table_of_a_leveldb_is_a_fault(tmp_path, capsys):
    path = make(tmp_path / "db", datums(500, (3, 16, 16)), "LevelDB")
    with pytest.importorskip("plyvel").DB(str(path)) as database:
        database.compact_range()  # out of the log, into a table
    table = sorted(path.glob("*.ldb"))[0]
    patch(table, table.stat().st_size // 2, b"\0" * 50)
    code, out = run(capsys, path)
    assert code == 1
    assert f"{path}: record" in out
    assert "cannot be read" in out


def test_what_is_no_database_is_said(tmp_path, capsys):
    assert main(["dataset", "check", str(tmp_path)]) == 1
    assert "expected an LMDB, a directory that holds data.mdb" in capsys.readouterr().err
    assert main(["dataset", "pictures", "more"]) != 0
    assert "expected one SOURCE, or check DATABASE" in capsys.readouterr().err
