"""LevelDB databases as sources."""

import os
import shutil
import stat
import sys

import numpy as np
import pytest

from caffelite.data import leveldb
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.leveldb import LevelDbSource, new_leveldb
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import CaffeliteError, DataError
from caffelite.testing import make_layer

plyvel = pytest.importorskip("plyvel")


def write(path, records, **options):
    with plyvel.DB(str(path), create_if_missing=True, **options) as database:
        for key, value in records:
            database.put(key, value)
    return path


def numbered(count, size=100):
    random = np.random.default_rng(0)
    return [(b"%08d" % i, random.bytes(size)) for i in range(count)]


def content(folder):
    return {
        name: ((folder / name).read_bytes(), (folder / name).stat().st_mtime_ns)
        for name in os.listdir(folder)
    }


def test_records_come_in_key_order_by_number_and_wrap(tmp_path, caplog):
    caplog.set_level("INFO", "caffelite")
    keys = [b"b", b"a\xff", b"a", b"c"]
    source = LevelDbSource(write(tmp_path / "db", [(k, b"of " + k) for k in keys]))
    for index in [0, 1, 2, 3, 4, 5, 2, 0, 11, 3]:
        key = sorted(keys)[index % 4]
        assert source.sample(index) == (key, b"of " + key)
        assert source.at == index % 4
    assert len(source) == 4
    assert caplog.messages == ["Restarting data prefetching from start."] * 2
    source.close()


def test_a_first_record_far_beyond_the_end_is_found(tmp_path):
    records = numbered(7)
    source = LevelDbSource(write(tmp_path / "db", records))
    assert source.sample(7 * 1000 + 3) == records[3]
    source.close()
    fresh = LevelDbSource(tmp_path / "db")
    assert len(fresh) == 7
    fresh.close()


def test_reading_changes_nothing_even_where_leveldb_would_tidy_up(tmp_path):
    folder = write(tmp_path / "db", numbered(3000), write_buffer_size=100_000)
    before = content(folder)
    assert any(name.endswith(".log") for name in before)
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o500)  # a folder one may not write into
    try:
        first, second = LevelDbSource(folder), LevelDbSource(str(folder))  # twice at a time
        assert len(first) == 3000
        assert first.sample(2999) == second.sample(2999)
        first.close()
        assert second.sample(0)[0] == b"00000000"
        second.close()
    finally:
        folder.chmod(mode)
    assert content(folder) == before


def test_a_table_that_an_interrupted_program_left_is_not_overwritten(tmp_path):
    folder = write(tmp_path / "db", numbered(3000), write_buffer_size=100_000)
    last = max(int(name.stem) for name in folder.iterdir() if name.stem.isdecimal())
    for number in range(last + 1, last + 20):
        (folder / f"{number:06}.ldb").write_bytes(b"left over")
    before = content(folder)
    source = LevelDbSource(folder)
    assert len(source) == 3000
    source.close()
    assert content(folder) == before


def test_a_database_that_is_made_anew_while_it_is_read_is_an_error(tmp_path):
    def make(value):
        shutil.rmtree(tmp_path / "db", ignore_errors=True)
        records = [(b"%08d" % i, value * 1000) for i in range(1000)]
        return write(tmp_path / "db", records, write_buffer_size=70_000, compression=None)

    source = LevelDbSource(make(b"1"))
    read = [source.sample(i)[1][:1] for i in range(100)]
    make(b"2")
    with pytest.raises(
        DataError, match=r"db: was written anew while it was read: \d+\.ldb is anot"
    ):
        read += [source.sample(i)[1][:1] for i in range(100, 1000)]
    assert set(read) == {b"1"}
    source.close()


def test_a_database_is_read_on_while_files_come_that_it_does_not_have(tmp_path):
    source = LevelDbSource(write(tmp_path / "db", numbered(3000), write_buffer_size=100_000))
    for i in range(0, 3000, 500):
        (tmp_path / "db" / f"note{i}").write_text("")
        assert source.sample(i)[0] == b"%08d" % i
    source.close()


def test_a_database_that_never_stands_still_is_not_opened(tmp_path, monkeypatch):
    folder = write(tmp_path / "db", numbered(3000), write_buffer_size=100_000)
    seen = iter(range(1000))
    monkeypatch.setattr(
        leveldb.shutil, "copyfile", lambda _, to: (folder / f"n{next(seen)}").write_text("")
    )
    with pytest.raises(DataError, match="is written while it is opened"):
        LevelDbSource(folder)


def test_a_manifest_of_many_blocks_is_read(tmp_path):
    keys = [b"%08d" % i + b"k" * 1000 for i in range(3000)]
    folder = write(tmp_path / "db", [(k, b"") for k in keys], write_buffer_size=70_000)
    manifest = folder / (folder / "CURRENT").read_text().strip()
    assert manifest.stat().st_size > 1 << 16
    source = LevelDbSource(folder)
    assert [source.sample(i)[0] for i in range(3000)] == keys
    source.close()


def test_links_go_when_the_source_does(tmp_path, monkeypatch):
    import gc
    import tempfile

    folder = write(tmp_path / "db", numbered(3))
    (tmp_path / "passing").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "passing"))
    source, forgotten = LevelDbSource(folder), LevelDbSource(folder)
    assert len(os.listdir(tmp_path / "passing")) == 2
    source.close()
    del forgotten
    gc.collect()
    assert os.listdir(tmp_path / "passing") == []


def test_the_data_layer_serves_it_as_it_does_an_lmdb(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 9), np.uint8)
    records = [(b"%08d" % i, from_pixels(x, i).SerializeToString()) for i, x in enumerate(images)]
    write(tmp_path / "leveldb", records)
    with LmdbWriter(tmp_path / "lmdb") as database:
        for record in records:
            database.put(*record)
    results = []
    for name, backend in [("lmdb", "backend: LMDB"), ("leveldb", "")]:
        layer, bottom, top = make_layer(
            "Data",
            [],
            f'data_param {{ source: "{tmp_path / name}" {backend} batch_size: 3 }}',
            tops=2,
        )
        for _ in range(4):
            layer.forward(bottom, top)
            results.append([t.data.copy() for t in top])
        layer.close()
    for got, want in zip(results[4:], results[:4], strict=True):
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


def an_lmdb(path):
    with LmdbWriter(path) as database:
        database.put(b"key", b"value")


def a_folder(path):
    path.mkdir()


def no_records(path):
    write(path, [])


def a_missing_table(path):
    write(path, numbered(3000), write_buffer_size=100_000)
    os.remove(min(path.glob("*.ldb")))


def garbage(path):
    path.mkdir()
    (path / "CURRENT").write_text("MANIFEST-000002\n")
    (path / "MANIFEST-000002").write_bytes(bytes(range(256)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such directory"),
        (an_lmdb, "is an LMDB; write backend: LMDB"),
        (a_folder, "expected a LevelDB"),
        (no_records, "the database is empty"),
        (a_missing_table, "cannot be read as a LevelDB: .*missing files"),
        (garbage, "cannot be read as a LevelDB"),
    ],
)
def test_what_is_no_leveldb_is_refused(tmp_path, make, message):
    make(tmp_path / "db")
    with pytest.raises(DataError, match=message) as caught:
        LevelDbSource(tmp_path / "db")
    assert str(tmp_path / "db") in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "bits"])
def test_a_damaged_table_is_an_error_not_another_value(tmp_path, damage):
    folder = write(tmp_path / "db", numbered(3000), write_buffer_size=100_000)
    table = sorted(folder.glob("*.ldb"))[1]
    whole = table.read_bytes()
    middle = len(whole) // 2
    table.write_bytes(
        whole[:middle] if damage == "cut" else whole[:middle] + b"\0" * 50 + whole[middle + 50 :]
    )
    source = LevelDbSource(folder)
    for read in (lambda: source.sample(2999), lambda: len(source)):
        with pytest.raises(DataError, match="record [0-9]+ cannot be read"):
            read()


def test_a_damaged_log_is_an_error_not_fewer_records(tmp_path):
    folder = write(tmp_path / "db", numbered(3000))
    (log,) = folder.glob("*.log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as a LevelDB: .*checksum mismatch"):
        LevelDbSource(folder)


def test_a_broken_datum_is_named(tmp_path):
    good = from_pixels(np.zeros((1, 2, 2), np.uint8), 0).SerializeToString()
    folder = write(tmp_path / "db", [(b"a", good), (b"b", b"\xff\xff")])
    with pytest.raises(DataError, match=r'db: record 1 \(key "b"\): is not a Datum'):
        DatumSource(folder, database=LevelDbSource).sample(3)


def test_a_new_database_is_there_whole_or_not_at_all(tmp_path):
    with new_leveldb(tmp_path / "a" / "db") as database:
        database.put(b"key", b"value")
        assert not (tmp_path / "a" / "db").exists()
    source = LevelDbSource(tmp_path / "a" / "db")
    assert source.sample(0) == (b"key", b"value")
    source.close()
    with pytest.raises(ValueError), new_leveldb(tmp_path / "b") as database:
        database.put(b"key", b"value")
        raise ValueError
    with pytest.raises(CaffeliteError, match="db: exists already"), new_leveldb(tmp_path / "a/db"):
        pass
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["db"]


def test_a_missing_package_is_hinted_at(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plyvel", None)
    folder = write(tmp_path / "db", numbered(1))
    with pytest.raises(CaffeliteError, match=r"pip install 'caffelite\[leveldb\]'"):
        LevelDbSource(folder)
