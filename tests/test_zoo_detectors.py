"""The detectors of models/: two iterations of training and a test, on made-up pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.data.lmdb import LmdbWriter
from caffelite.proto import caffe_pb2
from caffelite.proto.text import read_net, read_solver

ROOT = Path(__file__).parent.parent
NETS = ["mobilenet-ssd", "face-ssd", "yolo-v1-tiny", "yolo-v2-tiny", "yolo-v3-tiny"]
LARGE = ["ssd300", "ssd512", "yolo-v1", "yolo-v2", "yolo-v3"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A database of three JPEGs of noise with two boxes each, of label 1."""
    path, random = tmp_path_factory.mktemp("pictures") / "lmdb", np.random.default_rng(0)
    with LmdbWriter(str(path)) as database:
        for i in range(3):
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8)).save(file, "jpeg")
            message = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
            message.datum.data, message.datum.encoded = file.getvalue(), True
            group = message.annotation_group.add(group_label=1)
            for x, y in ((0.1, 0.1), (0.55, 0.5)):
                box = caffe_pb2.NormalizedBBox(xmin=x, ymin=y, xmax=x + 0.3, ymax=y + 0.35)
                group.annotation.add(bbox=box)
            database.put(b"%08d" % i, message.SerializeToString())
    return str(path)


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in NETS),
        *(pytest.param(name, marks=pytest.mark.long) for name in LARGE),
    ],
)
def test_a_detector_trains_and_is_tested(name, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    param, net = (
        read_solver(str(ROOT / "solvers" / f"{name}.prototxt")),
        read_net(ROOT / "models" / name / "train_val.prototxt"),
    )
    for layer in net.layer:
        if layer.HasField("data_param"):
            layer.data_param.source, layer.data_param.batch_size = pictures, 2
            layer.annotated_data_param.ClearField("label_map_file")
    param.ClearField("net")
    param.net_param.CopyFrom(net)
    param.iter_size, param.random_seed, param.snapshot = 1, 1, 0
    param.test_iter[:] = [2]
    solver = caffelite.get_solver(param)
    first = next(layer for layer in solver.net.layers if layer.learns).blobs[0]
    before = first.data.copy()
    solver.step(2)  # the first one may have a rate of 0
    losses = [solver.net.blobs[top].data for top in solver.net.blob_loss_weights
              if solver.net.blob_loss_weights[top]]  # fmt: skip
    assert losses and all(np.isfinite(loss).all() and loss > 0 for loss in losses)
    assert np.isfinite(first.data).all() and not np.array_equal(first.data, before)
    tested = solver.test_nets[0]
    tested.share_with(solver.net)
    tested.forward()
    rows = tested.blobs["detection_eval"].data[0, 0]
    wanted = rows[(rows[:, 0] == -1) & (rows[:, 1] == 1)]
    assert wanted[0, 2] == 4  # boxes of two pictures
