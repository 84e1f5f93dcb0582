"""InfogainLoss with its matrix in a file."""

import numpy as np
import pytest

from caffelite.errors import DataError, NetError
from caffelite.proto import caffe_pb2
from caffelite.testing import make_layer

H = np.arange(9.0).reshape(3, 3)


def write(path, values):
    blob = caffe_pb2.BlobProto(data=values.ravel())
    blob.shape.dim.extend(values.shape)
    path.write_bytes(blob.SerializeToString())


def loss(bottoms, options=""):
    layer, bottom, top = make_layer("InfogainLoss", bottoms, options)
    layer.forward(bottom, top)
    return float(top[0].data)


def test_source_is_the_same_as_a_third_bottom(tmp_path):
    scores, labels = np.random.default_rng(0).standard_normal((2, 3)), np.array([2, 0])
    write(tmp_path / "h.binaryproto", H)
    options = f'infogain_loss_param {{ source: "{tmp_path}/h.binaryproto" }}'
    assert loss([scores, labels], options) == loss([scores, labels, H])
    assert loss([scores, labels, 2 * H], options) == 2 * loss([scores, labels, H])


def test_a_matrix_for_other_classes_is_refused(tmp_path):
    write(tmp_path / "h.binaryproto", np.eye(4))
    options = f'infogain_loss_param {{ source: "{tmp_path}/h.binaryproto" }}'
    with pytest.raises(NetError, match=r"has the shape \(4, 4\), expected 3 x 3 values"):
        loss([(2, 3), (2,)], options)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "h.binaryproto").write_bytes(b"no proto")
    options = f'infogain_loss_param {{ source: "{tmp_path}/h.binaryproto" }}'
    with pytest.raises(DataError, match=r'layer "layer" \(InfogainLoss\): source: .*damaged'):
        loss([(2, 3), (2,)], options)
