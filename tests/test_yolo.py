"""YOLO's layers: gradients, what forks do beside the formula, batches, resuming."""

import logging

import numpy as np
import pytest

import caffelite
import tests.cases  # noqa: F401  (fills the table)
from caffelite import Net, get_solver
from caffelite.errors import NetError
from caffelite.layers.detection import region_loss
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse
from caffelite.testing import TEST, cases, make_layer

from .reference import yolo

LOSSES = [row for row in cases if hasattr(row.expect, "gradient")]
SIZES = " ".join(f"biases: {v}" for v in yolo.ANCHORS)
BOX = np.array([1, 0.55, 0.3, 0.3, 0.4])


def gradient(layer, bottom, top):
    layer.forward(bottom, top)
    top[0].diff[...] = 1
    layer.backward(top, [True, False], bottom)
    return bottom[0].diff


@pytest.mark.parametrize("row", LOSSES, ids=str)
def test_gradients_are_those_of_the_twin(row):
    want = row.expect.gradient(*row.bottom_values())
    np.testing.assert_allclose(gradient(*row.build()), want, 1e-6, 1e-7)


def differences(loss, x, step=1e-6):
    """The derivative of loss(x), by central differences."""
    found = np.empty_like(x)
    for at in np.ndindex(x.shape):
        value = x[at]
        x[at] = value + step
        above = loss(x)
        x[at] = value - step
        found[at] = (above - loss(x)) / (2 * step)
        x[at] = value
    return found


def cross_entropy(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum()


def test_the_gradient_of_yolov3_is_that_of_cross_entropies_and_squares():
    """With one box, for anchor 1 in row 1, column 2 of a map of 4 x 5."""
    sizes, scale = np.reshape(yolo.PIXELS, (-1, 2)), 32
    size = sizes[1] / [5 * scale, 4 * scale]
    labels = np.zeros((1, 1, 2, 5))
    labels[0, 0, 0] = [1, 0.55, 0.3, *size * [1.1, 0.9]]

    def loss(x):
        numbers = x.reshape(2, 8, 4, 5)
        o, p = yolo.sigmoid(numbers[:, 4]), numbers[1, :, 1, 2]
        there = np.zeros_like(o)
        there[1, 1, 2] = 1
        xy = cross_entropy(yolo.sigmoid(p[:2]), np.array([0.55 * 5 - 2, 0.3 * 4 - 1]))
        wh = np.sum((p[2:4] - np.log([1.1, 0.9])) ** 2) / 2
        box = 3 * (2 - np.prod(labels[0, 0, 0, 3:])) * (xy + wh)
        return box + cross_entropy(o, there) + cross_entropy(yolo.sigmoid(p[5:]), np.eye(3)[1])

    fields = " ".join(f"biases: {v}" for v in yolo.PIXELS)
    given = (
        f"num_class: 3 num: 2 mask: 0 mask: 1 {fields} label_smooth_eps: 0 thresh: 1 coord_scale: 3"
    )
    layer, bottom, top = make_layer(
        "Yolov3", [(1, 16, 4, 5), labels], f"yolov3_param {{ {given} }}"
    )
    want = differences(loss, bottom[0].data.copy())
    np.testing.assert_allclose(gradient(layer, bottom, top), want, 1e-6, 1e-6)


def test_the_gradient_of_region_loss_is_that_of_squares_and_a_cross_entropy():
    anchors = np.reshape(yolo.ANCHORS, (-1, 2))
    labels = np.zeros((1, 1, 2, 5))
    labels[0, 0, 0] = [1, 0.55, 0.3, *anchors[2] / [5, 4] * [1.1, 0.9]]

    def loss(x):
        numbers = x.reshape(3, 8, 4, 5)
        o, p = yolo.sigmoid(numbers[:, 4]), numbers[2, :, 1, 2]
        own = o[2, 1, 2]
        xy = np.sum((yolo.sigmoid(p[:2]) - [0.55 * 5 - 2, 0.3 * 4 - 1]) ** 2) / 2
        wh = np.sum((p[2:4] - np.log([1.1, 0.9])) ** 2) / 2
        objects = 0.5 * (np.sum(o**2) - own**2) / 2 + 3 * (1 - own) ** 2 / 2
        likely = np.exp(p[5:]) / np.exp(p[5:]).sum()
        return 5 * (2 - np.prod(labels[0, 0, 0, 3:])) * (xy + wh) + objects - np.log(likely[1])

    given = f"num_class: 3 num: 3 {SIZES} rescore: 0 thresh: 1 object_scale: 3"
    options = f"region_loss_param {{ {given} }}"
    layer, bottom, top = make_layer("RegionLoss", [(1, 24, 4, 5), labels], options)
    want = differences(loss, bottom[0].data.copy())
    np.testing.assert_allclose(gradient(layer, bottom, top), want, 1e-6, 1e-6)


# What forks do beside the formula


GKLZ = f"""
layer {{ name: "d" type: "DummyData" top: "x" top: "label" dummy_data_param {{
  shape {{ dim: 2 dim: 4 dim: 2 dim: 2 }} shape {{ dim: 2 dim: 150 }}
  data_filler {{ type: "gaussian" }} data_filler {{ type: "constant" value: 0 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param {{
  num_output: 24 kernel_size: 1 weight_filler {{ type: "gaussian" std: 0.5 }} }} }}
layer {{ name: "loss" type: "RegionLoss" bottom: "conv" bottom: "label" top: "loss"
  region_loss_param {{ side: 2 num_class: 3 num: 3 {SIZES} }} }}
"""


def test_gklz_pulls_boxes_to_anchors_for_some_passes(monkeypatch):
    monkeypatch.setattr(region_loss, "PULLED", 6)
    options = f"region_loss_param {{ side: 2 num_class: 3 num: 3 {SIZES} }}"
    layer, bottom, top = make_layer("RegionLoss", [(2, 24, 2, 2), np.zeros((2, 150))], options)
    pulled = [
        abs(gradient(layer, bottom, top).reshape(2, 3, 8, 4)[:, :, :4]).max() for _ in range(5)
    ]
    assert [p > 0 for p in pulled] == [True, True, True, False, False]


def solver(folder):
    param = caffe_pb2.SolverParameter(random_seed=3, snapshot_prefix=str(folder / "run"))
    param.MergeFrom(parse('base_lr: 0.1 lr_policy: "fixed" max_iter: 6', caffe_pb2.SolverParameter))
    param.net_param.MergeFrom(parse(GKLZ, caffe_pb2.NetParameter))
    return get_solver(param)


def test_a_run_that_is_resumed_pulls_no_longer_than_one_that_is_not(monkeypatch, tmp_path):
    monkeypatch.setattr(region_loss, "PULLED", 8)  # 4 passes of 2 pictures
    whole = solver(tmp_path)
    whole.step(2)
    whole.snapshot()
    whole.step(4)
    resumed = solver(tmp_path)
    resumed.restore(str(tmp_path / "run_iter_2.solverstate"))
    resumed.step(4)
    for a, b in zip(whole.net.params["conv"], resumed.net.params["conv"], strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_loss_of_numbers_that_are_none_is_no_number_and_no_crash():
    labels = np.zeros((1, 1, 2, 5))
    labels[0, 0, 0] = BOX
    for value in (np.nan, np.inf, -np.inf, 1e4):
        x = np.full((1, 24, 4, 4), value)
        for name, field in (("RegionLoss", "region_loss_param"), ("Yolov3", "yolov3_param")):
            more = "mask: 0 mask: 1 mask: 2" if name == "Yolov3" else ""
            given = f"{field} {{ num_class: 3 num: 3 {SIZES} {more} }}"
            layer, bottom, top = make_layer(name, [x, labels], given, dtype=np.float32)
            with np.errstate(all="ignore"):
                gradient(layer, bottom, top)
            assert not np.isnan(value) or np.isnan(top[0].data)


@pytest.mark.parametrize("kind", ["IOU", "GIOU", "DIOU", "CIOU"])
@pytest.mark.parametrize("value", [88, -200])
def test_overlaps_of_boxes_without_end_or_sides_are_numbers(kind, value):
    """As their gradient is: 1 - overlap counts as 1 where it is inf - inf or atan(0 / 0)."""
    labels = np.zeros((1, 1, 2, 5))
    labels[0, 0, 0] = BOX
    given = f"num_class: 3 num: 2 mask: 0 mask: 1 iou_loss: {kind} {SIZES}"
    layer, bottom, top = make_layer(
        "Yolov3",
        [np.full((1, 16, 4, 4), value), labels],
        f"yolov3_param {{ {given} }}",
        dtype=np.float32,
    )
    with np.errstate(all="ignore"):
        dx = gradient(layer, bottom, top)
    assert np.isfinite(top[0].data) and np.isfinite(dx).all()


def test_the_anchor_that_mobilenet_yolo_leaves_out():
    """With mask 1, 2, 3 it is anchor 1, since the best one, 2, has this place."""
    labels, sizes = np.zeros((1, 1, 1, 5)), "biases: [10, 14, 23, 27, 37, 58, 81, 82]"
    labels[0, 0, 0] = [0, 0.5, 0.5, 34 / 128, 50 / 128]
    learns = []
    for mask in ("[0, 1, 2]", "[1, 2, 3]"):
        given = f"num_class: 1 num: 3 mask: {mask} {sizes} anchors_scale: 16 iou_thresh: 0.3"
        layer, bottom, top = make_layer(
            "Yolov3", [np.zeros((1, 18, 8, 8)), labels], f"yolov3_param {{ {given} }}"
        )
        objects = gradient(layer, bottom, top).reshape(3, 6, 8, 8)[:, 4, 4, 4]
        learns.append((objects < 0).tolist())
    assert learns == [[False, True, True], [False, True, False]]


# Boxes


def output(shape, fields="", dtype=np.float64, seed=0):
    given = f"yolo_detection_output_param {{ num_classes: 3 num_box: 3 {SIZES} {fields} }}"
    return make_layer("YoloDetectionOutput", [shape], given, TEST, dtype, seed=seed)


def test_pictures_of_a_batch_mix_unless_they_are_kept_apart(caplog):
    layer, bottom, top = output((3, 24, 4, 5))
    with caplog.at_level(logging.WARNING, "caffelite"):
        layer.forward(bottom, top)
        layer.forward(bottom, top)
    (record,) = caplog.records
    assert (
        'layer "layer" (YoloDetectionOutput): the 3 pictures of a batch suppress' in record.message
    )
    assert (top[0].data[..., 0] == 0).all()

    apart, rows = output((3, 24, 4, 5), "per_image: true"), []
    apart[0].forward(*apart[1:])
    for n in range(3):
        single, one, y = output((1, 24, 4, 5))
        one[0].data[...] = bottom[0].data[n]
        single.forward(one, y)
        rows += [[n, *row[1:]] for row in y[0].data[0, 0]]
    np.testing.assert_array_equal(apart[2][0].data[0, 0], rows)


def test_boxes_of_a_class_suppress_only_each_other():
    layer, bottom, top = output((1, 24, 1, 1), "per_class: true confidence_threshold: 0.3")
    x = bottom[0].data.reshape(3, 8)
    x[...] = [0, 0, 0, 0, 3, 5, 0, 0]
    x[:, 2:4] = np.log(1 / np.reshape(yolo.ANCHORS, (-1, 2)))  # all three boxes are the same one
    x[:, 5:] = [[5, 0, 0], [0, 6, 0], [4, 0, 0]]
    layer.forward(bottom, top)
    assert top[0].data[0, 0, :, 1].tolist() == [2, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_an_error(value):
    """Not "nothing found"."""
    layer, bottom, top = output((2, 24, 2, 2))
    bottom[0].data[1, 3] = value
    with pytest.raises(NetError, match=r'bottom\[0\] "x0" holds values that are no numbers'):
        layer.forward(bottom, top)


def test_a_box_without_end_is_an_error():
    layer, bottom, top = output((2, 24, 2, 2), dtype=np.float32)
    bottom[0].data[...] = 9
    bottom[0].data[0, 2] = 100
    with pytest.raises(NetError, match=r"found the box \(-inf, .*the net has diverged; go back"):
        layer.forward(bottom, top)


# Files of forks


def number(value):
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(key, content):
    """A field of a message, as bytes: a number, a float, or a message."""
    if isinstance(content, bytes):
        return number(key << 3 | 2) + number(len(content)) + content
    if isinstance(content, float):
        return number(key << 3 | 5) + np.float32(content).tobytes()
    return number(key << 3) + number(content)


def message(*contents):
    return b"".join(field(key + 1, content) for key, content in enumerate(contents))


GKLZ_OUTPUT = message(13, 20, 5, 4, 0.2, 0.4, 1.08, b"map.prototxt")
REGION = message(13, 20, 1, 4, 5, 1, 0.2, 1, 5.0, 1.0, 1.0, 1.0, 1, 0.6, 0, 1.08, b"", b"")
EVALUATION = message(13, 20, 5, 0.5, 1, 1, 2, 0.45, 1.08)
FOREIGN = {
    147: field(1, 2), 149: field(1, 2), 159: field(1, 2), 200: message(7, 20, 2, 1.0, 0.5, 1.0),
    201: EVALUATION, 202: REGION, 203: message(20, 0.5), 204: GKLZ_OUTPUT, 209: REGION,
    301: EVALUATION, 600: REGION, 601: GKLZ_OUTPUT,
}  # fmt: skip


def test_weights_are_read_beside_messages_that_a_number_means_elsewhere(tmp_path):
    """As gklz's, Intel's and MobileNet-YOLO's Caffe write them, all in one."""
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
      inner_product_param { num_output: 2 } }"""
    (tmp_path / "net.prototxt").write_text(text)
    net = Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    net.params["ip"][0].data[...] = 7
    weights = tmp_path / "forks.caffemodel"
    net.save(str(weights))
    layers = caffe_pb2.NetParameter.FromString(weights.read_bytes()).layer
    extra = b"".join(field(key, content) for key, content in FOREIGN.items())
    weights.write_bytes(b"".join(field(100, layer.SerializeToString() + extra) for layer in layers))
    net.params["ip"][0].data[...] = 0
    net.copy_from(str(weights))
    assert (net.params["ip"][0].data == 7).all()


GKLZ_NET = f"""
layer {{ name: "x" type: "Input" top: "x"
  input_param {{ shape {{ dim: 1 dim: 24 dim: 4 dim: 4 }} }} }}
layer {{ name: "out" type: "DetectionOutput" bottom: "x" top: "y" detection_output_param {{
  side: 4 num_classes: 3 num_box: 3 coords: 4 nms_threshold: 0.4 {SIZES} label_map_file: "m" }} }}
"""


def test_gklzs_detection_output_is_refused_by_name(tmp_path):
    (tmp_path / "net.prototxt").write_text(GKLZ_NET)
    words = "write YoloDetectionOutput with yolo_detection_output_param, which has these fields"
    with pytest.raises(NetError, match=words):
        Net(str(tmp_path / "net.prototxt"), caffelite.TEST)


# What is judged


def judged(threshold, **how):
    """(tp, fp) of boxes of Intel's form, on one object of class 2 in the middle of the picture."""
    fields = " ".join(f"{k}: {v}" for k, v in how.items())
    fields += f" side: 1 num_class: 2 num_object: 3 threshold: {threshold} " + "biases: 0.5 " * 6
    labels = np.array([[0, 2, 0, 0.25, 0.25, 0.75, 0.75, 0]]).reshape(1, 1, 1, 8)
    layer, bottom, top = make_layer(
        "EvalDetection", [(1, 21, 1, 1), labels], f"eval_detection_param {{ {fields} }}", TEST
    )
    x = bottom[0].data.reshape(3, 7)
    x[...] = 0
    x[:, 4] = [3, 2, 1]
    x[:, 2:4] = np.reshape([0, 0.1, 1], (3, 1))  # sides 0.5, 0.55, 1.36
    x[:, 6] = 4
    layer.forward(bottom, top)
    return top[0].data[0, 2:].reshape(-1, 4)[:, 2:].tolist()


def test_boxes_are_right_wrong_or_neither():
    """Intel's Caffe says neither of a box that overlaps its class too little."""
    assert judged(0.5, nms=0.9) == [[1, 0], [0, 1], [0, 0]]
    assert judged(0.5, nms=0.5) == [[1, 0], [0, 0], [0, 0]]
    assert judged(0.5) == [[0, 0]] * 3
