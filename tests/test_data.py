"""Sources, decoding, transforms, prefetching, and the layers that use them."""

import gc
import io
import itertools
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import weakref

import lmdb
import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from caffelite import rng
from caffelite.data import binaryproto
from caffelite.data.csv_table import CsvSource
from caffelite.data.dataset import read_names
from caffelite.data.datum import DATABASES, DatumSource, from_pixels, pixels
from caffelite.data.hdf5 import Hdf5Source
from caffelite.data.image import INDICES, decode
from caffelite.data.image_list import read_list
from caffelite.data.leveldb import new_leveldb
from caffelite.data.lmdb import LmdbSource, LmdbWriter
from caffelite.data.order import LabelOrder
from caffelite.data.prefetch import Prefetch
from caffelite.data.source import Shard
from caffelite.data.transform import DataTransformer, refuse_mixing
from caffelite.data.window import Cropper, Window
from caffelite.errors import CaffeliteError, DataError
from caffelite.io import load_image
from caffelite.kernels.resize import bilinear
from caffelite.proto.caffe_pb2 import BlobProto, Datum, TransformationParameter
from caffelite.testing import TEST, TRAIN, make_layer

from .reference import data as ref


def write(path, records):
    with LmdbWriter(path) as database:
        for key, value in records:
            database.put(key, value)
    return path


def numbered(values):
    return [(b"%08d" % i, v) for i, v in enumerate(values)]


def write_datums(path, images, labels=None):
    labels = range(len(images)) if labels is None else labels
    datums = [from_pixels(x, y) for x, y in zip(images, labels, strict=True)]
    return write(path, numbered(d.SerializeToString() for d in datums))


def pictures(count, shape=(3, 8, 9), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


# LMDB


def test_records_come_in_key_order_by_number_and_wrap(tmp_path, caplog):
    caplog.set_level("INFO", "caffelite")
    keys = [b"b", b"a\xff", b"a", b"c"]
    source = LmdbSource(write(tmp_path / "db", [(k, b"of " + k) for k in keys]))
    assert len(source) == 4
    for index in [0, 1, 2, 3, 4, 5, 2, 0, 11, 3]:
        key = sorted(keys)[index % 4]
        assert source.sample(index) == (key, b"of " + key)
    assert caplog.messages == ["Restarting data prefetching from start."] * 2


def test_passes_through_a_small_database_are_told_ever_more_rarely(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO", "caffelite")
    path = write(tmp_path / "db", [(b"a", b""), (b"b", b"")])
    for often, told in ((10_000, 7), (2, 99)):
        monkeypatch.setattr("caffelite.data.source.OFTEN", often)
        source = LmdbSource(path)
        for index in range(200):
            source.sample(index)
        assert caplog.messages == ["Restarting data prefetching from start."] * told
        caplog.clear()


def test_a_new_database_has_the_format_that_caffe_reads(tmp_path):
    folder = write(tmp_path / "a" / "db", [(b"key", b"value")])
    assert os.listdir(folder) == ["data.mdb"]
    assert (folder / "data.mdb").read_bytes()[16:24] == b"\xde\xc0\xef\xbe\x01\0\0\0"
    assert os.listdir(tmp_path / "a") == ["db"]


def test_the_map_grows_with_the_records(tmp_path):
    values = [bytes([i]) * (5 << 20) for i in range(20)]  # in one transaction, and too much for it
    source = LmdbSource(write(tmp_path / "db", numbered(values)))
    assert [source.sample(i)[1] for i in range(20)] == values


def test_writing_a_database_that_exists_is_refused(tmp_path):
    write(tmp_path / "db", [(b"key", b"value")])
    with pytest.raises(DataError, match="db: exists already"):
        LmdbWriter(tmp_path / "db")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([(b"a", b""), (b"a", b"")], "the key b'a' comes twice"),
        ([(b"", b"")], "expected 1 to 511"),
        ([(b"k" * 512, b"")], "expected 1 to 511"),
    ],
)
def test_a_broken_off_database_leaves_nothing_behind(tmp_path, records, message):
    with pytest.raises(DataError, match=message):
        write(tmp_path / "db", records)
    assert os.listdir(tmp_path) == []


def test_a_database_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "file" / "db", [])


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)

    class Environment:
        def __init__(self, *arguments, **options):
            self.own = real(*arguments, **options)

        def __getattr__(self, name):
            return getattr(self.own, name)

        def begin(self, **options):
            monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
            raise lmdb.Error("mdb_txn_commit: Input/output error")

    real = lmdb.open
    monkeypatch.setattr(lmdb, "open", Environment)
    with pytest.raises(DataError, match="db: cannot be written: the disk is full"):
        write(tmp_path / "db", [(b"key", b"value")])
    assert os.listdir(tmp_path) == []


def test_sources_share_a_database(tmp_path):
    path = write(tmp_path / "db", numbered([b"x", b"y"]))
    one, other = LmdbSource(path), LmdbSource(path)
    assert one.sample(1) == other.sample(3)
    one.close()
    assert other.sample(0)[1] == b"x"
    other.close()
    LmdbSource(path).close()
    lmdb.open(str(path), lock=False).close()  # refused while someone holds it open


def test_sources_come_and_go_in_many_threads(tmp_path):
    path = write(tmp_path / "db", numbered([b"x", b"y"]))
    failures = []

    def come_and_go():
        try:
            for _ in range(200):
                assert LmdbSource(path).sample(1)[1] == b"y"
        except Exception as problem:
            failures.append(problem)

    crowd = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert failures == []
    lmdb.open(str(path), lock=False).close()


def no_database(path):
    pass


def a_file(path):
    path.write_bytes(b"text")


def an_empty_folder(path):
    path.mkdir()


def a_leveldb(path):
    path.mkdir()
    (path / "CURRENT").write_text("MANIFEST-000002\n")


def garbage(path):
    path.mkdir()
    (path / "data.mdb").write_bytes(bytes(range(256)) * 64)


def an_empty_file(path):
    path.mkdir()
    (path / "data.mdb").write_bytes(b"")


def nothing_but_a_header(path):
    write(path, numbered([b"x"]))
    os.truncate(path / "data.mdb", 64)


def no_records(path):
    write(path, [])


def a_truncated_copy(path):
    write(path, numbered([bytes(100)] * 5000))
    os.truncate(path / "data.mdb", 200_000)


def a_truncated_large_value(path):
    write(path, numbered([bytes(100_000)]))
    os.truncate(path / "data.mdb", os.path.getsize(path / "data.mdb") - 50_000)


def the_next_format(path):
    write(path, numbered([b"x"]))
    with open(path / "data.mdb", "r+b") as file:
        file.seek(20)
        file.write(b"\3")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_database, "no such directory"),
        (a_file, r"expected an LMDB \(a directory that holds data.mdb\), but this is text"),
        (an_empty_folder, "expected an LMDB, a directory that holds data.mdb"),
        (a_leveldb, "is a LevelDB"),
        (garbage, "is not an LMDB file"),
        (an_empty_file, "db/data.mdb: the file is empty"),
        (nothing_but_a_header, "is damaged"),
        (no_records, "the database is empty"),
        (a_truncated_copy, "is truncated"),
        (a_truncated_large_value, "is truncated"),
        (the_next_format, "format 3, expected format 1"),
    ],
)
def test_what_is_no_database_is_refused(tmp_path, make, message):
    make(tmp_path / "db")
    with pytest.raises(DataError, match=message) as caught:
        LmdbSource(tmp_path / "db")
    assert str(tmp_path / "db") in str(caught.value)


def test_a_file_without_its_unused_last_pages_is_read(tmp_path):
    path = write(tmp_path / "db", numbered([bytes(2000)] * 100))
    environment = lmdb.open(str(path), lock=False)
    for _ in range(3):
        with environment.begin(write=True) as transaction:
            for i in range(1, 100):
                transaction.delete(b"%08d" % i)
            transaction.put(b"00000000", b"x")
    last_page = environment.info()["last_pgno"]
    environment.close()
    size = os.path.getsize(path / "data.mdb")
    assert size == (last_page + 1) * 4096
    os.truncate(path / "data.mdb", size - 10 * 4096)
    assert LmdbSource(path).sample(0) == (b"00000000", b"x")


# Datum


def test_a_datum_holds_bytes_or_floats():
    x = pictures(1)[0]
    np.testing.assert_array_equal(pixels(from_pixels(x, 3)), x, strict=True)
    floats = Datum(channels=1, height=2, width=3, float_data=np.arange(6) / 4)
    expected = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 4
    np.testing.assert_array_equal(pixels(floats), expected, strict=True)
    floats.data = bytes(range(6))  # which then count, as in Caffe
    np.testing.assert_array_equal(pixels(floats).ravel(), np.arange(6, dtype=np.uint8), strict=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff\xff\xff", "is not a Datum"),
        (
            Datum(channels=1, height=2, width=2, data=b"1234").SerializeToString()[:-2],
            "not a Datum",
        ),
        (Datum(channels=1, height=2, width=2, data=b"123"), "1 x 2 x 2 = 4, but there are 3 bytes"),
        (Datum(channels=1, height=2, width=2, float_data=[1]), "there are 1 values of float_data"),
        (Datum(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=b"1"), "1 bytes"),
        (Datum(channels=-1, height=-1, width=1, data=b"1"), "-1 x -1 x 1 = 1"),
        (Datum(label=3), "0 x 0 x 0 = 0"),
        (Datum(encoded=True, data=b"no picture"), "no picture that can be decoded: of no known"),
        (Datum(encoded=True), "no picture that can be decoded"),
    ],
)
def test_a_broken_record_is_named(tmp_path, value, message):
    good = from_pixels(pictures(1)[0], 0).SerializeToString()
    value = value if isinstance(value, bytes) else value.SerializeToString()
    source = DatumSource(write(tmp_path / "db", numbered([good, value])))
    source.sample(0)
    with pytest.raises(DataError, match=message) as caught:
        source.sample(3)
    assert f'{tmp_path / "db"}: record 1 (key "00000001"): ' in str(caught.value)


# Pictures


def as_file(picture, kind="png", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def smooth_picture():
    y, x = np.mgrid[:30, :41]
    rgb = np.stack([5 * x, 8 * y, 3 * (x + y)], -1)
    return Image.fromarray(rgb.astype(np.uint8))


@pytest.mark.parametrize("color", [None, True, False])
@pytest.mark.parametrize(
    "encoded",
    [
        as_file(smooth_picture()),
        as_file(smooth_picture().convert("L")),
        as_file(smooth_picture().convert("LA")),
        as_file(smooth_picture().convert("1")),
        as_file(smooth_picture().convert("RGBA")),
        as_file(smooth_picture().quantize(16)),
        as_file(smooth_picture().quantize(16), transparency=3),
        as_file(smooth_picture(), "jpeg"),
        as_file(smooth_picture().convert("L"), "jpeg"),
        as_file(smooth_picture(), "bmp"),
    ],
    ids=["rgb", "gray", "la", "bits", "rgba", "palette", "clear", "jpeg", "grayjpeg", "bmp"],
)
def test_pictures_decode_as_with_opencv(encoded, color):
    cv2 = pytest.importorskip("cv2")
    flag = {None: cv2.IMREAD_UNCHANGED, True: cv2.IMREAD_COLOR, False: cv2.IMREAD_GRAYSCALE}[color]
    want = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    want = want[None] if want.ndim == 2 else want.transpose(2, 0, 1)
    got = decode(encoded, color)
    assert got.dtype == np.uint8 and got.shape == want.shape
    rounded_another_way = encoded[:2] == b"BM" and color is False
    assert abs(got.astype(int) - want).max() <= rounded_another_way


def test_of_16_bits_the_upper_8_are_taken():
    cv2 = pytest.importorskip("cv2")
    deep = as_file(Image.fromarray(np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000))
    for color, flag in ((True, cv2.IMREAD_COLOR), (False, cv2.IMREAD_GRAYSCALE)):
        want = np.atleast_3d(cv2.imdecode(np.frombuffer(deep, np.uint8), flag)).transpose(2, 0, 1)
        np.testing.assert_array_equal(decode(deep, color), want, strict=True)
    np.testing.assert_array_equal(decode(deep), decode(deep, False))
    floats = as_file(Image.fromarray(np.zeros((4, 5), np.float32)), "tiff")
    with pytest.raises(DataError, match="expected 8 or 16 bits a sample"):
        decode(floats, True)


def sideways(orientation, kind="jpeg"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return as_file(smooth_picture(), kind, exif=exif)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_turned_as_their_exif_says(tmp_path, orientation, kind):
    cv2 = pytest.importorskip("cv2")
    encoded = sideways(orientation, kind)
    want = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).transpose(2, 0, 1)
    for color in (True, None):
        np.testing.assert_array_equal(decode(encoded, color), want)
    gray = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(decode(encoded, False), gray[None])
    (tmp_path / "picture").write_bytes(encoded)
    loaded = load_image(tmp_path / "picture").transpose(2, 0, 1)[::-1]
    np.testing.assert_allclose(loaded, want / np.float32(255), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"M", b"Exif\0\0MM\0*\0\0\0\x08\0", b"Exif\0\0MM\0*\xff\0\0\0"])
def test_damaged_exif_does_no_harm(exif):
    picture = as_file(smooth_picture(), exif=exif)
    np.testing.assert_array_equal(decode(picture), decode(as_file(smooth_picture())))


# The mean


@pytest.mark.parametrize("legacy", [False, True])
def test_a_mean_file_has_its_shape(tmp_path, legacy):
    mean = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    blob = BlobProto(data=mean.ravel())
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = mean.shape
    else:
        blob.shape.dim.extend(mean.shape[1:])
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    got = binaryproto.read(tmp_path / "mean")
    np.testing.assert_array_equal(got, mean if legacy else mean[0], strict=True)
    transformer = DataTransformer(
        TransformationParameter(mean_file=str(tmp_path / "mean")), train=False
    )
    np.testing.assert_array_equal(transformer.mean, mean[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xff", "is no BlobProto"),
        (BlobProto(), "the file is empty"),
        (BlobProto(num=1, channels=2), "holds no values; expected those of its shape"),
        (
            BlobProto(num=1, channels=2, height=2, width=2, data=[1, 2, 3]),
            r"holds 3 values.*shape, \(1, 2, 2, 2\)",
        ),
        (BlobProto(shape={"dim": [2**40, 2**40]}, data=[1]), "holds 1 values, which is not"),
        (BlobProto(shape={"dim": [-1, -1]}, data=[1]), "holds 1 values, which is not"),
        (BlobProto(shape={"dim": [2]}, data=[1, 2]), "expected one image"),
        (BlobProto(num=2, channels=1, height=1, width=1, data=[1, 2]), "expected one image"),
    ],
)
def test_a_broken_mean_file_is_refused(tmp_path, content, message):
    path = tmp_path / "mean.binaryproto"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(DataError, match=message) as caught:
        DataTransformer(TransformationParameter(mean_file=str(path)), train=True)
    assert str(path) in str(caught.value)


# Transformation


def mean_file(tmp_path, mean):
    blob = BlobProto(data=mean.ravel(), shape={"dim": mean.shape})
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    return str(tmp_path / "mean")


def run_transform(param, images, train, dtype=np.float32, seed=1):
    transformer = DataTransformer(param, train, dtype)
    shape = transformer.output_shape(images[0].shape)
    out = np.full((len(images), *shape), np.nan, dtype)
    transformer.transform(images, rng.generator(seed), out)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("crop", [0, 4, 8])
@pytest.mark.parametrize("mean", ["none", "one", "each", "file"])
def test_the_middle_is_cropped_and_shifted_and_scaled(tmp_path, mean, crop, kind, dtype):
    images = pictures(5).astype(kind)
    image = np.random.default_rng(3).random((3, 8, 9), np.float32) * 255
    options, subtracted = {
        "none": ({}, 0.0),
        "one": ({"mean_value": [100.5]}, 100.5),
        "each": ({"mean_value": [1, 20, 300]}, np.reshape([1, 20, 300], (3, 1, 1))),
        "file": ({"mean_file": mean_file(tmp_path, image)}, image),
    }[mean]
    param = TransformationParameter(crop_size=crop, scale=0.125, **options)
    got = run_transform(param, images, train=False, dtype=dtype)
    corner, size = ((8 - crop) // 2, (9 - crop) // 2), (crop, crop)
    where = {"corner": corner, "size": size} if crop else {}
    want = np.stack([ref.transform(x, subtracted, 0.125, **where) for x in images])
    np.testing.assert_allclose(got, want, 1e-6, 1e-6)
    assert got.dtype == dtype


def test_train_crops_lie_anywhere_and_mirroring_is_for_both_phases():
    image = np.arange(5 * 7, dtype=np.uint8).reshape(1, 5, 7)
    param = TransformationParameter(crop_size=4, mirror=True)
    for train, tops, lefts in [(True, range(2), range(4)), (False, [0], [1])]:
        got = run_transform(param, [image] * 2000, train)
        found = {
            (top, left, flip): (got == ref.transform(image, 0, 1, (top, left), (4, 4), flip))
            .all(axis=(1, 2, 3))
            .sum()
            for top in tops
            for left in lefts
            for flip in (False, True)
        }
        assert sum(found.values()) == 2000
        expected = 2000 / len(found)
        assert all(abs(n - expected) < 5 * expected**0.5 for n in found.values())


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ({"mean_file": "x", "mean_value": [1]}, "mean_file or mean_value, not both"),
        ({"force_color": True, "force_gray": True}, "force_color or force_gray, not both"),
    ],
)
def test_contradicting_transform_options_are_refused(param, message):
    with pytest.raises(DataError, match=message):
        DataTransformer(TransformationParameter(**param), train=True)


def test_pictures_that_do_not_fit_are_refused(tmp_path):
    crop = DataTransformer(TransformationParameter(crop_size=9), train=True)
    with pytest.raises(DataError, match="8 x 9 pixels are too few for crop_size 9"):
        crop.output_shape((3, 8, 9))
    two = DataTransformer(TransformationParameter(mean_value=[1, 2]), train=True)
    with pytest.raises(DataError, match="has 3 channels, but there are 2 of mean_value"):
        two.output_shape((3, 8, 9))
    name = mean_file(tmp_path, np.zeros((3, 8, 8), np.float32))
    with pytest.raises(DataError, match=r"has the shape \(3, 8, 9\), but the mean in"):
        DataTransformer(TransformationParameter(mean_file=name), train=True).output_shape((3, 8, 9))


# Prefetching


def threads():
    return [t for t in threading.enumerate() if t.name == "caffelite prefetch"]


def wait_until(condition):
    for _ in range(6000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_batches_come_in_order_and_no_more_than_depth_are_ready():
    loaded = []
    batches = Prefetch(lambda k: loaded.append(k) or k, step=3, depth=2)
    assert not threads()
    assert [batches.batch(k) for k in (0, 3, 6)] == [0, 3, 6]
    assert wait_until(lambda: loaded == [0, 3, 6, 9, 12])
    time.sleep(0.05)
    assert loaded == [0, 3, 6, 9, 12]
    batches.close()
    assert not threads()


def test_waiting_is_logged_each_thousandth_time(caplog, monkeypatch):
    monkeypatch.setattr("caffelite.data.prefetch._waits", itertools.count(999))
    caplog.set_level("INFO", "caffelite")

    def load(k):
        """Each batch is there once it is waited for, or nobody will."""
        wait_until(lambda: batches._worker)
        worker = batches._worker
        return wait_until(lambda: worker._stopped or worker._changed._waiters)

    batches = Prefetch(load, step=1, depth=4)
    for k in (5, 50, 500):
        batches.batch(k)
    assert caplog.messages == ["Waiting for data"]
    batches.close()


def test_another_position_drops_what_is_ready():
    batches = Prefetch(lambda k: k, step=3, depth=4)
    assert [batches.batch(k) for k in (0, 3, 100, 103, 3)] == [0, 3, 100, 103, 3]
    assert len(threads()) == 1
    batches.close()


def test_an_exception_reaches_whoever_asks_for_the_batch():
    def load(k):
        if k == 2:
            raise DataError("record 2 is broken")
        return k

    batches = Prefetch(load, step=1, depth=4)
    assert [batches.batch(0), batches.batch(1)] == [0, 1]
    for _ in range(2):
        with pytest.raises(DataError, match="record 2 is broken"):
            batches.batch(2)
    assert not threads()
    assert batches.batch(3) == 3
    batches.close()


def test_the_thread_ends_when_its_owner_is_forgotten():
    batches = Prefetch(lambda k: k, step=1, depth=4)
    batches.batch(0)
    assert len(threads()) == 1
    forgotten = weakref.ref(batches)
    del batches
    gc.collect()
    assert forgotten() is None
    assert wait_until(lambda: not threads())


@pytest.mark.parametrize("ending", ["", "raise KeyboardInterrupt", "sys.exit(3)"])
def test_the_interpreter_exits_with_a_thread_running(ending):
    code = f"""
import sys, time
from caffelite.data.prefetch import Prefetch
batches = Prefetch(lambda k: time.sleep(0.01) or k, step=1, depth=4)
batches.batch(0)
{ending}
"""
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True)
    assert ended.returncode == {"": 0, "sys.exit(3)": 3}.get(ending, ended.returncode)
    assert b"Fatal" not in ended.stderr


# The Data layer


def data_layer(path, batch_size, options="", tops=2, **how):
    text = f'data_param {{ source: "{path}" backend: LMDB batch_size: {batch_size} }} {options}'
    return make_layer("Data", [], text, tops=tops, **{"dtype": np.float32, **how})


def run(made, times):
    layer, bottom, top = made
    result = []
    for _ in range(times):
        layer.forward(bottom, top)
        result.append([t.data.copy() for t in top])
    return result


def assert_same(got, want):
    for arrays, wanted in zip(got, want, strict=True):
        for array, expected in zip(arrays, wanted, strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)


def test_samples_wrap_within_a_batch(tmp_path):
    images, labels = pictures(5), [7, 0, 3, 9, 1]
    made = data_layer(write_datums(tmp_path / "db", images, labels), 3)
    layer, _, top = made
    view = top[0].data
    for batch, (data, label) in enumerate(run(made, 4)):
        samples = [(3 * batch + i) % 5 for i in range(3)]
        np.testing.assert_array_equal(data, images[samples].astype(np.float32), strict=True)
        np.testing.assert_array_equal(label, np.float32(labels)[samples], strict=True)
    assert top[0].data is view, "a user's view must stay live"
    assert layer.position == 12
    layer.close()


@pytest.mark.parametrize("options", ["", "warp_param { rotation: 20 } noise_std: 1"])
def test_seek_goes_to_a_sample_and_to_the_draws_that_belong_to_it(tmp_path, options):
    path = write_datums(tmp_path / "db", pictures(7))
    options = f"transform_param {{ mirror: true crop_size: 3 {options} }}"
    straight = run(data_layer(path, 4, options, phase=TRAIN), 10)
    assert (straight[0][0] != straight[7][0]).any(), "same samples, other draws"
    for prefetch in (1, 2, 8):
        layer, bottom, top = data_layer(
            path, 4, options + f"data_param {{ prefetch: {prefetch} }}", phase=TRAIN
        )
        run((layer, bottom, top), 2)
        layer.seek(16)
        assert_same(run((layer, bottom, top), 3), straight[4:7])
        layer.seek(8)
        assert_same(run((layer, bottom, top), 3), straight[2:5])
        layer.close()


def shuffled(kind, path, batch_size, **how):
    """A Data layer over 40 records, each a pixel of its number."""
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    if not path.exists():
        if kind == "LMDB":
            write_datums(path, images, range(40))
        else:
            with new_leveldb(path) as database:
                for i, image in enumerate(images):
                    database.put(b"%08d" % i, from_pixels(image, i).SerializeToString())
    options = f'data_param {{ source: "{path}" backend: {kind} batch_size: {batch_size} '
    return make_layer("Data", [], options + "shuffle: true }", tops=2, dtype=np.float32, **how)


@pytest.mark.parametrize("kind", ["LMDB", "LEVELDB"])
def test_shuffled_records_come_once_in_each_pass_wherever_they_start(tmp_path, kind):
    if kind == "LEVELDB":
        pytest.importorskip("plyvel")
    made = shuffled(kind, tmp_path / "db", 40, seed=1)
    straight = run(made, 4)
    for data, labels in straight:
        assert sorted(labels) == list(range(40))
        np.testing.assert_array_equal(data.ravel(), labels)
    assert len({tuple(labels) for _, labels in straight}) == 4, "another order in each pass"
    assert_same(run(shuffled(kind, tmp_path / "db", 40, seed=1), 4), straight)
    assert (run(shuffled(kind, tmp_path / "db", 40, seed=2), 1)[0][1] != straight[0][1]).any()
    resumed = shuffled(kind, tmp_path / "db", 10, seed=1)
    resumed[0].seek(70)
    got = np.concatenate([labels for _, labels in run(resumed, 9)])
    np.testing.assert_array_equal(got, np.concatenate([ls for _, ls in straight])[70:])
    parts = []
    for rank in range(2):
        layer, bottom, top = shuffled(kind, tmp_path / "db", 20, seed=1)
        layer.shard = Shard(rank, 2)
        parts.append(run((layer, bottom, top), 1)[0][1])
    np.testing.assert_array_equal(np.stack(parts, 1).ravel(), straight[0][1])


# Label shuffle

CLASSES = [7] * 10 + [2] * 3 + [0] * 4  # 3 classes, 10 in the largest: a pass has 30 places


@pytest.fixture(params=["Data", "ImageData"])
def by_label(request, tmp_path):
    """make(batch_size): a layer of 17 samples with label_shuffle, each a pixel of its number."""
    images = np.arange(len(CLASSES), dtype=np.uint8).reshape(-1, 1, 1, 1)
    if request.param == "Data":
        options = f'source: "{write_datums(tmp_path / "db", images, CLASSES)}" backend: LMDB'
    else:
        for i, x in enumerate(images):
            (tmp_path / f"{i}.png").write_bytes(as_file(Image.fromarray(x[0])))
        (tmp_path / "list.txt").write_text("".join(f"{i}.png {k}\n" for i, k in enumerate(CLASSES)))
        options = f'source: "{tmp_path}/list.txt" root_folder: "{tmp_path}/" is_color: false'

    def make(batch_size, order="label_shuffle", **how):
        field = {"Data": "data_param", "ImageData": "image_data_param"}[request.param]
        text = f"{field} {{ {options} batch_size: {batch_size} {order}: true }}"
        return make_layer(request.param, [], text, tops=2, dtype=np.float32, **how)

    return make


def test_every_class_comes_as_often_as_the_largest(by_label):
    layer, bottom, top = by_label(30, seed=1)
    assert layer.pass_size == 30
    passes = run((layer, bottom, top), 40)
    fourth = np.zeros(len(CLASSES), int)
    for data, labels in passes:
        numbers = data.ravel().astype(int)
        np.testing.assert_array_equal(labels, np.array(CLASSES)[numbers])
        assert np.bincount(labels.astype(int)).tolist() == [10, 0, 10, 0, 0, 0, 0, 10]
        times = np.bincount(numbers, minlength=len(CLASSES))
        assert (times[:10] == 1).all(), "each of the largest class"
        assert sorted(times[10:13]) == [3, 3, 4] and sorted(times[13:]) == [2, 2, 3, 3]
        fourth[10:13] += times[10:13] == 4
    assert (fourth[10:13] > 4).all(), "each picture in its turn comes once more"
    assert len({tuple(labels) for _, labels in passes}) == 40, "another order in each pass"
    sides = [(labels[:-1] == labels[1:]).mean() for _, labels in passes]
    assert abs(np.mean(sides) - 9 / 29) < 0.05, "classes are mixed"


def test_label_shuffle_goes_on_anywhere_and_is_shared_out(by_label):
    straight = run(by_label(30, seed=1), 3)
    assert_same(run(by_label(30, seed=1), 3), straight)
    assert (run(by_label(30, seed=2), 1)[0][1] != straight[0][1]).any()
    labels = np.concatenate([of_pass for _, of_pass in straight])
    resumed = by_label(10, seed=1)
    resumed[0].seek(50)
    np.testing.assert_array_equal(np.concatenate([x for _, x in run(resumed, 4)]), labels[50:])
    parts = []
    for rank in range(3):
        layer, bottom, top = by_label(10, seed=1)
        layer.shard = Shard(rank, 3)
        parts.append(run((layer, bottom, top), 3))
    shared = [np.stack([part[i][1] for part in parts], 1).ravel() for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(shared), labels)


def test_a_pass_that_would_fill_the_memory_is_refused():
    labels = np.r_[np.zeros(1_000_000, int), np.arange(1, 101)]
    order = LabelOrder(lambda: labels, "some/db")
    with pytest.raises(DataError, match="some/db: label_shuffle: 101 classes with up to 1000000"):
        order.index(0, len(labels), 1)


@pytest.mark.parametrize("kind", ["lmdb", "leveldb"])
@pytest.mark.parametrize("size", [20, pytest.param(1000, marks=pytest.mark.slow), 9000])
def test_any_record_is_found_without_walking_there(tmp_path, monkeypatch, kind, size):
    count = 1200
    records = [(b"%08d" % i, b"%08d" % i + b"x" * size) for i in range(count)]
    if kind == "lmdb":
        write(tmp_path / "db", records)
    else:
        pytest.importorskip("plyvel")
        with new_leveldb(tmp_path / "db") as database:
            for key, value in records:
                database.put(key, value)
    source = DATABASES[kind](tmp_path / "db")
    step = "_next_records" if kind == "lmdb" else "_next"
    advance, steps = getattr(type(source), step), 0

    def counted(self):
        nonlocal steps
        steps += 1
        return advance(self)

    source.sample(count - 1)
    monkeypatch.setattr(type(source), step, counted)
    at_most = 8 if kind == "lmdb" else (1 << 14) // size + 3
    for index in np.random.default_rng(0).permutation(count).tolist():
        steps = 0
        assert source.sample(index) == records[index]
        assert steps <= at_most
        assert source.at == index
    source.close()


def test_a_new_seed_holds_from_the_next_batch_on(tmp_path):
    path = write_datums(tmp_path / "db", pictures(7))
    options = "transform_param { mirror: true crop_size: 3 }"
    want = run(data_layer(path, 4, options, seed=5), 4)
    layer, bottom, top = data_layer(path, 4, options, seed=6)
    other = run((layer, bottom, top), 2)
    assert any((o[0] != w[0]).any() for o, w in zip(other, want[:2], strict=True))
    layer.seed = 5
    assert_same(run((layer, bottom, top), 2), want[2:])


def test_each_batch_takes_the_shape_of_its_first_sample(tmp_path):
    images = [*pictures(2, (3, 8, 9)), *pictures(2, (3, 6, 5))]
    made = data_layer(write_datums(tmp_path / "db", images), 2)
    assert [data.shape for data, _ in run(made, 3)] == [(2, 3, 8, 9), (2, 3, 6, 5), (2, 3, 8, 9)]


def test_samples_of_other_sizes_fit_a_batch_through_a_crop(tmp_path):
    images = [pictures(1, (3, 8, 9))[0], pictures(1, (3, 6, 5))[0]]
    path = write_datums(tmp_path / "db", images)
    options = "transform_param { crop_size: 4 }"
    ((data, _),) = run(data_layer(path, 2, options, phase=TEST), 1)
    np.testing.assert_array_equal(data[0], ref.transform(images[0], 0, 1, (2, 2), (4, 4)))
    np.testing.assert_array_equal(data[1], ref.transform(images[1], 0, 1, (1, 0), (4, 4)))
    layer, bottom, top = data_layer(path, 2)
    with pytest.raises(DataError) as caught:
        layer.forward(bottom, top)
    assert str(caught.value).startswith('layer "layer" (Data): ')
    assert 'record 1 (key "00000001"): has the shape (3, 6, 5), expected (3, 8, 9)' in str(
        caught.value
    )


def test_a_broken_record_stops_the_batch_that_needs_it(tmp_path):
    good = from_pixels(pictures(1)[0], 0).SerializeToString()
    path = write(tmp_path / "db", numbered([good, good, good[:-5]]))
    made = data_layer(path, 2)
    run(made, 1)
    for _ in range(2):
        with pytest.raises(DataError, match=r'layer "layer" \(Data\): .*key "00000002"'):
            run(made, 1)


def test_encoded_pictures_are_decoded_as_asked(tmp_path):
    picture = as_file(smooth_picture())
    datum = Datum(encoded=True, data=picture, label=4).SerializeToString()
    path = write(tmp_path / "db", numbered([datum]))
    for force, color in [("", None), ("force_color: true", True), ("force_gray: true", False)]:
        ((data, _),) = run(data_layer(path, 1, f"transform_param {{ {force} }}"), 1)
        np.testing.assert_array_equal(data[0], decode(picture, color))


def test_options_that_do_nothing_are_pointed_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)  # commands turn it off
    datum = from_pixels(pictures(1)[0], 0)
    datum.ClearField("label")
    path = write(tmp_path / "db", numbered([datum.SerializeToString()]))
    options = "data_param { mirror: true } transform_param { force_gray: true }"
    with caplog.at_level(logging.WARNING, "caffelite"):
        ((_, label),) = run(data_layer(path, 1, options), 1)
    assert label == 0
    assert "mirror does nothing here; write it in transform_param" in caplog.text
    assert "force_gray act on encoded pictures only" in caplog.text
    assert 'record 0 (key "00000000") has no label; it counts as 0' in caplog.text


def test_a_forgotten_layer_stops_its_thread_and_closes_its_database(tmp_path):
    path = write_datums(tmp_path / "db", pictures(3))
    made = data_layer(path, 2)
    run(made, 1)
    assert wait_until(lambda: len(threads()) == 1), "those of other tests end first"
    del made
    gc.collect()
    assert wait_until(lambda: not threads())
    gc.collect()
    lmdb.open(str(path), lock=False).close()


# Picture files


@pytest.fixture
def album(tmp_path):
    """Make picture files of arrays; returns a list of them, with labels 0, 10, 20, ..."""

    def make(images):
        for i, x in enumerate(images):
            name = tmp_path / f"picture {i}.png"
            name.write_bytes(as_file(Image.fromarray(x[::-1].transpose(1, 2, 0))))
        lines = [f"picture {i}.png {10 * i}" for i in range(len(images))]
        (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
        return tmp_path / "list.txt"

    return make


def image_layer(path, options="", **how):
    options = f'image_data_param {{ source: "{path}" root_folder: "{path.parent}/" {options} }}'
    return make_layer("ImageData", [], options, **{"dtype": np.float32, **how})


def test_listed_pictures_come_in_order_and_wrap(album):
    images = pictures(5)
    for batch, (data, label) in enumerate(run(image_layer(album(images), "batch_size: 3"), 4)):
        samples = (3 * batch + np.arange(3)) % 5
        np.testing.assert_array_equal(data, images[samples])
        np.testing.assert_array_equal(label, 10 * np.float32(samples))


def test_shuffled_pictures_come_once_in_each_pass_wherever_they_start(album):
    path = album(pictures(5))
    first, second, third = (
        run(image_layer(path, "batch_size: 5 shuffle: true", seed=seed), 4) for seed in (1, 1, 2)
    )
    assert_same(first, second)
    orders = [tuple(label) for _, label in first]
    assert all(sorted(order) == [0, 10, 20, 30, 40] for order in orders)
    assert len(set(orders)) > 1
    assert orders != [tuple(label) for _, label in third]
    starts = [
        run(image_layer(path, "rand_skip: 4 batch_size: 1", seed=seed), 1)[0][1][0]
        for seed in range(60)
    ]
    assert set(starts) == {0, 10, 20, 30}
    layer, bottom, top = image_layer(path, "batch_size: 5 shuffle: true rand_skip: 3", seed=1)
    straight = run((layer, bottom, top), 6)
    layer.seek(15)
    assert_same(run((layer, bottom, top), 3), straight[3:])


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a.jpg 3", ("a.jpg", 3)),
        ("with some spaces.jpg -12", ("with some spaces.jpg", -12)),
        ("a.jpg 3\r", ("a.jpg", 3)),
        ("a.jpg +7.9", ("a.jpg", 7)),
        ("a.jpg x7", ("a.jpg", 0)),
        ("a.jpg 3 ", ("a.jpg 3", 0)),
        ("a.jpg", ("a.jpg", 0)),
        ("a.jpg\t3", ("a.jpg", 3)),
        ("some spaces.jpg\t3", ("some spaces.jpg", 3)),
        ("a\tb.jpg 3", ("a\tb.jpg", 3)),
    ],
)
def test_a_line_splits_at_its_last_space(tmp_path, line, entry):
    (tmp_path / "list.txt").write_bytes(f"{line}\n\xe9.jpg 1\n".encode("latin-1"))
    assert read_list(tmp_path / "list.txt") == [entry, ("\udce9.jpg", 1)]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n \r\n", b"\x1a", b"\r\n\x1a", b"\n\n\x1a"])
def test_blank_lines_and_the_end_of_dos_behind_a_list_are_none_of_it(tmp_path, end):
    (tmp_path / "list.txt").write_bytes(b"a.jpg 3\r\nb.jpg 1" + end)
    assert read_list(tmp_path / "list.txt") == [("a.jpg", 3), ("b.jpg", 1)]
    (tmp_path / "labels.txt").write_bytes(b"ant\r\nbee" + end)
    assert read_names(tmp_path / "labels.txt") == ["ant", "bee"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no pictures"),
        (
            b"a.png 2147483648",
            'list.txt:1: the label: expected a whole number from .*, not "2147',
        ),
        (b"p.png 1\n\np.png 1\n\n", "list.txt:2: "),
        (b"p.png 1\nnone.png 2", 'list.txt:2: ".*none.png": no such file'),
        (b"p.png 1\nlist.txt 2", 'list.txt:2: ".*list.txt": no picture that can be decoded'),
        (b"p.png 1\ncut.png 2", 'list.txt:2: ".*cut.png": no picture that can be decoded'),
        (b"p.png 1\nsmall.png 2", 'list.txt:2: ".*small.png": has the shape .3, 4, 5., expected'),
    ],
)
def test_lists_of_no_pictures_are_refused(tmp_path, content, message):
    (tmp_path / "p.png").write_bytes(as_file(smooth_picture()))
    (tmp_path / "cut.png").write_bytes(as_file(smooth_picture())[:-40])
    (tmp_path / "small.png").write_bytes(as_file(smooth_picture().resize((5, 4))))
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        run(image_layer(tmp_path / "list.txt", "batch_size: 2"), 1)


def test_a_net_is_built_without_decoding_pictures(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(sideways(6))
    (tmp_path / "list.txt").write_text("a.jpg 1")
    (tmp_path / "pairs.txt").write_text("a.jpg a.jpg")
    monkeypatch.setattr("caffelite.data.image.upright", None)  # which decodes
    for options, shape in (("", (1, 3, 41, 30)), ("new_height: 9 new_width: 7", (1, 3, 9, 7))):
        assert image_layer(tmp_path / "list.txt", options)[0].shapes == [shape, (1,)]
    options = f'dense_image_data_param {{ source: "{tmp_path}/pairs.txt" is_color: false '
    options += f'root_folder: "{tmp_path}/" }}'
    layer = make_layer("DenseImageData", [], options, tops=2)[0]
    assert layer.shapes == [(1, 1, 41, 30), (1, 1, 41, 30)]
    encoded = Datum(data=sideways(6), encoded=True).SerializeToString()
    source = DatumSource(write(tmp_path / "db", numbered([encoded])))
    assert source.shape(0) == (3, 41, 30)


# Windows


@pytest.fixture
def window_file(tmp_path, album):
    """Make a window file of [(picture array, [window line])]; returns its path."""

    def make(contents):
        lines = []
        album([x for x, _ in contents])
        for i, (x, windows) in enumerate(contents):
            os.replace(tmp_path / f"picture {i}.png", tmp_path / f"{i}.png")
            sizes = " ".join(map(str, x.shape))
            lines += [f"# {i}", f"{tmp_path}/{i}.png", sizes, str(len(windows)), *windows]
        (tmp_path / "windows.txt").write_text("\n".join(lines))
        return tmp_path / "windows.txt"

    return make


def window_layer(path, transform, options, **how):
    options = (
        f"window_data_param {{ source: '{path}' {options} }} transform_param {{ {transform} }}"
    )
    return make_layer("WindowData", [], options, **{"dtype": np.float32, **how})


def test_windows_come_background_first_and_at_random(window_file):
    x, other = pictures(2, (3, 30, 40))
    path = window_file(
        [
            (x, ["3 0.5 5 6 12 13", "4 0.9 20 6 27 13", "7 0.3 0 0 7 7"]),
            (other, ["9 0.1 1 2 8 9", "2 0.49 0 0 3 3"]),
        ]
    )
    mean = "mean_value: 10 mean_value: 20 mean_value: 30"
    options = "batch_size: 7 fg_fraction: 0.4 bg_threshold: 0.25 scale: 0.5"
    made = window_layer(path, f"crop_size: 8 {mean} mirror: true", options)
    seen, subtracted = set(), np.reshape([10, 20, 30], (3, 1, 1))
    for data, label in run(made, 20):
        assert (label[:5] == 0).all() and set(label[5:]) <= {3, 4}
        for out, number in zip(data, label, strict=True):
            picture, top, left = {0: (other, 2, 1), 3: (x, 6, 5), 4: (x, 6, 20)}[number]
            flips = [
                flip
                for flip in (False, True)
                if (out == ref.transform(picture, subtracted, 0.5, (top, left), (8, 8), flip)).all()
            ]
            assert len(flips) == 1
            seen.add((number, *flips))
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("window", "options", "rows", "columns", "flipped"),
    [
        ("0 0 3 3", "context_pad: 2", (2, 8), (2, 8), (0, 6)),  # -2 to 6, 9 wide, becomes 8 wide
        ("16 16 19 19", "context_pad: 2", (0, 5), (0, 5), (3, 8)),  # 14 to 22, 20 is outside
        ("8 8 11 11", "context_pad: 2", (0, 8), (0, 8), (0, 8)),
        ("0 5 1 14", "crop_mode: 'square'", (0, 8), (3, 8), (0, 5)),  # columns -4 to 6
        ("0 5 1 14", "crop_mode: 'warp'", (0, 8), (0, 8), (0, 8)),
    ],
)
def test_context_outside_of_the_picture_stays_0(
    window_file, window, options, rows, columns, flipped
):
    path = window_file([(np.full((3, 20, 20), 100, np.uint8), [f"1 1 {window}", f"0 0 {window}"])])
    transform = "crop_size: 8 mean_value: 60 mirror: true"
    ((data, _),) = run(window_layer(path, transform, f"batch_size: 20 {options}"), 1)
    covered = [
        tuple(
            tuple(np.flatnonzero((x == 40).any(axis=axes))[[0, -1]] + (0, 1))
            for axes in ((0, 2), (0, 1))
        )
        for x in data
    ]
    assert set(covered) == {(rows, columns), (rows, flipped)}
    for x, (r, c) in zip(data, covered, strict=True):
        wanted = np.zeros((3, 8, 8))
        wanted[:, slice(*r), slice(*c)] = 40
        np.testing.assert_array_equal(x, wanted)


def test_windows_are_shifted_in_their_colors_in_train(window_file):
    x = pictures(1, (3, 30, 40))[0]
    path = window_file([(x, ["3 0.5 5 6 12 13", "9 0.1 5 6 12 13"])])
    transform, options = "crop_size: 8 mean_value: 10 color_shift: 20", "batch_size: 40 scale: 0.5"
    plain = 0.5 * (x[:, 6:14, 5:13].astype(np.float32) - 10)
    ((data, _),) = run(window_layer(path, transform, options, phase=TRAIN), 1)
    moved = (data - plain)[:, :, 0, 0]
    np.testing.assert_allclose(data, plain + moved[:, :, None, None], atol=1e-4)
    assert (abs(moved) <= 10.01).all() and np.unique(moved.round(4)).size > 100
    ((tested, _),) = run(window_layer(path, transform, options, phase=TEST), 1)
    np.testing.assert_array_equal(tested, np.broadcast_to(plain, tested.shape))


def test_windows_at_random_are_cut_out_by_the_rule():
    random, cut_off = np.random.default_rng(0), 0
    for _ in range(300):
        picture = random.integers(0, 256, (3, *random.integers(10, 60, 2)), np.uint8)
        (y1, y2), (x1, x2) = (np.sort(random.integers(0, n, 2)) for n in picture.shape[1:])
        size = int(random.integers(6, 40))
        pad, square, flip = int(random.integers(0, size // 3)), *(random.random(2) < 0.5)
        window = Window("", 1, *map(int, (x1, y1, x2, y2)))
        pixels, top, left = Cropper(size, pad, square).crop(picture, window, flip)
        got = np.zeros((3, size, size))
        got[:, top : top + pixels.shape[1], left : left + pixels.shape[2]] = pixels
        want = ref.crop_window(picture, window[2:], size, pad, square, flip, bilinear)
        np.testing.assert_array_equal(got, want)
        cut_off += pixels.shape != got.shape
    assert 50 < cut_off < 250


def test_the_middle_of_a_mean_file_is_subtracted(window_file, tmp_path):
    mean = np.random.default_rng(0).random((3, 12, 12), np.float32)
    x = pictures(1, (3, 30, 40))[0]
    path = window_file([(x, ["1 1 5 6 12 13", "0 0 5 6 12 13"])])
    transform = f'crop_size: 8 mean_file: "{mean_file(tmp_path, mean)}"'
    ((data, _),) = run(window_layer(path, transform, "batch_size: 2"), 1)
    want = x[:, 6:14, 5:13] - mean[:, 2:10, 2:10]
    np.testing.assert_array_equal(data, [want, want])
    with pytest.raises(DataError, match="expected 3 x 13 x 13 or larger"):
        window_layer(path, transform + " crop_size: 13", "batch_size: 2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no foreground windows"),
        ("1 2", 'windows.txt:1: found 1, expected "#"'),
        (
            "# 0 a.png 3 4 5 1\n1 0.9 1 2 3",
            "windows.txt:2: found the end of the file, expected a who",
        ),
        ("# 0 a.png 3 4 5 99999999999\n1 0.9 1 2 3 4", "windows.txt:1: expected a whole number"),
        ("# 0 a.png 1 4 5 0", "windows.txt:1: found 1, expected 3 channels"),
        ("# 0 a.png 3 4 5 1\n\n0 0.9 1 2 3 4", "windows.txt:3: found 0, expected a label above 0"),
        ("# 0 a.png 3 4 5 1\n1 high 1 2 3 4", 'windows.txt:2: expected a number, not "high'),
        ("# 0 a.png 3 4 x 1", 'windows.txt:1: expected a whole number from .* not "x'),
    ],
)
def test_broken_window_files_are_refused(tmp_path, content, message):
    (tmp_path / "windows.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        window_layer(tmp_path / "windows.txt", "crop_size: 8", "batch_size: 2")


@pytest.mark.parametrize("window", ["12 3 20 9", "-1 3 5 9", "5 3 4 9", "3 8 9 10", "30 3 32 5"])
@pytest.mark.parametrize("options", ["", "context_pad: 1"])
def test_windows_must_lie_in_their_pictures(window_file, window, options):
    path = window_file([(pictures(1, (3, 10, 20))[0], [f"1 1 {window}", f"0 0 {window}"])])
    made = window_layer(path, "crop_size: 8", f"batch_size: 2 {options}")
    if options and window not in ("5 3 4 9", "30 3 32 5"):
        run(made, 1)  # what lies outside counts as context
    else:
        with pytest.raises(DataError, match=f"the window {window} does not lie in the picture"):
            run(made, 1)


@pytest.mark.parametrize(
    ("type", "options", "told"),
    [
        ("Data", "data_param { rand_skip: 5 }", "rand_skip does nothing here; the first sample is"),
        ("Data", "data_param { force_encoded_color: true }", "force_encoded_color does nothing"),
        ("ImageData", "image_data_param { scale: 5 }", "scale does nothing here; write it in"),
        ("WindowData", "window_data_param { crop_size: 5 }", "crop_size does nothing here"),
        ("WindowData", "transform_param { scale: 5 }", "scale of transform_param does nothing"),
        (
            "MemoryData",
            "transform_param { scale: 5 }",
            "transform_param does nothing here; transform",
        ),
    ],
)
def test_fields_that_caffe_passes_over_change_nothing(
    tmp_path, window_file, caplog, monkeypatch, type, options, told
):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    x = pictures(1, (3, 20, 20))[0]
    windows = window_file([(x, ["1 1 0 0 7 7", "0 0 0 0 7 7"])])
    (tmp_path / "list.txt").write_text(f"{tmp_path}/0.png 0\n")
    text = {
        "Data": f"""data_param {{ source: "{write_datums(tmp_path / "db", [x])}" backend: LMDB
            batch_size: 1 }}""",
        "ImageData": f'image_data_param {{ source: "{tmp_path}/list.txt" }}',
        "WindowData": f"""window_data_param {{ source: "{windows}" batch_size: 1 }}
            transform_param {{ crop_size: 8 }}""",
        "MemoryData": "memory_data_param { batch_size: 1 channels: 3 height: 20 width: 20 }",
    }[type]
    made = make_layer(type, [], text + options, tops=2, dtype=np.float32)
    assert told in caplog.text
    if type == "MemoryData":
        made[0].set_arrays(x[None], np.zeros(1))
    want = x[:, :8, :8] if type == "WindowData" else x
    np.testing.assert_array_equal(run(made, 1)[0][0][0], want)


# Arrays of the user's


def memory_layer():
    options = "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }"
    return make_layer("MemoryData", [], options, dtype=np.float32)


def test_memory_data_serves_the_arrays_given_and_wraps():
    layer, bottom, top = memory_layer()
    data, labels = np.random.default_rng(0).random((6, 3, 4, 5), np.float32), np.arange(6.0)
    assert top[1].shape == (2,)
    layer.set_arrays(data, labels)
    for k, (x, y) in enumerate(run((layer, bottom, top), 4)):
        first = 2 * k % 6
        np.testing.assert_array_equal(x, data[first : first + 2])
        np.testing.assert_array_equal(y, np.float32([first, first + 1]).reshape(2, 1, 1, 1))
    data[2:4] = 7
    assert (run((layer, bottom, top), 1)[0][0] == 7).all(), "arrays are kept, not copied"
    layer.set_arrays(data[4:], labels[4:].reshape(2, 1, 1, 1))
    np.testing.assert_array_equal(run((layer, bottom, top), 1)[0][0], data[4:])


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        ((5, 3, 4, 5), (5,), "a multiple of batch_size, 2"),
        ((0, 3, 4, 5), (0,), "a multiple of batch_size, 2"),
        ((4, 3, 5, 4), (4,), r"data have the shape \(4, 3, 5, 4\), expected n x 3 x 4 x 5"),
        ((4, 3, 4, 5), (3,), r"labels have the shape \(3,\), expected \(4,\)"),
        ((), (), "data have the shape"),
    ],
)
def test_arrays_of_other_shapes_are_refused(data, labels, message):
    with pytest.raises(DataError, match=message):
        memory_layer()[0].set_arrays(np.zeros(data), np.zeros(labels))


# HDF5


@pytest.fixture
def h5(tmp_path, monkeypatch):
    """Make files of {dataset name: array}; returns the name of a list of them."""
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)

    def make(*contents):
        for i, content in enumerate(contents):
            with h5py.File(f"{i}.h5", "w") as file:
                for name, values in content.items():
                    file[name] = values
        (tmp_path / "list.txt").write_text("\n".join(f"{i}.h5" for i in range(len(contents))))
        return "list.txt"

    return make


def rows(start, stop):
    """Data that say which row they are."""
    number = np.arange(start, stop)
    return {"x": number[:, None] * np.float32([1, 10]), "y": number}


def test_rows_go_on_into_the_next_file_and_wrap(h5):
    source = Hdf5Source(h5(rows(0, 4), rows(4, 5), rows(5, 9)), ["y", "x"])
    assert len(source) == 9
    for position in [0, 7, 3, 20]:
        source.seek(position)
        y, x = source.read_rows(7)
        want = (position + np.arange(7)) % 9
        np.testing.assert_array_equal(y, np.float32(want), strict=True)
        np.testing.assert_array_equal(x, np.float32(want)[:, None] * np.float32([1, 10]))


def test_shuffling_reorders_files_and_rows_anew_in_each_pass_but_mixes_no_files(h5):
    source = Hdf5Source(h5(*(rows(10 * i, 10 * i + 10) for i in range(4))), ["y"], shuffle=True)
    passes = [source.read_rows(40)[0] for _ in range(6)]
    assert all(sorted(p) == list(range(40)) for p in passes)
    assert all(len(set(p.reshape(4, 10)[i] // 10)) == 1 for p in passes for i in range(4))
    assert len({tuple(p.reshape(4, 10)[:, 0] // 10) for p in passes}) > 1
    assert len({tuple(p) for p in passes}) == 6
    again = [source.rows(range(first, first + 7))[0] for first in (85, 3)]
    np.testing.assert_array_equal(again[0], np.concatenate(passes)[85:92])
    np.testing.assert_array_equal(again[1], passes[0][3:10])
    other = Hdf5Source("list.txt", ["y"], shuffle=True)
    source.seed = other.seed = 1
    source.seek(0)
    reseeded, fresh = source.read_rows(40)[0], other.read_rows(40)[0]
    np.testing.assert_array_equal(reseeded, fresh)
    assert tuple(fresh) != tuple(passes[0])


def test_a_single_file_is_shuffled_anew_in_each_pass(h5):
    source = Hdf5Source(h5(rows(0, 20)), ["y"], shuffle=True)
    first, second = source.read_rows(40)[0].reshape(2, 20)
    assert sorted(first) == sorted(second) == list(range(20))
    assert (first != second).any()
    np.testing.assert_array_equal(source.rows(range(20, 40))[0], second)
    np.testing.assert_array_equal(source.rows(range(20))[0], first)


def test_hdf5_data_resumes_where_it_was(h5):
    options = f'top: "x" top: "y" hdf5_data_param {{ source: "{h5(rows(0, 4), rows(4, 9))}"'
    options += " batch_size: 4 shuffle: true }"
    straight = run(make_layer("HDF5Data", [], options, seed=3), 6)
    layer, bottom, top = make_layer("HDF5Data", [], options, seed=3)
    layer.seek(12)
    assert_same(run((layer, bottom, top), 3), straight[3:])


def external_link(h5py, file):
    file["x"] = h5py.ExternalLink("0.h5", "/x")


def soft_link(h5py, file):
    file["there"] = np.zeros((3, 2))
    file["x"] = h5py.SoftLink("/there")


def raw_file(h5py, file):
    file.create_dataset("x", (3, 2), "f4", external=[("/etc/passwd", 0, 24)])


def virtual(h5py, file):
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[...] = h5py.VirtualSource("0.h5", "x", (3, 2))
    file.create_virtual_dataset("x", layout)


def huge(h5py, file):
    file.create_dataset("x", (2**40, 2**20), "f4", chunks=(1, 1024))


def text(h5py, file):
    file["x"] = np.array([b"a", b"b"])


def a_number(h5py, file):
    file["x"] = 3.0


def a_group(h5py, file):
    file.create_group("x")


def nothing(h5py, file):
    file["z"] = np.zeros(3)


def no_rows(h5py, file):
    file["x"] = np.zeros((0, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (external_link, "is a link to elsewhere"),
        (soft_link, "is a link to elsewhere"),
        (raw_file, "keeps its values in other files"),
        (virtual, "keeps its values in other files"),
        (huge, r"declares \d+ bytes.*but only 0 are stored"),
        (text, "expected integers or floats"),
        (a_number, "with at least 1 axes"),
        (a_group, "is a group"),
        (nothing, '"/x" is missing; the file holds there: z'),
        (no_rows, "has no rows"),
    ],
)
def test_datasets_that_cannot_be_rows_are_refused(h5, tmp_path, make, message):
    h5py = pytest.importorskip("h5py")
    with h5py.File("bad.h5", "w") as file:
        make(h5py, file)
    (tmp_path / h5(rows(0, 3))).write_text("0.h5 bad.h5")
    with pytest.raises(DataError, match=message) as caught:
        Hdf5Source("list.txt", ["x"])
    assert "bad.h5" in str(caught.value)


def test_slashes_in_a_name_lead_through_groups(h5, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File("0.h5", "w") as file:
        file["a/b/c"] = np.arange(6.0).reshape(3, 2)
        file["soft"] = h5py.SoftLink("/a")
    (tmp_path / "list.txt").write_text("0.h5")
    np.testing.assert_array_equal(
        Hdf5Source("list.txt", ["a/b/c"]).read_rows(2)[0], [[0, 1], [2, 3]]
    )
    for name, message in [
        ("a/b", "is a group"),
        ("a/c", '"/a/c" is missing; the file holds there: a, soft'),
        ("a//b", "is missing"),
        ("a/b/c/d", "is missing"),
        ("soft/b/c", "is a link to elsewhere"),
    ]:
        with pytest.raises(DataError, match=message):
            Hdf5Source("list.txt", [name])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "lists no HDF5 files"),
        ("none.h5", "none.h5: no such file"),
        ("list.txt", "list.txt: cannot be read as HDF5"),
        ("cut.h5", "cut.h5: cannot be read as HDF5"),
        (b"\xff\xfe", "expected a list of HDF5 file names, but this is text in UTF-16"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(h5, tmp_path, names, message):
    h5(rows(0, 500))
    whole = (tmp_path / "0.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "list.txt").write_bytes(names if isinstance(names, bytes) else names.encode())
    with pytest.raises(DataError, match=message):
        Hdf5Source("list.txt", ["x"])


def test_files_must_agree_with_each_other(h5):
    with pytest.raises(DataError, match='1.h5: rows of "x" have the shape'):
        Hdf5Source(h5(rows(0, 3), {"x": np.zeros((3, 5)), "y": np.zeros(3)}), ["x", "y"])
    with pytest.raises(DataError, match='differ in their number of rows: "x" 3, "y" 2'):
        Hdf5Source(h5({"x": np.zeros((3, 5)), "y": np.zeros(2)}), ["x", "y"])


@pytest.mark.parametrize("now", [rows(4, 6), rows(4, 9), {"x": np.zeros((4, 5)), "y": np.zeros(4)}])
def test_a_file_that_has_other_rows_when_it_is_reached_is_an_error(h5, now):
    source = Hdf5Source(h5(rows(0, 4), rows(4, 8)), ["x", "y"])
    source.read_rows(4)
    h5(rows(0, 4), now)
    with pytest.raises(DataError, match=r'1.h5: "x" has the shape \(.*\) now, and had \(4, 2\)'):
        source.read_rows(4)


def test_without_h5py_the_extra_is_named(h5, monkeypatch):
    name = h5(rows(0, 3))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CaffeliteError, match=r"caffelite\[hdf5\]"):
        Hdf5Source(name, ["x"])


# Tops that the user fills


def test_input_keeps_the_shape_that_the_user_gives():
    layer, bottom, (top,) = make_layer("Input", [], "input_param { shape { dim: 2 dim: 3 } }")
    top.reshape(5, 4)
    top.data[...] = 7
    layer.reshape(bottom, [top])
    layer.forward(bottom, [top])
    assert top.shape == (5, 4) and (top.data == 7).all()


def test_dummy_data_fills_constants_once_and_draws_anew():
    options = "dummy_data_param { shape { dim: 9 } data_filler { value: 2 }"
    options += " data_filler { type: 'gaussian' } }"
    layer, bottom, top = make_layer("DummyData", [], options, tops=2)
    assert (top[0].data == 2).all()
    top[0].data[...] = 5
    first, second = run((layer, bottom, top), 2)
    assert (first[0] == 5).all()
    assert (first[1] != second[1]).all()
    layer.seek(1)
    assert_same(run((layer, bottom, top), 1), [second])


# Shards: samples shared out to processes that train together


def in_shard(made, rank, size, whole_batches=False):
    made[0].shard = Shard(rank, size, whole_batches)
    return made


def test_data_is_shared_out_in_turn(tmp_path):
    path = write_datums(tmp_path / "db", pictures(10))
    whole = [label for _, label in run(data_layer(path, 1), 24)]
    options = "transform_param { mirror: true }"
    parts = []
    for rank in range(3):
        layer, bottom, top = in_shard(data_layer(path, 2, options, phase=TRAIN), rank, 3)
        batches = run((layer, bottom, top), 4)
        parts.append(np.concatenate([label for _, label in batches]))
        layer.seek(12)
        assert_same(run((layer, bottom, top), 2), batches[2:])
    np.testing.assert_array_equal(np.stack(parts, 1).ravel(), np.concatenate(whole))


AUGMENTED = (
    "transform_param { mirror: true crop_size: 3 distort_param { contrast_prob: 1 "
    "contrast_lower: 0.5 contrast_upper: 1.5 } noise_std: 2 }"
)


@pytest.mark.parametrize("ranks", [2, 3])
def test_parts_of_a_batch_are_those_of_the_batch_of_one_process(tmp_path, ranks):
    path = write_datums(tmp_path / "db", pictures(10, (3, 5, 5)))
    whole = run(data_layer(path, 6, AUGMENTED, phase=TRAIN, seed=3), 5)
    for rank in range(ranks):
        made = data_layer(path, 6 // ranks, AUGMENTED, phase=TRAIN, seed=3)
        parts = run(in_shard(made, rank, ranks), 4)
        assert_same(parts, [[blob[rank::ranks] for blob in batch] for batch in whole[:4]])
        assert made[0].position == 24
        made[0].shard = Shard()  # any number of ranks goes on from there
        assert_same(run(made, 1), [[blob[: 6 // ranks] for blob in whole[4]]])


def test_whole_batches_are_taken_in_turn(tmp_path):
    path = write_datums(tmp_path / "db", pictures(10, (3, 5, 5)))
    whole = run(data_layer(path, 4, AUGMENTED, phase=TRAIN, seed=3), 6)
    for rank in range(2):
        made = data_layer(path, 4, AUGMENTED, phase=TRAIN, seed=3)
        assert_same(run(in_shard(made, rank, 2, whole_batches=True), 3), whole[rank::2])
        assert f"record {(16 + 4 * rank + 1) % 10} (" in made[0].sample_name(1)


def test_shuffled_pictures_are_shared_out_without_overlap(album):
    path = album(pictures(6))
    for _ in range(3):
        parts = [
            np.concatenate(
                [y for _, y in run(in_shard(image_layer(path, "shuffle: true"), rank, 2), 6)]
            )
            for rank in range(2)
        ]
        for this_pass in range(2):
            rows = slice(3 * this_pass, 3 * this_pass + 3)
            assert sorted([*parts[0][rows], *parts[1][rows]]) == [0, 10, 20, 30, 40, 50]


def test_windows_are_drawn_for_each_shard(window_file):
    x = pictures(1, (3, 40, 40))[0]
    windows = [f"{i % 2} {i % 2} {i} {i} {i + 9} {i + 9}" for i in range(1, 25)]
    path = window_file([(x, windows)])
    parts = [
        run(in_shard(window_layer(path, "crop_size: 8", "batch_size: 8"), rank, 2), 3)
        for rank in range(2)
    ]
    assert all((a[0] != b[0]).any() for a, b in zip(*parts, strict=True))


@pytest.mark.parametrize("shuffle", ["", "shuffle: true"])
def test_rows_are_shared_out_in_turn(h5, shuffle):
    h5(rows(0, 4), rows(4, 5), rows(5, 11))
    options = f'top: "y" hdf5_data_param {{ source: "list.txt" batch_size: %d {shuffle} }}'
    (whole,) = run(make_layer("HDF5Data", [], options % 44, seed=2), 1)
    parts = [
        np.concatenate(
            [y for (y,) in run(in_shard(make_layer("HDF5Data", [], options % 4, seed=2), r, 2), 5)]
        )
        for r in range(2)
    ]
    np.testing.assert_array_equal(np.stack(parts, 1).ravel(), whole[0][:40])


def write_pairs(folder, pictures, labels):
    """A list of pictures with their labels, gray all."""
    lines = []
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture).save(folder / f"p{i}.png")
        Image.fromarray(label).save(folder / f"l{i}.png")
        lines.append(f"p{i}.png l{i}.png\n")
    (folder / "pairs.txt").write_text("".join(lines))
    return f"source: '{folder}/pairs.txt' root_folder: '{folder}/' is_color: false"


def test_labels_of_pixels_go_with_their_pictures_in_any_order(tmp_path):
    numbers = np.arange(7, dtype=np.uint8)[:, None, None] + np.zeros((7, 2, 3), np.uint8)
    options = write_pairs(tmp_path, 10 * numbers, numbers)
    options = f"dense_image_data_param {{ {options} batch_size: 7 shuffle: true }}"
    layer, bottom, top = make_layer("DenseImageData", [], options, tops=2, seed=3)
    orders = []
    for _ in range(2):
        layer.forward(bottom, top)
        np.testing.assert_array_equal(top[0].data, 10 * top[1].data)
        orders.append(top[1].data[:, 0, 0, 0].tolist())
    layer.close()
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]) == list(range(7))


def test_labels_of_pixels_are_resized_to_the_nearest(tmp_path):
    picture = np.random.default_rng(2).integers(0, 256, (6, 8), np.uint8)
    options = write_pairs(tmp_path, [picture], [picture])
    options = f"dense_image_data_param {{ {options} new_height: 3 new_width: 4 }}"
    layer, bottom, top = make_layer("DenseImageData", [], options, tops=2)
    layer.forward(bottom, top)
    layer.close()
    np.testing.assert_array_equal(top[1].data[0, 0], picture[::2, ::2])
    assert (top[0].data != top[1].data).any()  # bilinear


def test_a_damaged_picture_of_labels_is_named(tmp_path):
    picture = np.zeros((6, 8), np.uint8)
    options = f"dense_image_data_param {{ {write_pairs(tmp_path, [picture] * 2, [picture] * 2)} }}"
    layer, bottom, top = make_layer("DenseImageData", [], options, tops=2)
    layer.forward(bottom, top)
    (tmp_path / "l1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match='pairs.txt:2: ".*p1.png": labels ".*l1.png": no picture'):
        run((layer, bottom, top), 6)
    layer.close()


def test_pictures_of_any_size_pass_one_by_one(tmp_path):
    pictures = [np.full((h, 5), h, np.uint8) for h in (2, 4)]
    options = f"dense_image_data_param {{ {write_pairs(tmp_path, pictures, pictures)} }}"
    layer, bottom, top = make_layer("DenseImageData", [], options, tops=2)
    for h in (2, 4):
        layer.forward(bottom, top)
        assert top[0].shape == top[1].shape == (1, 1, h, 5) and (top[1].data == h).all()
    layer.close()


def test_a_chunk_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path):
    """A file of 100 KB asked for 100 MB; and ten times as much for one ten times as large."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        shape = (1, 100 << 20)
        data = file.create_dataset("x", (1, 1), "u1", chunks=shape, maxshape=shape, compression=9)
        data[0] = 1
    (tmp_path / "list").write_text(str(tmp_path / "x.h5"))
    with pytest.raises(DataError, match="is packed in chunks of 104857600 bytes"):
        Hdf5Source(str(tmp_path / "list"), ["x"])


# Labels that are the indices of a palette


@pytest.fixture
def palette_picture(tmp_path, monkeypatch):
    """The path of a picture whose palette has colors, with the indices 0, 1, 2 and 15."""
    monkeypatch.setattr("caffelite.data.image._told", set())
    indices = np.array([[0, 1], [2, 15]], np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette(list(np.random.default_rng(0).integers(1, 256, 768)))
    picture.save(tmp_path / "palette.png")
    return tmp_path / "palette.png", indices


def test_gray_of_a_palette_is_told_once_with_the_way_to_have_its_indices(palette_picture, caplog):
    path, indices = palette_picture
    gray = decode(path, color=False)[0]
    assert (gray != indices).all()
    decode(path, color=False)
    (said,) = [record.getMessage() for record in caplog.records]
    assert re.search(rf"palette.png: has a palette.*: 0 becomes {gray[0, 0]}\..*palette_ind", said)
    decode(path, color=True)
    np.testing.assert_array_equal(decode(path, INDICES)[0], indices)


def test_labels_of_16_bits_that_become_0_are_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("caffelite.data.image._told", set())
    labels = np.array([[0, 3], [200, 7]], np.uint16)
    Image.fromarray(labels).save(tmp_path / "deep.png")
    assert not decode(tmp_path / "deep.png", color=False).any()
    assert "has 16 bits, of which the upper 8 are read, all 0: 3 becomes 0" in caplog.text
    np.testing.assert_array_equal(decode(tmp_path / "deep.png", INDICES)[0], labels)
    Image.fromarray(labels * 2).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="16 bits and the label 400, expected up to 255"):
        decode(tmp_path / "deep.png", INDICES)
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "color.png")
    with pytest.raises(DataError, match="is a picture in RGB, expected one with a palette"):
        decode(tmp_path / "color.png", INDICES)


def test_every_layer_of_pictures_reads_indices(palette_picture, tmp_path):
    path, indices = palette_picture
    Image.fromarray(np.full((2, 2), 9, np.uint8)).save(tmp_path / "p.png")
    (tmp_path / "list.txt").write_text("palette.png 0\n")
    (tmp_path / "pairs.txt").write_text("p.png palette.png\n")
    encoded = Datum(data=path.read_bytes(), encoded=True, label=0).SerializeToString()
    write(tmp_path / "db", numbered([encoded]))
    as_indices = "transform_param { palette_indices: true scale: 2 }"
    root, how = f'root_folder: "{tmp_path}/"', "is_color: false"
    for kind, text, top, factor in [
        ("Data", f'data_param {{ source: "{tmp_path}/db" backend: LMDB batch_size: 1 }}', 0, 2),
        ("ImageData", f'image_data_param {{ source: "{tmp_path}/list.txt" {root} {how} }}', 0, 2),
        (
            "DenseImageData",
            f'dense_image_data_param {{ source: "{tmp_path}/pairs.txt" {root} {how} }}',
            1,
            1,
        ),
    ]:
        made = make_layer(kind, [], f"{text} {as_indices}", tops=2)
        np.testing.assert_array_equal(run(made, 1)[0][top][0, 0], factor * indices, err_msg=kind)
        made[0].close()
    color = f'image_data_param {{ source: "{tmp_path}/list.txt" {root} }} {as_indices}'
    with pytest.raises(DataError, match="gives 1 channel: write is_color: false"):
        make_layer("ImageData", [], color, tops=2)


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ("warp_param { rotation: 5 }", "warp_param would mix labels"),
        ("resize_param { height: 4 width: 4 }", "write interp_mode: NEAREST"),
    ],
)
def test_steps_that_mix_labels_are_refused(step, named):
    with pytest.raises(DataError, match=named):
        refuse_mixing(text_format.Parse(step, TransformationParameter()))


# Balanced batches, several labels


def test_balanced_batches_have_every_class_equally_often(by_label):
    made = by_label(6, seed=1, order="balanced_batches")
    assert made[0].pass_size == 30
    batches = [labels.astype(int).tolist() for _, labels in run(made, 10)]
    assert all(sorted(labels[i : i + 3]) == [0, 2, 7] for labels in batches for i in (0, 3))
    assert len({tuple(labels) for labels in batches}) > 8, "in an order by chance"
    resumed = by_label(6, seed=1, order="balanced_batches")
    resumed[0].seek(24)
    assert [labels.astype(int).tolist() for _, labels in run(resumed, 6)] == batches[4:]


def test_of_several_orders_the_one_that_counts_is_told(by_label, caplog):
    options = "shuffle: true label_shuffle: true balanced_batches"
    made = by_label(6, seed=1, order=options)
    assert [
        "shuffle does nothing here; balanced_batches says in which order samples come",
        "label_shuffle does nothing here; balanced_batches says in which order samples come",
    ] == [words for _, _, words in made[0].unread()]
    assert all(sorted(labels.astype(int)[:3]) == [0, 2, 7] for _, labels in run(made, 5))
    made = by_label(6, seed=1, order="shuffle: false balanced_batches")
    assert not list(made[0].unread())


def test_a_line_may_hold_several_numbers(tmp_path, album):
    for name in ("a b.png", "c.png"):
        Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("a b.png 1 0 -2.5e1\nc.png\t0 1 .5\n\n \n")
    layer, bottom, top = image_layer(
        tmp_path / "list.txt", f'label_count: 3 batch_size: 2 root_folder: "{tmp_path}/"'
    )
    assert layer.shapes[1] == (2, 3)
    np.testing.assert_array_equal(run((layer, bottom, top), 1)[0][1], [[1, 0, -25], [0, 1, 0.5]])
    layer.close()


@pytest.mark.parametrize(
    ("line", "options", "named"),
    [
        ("a.png 1", "label_count: 2", r"list.txt:2: expected the name .* and 2 numbers, not \"a.p"),
        ("\na.png 1", "label_count: 1", r"list.txt:2: expected the name .* and a number, not \"\""),
        ("a.png x", "label_count: 1", "list.txt:2: the label: expected a number"),
        ("a.png nan", "label_count: 1", "list.txt:2: the label: expected a number"),
        ("a.png 1", "label_count: 1 balanced_batches: true", "balanced_batches goes by classes"),
        ("a.png 1", "label_count: 1 label_shuffle: true", "label_shuffle goes by classes"),
    ],
)
def test_lines_without_the_numbers_are_refused(tmp_path, line, options, named):
    (tmp_path / "list.txt").write_text(f"a.png 1 2\n{line}\n")
    with pytest.raises(DataError, match=named):
        image_layer(tmp_path / "list.txt", options)


# CSV


@pytest.mark.parametrize(
    ("text", "options", "named"),
    [
        ("x,y\n1,2\n\n3,\n", {}, 'rows.csv:4: column "y" has no value'),
        ("x,y\n1,2\n3\n", {}, "rows.csv:3: has 1 values, expected 2"),
        ("x,y\n1,2\n3,cat\n", {}, 'rows.csv:3: column "y": expected a number'),
        ("x,y\n1,nan\n", {}, 'rows.csv:2: column "y": expected a number'),
        ("x,y\n1,1_0\n", {}, 'rows.csv:2: column "y": expected a number'),
        ('x,y\n1,"2\n', {}, "rows.csv:2: unexpected end of data"),
        ("1,2\n3,4\n", {}, "rows.csv:1: expected the names .* write header: false"),
        ("x,x\n3,4\n", {}, 'rows.csv:1: two columns are called "x"'),
        ("x,y\n", {}, "has a header, and no rows"),
        ("\n\n", {}, "rows.csv: is empty"),
        ("x,y\n1,2\n", {"labels": ["x", "y"]}, "none is left for features"),
        ("x,y\n1,2\n", {"features": ["x"], "labels": ["x"]}, '"x" is a feature and a label'),
        ("x,y\n1,2\n", {"delimiter": ""}, "delimiter: '', expected one character"),
    ],
)
def test_a_csv_file_is_of_numbers_or_names_the_line(tmp_path, text, options, named):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=named):
        CsvSource(tmp_path / "rows.csv", **options)


def test_a_csv_file_as_spreadsheets_write_it(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b'\xef\xbb\xbf"the x";y\r\n"1";2\r\n3; 4e-1 \r\n')
    source = CsvSource(tmp_path / "rows.csv", ["the x"], ["y"], delimiter=";")
    np.testing.assert_array_equal(source.arrays, [[[1], [3]], np.float32([[2], [0.4]])])
    (tmp_path / "rows.csv").write_text("1,2\n3,4\n")
    source = CsvSource(tmp_path / "rows.csv", labels=["1"], header=False)
    np.testing.assert_array_equal(source.arrays, [[[1], [3]], [[2], [4]]])
    assert source.name(3) == f"{tmp_path}/rows.csv:2"
