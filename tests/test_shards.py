"""Data in several databases, or tars: how names say which, in which order records come, faults."""

import gzip
import io
import os
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from caffelite.data import shards, tar_index
from caffelite.data import tar as tar_file
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.datum_pairs import DatumPairSource
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.order import ShardOrder
from caffelite.data.source import Shard
from caffelite.data.tar import TarSource
from caffelite.errors import CaffeliteError, DataError
from caffelite.proto.caffe_pb2 import Datum, SolverParameter
from caffelite.proto.text import parse
from caffelite.solver import get_solver
from caffelite.testing import make_layer


def png(value, height=4, width=5):
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(file, "png")
    return file.getvalue()


def tar(path, files, **options):
    """A tar of (name, bytes), or of (name, TarInfo type)."""
    with tarfile.open(path, "w", **options) as archive:
        for name, content in files:
            head = tarfile.TarInfo(name)
            if isinstance(content, bytes) and len(content) != 1:
                head.size = len(content)
                archive.addfile(head, io.BytesIO(content))
            else:
                head.type = content
                archive.addfile(head)
    return path


def samples(*labels, first=0):
    """The files of samples with these labels, whose pictures are gray of that value."""
    for number, label in enumerate(labels, first):
        yield f"{number:06d}.png", png(label)
        yield f"{number:06d}.cls", b"%d\n" % label


def lmdb(path, labels, shape=(1, 2, 3)):
    with LmdbWriter(path) as database:
        for number, label in enumerate(labels):
            datum = from_pixels(np.full(shape, label, np.uint8), label)
            database.put(b"%08d" % number, datum.SerializeToString())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a-{0000..0002}.tar", ["a-0000.tar", "a-0001.tar", "a-0002.tar"]),
        ("a-{0..2}.tar", ["a-0.tar", "a-1.tar", "a-2.tar"]),
        ("a-*.tar", ["a-0.tar", "a-0000.tar", "a-0001.tar", "a-0002.tar", "a-1.tar", "a-2.tar"]),
        ("{b,a}-000[12].tar", ["b-0001.tar", "a-0001.tar", "a-0002.tar"]),
        ("a-?.tar", ["a-0.tar", "a-1.tar", "a-2.tar"]),
        ("{a,b}-000{1..1}.tar", ["a-0001.tar", "b-0001.tar"]),
        ("nothing", ["nothing"]),
        ("a-{.tar", ["a-{.tar"]),
        ("list.txt", ["b-0001.tar", "a-0.tar", "a-1.tar"]),
        ("x{1..2}", ["x{1..2}"]),  # which is there
        ("x*", ["x{1..2}"]),
        ("folder", ["folder"]),
    ],
)
def test_a_source_names_shards(folder, name, found):
    for file in ["a-0000.tar", "a-0001.tar", "a-0002.tar", "a-0.tar", "a-1.tar", "a-2.tar"]:
        (folder / file).touch()
    for file in ["b-0001.tar", "x{1..2}"]:
        (folder / file).write_bytes(b"\1")
    (folder / "folder").mkdir()
    (folder / "list.txt").write_text("b-0001.tar\n\na-{0..1}.tar\n")
    assert shards.named(name) == found
    assert shards.is_there(name) == (name not in ("nothing", "a-{.tar"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b-*.tar", "matches nothing"),
        ("a-{0..3}", "of the 4 shards that it names, a-2 is missing"),
        ("a-{3..0}", "{3..0} counts down"),
        ("a-{0..999999999}", "names 1,000,000,000 shards, expected 100,000 at most"),
        ("{0..99999}{0..99999}", "expected 100,000 at most"),
        ("a-{0,1,0}", "a-0 comes twice"),
        ("{a,b}-0", "b-0, which is a-0, comes twice"),
        ("list.txt", 'list.txt:2: "c" is not there'),
        ("empty.txt", "lists no shards"),
        ("twice.txt", "twice.txt: a-0 comes twice"),
        ("wild.txt", "wild.txt:1: b*r: matches nothing"),
    ],
)
def test_what_a_source_names_has_to_be_there_once(folder, name, words):
    for file in ("a-0", "a-1"):
        (folder / file).write_bytes(b"\1\2")
    (folder / "b-0").symlink_to("a-0")
    (folder / "list.txt").write_text("a-0\nc\n")
    (folder / "empty.txt").write_text("\n")
    (folder / "twice.txt").write_text("a-0\na-{0..1}\n")
    (folder / "wild.txt").write_text("b*r\n")
    with pytest.raises(DataError) as caught:
        shards.named(name)
    assert words in str(caught.value) and str(caught.value).startswith(name)
    assert shards.is_there(name) == name.endswith((".txt", "{0,1,0}", "-0"))


# Order


def places(sizes, numbers, seed=0, **options):
    """(shard, record in it) of these numbers."""
    order, starts = ShardOrder(sizes, **options), np.cumsum([0, *sizes])
    for number in numbers:
        record = order.index(number, sum(sizes), seed)
        shard = int(np.searchsorted(starts, record, "right")) - 1
        yield shard, record - int(starts[shard])


@pytest.mark.parametrize("sizes", [(4, 4, 4), (5, 4, 4), (4, 5, 4), (1, 9, 2), (7,), (1, 1)])
@pytest.mark.parametrize(
    "options",
    [{}, {"shuffle": True}, {"shuffle": True, "buffer": 4}, {"shuffle": True, "buffer": 1}],
)
def test_a_pass_has_each_record_once_and_any_number_can_be_had_first(sizes, options):
    count = sum(sizes)
    straight = list(places(sizes, range(3 * count), **options))
    every = {(shard, record) for shard, size in enumerate(sizes) for record in range(size)}
    for start in (0, count, 2 * count):
        assert set(straight[start : start + count]) == every
    mixed = np.random.default_rng(0).permutation(3 * count).tolist()
    assert list(places(sizes, mixed, **options)) == [straight[number] for number in mixed]
    if options.get("shuffle") and count > 3 and options.get("buffer") != 1:
        assert straight[:count] != straight[count : 2 * count]
        assert straight != list(places(sizes, range(3 * count), seed=1, **options))


def test_records_come_round_the_shards():
    assert list(places([3, 3], range(6))) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert list(places([2, 3], range(5))) == [(1, 0), (0, 0), (1, 1), (0, 1), (1, 2)]
    # records 0 to 5 in runs of 0, 1; 2, 3; 4, 5
    assert list(places([1, 1, 4], range(6))) == [(0, 0), (2, 0), (2, 2), (1, 0), (2, 1), (2, 3)]


@pytest.mark.parametrize("sizes", [[6] * 8, [7, 7, 7, 6, 6, 6, 6, 6]])
@pytest.mark.parametrize("buffer", [0, 16])
def test_processes_whose_number_divides_that_of_the_shards_read_shards_of_their_own(sizes, buffer):
    found = [shard for shard, _ in places(sizes, range(sum(sizes)), shuffle=True, buffer=buffer)]
    for size in (2, 4, 8):
        read = [set(found[rank::size]) for rank in range(size)]
        assert [len(own) for own in read] == [8 // size] * size
        assert set.union(*read) == set(range(8))
    assert all(len(set(found[rank::3])) == 8 for rank in range(3)), "the others read of all"


def test_a_buffer_mixes_what_lies_near():
    found = list(places([100, 100], range(200), shuffle=True, buffer=20))
    for rank in range(2):
        records = [record for _, record in found[rank::2]]
        assert records != sorted(records)
        for block in range(10):
            assert sorted(records[10 * block : 10 * block + 10]) == list(
                range(10 * block, 10 * block + 10)
            )
    whole = [record for _, record in list(places([100, 100], range(200), shuffle=True))[::2]]
    assert max(abs(record - place) for place, record in enumerate(whole)) > 20


# What a data layer reads


def made(source, backend="LMDB", more="", seed=0):
    text = f'data_param {{ source: "{source}" backend: {backend} batch_size: 4 {more} }}'
    return make_layer("Data", [], text, tops=2, dtype=np.float32, seed=seed)


def labels_of(made, batches):
    (layer, bottom, top), found = made, []
    for _ in range(batches):
        layer.forward(bottom, top)
        found += top[1].data.astype(int).tolist()
        np.testing.assert_array_equal(top[0].data[:, 0, 0, 0], found[-4:])
    return found


def write_shards(folder, labels, count):
    for shard in range(count):
        own = labels[shard::count]
        lmdb(folder / f"db-{shard}", own)
        tar(folder / f"t-{shard}.tar", samples(*own))


def test_a_data_layer_reads_shards_as_one_and_goes_on_anywhere(folder):
    write_shards(folder, range(11), 3)
    lmdb(folder / "one", range(11))
    sources = [("one", "LMDB"), ("db-{0..2}", "LMDB"), ("t-*.tar", "TAR")]
    read = [labels_of(made(*source), 6) for source in sources]
    assert read[0] == [number % 11 for number in range(24)] == read[1] == read[2]
    mixed = []
    for source in sources[1:]:
        options = *source, "shuffle: true shuffle_buffer: 6", 3
        mixed.append(labels_of(made(*options), 6))
        assert sorted(mixed[-1][:11]) == list(range(11)) != mixed[-1][:11]
        for position in (8, 16):
            later = made(*options)
            later[0].seek(position)
            assert labels_of(later, 2) == mixed[-1][position : position + 8]
    assert mixed[0] == mixed[1]


def test_processes_read_shards_of_their_own_and_together_what_one_reads(folder):
    write_shards(folder, range(16), 4)
    source = "t-*.tar", "TAR", "shuffle: true"
    one = labels_of(made(*source), 4)
    parts = []
    for rank in range(2):
        layer, bottom, top = made(*source)
        layer.shard = Shard(rank, 2)
        parts.append(labels_of((layer, bottom, top), 2))
        assert len({label % 4 for label in parts[-1]}) == 2, "whole shards"
    assert [label for pair in zip(*parts, strict=True) for label in pair] == one


def test_records_of_another_shape_are_named_with_their_shard(folder):
    lmdb(folder / "db-0", range(4))
    lmdb(folder / "db-1", range(4), shape=(1, 3, 3))
    with pytest.raises(CaffeliteError) as caught:
        labels_of(made("db-{0..1}"), 1)
    assert 'db-1: record 0 (key "00000000"): has the shape (1, 3, 3), expected (1, 2, 3)' in str(
        caught.value
    )


def test_pairs_are_read_of_shards_of_each(folder):
    for shard in range(2):
        lmdb(folder / f"db-{shard}", [shard, 10 + shard])
        lmdb(folder / f"labels-{shard}", [shard, 10 + shard])
    pairs = DatumPairSource(DatumSource("db-*", shuffle=True), "labels-*")
    found = [pairs.sample(number) for number in range(8)]
    assert [int(labels.max()) for _, (_, labels) in found] == [label for _, (label, _) in found]
    assert sorted(label for _, (label, _) in found) == [0, 0, 1, 1, 10, 10, 11, 11]


def test_labels_of_shards_are_shown_equally_often(folder):
    write_shards(folder, [0, 0, 0, 1, 0, 1], 2)
    source = DatumSource("t-*.tar", database=TarSource, balanced_batches=True)
    found = [source.sample(number)[1] for number in range(len(source))]
    assert found.count(0) == found.count(1) == 4


# Tars


def test_the_files_of_a_sample_have_one_name_up_to_the_first_dot(folder):
    long = "n" * 300
    path = tar(
        "a.tar",
        [
            ("d", tarfile.DIRTYPE),
            ("README.md", b"of no sample"),
            ("d/.DS_Store", b"xx"),
            ("d/1.json", b"{}"),
            ("d/1.cls", b" 7\n"),
            ("d/1.PNG", png(3)),
            ("d/1.seg.png", b"a picture of labels"),
            ("d.e/1.png", png(5)),
            ("d.e/1.cls", b"-2"),
            (f"{long}.cls", b"9\n"),
            (f"{long}.jpeg", png(6)),
            ("last.txt", b"no more"),
        ],
    )
    source = DatumSource(path, database=TarSource)
    found = [source.sample(number) for number in range(len(source))]
    assert [(int(pixels[0, 0, 0]), label) for pixels, label in found] == [(3, 7), (5, -2), (6, 9)]
    assert [source.records.sample(i)[0] for i in range(3)] == [b"d/1", b"d.e/1", long.encode()]
    assert source.name(1) == 'a.tar: record 1 (key "d.e/1")'


FAULTS = {
    "a picture without a label": (
        [*samples(1), ("2.png", png(2)), *samples(3, first=3)],
        'record 1 (key "2"): has no label: expected a label, "2.cls" or the like, beside "2.png"',
    ),
    "a label without a picture": (
        [*samples(1), ("2.cls", b"22")],
        'record 1 (key "2"): has no picture: expected a picture, "2.jpg" or the like, beside',
    ),
    "two pictures": ([("1.png", png(1)), ("1.jpg", png(1))], 'two files are the picture of "1"'),
    "a name twice": (
        [*samples(1), *samples(2, first=7), *samples(1)],
        'the key "000000" comes twice',
    ),
    "parts apart": (
        [*samples(1), ("2.png", png(1)), ("2.cls", b"22"), ("000000.txt", b"xx")],
        'the key "000000" comes twice',
    ),
    "a label that is none": ([("1.png", png(1)), ("1.cls", b"cat")], "expected a whole number"),
    "a label too large": ([("1.png", png(1)), ("1.cls", b"99" * 9)], "expected a whole number"),
    "a label too long": ([("1.png", png(1)), ("1.cls", b"1" * 99)], "has 99 bytes, no label"),
    "a way out": ([("../1.png", png(1)), ("../1.cls", b"11")], "leads out of the tar"),
    "a root": ([("/1.png", png(1)), ("/1.cls", b"11")], "leads out of the tar"),
    "a link": ([("1.png", tarfile.SYMTYPE), ("1.cls", b"11")], '"1.png" is a link'),
    "a device": ([("1.png", tarfile.CHRTYPE), ("1.cls", b"11")], '"1.png" is a link'),
    "no files": ([], "has no pictures"),
    "no samples": ([("a.txt", b"xx")], "has no pictures"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_tars_are_named(folder, fault):
    files, words = FAULTS[fault]
    tar("a.tar", files)
    with pytest.raises(DataError) as caught:
        TarSource("a.tar")
    assert words in str(caught.value) and str(caught.value).startswith("a.tar: ")
    assert sorted(path.name for path in folder.iterdir()) == ["a.tar"]


HEAD = 512
DAMAGE = {
    "within a picture": (lambda old: old[: HEAD + 20], "was cut off, at or behind"),
    "behind a label": (lambda old: old[: 4 * HEAD], "was cut off behind"),
    "within a head": (lambda old: old[: 4 * HEAD + 100], "was cut off"),
    "in a head": (lambda old: old[: 4 * HEAD] + b"?" + old[4 * HEAD + 1 :], "byte 2048, behind"),
    "together by cat": (lambda old: old + old, "put together by cat"),
    "packed": (lambda old: gzip.compress(old), "expected a tar, but this is packed"),
    "no tar": (lambda old: b"\xff\xd8\xff\xe0" + old, "expected a tar, but this is a JPEG picture"),
    "empty": (lambda old: b"", "the file is empty"),
    "a declared size": (
        lambda old: _sized(old, 0o77777777777),
        "is damaged, or was cut off, at or behind",
    ),
    "a declared name": (
        lambda old: _sized(old, 0o77777777777, tarfile.GNUTYPE_LONGNAME),
        "a head declares 8,589,934,592 bytes for a name",
    ),
    "a declared comment": (lambda old: _sized(old, 1 << 40, tarfile.XHDTYPE), "a head declares"),
}


def _sized(old, size, kind=tarfile.REGTYPE):
    head = tarfile.TarInfo("000000.png")
    head.size, head.type = size, kind
    return head.tobuf(tarfile.GNU_FORMAT) + old[HEAD:]


@pytest.mark.parametrize("damage", DAMAGE)
def test_tars_that_are_cut_off_or_damaged_are_an_error(folder, damage):
    change, words = DAMAGE[damage]
    path = tar(folder / "a.tar", samples(1, 2, 3))
    assert len(TarSource("a.tar")) == 3
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        TarSource("a.tar")
    assert words in str(caught.value) and str(caught.value).startswith("a.tar: ")


def test_a_tar_that_becomes_another_while_it_is_read_is_an_error(folder):
    tar("a.tar", samples(1, 2))
    source = TarSource("a.tar")
    source.sample(0)
    tar("a.tar", samples(1, 2, 3))
    with pytest.raises(DataError, match=r"a\.tar: is another file than when it was opened"):
        source.sample(1)


def test_an_index_of_a_large_tar_is_kept_in_the_cache_and_believed_of_that_file_alone(
    folder, monkeypatch
):
    monkeypatch.setattr(tar_index, "LEAST", 2)
    monkeypatch.setattr(tar_index, "user_cache", lambda: str(folder / "cache"))
    inspected, members = [], tar_file._members
    monkeypatch.setattr(tar_file, "_members", lambda *of: inspected.append(0) or members(*of))

    def read(times, **how):
        source = TarSource("a.tar", **how)
        assert len(inspected) == times
        return [Datum.FromString(source.sample(n)[1]).label for n in range(len(source))]

    def write(*labels, long_ago):
        tar("a.tar", samples(*labels))
        os.utime("a.tar", ns=(0, long_ago))

    write(1, 2, 3, long_ago=10**9)
    assert [read(1), read(1), read(2, anew=True)] == [[1, 2, 3]] * 3
    (kept,) = (folder / "cache" / "tars").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert read(3) == [1, 2, 3], "a damaged index is none"
    for cut in range(0, 200, 7):
        kept.write_bytes(kept.read_bytes()[:cut])
        assert tar_index.load("a.tar", (0,)) is None
    write(1, 2, 4, long_ago=2 * 10**9)
    assert [read(4), read(4)] == [[1, 2, 4]] * 2
    write(1, 3, 4, long_ago=time.time_ns())
    assert [read(5), read(6)] == [[1, 3, 4]] * 2, "written just now"
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("no folder")
    write(1, long_ago=10**9)
    assert read(7) == [1]
    assert sorted(os.listdir(folder)) == ["a.tar", "cache"]


def test_a_snapshot_that_was_written_with_other_shards_is_told_of(folder, caplog):
    def solver(source, more="shuffle: true"):
        net = f"""
            layer {{ name: "data" type: "Data" top: "x" top: "t" data_param {{
              source: "{source}" backend: LMDB batch_size: 4 {more} }} }}
            layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "y"
              inner_product_param {{ num_output: 1 }} }}
            layer {{ name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }}"""
        text = f'net_param {{ {net} }} base_lr: 0 lr_policy: "fixed" snapshot_prefix: "s"'
        return get_solver(parse(text, SolverParameter))

    write_shards(folder, range(12), 3)
    lmdb(folder / "other", range(8))
    lmdb(folder / "one", range(12))
    first = solver("db-{0..2}")
    first.step(2)
    first.snapshot()
    for source, more in (("db-{0..2}", "shuffle: true"), ("one", "")):
        solver(source, more).restore("s_iter_2.solverstate")
        assert "another one" not in caplog.text
    for source, more in (
        ("{other,db-0}", "shuffle: true"),
        ("one", "shuffle: true"),
        ("db-{0..2}", "shuffle: true shuffle_buffer: 3"),
    ):
        caplog.clear()
        solver(source, more).restore("s_iter_2.solverstate")
        assert 'layer "data" (Data): its shards had other lengths when the' in caplog.text


def test_a_shard_that_is_damaged_is_named_among_those_of_a_source(folder):
    write_shards(folder, range(6), 3)
    (folder / "t-1.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"^t-1\.tar: the file is empty"):
        DatumSource("t-{0..2}.tar", database=TarSource)
    with pytest.raises(CaffeliteError, match=r"db-1: the database is empty"):
        lmdb(folder / "new", [])
        (folder / "new").rename(folder / "db-3")
        (folder / "db-1").rename(folder / "old")
        (folder / "db-3").rename(folder / "db-1")
        DatumSource("db-{0..2}")
