"""caffelite convert: weights of one kind into another."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.cli import main
from caffelite.net import convert
from caffelite.proto import caffe_pb2

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "b2" type: "InnerProduct" bottom: "data" top: "a"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "a1" type: "Scale" bottom: "a" top: "b" scale_param { axis: 0 num_axes: 0
  filler { type: "gaussian" } } }
"""
ENDINGS = ("caffemodel", "h5", "safetensors")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for package in ("h5py", "safetensors"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    return tmp_path


def build(**more):
    return caffelite.Net(text_format.Parse(NET, caffe_pb2.NetParameter()), caffelite.TEST, **more)


@pytest.mark.parametrize(("first", "last"), list(itertools.product(ENDINGS, repeat=2)))
def test_weights_pass_through_every_pair_bit_for_bit(folder, first, last, capsys):
    net = build()
    net.save("start.caffemodel")
    path = "start.caffemodel"
    for ending in (first, last, "caffemodel"):
        new = f"{Path(path).stem}_.{ending}"
        assert main(["convert", path, new]) == 0
        assert capsys.readouterr().out == f"{new}: 2 layers, 21 values\n"
        path = new
    again = build(weights=path)
    for name, blobs in net.params.items():
        for blob, other in zip(blobs, again.params[name], strict=True):
            assert blob.data.tobytes() == other.data.tobytes()
            assert blob.shape == other.shape


def test_a_converted_file_loads_like_one_saved(folder):
    net = build()
    net.save_hdf5("saved.h5")
    net.save("saved.caffemodel")
    convert.write("made.h5", convert.read("saved.caffemodel"))
    h5py = pytest.importorskip("h5py")
    with h5py.File("made.h5") as made, h5py.File("saved.h5") as saved:
        assert made["data/b2/0"].dtype == np.float32
        np.testing.assert_array_equal(made["data/b2/0"], saved["data/b2/0"])
        assert sorted(made["data/b2"]) == ["0", "1"] and made["data/a1/0"].shape == ()
    assert build().copy_from("made.h5").copied == ["a1", "b2"]


def test_what_was_converted_as_json(folder, capsys):
    net = build()
    net.save("w.caffemodel")
    assert main(["convert", "w.caffemodel", "w.h5", "--json"]) == 0
    values = sum(blob.count for blobs in net.params.values() for blob in blobs)
    told = {"file": "w.h5", "layers": len(net.params), "values": values}
    assert json.loads(capsys.readouterr().out) == told


def test_safetensors_are_named_by_layer_and_number(folder):
    safetensors = pytest.importorskip("safetensors.numpy")
    net = build()
    net.save("w.caffemodel")
    assert main(["convert", "w.caffemodel", "w.safetensors"]) == 0
    tensors = safetensors.load_file("w.safetensors")
    assert set(tensors) == {"b2/0", "b2/1", "a1/0"}
    np.testing.assert_array_equal(tensors["b2/0"], net.params["b2"][0].data)
    half = {
        "b2/0": tensors["b2/0"].astype(np.float16),
        "b2/1": tensors["b2/1"],
        "x/y/0": np.ones(1),
    }
    Path("half.safetensors").write_bytes(safetensors.save(half))
    assert main(["convert", "half.safetensors", "half.caffemodel"]) == 0
    read = dict(convert.read("half.caffemodel"))
    np.testing.assert_array_equal(read["b2"][0], half["b2/0"].astype(np.float32))
    assert read["x/y"][0].dtype == np.float64


def old_model(path):
    message = caffe_pb2.NetParameter()
    layer = message.layers.add(name="b2")
    layer.blobs.add(num=1, channels=1, height=5, width=3, data=range(15))
    layer.blobs.add(num=1, channels=1, height=1, width=5, data=range(5))
    Path(path).write_bytes(message.SerializeToString())


def test_old_shapes_need_the_net(folder, capsys):
    old_model("old.caffemodel")
    assert main(["convert", "old.caffemodel", "new.h5"]) == 1
    assert 'blob 0 of layer "b2" is of a file so old' in capsys.readouterr().err
    assert not Path("new.h5").exists()
    assert main(["convert", "old.caffemodel", "new.h5", "--model", "net.prototxt"]) == 0
    assert convert.read("new.h5")["b2"][0].shape == (5, 3)
    Path("net.prototxt").write_text(NET.replace("num_output: 5", "num_output: 7"))
    assert main(["convert", "old.caffemodel", "new.h5", "--model", "net.prototxt"]) == 1
    assert "does not fit the net" in capsys.readouterr().err


def test_of_layers_with_one_name_the_first_counts_as_in_loading(folder):
    message = caffe_pb2.NetParameter()
    for value in (1, 2):
        message.layer.add(name="a1").blobs.add(shape={}, data=[value])
    Path("twice.caffemodel").write_bytes(message.SerializeToString())
    assert convert.read("twice.caffemodel")["a1"][0] == 1


@pytest.mark.parametrize(
    "shape, count",
    [((2, 3), 5), ((-2, -3), 6), ((-1, 3), 6), ((1,) * 33, 1), ((0, 2**40, 2**40), 0)],
)
def test_a_shape_that_its_values_do_not_fill_is_refused(folder, shape, count, capsys):
    message = caffe_pb2.NetParameter()
    message.layer.add(name="b2").blobs.add(shape={"dim": shape}, data=range(count))
    Path("short.caffemodel").write_bytes(message.SerializeToString())
    assert main(["convert", "short.caffemodel", "out.h5"]) == 1
    said = capsys.readouterr().err
    assert f'"b2" holds {count} values, which is not its shape {shape}' in said


@pytest.mark.parametrize("ending", ["caffemodel", "safetensors"])
@pytest.mark.parametrize("name, shape", [("", (2,)), ("é/x", ()), ("a", (0, 3))])
def test_names_and_shapes_that_are_rare_pass(folder, ending, name, shape):
    convert.write(f"w.{ending}", {name: {0: np.ones(shape, np.float32)}})
    ((found, blobs),) = convert.read(f"w.{ending}").items()
    assert (found, blobs[0].shape, blobs[0].dtype) == (name, shape, np.float32)


def test_a_file_without_weights_is_refused(folder, capsys):
    h5py = pytest.importorskip("h5py")
    with h5py.File("empty.h5", "w") as file:
        file.create_group("data/relu")
    assert main(["convert", "empty.h5", "out.caffemodel"]) == 1
    assert "empty.h5: no layer in it has weights" in capsys.readouterr().err


def test_shared_blobs_that_hdf5_leaves_out_are_named(folder, capsys):
    convert.write("shared.h5", {"a": {0: np.ones(2), 1: np.ones(3)}, "b": {1: np.ones(3)}})
    assert main(["convert", "shared.h5", "out.safetensors"]) == 0
    assert main(["convert", "out.safetensors", "out.caffemodel"]) == 1
    assert 'layer "b" has the blobs [1]' in capsys.readouterr().err
    assert not Path("out.caffemodel").exists()


def test_names_and_endings_that_do_not_work_are_refused(folder, capsys):
    safetensors = pytest.importorskip("safetensors.numpy")
    convert.write("slash.safetensors", {"a/b": {0: np.ones(2)}})
    assert main(["convert", "slash.safetensors", "out.h5"]) == 1
    assert 'layer name "a/b"' in capsys.readouterr().err
    for key in ("conv1.weight", "a/-1", "a/01", "a/²", "a/" + "9" * 5000):
        Path("torch.safetensors").write_bytes(safetensors.save({key: np.ones(2)}))
        assert main(["convert", "torch.safetensors", "out.h5"]) == 1
        said = capsys.readouterr().err
        assert f'"{key[:12]}' in said and "is none of Caffe's; expected LAYER/NUMBER" in said
    assert main(["convert", "torch.safetensors", "out.pt"]) == 2
    assert "expected one of .caffemodel" in capsys.readouterr().err
    for content in (b"", b"nothing", (2).to_bytes(8, "little") + b"{]"):
        Path("broken").write_bytes(content)
        assert main(["convert", "broken", "out.h5"]) == 1
        assert "broken: " in capsys.readouterr().err


@pytest.mark.parametrize("first", ["caffemodel", "h5"])
@pytest.mark.parametrize("last", ["caffemodel", "h5"])
def test_weights_that_were_changed_are_converted_when_that_is_meant(
    folder, first, last, caplog, capsys
):
    net, path, out = build(), f"changed.{first}", f"out.{last}"
    (net.save if first == "caffemodel" else net.save_hdf5)(path)
    content = bytearray(Path(path).read_bytes())
    content[content.index(net.params["b2"][0].data.tobytes())] ^= 1
    Path(path).write_bytes(content)
    assert main(["convert", path, out]) == 1
    assert not Path(out).exists() and "its weights are others" in capsys.readouterr().err
    caplog.clear()
    assert main(["convert", "--unchecked", path, out]) == 0
    assert "it is taken as it is" in caplog.text
    caplog.clear()
    again = build(weights=out).params["b2"][0].data
    assert (again != net.params["b2"][0].data).sum() == 1
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
