"""Reading an LMDB that is damaged, or written meanwhile."""

import logging
import os
import random
import struct
import subprocess
import sys
import time

import lmdb
import pytest

from caffelite.data import _lmdb_pages
from caffelite.data import lmdb as lmdb_module
from caffelite.data.lmdb import LmdbSource
from caffelite.errors import DataError

FORMAT = {"lib_version": 0} if hasattr(lmdb.Environment, "lib_version") else {}


def writer(path, **options):
    return lmdb.open(str(path), map_size=1 << 28, lock=False, sync=False, **FORMAT, **options)


def put(environment, records):
    with environment.begin(write=True) as transaction:
        for key, value in records:
            transaction.put(key, value)


def stamped(number, generation, size):
    """A record whose key and generation stand all through its value."""
    key = b"%08d" % number
    return key, (key + struct.pack("<I", generation)) * (size // 12)


def is_whole(key, value):
    return value[:8] == key and value == value[:12] * (len(value) // 12)


def database(path, count, size):
    """A new one, in transactions of 50 records, as one that grew."""
    environment = writer(path)
    for first in range(0, count, 50):
        put(environment, [stamped(i, 0, size) for i in range(first, min(count, first + 50))])
    environment.close()
    return path


def scrambled(path, seed):
    """A database after many changes, and the records it must hold."""
    draw, records = random.Random(seed), {}
    longest = draw.choice([50, 900, 3000, 9000, 40000])
    with writer(path, writemap=bool(seed % 2)) as environment:
        for _ in range(draw.randint(1, 8)):
            with environment.begin(write=True) as transaction:
                for _ in range(draw.choice([1, 10, 300])):
                    if records and draw.random() < 0.3:
                        key = draw.choice(list(records))
                        transaction.delete(key)
                        del records[key]
                    key = b"%d" % draw.randrange(10 ** draw.choice([2, 6]))
                    key += b"k" * draw.choice([0, 0, draw.randrange(500)])
                    records[key] = draw.randbytes(draw.choice([0, 1, draw.randrange(longest)]))
                    transaction.put(key, records[key])
    return sorted(records.items())


@pytest.mark.parametrize("seed", range(12))
def test_every_tree_that_lmdb_makes_is_read(tmp_path, seed):
    records = scrambled(tmp_path, seed)
    source, jumping = LmdbSource(tmp_path), LmdbSource(tmp_path)
    assert [source.sample(i) for i in range(len(source))] == records
    for i in random.Random(seed).choices(range(2 * len(records)), k=50):
        assert jumping.sample(i) == records[i % len(records)]


def test_what_was_passed_is_found_without_walking(tmp_path, monkeypatch):
    source = LmdbSource(database(tmp_path, 5000, 800))
    source.sample(4999)
    reads = []
    read = _lmdb_pages.Pages._read
    monkeypatch.setattr(
        _lmdb_pages.Pages, "_read", lambda *arguments: reads.append(arguments) or read(*arguments)
    )
    for i in (17, 4000, 2500):
        assert source.sample(i) == stamped(i, 0, 800)
    assert len(reads) < 60


# Damage


def truncate(draw, data):
    del data[draw.randrange(len(data)) :]


def overwrite_a_page(draw, data):
    at = draw.randrange(len(data) // 4096) * 4096
    data[at : at + 4096] = draw.choice([bytes(4096), b"\xff" * 4096, draw.randbytes(4096)])


def repeat_a_page(draw, data):
    at, source = (draw.randrange(len(data) // 4096) * 4096 for _ in range(2))
    data[at : at + 4096] = data[source : source + 4096]


def damage_heads(draw, data):
    for _ in range(draw.choice([1, 3, 20])):
        at = draw.randrange(len(data) // 4096) * 4096 + draw.randrange(draw.choice([24, 160]))
        data[at] = draw.choice([0, 255, draw.randrange(256), data[at] ^ 1 << draw.randrange(8)])


def damage_the_first_pages(draw, data):
    at, size = draw.randrange(2) * 4096 + 16 + draw.randrange(128), draw.choice([1, 2, 4, 8])
    data[at : at + size] = draw.choice([b"\0", b"\xff", b"\x7f", b"\1"]) * size


def flip_bits(draw, data):
    for _ in range(draw.choice([1, 10, 200])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


DAMAGES = [
    truncate, overwrite_a_page, repeat_a_page, damage_heads, damage_the_first_pages, flip_bits,
]  # fmt: skip


def attack(folder, size, times, seed):
    """Read a database damaged in many ways; the number of errors."""
    draw, errors = random.Random(seed), 0
    whole = (database(folder, 200, size) / "data.mdb").read_bytes()
    for i in range(times):
        data = bytearray(whole)
        DAMAGES[i % len(DAMAGES)](draw, data)
        (folder / "data.mdb").write_bytes(data)
        try:
            source = LmdbSource(folder)
            for number in range(len(source)):
                source.sample(number)
        except DataError as problem:
            assert str(folder) in str(problem)
            errors += 1
    return errors


@pytest.mark.parametrize("size", [24, 600, 9000])
def test_damage_is_an_error_that_names_the_file(tmp_path, size):
    assert attack(tmp_path, size, 120, seed=size) > 30


@pytest.mark.long
@pytest.mark.parametrize(("size", "least"), [(24, 900), (600, 900), (9000, 900), (90000, 600)])
def test_much_damage_is_an_error_that_names_the_file(tmp_path, size, least):
    """Of 90,000 bytes, 21 of 22 pages hold nothing but a value, of which LMDB keeps no checksum.

    So most damage there leaves records of the right key and length, and cannot be told.
    """
    assert attack(tmp_path, size, 3000, seed=1) > least


def test_a_page_that_is_reached_again_is_an_error(tmp_path):
    database(tmp_path, 2000, 24)
    source = LmdbSource(tmp_path)
    root = source._pages.root
    with open(tmp_path / "data.mdb", "r+b") as file:
        file.seek(root * 4096)
        page = bytearray(file.read(4096))
        first, second = struct.unpack_from("<HH", page, 16)
        page[second : second + 6] = page[first : first + 6]
        file.seek(root * 4096)
        file.write(page)
    with pytest.raises(DataError, match="page [0-9]+ has keys that belong into other pages"):
        source.sample(1999)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    source = LmdbSource(database(tmp_path, 2000, 6000))
    source.sample(0)
    os.truncate(tmp_path / "data.mdb", 3 * 4096)
    with pytest.raises(DataError, match="is truncated: it has 12288 bytes"):
        source.sample(1)


def test_several_values_for_a_key_are_refused(tmp_path):
    data = bytearray((database(tmp_path, 1, 24) / "data.mdb").read_bytes())
    for page in (0, 4096):
        data[page + 16 + 76] |= 4  # MDB_DUPSORT
    (tmp_path / "data.mdb").write_bytes(data)
    with pytest.raises(DataError, match="or several values for a key"):
        LmdbSource(tmp_path)


# A writer


def interrupted(monkeypatch, share, transaction):
    """Let `transaction` run, to its end, before a share of the times that pages are read."""
    draw, read = random.Random(0), _lmdb_pages.Pages._read

    def read_later(self, at, size):
        if at and draw.random() < share:  # not where it reads whether pages are whole
            transaction()
        return read(self, at, size)

    monkeypatch.setattr(_lmdb_pages.Pages, "_read", read_later)


@pytest.mark.parametrize("size", [120, 9000])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_records_are_whole_however_transactions_fall(tmp_path, monkeypatch, size, share):
    source = LmdbSource(database(tmp_path, 100, size))
    draw = random.Random(0)
    with writer(tmp_path) as environment:
        interrupted(
            monkeypatch,
            share,
            lambda: put(environment, [stamped(draw.randrange(100), 1, size) for _ in range(20)]),
        )
        for i in range(100):
            key, value = source.sample(7 * i)
            assert key == b"%08d" % (7 * i % 100)
            assert is_whole(key, value)
    assert os.listdir(tmp_path) == ["data.mdb"]


def test_a_writer_that_is_too_fast_is_an_error(tmp_path, monkeypatch):
    source = LmdbSource(database(tmp_path, 200, 9000))
    with writer(tmp_path) as environment:
        monkeypatch.setattr(lmdb_module, "MOST_TRIES", 50)
        interrupted(monkeypatch, 1, lambda: put(environment, [stamped(7, 1, 9000)]))
        with pytest.raises(DataError, match="is written faster than it can be read"):
            source.sample(5)


def test_records_put_behind_are_for_the_next_who_opens_it(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "caffelite")
    source = LmdbSource(database(tmp_path, 100, 9000))
    source.sample(0)
    with writer(tmp_path) as environment:
        for number in range(100, 200):
            put(environment, [stamped(number, 1, 9000)])
    assert [source.sample(i) for i in range(250)] == [stamped(i % 100, 0, 9000) for i in range(250)]
    assert len(source) == 100
    (message,) = caplog.messages
    assert "is written while it is read; what is put behind its 100 records is not read" in message
    assert len(LmdbSource(tmp_path)) == 200


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ([0, 1, 2], "had 100 records when it was opened, and 97 now"),
        ([50], "had 100 records when it was opened, and 99 now"),
    ],
)
def test_records_that_are_removed_are_an_error(tmp_path, gone, message):
    source = LmdbSource(database(tmp_path, 100, 9000))
    source.sample(50)
    with writer(tmp_path) as environment, environment.begin(write=True) as transaction:
        for number in gone:
            transaction.delete(b"%08d" % number)
    with pytest.raises(DataError, match=message):
        source.sample(50)


WRITER = """
import lmdb, random, struct, sys, time
environment = lmdb.open(sys.argv[1], map_size=1 << 28, lock=False, sync=False)
size, generation = int(sys.argv[2]), 0
print("ready", flush=True)
while True:
    generation += 1
    with environment.begin(write=True) as transaction:
        for number in random.choices(range(1000), k=20):
            key = b"%08d" % number
            transaction.put(key, (key + struct.pack("<I", generation)) * (size // 12))
    time.sleep(0.001)  # else a reader on a busy machine may be overtaken each time
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [120, 30000])
def test_records_are_whole_beside_a_process_that_writes(tmp_path, size):
    database(tmp_path, 1000, size)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(size)], stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()
            source, end, i = LmdbSource(tmp_path), time.monotonic() + 10, 0
            while time.monotonic() < end:
                key, value = source.sample(i)
                assert key == b"%08d" % (i % 1000)
                assert is_whole(key, value)
                i += 1
        finally:
            process.kill()
