"""Detectors in two stages: the pictures that they get, and what they find."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.annotated import annotated
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.regions import Regions
from caffelite.data.true_boxes import ShortSide
from caffelite.errors import CaffeliteError, DataError, NetError
from caffelite.layers.detection._rcnn_settings import rcnn_settings
from caffelite.lint import lint_file
from caffelite.predict.box_net import BoxFinder
from caffelite.testing import TEST, TRAIN, make_layer


@pytest.fixture(autouse=True)
def settings():
    yield rcnn_settings
    rcnn_settings.reset()


def database(folder, *boxes, size=(20, 30)):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    with LmdbWriter(folder / "lmdb") as file:
        for i, own in enumerate(boxes):
            file.put(b"%08d" % i, annotated(from_pixels(pixels, -1), own).SerializeToString())
    return folder / "lmdb"


def data(source, options="", phase=TRAIN, seed=0):
    options = f'data_param {{ source: "{source}" backend: LMDB batch_size: 1 {options or "}"}'
    return make_layer("RoIData", [], options, phase, np.float32, 3, seed=seed)


def batch(made):
    made[0].forward(made[1], made[2])
    return [blob.data.copy() for blob in made[2]]


def test_boxes_are_those_of_stored_pixels_times_the_factor(tmp_path):
    source = database(tmp_path, Boxes([[0.1, 0.2, 0.5, 0.8]], [4]))  # columns 3 to 14, rows 4 to 15
    pixels, size, boxes = batch(data(source, "} roi_data_param { scale: 50 }"))
    assert pixels.shape == (1, 3, 50, 75) and size.tolist() == [[50, 75, 2.5]]
    np.testing.assert_allclose(boxes, [[3 * 2.5, 4 * 2.5, 14 * 2.5, 15 * 2.5, 4]], rtol=1e-6)
    # The long side, 1.5 times the short one, is to end at 66.
    pixels, size, boxes = batch(data(source, "} roi_data_param { scale: 50 max_size: 66 }"))
    assert pixels.shape == (1, 3, 44, 66) and size.tolist() == [[44, 66, np.float32(2.2)]]
    np.testing.assert_allclose(boxes, [[3 * 2.2, 4 * 2.2, 14 * 2.2, 15 * 2.2, 4]], rtol=1e-6)


def test_boxes_follow_a_mirror(tmp_path):
    source = database(tmp_path, Boxes([[0.1, 0.2, 0.5, 0.8]], [4]))
    made = data(source, "} transform_param { mirror: true }")
    found = {tuple(batch(made)[2][0, :4].round(3).tolist()) for _ in range(12)}
    assert found == {(3, 4, 14, 15), (15, 4, 26, 15)}  # 29 - 14, 29 - 3


def test_one_of_several_scales_is_drawn(tmp_path):
    source = database(tmp_path, Boxes([[0.1, 0.2, 0.5, 0.8]], [4]))
    made = data(source, "} roi_data_param { scale: 20 scale: 40 }")
    heights = [batch(made)[0].shape[2] for _ in range(12)]
    assert set(heights) == {20, 40}
    again = data(source, "} roi_data_param { scale: 20 scale: 40 }")
    again[0].seek(5)
    assert [batch(again)[0].shape[2] for _ in range(7)] == heights[5:]


def test_the_long_side_bounds_the_factor():
    assert ShortSide([600], 1000).factor((375, 500), 600) == 1.6
    assert ShortSide([600], 1000).factor((200, 500), 600) == 2
    assert ShortSide([600], 0).factor((200, 500), 600) == 3


def test_what_is_difficult_teaches_nothing(tmp_path):
    easy, hard = Boxes([[0, 0, 0.5, 0.5]], [1]), Boxes([[0, 0, 1, 1]], [2], [True])
    both = Boxes([[0, 0, 1, 1], [0, 0, 0.5, 1]], [3, 5], [True, False])
    source = database(tmp_path, hard, easy, Boxes(), both)
    made = data(source)
    assert made[0].pass_size == 2
    assert [batch(made)[2][:, 4].tolist() for _ in range(3)] == [[1], [5], [1]]
    tested = data(source, "} roi_data_param { rows: true }", TEST)
    labels = [batch(tested)[2][0, 0, :, [1, 7]].T.tolist() for _ in range(4)]
    assert labels == [[[2, 1]], [[1, 0]], [[-1, -1]], [[3, 1], [5, 0]]]


def test_there_is_something_to_learn_from(tmp_path):
    source = database(tmp_path, Boxes([[0, 0, 1, 1]], [2], [True]), Boxes())
    with pytest.raises(DataError, match="lmdb: none of its 2 records has a box that is not diffic"):
        data(source)


def test_a_crop_that_leaves_no_box_is_named(tmp_path):
    source = database(tmp_path, Boxes([[0, 0, 0.1, 0.1]], [2]))
    made = data(source, "} transform_param { crop_size: 10 }", TEST)
    with pytest.raises(
        DataError, match=r'record 0 \(key "00000000"\): a picture is left without a'
    ):
        batch(made)


NET = """
input: "data" input_shape { dim: 1 dim: 3 dim: 16 dim: 16 }
input: "im_info" input_shape { dim: 1 dim: 3 }
layer { name: "map" type: "Pooling" bottom: "data" top: "map"
  pooling_param { pool: AVE kernel_size: 4 stride: 4 } }
layer { name: "rpn_cls_score" type: "Convolution" bottom: "map" top: "rpn_cls_score"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "rpn_bbox_pred" type: "Convolution" bottom: "map" top: "rpn_bbox_pred"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "proposal" type: "Proposal" bottom: "rpn_cls_score" bottom: "rpn_bbox_pred"
  bottom: "im_info" top: "rois" proposal_param { feat_stride: 4 base_size: 4 ratio: 1 scale: 2
  min_size: 1 post_nms_topn: 2 nms_thresh: 0.1 } }
layer { name: "pool" type: "ROIPooling" bottom: "map" bottom: "rois" top: "pool"
  roi_pooling_param { pooled_h: 1 pooled_w: 1 spatial_scale: 0.25 } }
layer { name: "cls_score" type: "InnerProduct" bottom: "pool" top: "cls_score"
  inner_product_param { num_output: 3 } }
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "pool" top: "bbox_pred"
  inner_product_param { num_output: 12 } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A net that sees what is bright: red things are of class 1, blue ones of class 2."""
    monkeypatch.chdir(tmp_path)
    Path("test.prototxt").write_text(NET)
    net = caffelite.Net("test.prototxt", TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0
    net.params["rpn_cls_score"][0].data[1] = 1
    net.params["cls_score"][0].data[1, 2] = net.params["cls_score"][0].data[2, 0] = 0.1
    net.params["cls_score"][1].data[0] = 10
    net.params["bbox_pred"][1].data[8:] = [0, 0, np.log(2), 0]  # what is blue is twice as wide
    net.save("net.caffemodel")
    return tmp_path


def picture(path="picture.png", size=(40, 80)):
    """Red in one quarter of a square of 8 x 8 pixels, blue in another one."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[16:24, 8:16, 0] = 255
    pixels[8:16, 64:72, 2] = 255
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_net_in_two_stages_finds_boxes(folder, settings):
    settings.update({"TEST.SCALES": [20], "TEST.MAX_SIZE": 1000})
    pixels = picture()
    finder = BoxFinder("test.prototxt", "net.caffemodel", least_score=0.5)
    for given in ("picture.png", pixels):
        red, blue = sorted(finder(given), key=lambda box: box.label)
        assert finder.net.net.blobs["data"].shape == (1, 3, 20, 40)
        assert finder.net.net.blobs["im_info"].data.tolist() == [[20, 40, 0.5]]
        assert (red.label, blue.label) == (1, 2) and min(red.score, blue.score) > 0.9
        # An anchor has 8 x 8 of 20 x 40 pixels around its cell. A region that is decoded ends where
        # its last pixel does, but counts as one with a pixel more when boxes are decoded from it.
        assert red[3:] == pytest.approx((2 * 2, 6 * 2, 11 * 2, 15 * 2))
        assert blue[3:] == pytest.approx((30 * 2 - 9, 2 * 2, 39 * 2 + 2, 11 * 2), abs=1e-4)


def test_settings_say_which_boxes_are_suppressed_and_whose_they_are(folder, settings):
    settings.update({"TEST.SCALES": [20], "TEST.NMS": 0.45, "TEST.AGNOSTIC": True})
    Path("test.prototxt").write_text(NET.replace("num_output: 12", "num_output: 8"))
    net = caffelite.Net("test.prototxt", TEST)
    net.save("net.caffemodel")
    finder = BoxFinder("test.prototxt", "net.caffemodel")
    (node,) = [node for node in finder.net.net.nodes if node.layer.finds_boxes]
    assert node.layer.options.nms_threshold == np.float32(0.45)
    assert node.layer.options.class_agnostic and [*node.layer.box_labels()] == [1, 2]


def test_sizes_of_the_data_are_those_of_pictures_in_files(folder, tmp_path):
    """A net for training has a scale in its data, and squeezes nothing."""
    source = database(tmp_path, Boxes([[0, 0, 0.5, 0.5]], [1]))
    source = f'data_param {{ source: "{source}" batch_size: 1 backend: LMDB }}'
    layer = (
        f'layer {{ name: "data" type: "RoIData" top: "data" top: "im_info" top: "gt_boxes" {source}'
    )
    rest = "\n".join(NET.strip().splitlines()[2:])
    Path("train.prototxt").write_text(f"{layer} roi_data_param {{ scale: 10 }} }}\n{rest}")
    picture()
    finder = BoxFinder("train.prototxt", "net.caffemodel", least_score=0.5)
    finder("picture.png")
    assert finder.net.net.blobs["im_info"].data.tolist() == [[10, 20, 0.25]]
    resize = "transform_param { resize_param { height: 16 width: 24 } }"
    Path("train.prototxt").write_text(f"{layer} {resize} }}\n{rest}")
    finder = BoxFinder("train.prototxt", "net.caffemodel", least_score=0.5)
    finder("picture.png")
    np.testing.assert_allclose(finder.net.net.blobs["im_info"].data, [[16, 24, 0.4]])


def test_a_net_without_im_info_is_none_of_two_stages(folder):
    Path("test.prototxt").write_text(NET.replace("im_info", "sizes"))
    with pytest.raises(NetError, match="no layer finds boxes, as DetectionOutput"):
        BoxFinder("test.prototxt", "net.caffemodel")


def test_of_no_region_nothing_is_found():
    bottoms = [(0, 5), (0, 3), (0, 12), np.float32([[9, 9, 1]])]
    made = make_layer("RoIDetectionOutput", bottoms, "", TEST, np.float32, 1)
    assert batch(made)[0].tolist() == [[[[0, -1, -1, -1, -1, -1, -1]]]]


# Codes that are normalized in training

NORMALIZED = """
layer { name: "data" type: "Input" top: "rois" top: "gt_boxes" top: "features"
  input_param { shape { dim: 3 dim: 5 } shape { dim: 2 dim: 5 } shape { dim: 5 dim: 2 } } }
layer { name: "taken" type: "ProposalTarget" bottom: "rois" bottom: "gt_boxes" top: "taken"
  top: "labels" top: "targets" top: "inside" top: "outside" include { phase: TRAIN }
  proposal_target_param { num_classes: 3 bbox_mean: [0.5, 0, 0, 0.25] bbox_std: [0.1, 0.1, 0.2, 0.2]
  batch_size: -1 bg_thresh_lo: 0 CLASSES } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "features" top: "bbox_pred"
  inner_product_param { num_output: 12 weight_filler { type: "gaussian" std: 1 }
  bias_filler { type: "uniform" } } }
layer { name: "loss" type: "SmoothL1Loss" bottom: "bbox_pred" bottom: "targets" bottom: "inside"
  top: "loss" include { phase: TRAIN } }
"""
MEAN, STD = np.tile([0.5, 0, 0, 0.25], 3), np.tile([0.1, 0.1, 0.2, 0.2], 3)


def solver_of_normalized(folder, tests=False):
    (folder / "net.prototxt").write_text(NORMALIZED.replace("CLASSES", ""))
    test = "test_iter: 1 test_interval: 99 test_initialization: false" if tests else ""
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 {test} '
        f'random_seed: 3 max_iter: 9 snapshot_prefix: "{folder}/s" display: 0'
    )
    solver = caffelite.get_solver(str(folder / "solver.prototxt"))
    for net in (solver.net, *solver.test_nets):
        net.blobs["rois"].data[...] = [[0, 0, 0, 9, 9], [0, 20, 20, 40, 50], [0, 5, 5, 9, 9]]
        net.blobs["gt_boxes"].data[...] = [[1, 1, 9, 9, 1], [21, 20, 42, 51, 2]]
        net.blobs["features"].data[...] = np.random.default_rng(0).random((5, 2))
    return solver


def numbers(net):
    return [blob.data.copy() for blob in net.params["bbox_pred"]]


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_files_hold_plain_codes_and_training_goes_on_exactly(tmp_path, ending):
    solver = solver_of_normalized(tmp_path)
    solver.param.snapshot_format = 0 if ending else 1
    solver.step(2)
    solver.snapshot()
    weight, bias = numbers(solver.net)
    plain = caffelite.Net(str(tmp_path / "net.prototxt"), TEST)
    plain.copy_from(str(tmp_path / f"s_iter_2.caffemodel{ending}"))
    np.testing.assert_allclose(numbers(plain)[0], weight * STD[:, None], rtol=1e-6)
    np.testing.assert_allclose(numbers(plain)[1], bias * STD + MEAN, rtol=1e-6)
    other = solver_of_normalized(tmp_path)
    other.net.copy_from(str(tmp_path / f"s_iter_2.caffemodel{ending}"))
    for own, want in zip(numbers(other.net), (weight, bias), strict=True):
        np.testing.assert_allclose(own, want, rtol=1e-5, atol=1e-6)
    other.restore(str(tmp_path / f"s_iter_2.solverstate{ending}"))
    for own, want in zip(numbers(other.net), (weight, bias), strict=True):
        np.testing.assert_array_equal(own, want)
    solver.step(2)
    other.step(2)
    for own, want in zip(numbers(other.net), numbers(solver.net), strict=True):
        np.testing.assert_array_equal(own, want)


def test_a_test_net_tells_plain_codes(tmp_path):
    solver = solver_of_normalized(tmp_path, tests=True)
    solver.step(2)
    solver.test_all()
    weight, bias = numbers(solver.net)
    own, own_bias = numbers(solver.test_nets[0])
    np.testing.assert_allclose(own, weight * STD[:, None], rtol=1e-6)
    np.testing.assert_allclose(own_bias, bias * STD + MEAN, rtol=1e-6)


def test_maps_of_one_number_are_together(tmp_path):
    """As of R-FCN: 3 x 3 maps of the first number, then those of the second, ..."""
    text = NORMALIZED.replace("CLASSES", "class_agnostic: true").replace(
        "num_classes: 3", "num_classes: 2"
    )
    text = text.replace("shape { dim: 5 dim: 2 }", "shape { dim: 1 dim: 2 dim: 9 dim: 9 }")
    head = text.index('layer { name: "bbox_pred"')
    text = (
        text[:head]
        + """
    layer { name: "maps" type: "Convolution" bottom: "features" top: "maps"
      convolution_param { num_output: 72 kernel_size: 1 weight_filler { type: "gaussian" } } }
    layer { name: "pool" type: "PSROIPooling" bottom: "maps" bottom: "taken" top: "pool"
      psroi_pooling_param { spatial_scale: 0.125 output_dim: 8 group_size: 3 } }
    layer { name: "bbox_pred" type: "Pooling" bottom: "pool" top: "bbox_pred"
      pooling_param { pool: AVE kernel_size: 3 } }
    layer { name: "loss" type: "SmoothL1LossOHEM" bottom: "bbox_pred" bottom: "targets"
      bottom: "inside" top: "loss" }
    """
    )
    (tmp_path / "net.prototxt").write_text(text)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), TRAIN)
    weight, bias = net.params["maps"]
    np.testing.assert_allclose(
        net.code_scales[bias].plain(bias.data), np.repeat(MEAN[:8], 9), rtol=1e-6
    )
    scaled = net.code_scales[weight].plain(weight.data)
    np.testing.assert_allclose(
        scaled[:, 0, 0, 0], weight.data[:, 0, 0, 0] * np.repeat(STD[:8], 9), rtol=1e-6
    )


def test_a_layer_whose_outputs_do_not_fit_codes_is_named(tmp_path):
    text = NORMALIZED.replace("CLASSES", "").replace("num_output: 12", "num_output: 13")
    text = text.replace('top: "bbox_pred"\n', 'top: "more"\n')
    cut = """layer { name: "cut" type: "Slice" bottom: "more" top: "bbox_pred" top: "x"
      slice_param { slice_point: 12 } } """
    text = text.replace('layer { name: "loss"', cut + 'layer { name: "loss"')
    (tmp_path / "net.prototxt").write_text(text)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), TRAIN)
    with pytest.raises(NetError, match="has 13 outputs for codes of boxes of 12 numbers"):
        net.save(str(tmp_path / "net.caffemodel"))


# What lint says


def findings(folder, text):
    (folder / "net.prototxt").write_text(text)
    return [str(one) for one in lint_file(str(folder / "net.prototxt"))]


@pytest.mark.parametrize(
    "net, old, new, words",
    [
        (
            "faster",
            "num_classes: 11\n    batch_size",
            "num_classes: 12\n    batch_size",
            "box-classes",
        ),
        ("faster", "scale: 6.5\n    pre_nms", "scale: 6\n    pre_nms", "box-codes"),
        (
            "faster",
            "num_output: 48\n    kernel_size: 1",
            "num_output: 44\n    kernel_size: 1",
            "expected (N, 48, height, width): four numbers",
        ),
        ("rfcn", "num_classes: 11\n    conf", "num_classes: 10\n    conf", "scores of 10 classes"),
    ],
)
def test_lint_finds_what_does_not_fit_together(tmp_path, net, old, new, words):
    root = Path(__file__).parent.parent / "models"
    names = {"faster": "faster-rcnn-digits", "rfcn": "rfcn-digits"}
    text = (root / names[net] / "train_val.prototxt").read_text()
    assert not any(words in one for one in findings(tmp_path, text))
    assert old in text
    assert any(words in one for one in findings(tmp_path, text.replace(old, new, 1)))


# The data layer of py-faster-rcnn

THEIRS = """
layer { name: "input-data" type: "Python" top: "data" top: "im_info" top: "gt_boxes"
  python_param { module: "roi_data_layer.layer" layer: "RoIDataLayer"
  param_str: "'num_classes': 3" } }
"""


def their_net(folder, text=THEIRS):
    (folder / "theirs.prototxt").write_text(text)
    return caffelite.Net(str(folder / "theirs.prototxt"), TRAIN)


def test_their_data_layer_reads_what_the_settings_name(tmp_path, settings):
    source = database(tmp_path, Boxes([[0.1, 0.2, 0.5, 0.8]], [2]))
    settings.update({"TRAIN.SOURCE": str(source), "TRAIN.SCALES": [40], "TRAIN.MAX_SIZE": 50})
    settings["TRAIN.USE_FLIPPED"] = False
    net = their_net(tmp_path)
    net.forward()
    assert net.blobs["data"].shape == (1, 3, 33, 50)
    factor = 50 / 30
    np.testing.assert_allclose(net.blobs["im_info"].data, [[33, 50, factor]], rtol=1e-6)
    boxes = net.blobs["gt_boxes"].data
    np.testing.assert_allclose(boxes[:, [0, 2, 4]], [[3 * factor, 14 * factor, 2]], rtol=1e-6)
    settings["PIXEL_MEANS"] = [0.0, 0.0, 0.0]
    raw = their_net(tmp_path)
    raw.forward()
    mean = (raw.blobs["data"].data - net.blobs["data"].data)[0, :, 0, 0]
    np.testing.assert_allclose(mean, [102.9801, 115.9465, 122.7717], rtol=1e-4)


def test_their_data_layer_takes_a_roidb(tmp_path, settings):
    settings.update({"TRAIN.SCALES": [40], "TRAIN.MAX_SIZE": 1000})
    pixels = picture(tmp_path / "a.png")
    entry = {"image": str(tmp_path / "a.png"), "boxes": np.array([[8, 16, 15, 23], [0, 0, 9, 9]])}
    entry["gt_classes"] = np.array([1, 0])  # the second one is a region
    turned = entry | {"boxes": np.array([[64, 16, 71, 23]]), "gt_classes": [1], "flipped": True}
    net = their_net(tmp_path)
    with pytest.raises(NetError, match="has no pictures: name a database of pictures with boxes"):
        net.forward()
    net.layers[0].set_roidb([entry, turned])
    seen = {}
    for _ in range(4):
        net.forward()
        seen[tuple(net.blobs["gt_boxes"].data[0])] = net.blobs["data"].data.copy()
    assert set(seen) == {(8, 16, 15, 23, 1), (64, 16, 71, 23, 1)}
    straight, mirrored = seen[8, 16, 15, 23, 1], seen[64, 16, 71, 23, 1]
    np.testing.assert_array_equal(straight, mirrored[..., ::-1])
    assert straight[0, 2].max() == np.float32(255) - np.float32(122.7717) and pixels.max() == 255
    with pytest.raises(DataError, match="none of the 1 entries of the roidb has a true box"):
        net.layers[0].set_roidb([entry | {"gt_classes": [0, 0]}])


def test_settings_of_another_net_are_refused(tmp_path, settings):
    text = THEIRS.replace('top: "im_info" top: "gt_boxes"', 'top: "rois" top: "labels"')
    net = their_net(tmp_path, text)
    assert net.blobs["rois"].shape == (128, 5)
    with pytest.raises(NetError, match="has no regions: name a database of pictures"):
        net.forward()
    settings["TRAIN.HAS_RPN"] = True
    with pytest.raises(NetError, match="the settings are of another net"):
        their_net(tmp_path, text)
    with pytest.raises(NetError, match="expected YAML, {'num_classes': how many"):
        their_net(tmp_path, THEIRS.replace("3", "1"))


END2END = """
EXP_DIR: faster_rcnn_end2end
TRAIN:
  HAS_RPN: True
  BBOX_NORMALIZE_TARGETS_PRECOMPUTED: True
  BG_THRESH_LO: 0.0
  SCALES: !!python/tuple [400, 500]
TEST:
  HAS_RPN: True
PIXEL_MEANS: [[[1.0, 2.0, 3.0]]]
"""


def test_settings_come_from_their_files_and_from_flags(tmp_path, settings, caplog):
    (tmp_path / "a.yml").write_text(END2END)
    settings.read(str(tmp_path / "a.yml"))
    assert settings["TRAIN.HAS_RPN"] is settings["TEST.HAS_RPN"] is True
    assert settings["TRAIN.SCALES"] == [400, 500] and settings["PIXEL_MEANS"] == [1, 2, 3]
    with caplog.at_level("INFO", "caffelite"):
        settings.assign("TRAIN.ASPECT_GROUPING=False")
    assert "TRAIN.ASPECT_GROUPING does nothing here: pictures of a batch are" in caplog.text
    settings.assign("TRAIN.SCALES=(300,)")
    settings.assign("TRAIN.SOURCE=data/voc_lmdb")
    assert settings["TRAIN.SCALES"] == (300,) and settings["TRAIN.SOURCE"] == "data/voc_lmdb"
    before = dict(settings)
    for text, words in (
        (
            "TRAIN: {BATCH_SIZE: 5, HAS_RPM: true}",
            "a.yml: there is no setting TRAIN.HAS_RPM; did yo",
        ),
        ("TEST: {NMS: high}", "a.yml: TEST.NMS is 'high', expected a value such as 0.3"),
        ("- 1", "a.yml: expected settings, such as TRAIN"),
    ):
        (tmp_path / "a.yml").write_text(text)
        with pytest.raises(CaffeliteError, match=words):
            settings.read(str(tmp_path / "a.yml"))
        assert dict(settings) == before


def test_flags_of_commands_set_them(folder, settings, capsys):
    Path("a.yml").write_text("TEST: {SCALES: [20], MAX_SIZE: 1000}")
    picture()
    asked = ["detect", "picture.png", "--model", "test.prototxt", "--weights", "net.caffemodel"]
    asked += ["--mean_value", "0", "--cfg", "a.yml", "--threshold", "0.5"]
    assert main([*asked, "--set", "TEST.NMS=0.6"]) == 0
    assert settings["TEST.NMS"] == 0.6 and settings["TEST.MAX_SIZE"] == 1000
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main([*asked, "--set", "base_lr=1"]) != 0
    assert "--set base_lr=1: expected TEST.NAME=VALUE" in capsys.readouterr().err


# Regions that a net proposes, for another one that learns from them


LMDB = 'data_param { source: "lmdb" backend: LMDB batch_size: 1 }'


def test_a_net_proposes_regions_of_a_database(folder, settings, capsys):
    settings.update({"TEST.SCALES": [20], "TEST.MAX_SIZE": 1000})
    pixels = picture()[:, :, ::-1].transpose(2, 0, 1).copy()
    true = Boxes([[8 / 80, 16 / 40, 16 / 80, 24 / 40]], [1])
    with LmdbWriter("lmdb") as file:
        file.put(b"7", annotated(from_pixels(pixels, -1), true).SerializeToString())
    upto = NET.index('layer { name: "pool"')
    Path("rpn.prototxt").write_text(NET[:upto])
    asked = ["regions", "lmdb", "out", "--model", "rpn.prototxt", "--weights", "net.caffemodel"]
    asked += ["--mean_value", "0", "--json"]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["regions_of_a_picture"], told["boxes"]) == (1, 2, 1)
    corners = Regions("out").of_record(0, b"7", pixels.tobytes(), "")
    # Anchors of 8 x 8 around cells of the input's 20 x 40; their last pixel is one of the picture.
    np.testing.assert_allclose(corners[:, :2] * [40, 20], [[30, 2], [2, 6]], atol=1e-5)
    options = f'{LMDB} roi_data_param {{ regions: "out" scale: 20 }}'
    made = make_layer("RoIData", [], options, TRAIN, np.float32, 4)
    as_the_net_had_them = [[0, 30, 2, 38, 10], [0, 2, 6, 10, 14]]
    np.testing.assert_allclose(batch(made)[3], as_the_net_had_them, atol=1e-4)
    assert main([*asked[:2], "again", *asked[3:], "--mode", "fast"]) == 2
    assert "--mode is for selective search, not for --model" in capsys.readouterr().err
    assert not Path("again").exists()
    Path("rpn.prototxt").write_text(NET[: NET.index('layer { name: "proposal"')])
    assert main([*asked[:2], "again", *asked[3:]]) == 1
    assert "rpn.prototxt: no layer proposes regions" in capsys.readouterr().err
    assert not Path("again").exists()
