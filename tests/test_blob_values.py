"""Values of a BlobProto in any of its fields, by everybody who reads one."""

import numpy as np
import pytest

import caffelite
from caffelite import io
from caffelite.cli import main
from caffelite.data import binaryproto
from caffelite.errors import CaffeliteError
from caffelite.proto import blob_values, caffe_pb2
from caffelite.proto.caffe_pb2 import BlobProto

VALUES = np.arange(1, 7, dtype=np.float32).reshape(1, 1, 2, 3)
RAW = {"<f8": caffe_pb2.DOUBLE, "<f4": caffe_pb2.FLOAT, "<f2": caffe_pb2.FLOAT16}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def raw_blob(values=VALUES, dtype="<f2", **more):
    """As NVCaffe writes it."""
    values = np.asarray(values, dtype)
    return BlobProto(
        shape={"dim": values.shape}, raw_data_type=RAW[dtype], raw_data=values.tobytes(), **more
    )


FIELDS = {
    "float": BlobProto(shape={"dim": VALUES.shape}, data=VALUES.ravel()),
    "double": BlobProto(shape={"dim": VALUES.shape}, double_data=VALUES.ravel()),
    "old": BlobProto(num=1, channels=1, height=2, width=3, data=VALUES.ravel()),
    **{f"raw {dtype}": raw_blob(dtype=dtype) for dtype in RAW},
}


@pytest.mark.parametrize("blob", FIELDS.values(), ids=FIELDS)
def test_arrays_and_means_come_from_any_field(blob):
    np.testing.assert_array_equal(io.blobproto_to_array(blob), VALUES)
    with open("mean.binaryproto", "wb") as file:
        file.write(blob.SerializeToString())
    found = binaryproto.read("mean.binaryproto")
    np.testing.assert_array_equal(found, VALUES)
    assert found.dtype in (np.float32, np.float64), "no halves: nobody computes with them"


def test_diffs_have_a_type_of_their_own():
    diff = np.asarray(-VALUES, "<f4")
    blob = raw_blob(raw_diff_type=caffe_pb2.FLOAT, raw_diff=diff.tobytes())
    np.testing.assert_array_equal(io.blobproto_to_array(blob, return_diff=True), diff)
    np.testing.assert_array_equal(io.blobproto_to_array(blob), VALUES)


def test_the_old_shape_goes_first_and_doubles_before_floats_before_raw_values():
    blob = raw_blob()
    blob.data.extend(range(6))
    assert io.blobproto_to_array(blob).ravel().tolist() == [0, 1, 2, 3, 4, 5]
    blob.double_data.extend(range(10, 16))
    blob.num, blob.channels, blob.height, blob.width = 6, 1, 1, 1
    found = io.blobproto_to_array(blob)
    assert found.ravel().tolist() == [10, 11, 12, 13, 14, 15] and found.shape == (6, 1, 1, 1)


def test_values_that_are_no_floats_are_refused():
    blob = raw_blob()
    blob.raw_data_type = caffe_pb2.INT
    with pytest.raises(ValueError, match="values of type INT, expected one of DOUBLE, FLOAT, FLO"):
        io.blobproto_to_array(blob)
    blob.raw_data_type, blob.raw_data = caffe_pb2.FLOAT, bytes(5)
    with pytest.raises(ValueError, match="5 bytes are no run of 4-byte values"):
        io.blobproto_to_array(blob)


def test_a_message_and_its_bytes_give_the_same():
    content = raw_blob().SerializeToString()
    for found in (blob_values.of_bytes(content), blob_values.of_message(raw_blob())):
        np.testing.assert_array_equal(found.array(), VALUES)
    with pytest.raises(CaffeliteError, match="is no BlobProto, or a damaged one"):
        blob_values.of_bytes(content[:-1])


NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 bias_term: false } %s }
"""


def test_a_net_with_raw_values_in_its_text_runs():
    text = "blobs { shape { dim: 2 dim: 3 } raw_data_type: FLOAT raw_data: '%s' }"
    escaped = "".join(f"\\{byte:03o}" for byte in VALUES.astype("<f4").tobytes())
    with open("n.prototxt", "w") as file:
        file.write(NET % (text % escaped))
    net = caffelite.Net("n.prototxt", caffelite.TEST)
    assert net.params["ip"][0].data.tolist() == VALUES.reshape(2, 3).tolist()
    assert net.forward(data=np.ones((1, 3)))["ip"].tolist() == [[6, 15]]


def write_weights(dtype="<f2"):
    layer = dict(name="ip", type="InnerProduct", blobs=[raw_blob(VALUES.reshape(2, 3), dtype)])
    with open("n.caffemodel", "wb") as file:
        file.write(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())


def test_commands_take_raw_weights():
    write_weights()
    with open("n.prototxt", "w") as file:
        file.write(NET % "")
    assert main(["convert", "n.caffemodel", "plain.caffemodel"]) == 0
    assert main(["upgrade", "n.caffemodel", "upgraded.caffemodel"]) == 0
    for name in ("n", "plain", "upgraded"):
        net = caffelite.Net("n.prototxt", caffelite.TEST, weights=f"{name}.caffemodel")
        assert net.params["ip"][0].data.tolist() == VALUES.reshape(2, 3).tolist()


SOLVER = """
net_param {
  layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 } data_filler { value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
    inner_product_param { num_output: 1 bias_term: false } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
}
base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 4 snapshot_prefix: "s"
"""


@pytest.mark.parametrize("dtype", RAW)
def test_a_state_with_raw_histories_goes_on(dtype):
    with open("s.prototxt", "w") as file:
        file.write(SOLVER)
    history = raw_blob([[0.5, 0.25, -1]], dtype)
    state = caffe_pb2.SolverState(iter=3, history=[history])
    with open("s_iter_3.solverstate", "wb") as file:
        file.write(state.SerializeToString())
    solver = caffelite.get_solver("s.prototxt")
    solver.restore("s_iter_3.solverstate")
    (kept,) = solver.history[0].values()
    assert solver.iter == 3 and kept.tolist() == [[0.5, 0.25, -1]]
