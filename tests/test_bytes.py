"""Bytes that are no UTF-8, marks of an encoding, ends of lines, backslashes: text as it comes."""

import codecs
import os

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite import kept_bytes
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.errors import CaffeliteError, DataError, ProtoError
from caffelite.proto import caffe_pb2, message_bytes, text, wire
from caffelite.run_log.reader import read_log

GBK = "网络".encode("gbk")
NET = b"""
layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 } data_filler { value: 1 } } }
layer { name: "NAME" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
SOLVER = b'net: "n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s" '


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)
    return path


def net(content, path="n.prototxt"):
    return caffelite.Net(write(path, content), caffelite.TRAIN)


# Keeping bytes


@pytest.mark.parametrize("data", [b"abc", GBK, "中\uef80".encode(), bytes(range(256)), b"\xe4\xb8"])
def test_bytes_come_again_as_they_were(data):
    kept = kept_bytes.text_of(data)
    kept.encode()  # a message can hold it
    assert kept_bytes.bytes_of(kept) == data
    if b"\0" not in data:
        assert os.fsencode(kept_bytes.path_of(kept)) == data
    assert kept_bytes.bytes_of(kept_bytes.name_of(os.fsdecode(GBK))) == GBK


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "cp1252", "big5", "shift-jis"])
def test_comments_may_be_in_any_encoding(encoding):
    words = {"latin-1": "caf\xe9", "cp1252": "caf\xe9 \u20ac"}.get(encoding, "中文")
    comment = f"# {words}\n".encode(encoding)
    assert net(comment + NET).layers[1].name == "NAME"
    write("s.prototxt", (comment + SOLVER + comment).replace(b"\n", b"\r\n"))
    caffelite.get_solver("s.prototxt")
    assert main(["lint", "n.prototxt"]) == 0 and main(["summary", "n.prototxt"]) == 0


def test_names_of_layers_keep_their_bytes():
    """As protoc has them, in text, in weights, and in the text that is written again."""
    made = net(NET.replace(b"NAME", GBK))
    name = made.layers[1].name
    assert kept_bytes.bytes_of(name) == GBK
    made.params[name][0].data[...] = [[1, 2, 3]]
    made.save("w.caffemodel")
    with open("w.caffemodel", "rb") as file:
        assert wire.header(1, len(GBK)) + GBK in file.read(), "as Caffe writes it"
    again = net(NET.replace(b"NAME", GBK))
    assert again.copy_from("w.caffemodel").copied == [name]
    assert again.params[name][0].data.tolist() == [[1, 2, 3]]
    text.write_net(text.read_net("n.prototxt"), "again.prototxt")
    with open("again.prototxt", "rb") as file:
        assert b'"' + GBK + b'"' in file.read()


def test_escapes_are_bytes_too():
    escaped = "".join(f"\\x{byte:02x}" for byte in GBK).encode()
    assert kept_bytes.bytes_of(net(NET.replace(b"NAME", escaped)).layers[1].name) == GBK
    octal = "".join(f"\\{byte:03o}" for byte in "中".encode()).encode()
    assert net(NET.replace(b"NAME", octal)).layers[1].name == "中"
    assert net(NET.replace(b"NAME", rb"a\?\"\'b\X41")).layers[1].name == "a?\"'bA"


def test_old_and_upgraded_binary_files_keep_them():
    layer = wire.header(4, len(GBK)) + GBK  # V1LayerParameter.name
    write("old.caffemodel", wire.header(2, len(layer)) + layer)
    assert main(["upgrade", "old.caffemodel", "new.caffemodel"]) == 0
    with open("new.caffemodel", "rb") as file:
        data = file.read()
    assert wire.header(1, len(GBK)) + GBK in data
    found = message_bytes.parse(caffe_pb2.NetParameter, data)
    assert kept_bytes.bytes_of(found.layer[0].name) == GBK
    assert message_bytes.serialize(found) == data


def test_states_and_models_are_written_and_found_under_such_names():
    write("n.prototxt", NET)
    os.mkdir(GBK)
    solver = SOLVER.replace(b'"s"', b'"' + GBK + b'/s"') + b"random_seed: 1 snapshot: 1"
    for more in (b"", b" snapshot_format: HDF5"):
        write("s.prototxt", solver + more)
        caffelite.get_solver("s.prototxt").solve()
        ending = ".h5" if more else ""
        state = os.path.join(os.fsdecode(GBK), f"s_iter_1.solverstate{ending}")
        other = caffelite.get_solver("s.prototxt")
        other.restore(state)
        assert other.iter == 1
        resumed = caffelite.get_solver("s.prototxt")
        assert os.path.exists(resumed.resume()) and resumed.iter == 1
    assert len(os.listdir(GBK)) == 4
    with open(os.path.join(GBK, b"s_iter_1.solverstate"), "rb") as file:
        assert GBK + b"/s_iter_1.caffemodel" in file.read()


DATA = {
    "lmdb": b'type: "Data" data_param { source: "%s/db" batch_size: 1 backend: LMDB }',
    "list": b'type: "ImageData" image_data_param { source: "%s/list" batch_size: 1 }',
    "root": b'type: "ImageData" image_data_param { source: "list" root_folder: "%s/" }',
    "mean": b'type: "Data" data_param { source: "db" batch_size: 1 backend: LMDB }'
    b' transform_param { mean_file: "%s/mean" }',
    "hdf5": b'type: "HDF5Data" hdf5_data_param { source: "%s/list5" batch_size: 1 }',
}


@pytest.mark.parametrize("kind", DATA)
def test_files_of_such_names_are_opened(kind):
    folder = os.fsdecode(GBK)
    os.mkdir(folder)
    pixels = ArraySource(np.ones((2, 1, 2, 2), np.uint8), np.arange(2))
    if kind in ("lmdb", "mean"):
        write_database(f"{folder}/db" if kind == "lmdb" else "db", pixels)
    array = caffelite.io.array_to_blobproto(np.ones((1, 1, 2, 2)))
    write(f"{folder}/mean", array.SerializeToString())
    Image.new("RGB", (2, 2)).save(f"{folder}/{folder}.png")
    write(f"{folder}/list", GBK + b"/" + GBK + b".png 1\n")
    write("list", GBK + b".png 1\n")
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(f"{folder}/data.h5", "w") as file:
            file["x"] = file["t"] = np.ones((2, 2), np.float32)
        write(f"{folder}/list5", GBK + b"/data.h5\n")
    layer = b'layer { name: "d" top: "x" top: "t" %s }' % DATA[kind].replace(b"%s", GBK)
    assert net(layer).forward()


def test_nets_and_weights_of_such_names_are_read():
    made = net(NET)
    made.save("w.caffemodel")
    write(GBK + b".prototxt", NET)
    os.rename("w.caffemodel", GBK + b".caffemodel")
    solver = SOLVER.replace(b"n.prototxt", GBK + b".prototxt")
    write("s.prototxt", solver + b'weights: "%s.caffemodel"' % GBK)
    caffelite.get_solver("s.prototxt")


# Backslashes


def test_a_backslash_that_escapes_nothing_is_a_mistake_as_with_protoc():
    with pytest.raises(ProtoError) as caught:
        caffelite.get_solver(write("s.prototxt", SOLVER.replace(b"n.proto", rb"D:\caffe\n.proto")))
    words = '"\\c" is no escape; paths have "/", or "\\\\", between folders: "D:/caffe/n.prototxt"'
    assert f"s.prototxt:1:9: {words}" in str(caught.value)
    with pytest.raises(ProtoError, match="second byte of a character, as GBK has them"):
        net(b'name: "%s"' % "誠d".encode("gbk"))
    net(b"# %s\n" % "誠d".encode("gbk") + NET)


@pytest.mark.parametrize("field", ["net", "list"])
def test_a_path_whose_backslashes_were_escapes_says_so(field):
    write("s.prototxt", SOLVER.replace(b"n.prototxt", rb"new\net"))
    layer = rb'layer { type: "ImageData" top: "x" top: "t" image_data_param { source: "a\t" } }'
    with pytest.raises(CaffeliteError, match="a backslash in quotes escapes what follows it"):
        caffelite.get_solver("s.prototxt") if field == "net" else net(layer)


# Marks and ends of lines


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end, last", [(b"\n", b""), (b"\r\n", b""), (b"\r\n", b"\x1a")])
def test_marks_and_ends_of_lines_are_none_of_the_words(mark, end, last):
    def as_on_windows(path, *lines):
        return write(path, mark + end.join([*lines, last]))

    Image.new("RGB", (2, 2)).save("a.png")
    as_on_windows("list", b"a.png 7", b"a.png 8")
    read = 'layer { name: "d" top: "x" top: "t" type: "%s" %s }'
    made = net((read % ("ImageData", 'image_data_param { source: "list" batch_size: 2 }')).encode())
    assert made.forward()["t"].ravel().tolist() == [7, 8]
    window = [b"# 0", b"a.png", b"3", b"2", b"2", b"2", b"1 0.9 0 0 1 1", b"0 0.1 0 0 1 1"]
    as_on_windows("windows", *window)
    options = (
        'window_data_param { source: "windows" batch_size: 2 } transform_param { crop_size: 2 }'
    )
    net((read % ("WindowData", options)).encode()).forward()
    as_on_windows("numbers", b"1", b"2")
    filler = 'data_filler { type: "file" file: "numbers" }'
    text_of = (
        'layer { name: "d" top: "x" type: "DummyData" dummy_data_param { shape { dim: 2 } %s } }'
    )
    made = net((text_of % filler).encode())
    assert made.forward()["x"].tolist() == [1, 2]
    as_on_windows("labels", b"cat", b"dog")
    from caffelite.data.dataset import read_names

    assert read_names("labels") == ["cat", "dog"]
    as_on_windows("run.log", b"I0101 10:00:00.000000 1 s.cpp:1] Iteration 5, loss = 1 \xb2\xe2")
    assert read_log("run.log").train[0].loss == 1
    as_on_windows("run.jsonl", b'{"event": "train", "iteration": 5, "time": 1, "loss": 2, "lr": 1}')
    assert read_log("run.jsonl").train[0].loss == 2
    h5py = pytest.importorskip("h5py")
    with h5py.File("data.h5", "w") as file:
        file["x"] = file["t"] = np.ones((2, 2), np.float32)
    as_on_windows("list5", b"data.h5")
    net((read % ("HDF5Data", 'hdf5_data_param { source: "list5" batch_size: 1 }')).encode())


def test_a_log_that_powershell_wrote_is_read():
    line = "I0101 10:00:00.000000 1 s.cpp:1] Iteration 5, loss = 1\r\n"
    write("run.log", line.encode("utf-16"))
    assert read_log("run.log").train[0].loss == 1
    with pytest.raises(DataError, match="expected a list of pictures.*, but this is text in UTF-1"):
        net(
            b'layer { name: "d" top: "x" top: "t" type: "ImageData" '
            b'image_data_param { source: "run.log" } }'
        )
