"""Weights: both formats there and back, old files, and files that lie."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import CaffeliteError, WeightsError
from caffelite.net import weights
from caffelite.proto import caffe_pb2, wire

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 3 bias_filler { type: "gaussian" } } }
"""


def build(text=NET, **more):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TEST, **more)


def values(net):
    return {
        (name, i): blob.data.copy()
        for name, blobs in net.params.items()
        for i, blob in enumerate(blobs)
    }


def assert_same(one, two):
    assert values(one).keys() == values(two).keys()
    for key, array in values(one).items():
        np.testing.assert_array_equal(array, values(two)[key])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ending", ["caffemodel", "caffemodel.h5"])
def test_weights_come_back_bit_for_bit(tmp_path, ending, dtype):
    net = build(dtype=dtype)
    path = tmp_path / f"w.{ending}"
    if ending.endswith("h5"):
        for blob in (blob for blobs in net.params.values() for blob in blobs):
            blob.data[...] = blob.data.astype("f4")  # this format holds float32
        net.save_hdf5(path)
    else:
        net.save(path)
    again = build(dtype=dtype)
    again.copy_from(path)
    assert_same(net, again)


def test_a_caffemodel_is_a_net_parameter(tmp_path):
    net = build()
    net.save(tmp_path / "w.caffemodel")
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    assert [ly.name for ly in saved.layer] == ["data", "a", "b"]
    layer = saved.layer[1]
    assert (layer.type, layer.phase, list(layer.bottom)) == (
        "InnerProduct",
        caffelite.TEST,
        ["data"],
    )
    assert list(layer.blobs[0].shape.dim) == [3, 3]
    expected = net.params["a"][0].data.ravel()
    np.testing.assert_array_equal(np.asarray(layer.blobs[0].data, "f4"), expected)
    assert not layer.HasField("source_line")


def test_hdf5_leaves_shared_blobs_out(tmp_path):
    h5py = pytest.importorskip("h5py")
    net = build()
    net.save_hdf5(tmp_path / "w.h5", diff=True)
    with h5py.File(tmp_path / "w.h5") as file:
        assert sorted(file["data"]) == ["a", "b", "data"]
        assert sorted(file["data/a"]) == ["0", "1"]
        assert sorted(file["data/b"]) == ["1"]
        assert sorted(file["diff/b"]) == ["0", "1"]
        assert file["data/a/0"].dtype == np.float32


def write(path, message):
    path.write_bytes(message.SerializeToString())
    return path


def old_blob(values, *dims):
    blob = caffe_pb2.BlobProto(data=values)
    blob.num, blob.channels, blob.height, blob.width = dims
    return blob


def test_old_files_and_legacy_shapes_are_read(tmp_path):
    v1 = caffe_pb2.NetParameter()
    v1.layers.add(name="a").blobs.extend(
        [old_blob(range(9), 1, 1, 3, 3), old_blob([7, 8, 9], 1, 1, 1, 3)]
    )
    v0 = caffe_pb2.NetParameter()
    layer = v0.layers.add().layer
    layer.name = "a"
    layer.blobs.extend(v1.layers[0].blobs)
    for message in (v1, v0):
        net = build()
        net.copy_from(write(tmp_path / "old.caffemodel", message))
        np.testing.assert_array_equal(net.params["a"][0].data, np.arange(9).reshape(3, 3))
        np.testing.assert_array_equal(net.params["a"][1].data, [7, 8, 9])


def test_unpacked_and_double_values_are_read():
    packed = np.arange(3, dtype="<f4").tobytes()
    unpacked = b"".join(wire.varint(5 << 3 | 5) + packed[i : i + 4] for i in (0, 4, 8))
    blob = weights._read_blob(unpacked, (0, len(unpacked)))
    np.testing.assert_array_equal(blob.data, [0, 1, 2])
    double = caffe_pb2.BlobProto(data=[1, 2], double_data=[3, 4]).SerializeToString()
    np.testing.assert_array_equal(weights._read_blob(double, (0, len(double))).data, [3, 4])


def test_layers_of_other_names_are_passed_over(tmp_path, caplog):
    message = caffe_pb2.NetParameter()
    message.layer.add(name="fc9").blobs.add(data=[1])
    with caplog.at_level("INFO", "caffelite"):
        build().copy_from(write(tmp_path / "w.caffemodel", message))
    assert "Ignoring source layer fc9" in caplog.text


def one_layer(*blobs):
    message = caffe_pb2.NetParameter()
    layer = message.layer.add(name="b")
    for shape, data in blobs:
        layer.blobs.add(shape={"dim": shape}, data=data)
    return message.SerializeToString()


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "the file is empty"),
        (b"not a model at all", "not a .caffemodel, or a damaged one"),
        (b"\x0a\x01x", "holds no layers"),
        (one_layer(((3, 3), range(9))), 'layer "b".*holds 1 blobs.*expected 2'),
        (one_layer(((3, 4), range(12)), ((3,), range(3))), r"shape \(3, 4\).*expected \(3, 3\)"),
        (one_layer(((3, 3), range(8)), ((3,), range(3))), "holds 8 values.*expected 9"),
        (one_layer(((3, 3), range(9)), ((3,), range(3)))[:-4], "damaged"),
        (wire.header(100, 2**40) + b"x", "declares 1099511627776 bytes, but only 1 are left"),
        (
            wire.header(100, 14)
            + wire.header(1, 1)
            + b"b"
            + wire.header(7, 9)
            + wire.header(5, 2**40)
            + b"x",
            "declares|damaged",
        ),
    ],
)
def test_files_that_do_not_fit_change_nothing(tmp_path, content, expected):
    net = build()
    before = values(net)
    path = tmp_path / "bad.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=expected):
        net.copy_from(path)
    for key, array in values(net).items():
        np.testing.assert_array_equal(array, before[key])


def test_a_missing_file_is_a_runtime_error(tmp_path):
    with pytest.raises(RuntimeError, match="none.caffemodel: cannot read the weights"):
        build().copy_from(tmp_path / "none.caffemodel")
    with pytest.raises(CaffeliteError, match="is a directory|Is a directory"):
        build().copy_from(tmp_path)


def test_hdf5_files_that_do_not_fit_change_nothing(tmp_path):
    h5py = pytest.importorskip("h5py")
    net = build()
    before = values(net)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(CaffeliteError, match='"/data" is missing'):
        net.load_hdf5(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "shape.h5", "w") as file:
        file["data/a/0"] = np.zeros((3, 3))
        file["data/a/1"] = np.zeros(4)
    with pytest.raises(WeightsError, match=r"shape \(4,\).*expected \(3,\)"):
        net.load_hdf5(tmp_path / "shape.h5")
    with h5py.File(tmp_path / "less.h5", "w") as file:
        file["data/a/0"] = np.zeros((3, 3))
    with pytest.raises(CaffeliteError, match='"/data/a/1" is missing'):
        net.load_hdf5(tmp_path / "less.h5")
    for key, array in values(net).items():
        np.testing.assert_array_equal(array, before[key])


def test_hdf5_does_not_follow_links_out_of_the_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["w"] = np.ones((3, 3))
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file.create_group("data/a")["0"] = h5py.ExternalLink("other.h5", "/w")
        file["data/a/1"] = np.zeros(3)
    with pytest.raises(CaffeliteError, match="is a link to elsewhere"):
        build().load_hdf5(tmp_path / "links.h5")


def test_reading_does_not_run_fillers(tmp_path):
    net = build()
    net.save(tmp_path / "w.caffemodel")
    fresh = build()
    fills = []
    fresh.params["a"][0].fill_later(fills.append)
    fresh.copy_from(tmp_path / "w.caffemodel")
    assert not fills
