"""Losses, where a row of the table cannot say it: in nets, and with files."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import DataError, NetError
from caffelite.proto import caffe_pb2
from caffelite.testing import make_layer

H = np.arange(9.0).reshape(3, 3)


INPUTS = {"x": (4, 3), "y": (4, 3), "t": (4, 1), "h": (3, 3)}


def net_of(type, bottoms, tops="l", more=""):
    """A net of INPUTS, all ones, and a loss of those that `bottoms` names, a letter each."""
    text = more
    for name, dims in INPUTS.items():
        shape = " ".join(f"dim: {d}" for d in dims)
        options = f"input_param {{ shape {{ {shape} }} }}"
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" {options} }}'
    ends = [f'bottom: "{name}"' for name in bottoms] + [f'top: "{name}"' for name in tops]
    text += f'layer {{ name: "loss" type: "{type}" {" ".join(ends)} }}'
    net = caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TRAIN)
    for name in INPUTS:
        net.blobs[name].data[...] = 1
    return net


@pytest.mark.parametrize(
    "type, bottoms, moved",
    [
        ("SoftmaxWithLoss", "xt", "x"),
        ("MultinomialLogisticLoss", "xt", "x"),
        ("HingeLoss", "xt", "x"),
        ("InfogainLoss", "xth", "x"),
        ("SigmoidCrossEntropyLoss", "xy", "x"),
        ("EuclideanLoss", "xy", "xy"),
        ("ContrastiveLoss", "xyt", "xy"),
    ],
)
def test_force_backward_leaves_labels_alone(type, bottoms, moved):
    net = net_of(type, bottoms, more="force_backward: true ")
    assert net.nodes[-1].propagate_down == [name in moved for name in bottoms]
    net.forward_backward()
    assert net.blob_loss_weights == {"x": 0, "y": 0, "t": 0, "h": 0, "l": 1}


@pytest.mark.parametrize("type, bottoms", [("SoftmaxWithLoss", "xt"), ("InfogainLoss", "xth")])
def test_a_second_top_of_a_loss_weighs_nothing_by_itself(type, bottoms):
    net = net_of(type, bottoms, "lp")
    weights = net.blob_loss_weights
    assert (weights["l"], weights["p"]) == (1, 0)
    assert net.forward_backward() == net.blobs["l"].data


def test_backward_passes_over_what_says_which_pairs_belong_together():
    layer, bottom, top = make_layer("ContrastiveLoss", [(4, 3), (4, 3), np.ones(4)])
    layer.forward(bottom, top)
    top[0].diff[...] = 1
    layer.backward(top, [True] * 3, bottom)
    assert bottom[0].diff.any() and bottom[1].diff.any() and not bottom[2].diff.any()


def test_the_gradient_of_a_probability_of_0_is_large_but_finite():
    layer, bottom, top = make_layer("MultinomialLogisticLoss", [[[0.0, 1.0]], [0]])
    layer.forward(bottom, top)
    top[0].diff[...] = 2
    layer.backward(top, [True, False], bottom)
    assert bottom[0].diff.tolist() == [[-2e20, 0]]


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


def test_centers_step_towards_their_samples_whatever_the_loss_weight():
    x = np.array([[1.0, 2], [3, 0], [5, 5]])
    layer, bottom, top = make_layer(
        "CenterLoss", [x, np.array([0, 0, 2])], "center_loss_param { num_output: 3 }"
    )
    layer.forward(bottom, top)
    assert top[0].data == (5 + 9 + 50) / 6
    for weight in (1, 7):
        top[0].diff[...] = weight
        layer.backward(top, [True, False], bottom)
        np.testing.assert_allclose(bottom[0].diff, weight * x / 3)
    step = np.array([[-4 / 3, -2 / 3], [0, 0], [-5 / 2, -5 / 2]])
    np.testing.assert_allclose(layer.center.diff, 2 * step)  # added to, twice
    layer.param_propagate_down = [False]
    layer.backward(top, [True, False], bottom)
    np.testing.assert_allclose(layer.center.diff, 2 * step)


def test_accuracy_of_pixels_counts_on_if_not_reset():
    right, wrong = np.array([[[[1.0]], [[0]]]]), np.array([[[[0.0]], [[1]]]])
    shown = {}
    for reset in ("true", "false"):
        layer, bottom, top = make_layer(
            "SegAccuracy",
            [right, np.zeros((1, 1, 1, 1))],
            f"seg_accuracy_param {{ reset: {reset} }}",
        )
        for scores in (right, wrong):
            bottom[0].data[...] = scores
            layer.forward(bottom, top)
        shown[reset] = top[0].data.ravel().tolist()
    assert shown == {"true": [0, 0, 0], "false": [0.5, 0.5, 0.25]}


@pytest.mark.parametrize(
    "options", ["", "mining_type: HARD_EXAMPLE", "use_prior_for_matching: false"]
)
@pytest.mark.parametrize("index", [0, 1])
def test_numbers_that_are_none_reach_the_loss_of_a_detector(options, index):
    """Also where no box is matched to them, and mining leaves them out."""
    priors = np.array([[0, 0, 0.4, 0.4], [0.5, 0.5, 1, 1], [0.6, 0, 1, 0.4]])
    arrays = [
        np.zeros((1, 12)),
        np.zeros((1, 6)),
        np.stack([priors, np.full((3, 4), 0.1)]).reshape(1, 2, 12),
        np.array([0, 1, 0, 0, 0, 0.4, 0.4, 0]).reshape(1, 1, 1, 8),
    ]
    given = f"multibox_loss_param {{ num_classes: 2 {options} }}"
    layer, bottom, top = make_layer("MultiBoxLoss", arrays, given)
    layer.forward(bottom, top)
    assert np.isfinite(top[0].data)
    bottom[index].data[0, -1] = np.nan
    layer.forward(bottom, top)
    assert np.isnan(top[0].data)
