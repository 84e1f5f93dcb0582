"""Fast R-CNN's own files: its data layer, what nets of theirs learn, save and find."""

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
from caffelite.data.regions import Regions, checksum, write_regions
from caffelite.errors import DataError, NetError
from caffelite.layers.detection._rcnn_settings import rcnn_settings
from caffelite.predict.box_net import BoxFinder
from caffelite.testing import TEST, TRAIN

SIZES = [(20, 30), (24, 16), (20, 30), (18, 40)]
CLASSES = 3


@pytest.fixture(autouse=True)
def settings():
    yield rcnn_settings
    rcnn_settings.reset()


def truth(number):
    """(corners in whole pixels of which the last belongs to the box, classes)"""
    _, width = SIZES[number]
    boxes = [[2 + number, 3, 11, 14], [width - 9, 4, width - 2, 16]]
    return np.array(boxes[: 1 + number % 2], float), [1 + number % 2, 2][: 1 + number % 2]


def regions(number):
    """As many near the true boxes as elsewhere, in whole pixels."""
    height, width = SIZES[number]
    random = np.random.default_rng(number)
    near = np.concatenate([truth(number)[0] + random.integers(-2, 3, (6, 1, 4))]).reshape(-1, 4)
    low = random.integers(0, [width - 8, height - 8], (12, 2))
    found = np.concatenate([near, np.hstack([low, low + random.integers(3, 8, (12, 2))])])
    limit = np.array([width - 2, height - 2, width - 1, height - 1])
    found = np.clip(found, 0, limit)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return found


def fractions(corners, number):
    height, width = SIZES[number]
    return (corners + [0, 0, 1, 1]) / [width, height, width, height]


def pixels(number):
    """One can see of which picture they are, and whether that is mirrored."""
    values = np.full((3, *SIZES[number]), 10 * number + 10, np.uint8)
    values[1] = 1 + np.arange(SIZES[number][1])
    return values


@pytest.fixture
def folder(tmp_path, monkeypatch, settings):
    """Two databases, pictures and their regions, and settings that name them."""
    monkeypatch.chdir(tmp_path)
    found = []
    with LmdbWriter("lmdb") as file:
        for i in range(len(SIZES)):
            corners, labels = truth(i)
            boxes = Boxes(fractions(corners, i), labels)
            message = annotated(from_pixels(pixels(i), -1), boxes)
            file.put(b"%08d" % i, message.SerializeToString())
            found.append((b"%08d" % i, checksum(pixels(i).tobytes()), fractions(regions(i), i)))
    write_regions("regions", found)
    settings.update(
        {"TRAIN.SOURCE": "lmdb", "TRAIN.REGIONS": "regions", "TRAIN.SCALES": (40,),
         "TRAIN.MAX_SIZE": 70, "TRAIN.BATCH_SIZE": 16, "TRAIN.USE_FLIPPED": False,
         "PIXEL_MEANS": (0.0, 0.0, 0.0)}
    )  # fmt: skip
    return tmp_path


SIX = "data rois labels bbox_targets bbox_inside_weights bbox_outside_weights"
FIVE = "data rois labels bbox_targets bbox_loss_weights"  # as the first Fast R-CNN has them
DATA = """layer {{ name: "data" type: "Python" {} python_param {{ module: "roi_data_layer.layer"
    layer: "RoIDataLayer" param_str: "'num_classes': 3" }} }}\n"""
NET = """
layer { name: "pool" type: "ROIPooling" bottom: "data" bottom: "rois" top: "pool"
  roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 1 } }
layer { name: "cls_score" type: "InnerProduct" bottom: "pool" top: "cls_score"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.001 } } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "pool" top: "bbox_pred"
  inner_product_param { num_output: 12 weight_filler { type: "gaussian" std: 0.001 } } }
"""
LOSSES = """
layer { name: "loss_cls" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels"
  top: "loss_cls" propagate_down: [true, false] }
layer { name: "loss_bbox" type: "SmoothL1Loss" bottom: "bbox_pred" bottom: "bbox_targets"
  bottom: "bbox_loss_weights" top: "loss_bbox" loss_weight: 1 }
"""


def text(tops, more=""):
    return DATA.format(" ".join(f'top: "{top}"' for top in tops.split())) + more


def net(tops=SIX, more="", seed=3):
    Path("net.prototxt").write_text(text(tops, more))
    caffelite.set_random_seed(seed)
    return caffelite.Net("net.prototxt", TRAIN)


def batch(made):
    made.forward()
    return [made.blobs[name].data.copy() for name in made.blobs]


def scale(number):
    """What the sides of a picture are multiplied by: 40 the short one, the long one 70 at most."""
    short, long = sorted(SIZES[number])
    return min(40 / short, 70 / long)


def turned(corners, width):
    """Corners in the mirrored picture."""
    return (width - 1 - corners)[..., [2, 1, 0, 3]] * [1, 0, 1, 0] + corners * [0, 1, 0, 1]


def overlaps(a, b):
    """By the definition, of boxes that include their last pixel."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.clip(high - low + 1, 0, None))
    return shared / (np.prod(a[2:] - a[:2] + 1) + np.prod(b[2:] - b[:2] + 1) - shared)


def codes(region, box):
    size, own = region[2:] - region[:2] + 1, box[2:] - box[:2] + 1
    return np.concatenate([(box[:2] + own / 2 - region[:2] - size / 2) / size, np.log(own / size)])


def told(flipped=False):
    """{class: the codes of all regions that tell a box of it}, by the definition."""
    found = {1: [], 2: []}
    for n, (_, width) in enumerate(SIZES):
        boxes, labels = truth(n)
        for region in (*regions(n), *boxes):
            at = [overlaps(region, box) for box in boxes]
            if max(at) >= 0.5:
                best = int(np.argmax(at))
                pair = np.array([region, boxes[best]])
                found[labels[best]] += [codes(*pair)]
                found[labels[best]] += [codes(*turned(pair, width))] * flipped
    return found


@pytest.mark.parametrize("flipped", [False, True])
def test_a_batch_is_regions_of_several_pictures(folder, settings, flipped):
    settings["TRAIN.USE_FLIPPED"] = flipped
    made, known, mirrored = net(), told(flipped), set()
    mean, deviation = ([how(known[k], axis=0) for k in (1, 2)] for how in (np.mean, np.std))
    for _ in range(6):
        data, rois, labels, targets, inside, outside = batch(made)
        assert np.bincount(rois[:, 0].astype(int)).tolist() == [8, 8] and (labels > 0).sum() <= 4
        np.testing.assert_array_equal(inside, outside)
        for picture, pixels in enumerate(data):
            n = int(pixels[0, 0, 0]) // 10 - 1
            height, width = (round(side * scale(n)) for side in SIZES[n])
            assert pixels[:, :height, :width].all()
            assert not pixels[:, height:].any() and not pixels[:, :, width:].any()
            boxes, classes = truth(n)
            if pixels[1, 0, 0] > pixels[1, 0, width - 1]:
                boxes = turned(boxes, SIZES[n][1])
                mirrored.add(n)
            own = rois[:, 0] == picture
            assert labels[own][:2].all() and not labels[own][2:].any()  # a quarter of eight
            for row, label, target, weight in zip(
                *(values[own] for values in (rois, labels, targets, inside)), strict=True
            ):
                region = row[1:] / scale(n)
                at = [overlaps(region, box) for box in boxes]
                best, want = int(np.argmax(at)), np.zeros((3, 4))
                assert label == (classes[best] if max(at) >= 0.5 else 0) and max(at) >= 0.1
                if label:
                    k = classes[best]
                    want[k] = (codes(region, boxes[best]) - mean[k - 1]) / deviation[k - 1]
                    assert weight.reshape(3, 4)[k].all() and weight.sum() == 4
                np.testing.assert_allclose(target.reshape(3, 4), want, rtol=1e-3, atol=1e-3)
    assert bool(mirrored) == flipped
    shift, factor = (four.reshape(3, 4) for four in made.layers[0].code_scale)
    np.testing.assert_allclose(shift[1:], mean, atol=1e-5)
    np.testing.assert_allclose(factor[1:], deviation, rtol=1e-4)
    assert not shift[0].any() and (factor[0] == 1).all()


def test_settings_say_what_is_taken(folder, settings):
    settings.update({"TRAIN.BATCH_SIZE": -1, "TRAIN.IMS_PER_BATCH": 1, "TRAIN.BG_THRESH_LO": 0.0})
    settings.update({"TRAIN.AGNOSTIC": True, "TRAIN.BBOX_NORMALIZE_TARGETS_PRECOMPUTED": True})
    settings.update({"TRAIN.BBOX_INSIDE_WEIGHTS": (1.0, 0.5, 0.0, 1.0)})
    made = net()
    seen = set()
    for _ in range(4):
        data, rois, labels, targets, inside, outside = batch(made)
        n = int(data[0, 0, 0, 0]) // 10 - 1
        seen.add(n)
        assert len(rois) == len(regions(n)) + len(truth(n)[0]) and targets.shape[1] == 8
        assert labels.shape == (len(rois), 1, 1, 1) and targets.shape[2:] == (1, 1)  # as in R-FCN
        row = int(np.argmax(labels))
        inside, outside = (weights.reshape(-1, 8) for weights in (inside, outside))
        assert inside[row].tolist() == [0] * 4 + [1, 0.5, 0, 1]
        assert outside[row].tolist() == [0] * 4 + [1, 1, 0, 1]
    assert seen == {0, 1, 2, 3}  # each in a pass
    shift, factor = made.layers[0].code_scale
    assert shift.tolist() == [0] * 8 and factor.tolist() == [0.1, 0.1, 0.2, 0.2] * 2
    settings.update({"TRAIN.BBOX_NORMALIZE_TARGETS": False})
    assert net().layers[0].code_scale is None
    settings.update({"TRAIN.BBOX_REG": False, "TRAIN.AGNOSTIC": False})
    found = batch(net("data rois labels"))
    assert len(found) == 3 and found[2].shape == found[1].shape[:1]


def solver():
    Path("net.prototxt").write_text(text(FIVE, NET + LOSSES))
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.00001 lr_policy: "fixed" momentum: 0.9 random_seed: 4 '
        'max_iter: 9 snapshot_prefix: "s" display: 0'
    )
    return caffelite.get_solver("solver.prototxt")


def test_training_goes_on_exactly_and_files_tell_plain_codes(folder):
    first = solver()
    first.step(2)
    first.snapshot()
    first.step(2)
    other = solver()
    other.restore("s_iter_2.solverstate")
    other.step(2)
    for name, blobs in first.net.params.items():
        for own, want in zip(other.net.params[name], blobs, strict=True):
            np.testing.assert_array_equal(own.data, want.data)
    for name in FIVE.split():
        np.testing.assert_array_equal(other.net.blobs[name].data, first.net.blobs[name].data)
    first.net.save("net.caffemodel")
    Path("test.prototxt").write_text(INPUTS + NET)
    plain = caffelite.Net("test.prototxt", TEST, weights="net.caffemodel")
    shift, factor = first.net.layers[0].code_scale
    weight, bias = (blob.data for blob in first.net.params["bbox_pred"])
    np.testing.assert_allclose(
        plain.params["bbox_pred"][0].data, weight * factor[:, None], rtol=1e-5
    )
    np.testing.assert_allclose(
        plain.params["bbox_pred"][1].data, bias * factor + shift, rtol=1e-5, atol=1e-7
    )


INPUTS = """
input: "data" input_shape { dim: 1 dim: 3 dim: 40 dim: 60 }
input: "rois" input_shape { dim: 1 dim: 5 }
"""


@pytest.mark.parametrize(
    ("given", "tops", "words"),
    [
        ({"TRAIN.BATCH_SIZE": 15}, SIX, "TRAIN.BATCH_SIZE: 15, expected a multiple of the 2 pict"),
        ({"TRAIN.IMS_PER_BATCH": 0}, SIX, "TRAIN.IMS_PER_BATCH: 0, expected pictures, 1 or more"),
        ({"TRAIN.BBOX_REG": False}, FIVE, 'TRAIN.BBOX_REG: false, but the top "bbox_targets" is'),
        ({"TRAIN.HAS_RPN": True}, SIX, "TRAIN.HAS_RPN: true, but the tops are not data, im_info"),
        ({"TRAIN.REGIONS": ""}, SIX, "has no regions: name a database of pictures with boxes and"),
        ({"TRAIN.SOURCE": ""}, SIX, "TRAIN.REGIONS is given without TRAIN.SOURCE, the pictures"),
        ({}, "data im_info gt_boxes", "TRAIN.REGIONS: regions, but the tops are data, im_info, gt"),
    ],
)
def test_settings_that_contradict_the_net_are_told(folder, settings, given, tops, words):
    settings.update(given)
    with pytest.raises(NetError, match=r'net.prototxt:1: layer "data" \(Python\): ' + words):
        net(tops)


def test_what_is_wrong_with_the_data_is_told(folder, settings):
    write_regions("few", [(b"%08d" % 0, 0, fractions(regions(0), 0))])
    settings["TRAIN.REGIONS"] = "few"
    with pytest.raises(DataError, match="few: has regions of other pictures: it has 1 records, lm"):
        net()
    settings["TRAIN.REGIONS"] = "regions"
    Path("net.prototxt").write_text(text(SIX).replace("3 }", "2 }").replace(': 3"', ': 2"'))
    made = caffelite.Net("net.prototxt", TRAIN)
    with pytest.raises(DataError, match="has a box of class 2, expected 1 to 1: num_classes cou"):
        made.forward()
    made = net()
    with pytest.raises(NetError, match="takes no roidb, but databases: it has no regions: name"):
        made.layers[0].set_roidb([])
    settings.update({"TRAIN.SOURCE": "", "TRAIN.REGIONS": ""})
    with pytest.raises(NetError, match="has no regions: name a database of pictures with boxes an"):
        net().forward()


# What nets of theirs find: they are given data and rois, and not told of the picture's size


def found(settings, more, learned):
    """{class: (score, box)} of the best box of each class, in picture 3 with its regions."""
    settings.update({"TEST.SCALES": (36,), "TEST.MAX_SIZE": 100})
    Path("test.prototxt").write_text(INPUTS + more)
    net = caffelite.Net("test.prototxt", TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0
    learned(net)
    net.save("net.caffemodel")
    height, width = SIZES[3]
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[3:15, 5:12, 0] = 255
    Image.fromarray(pixels).save("a.png")
    corners = np.array([[5, 3, 11, 14], [20, 4, 30, 12], [12, 8, 25, 16]])
    known = [(b"a.png", checksum(Path("a.png").read_bytes()), fractions(corners, 3))]
    write_regions("of_files", known)
    finder = BoxFinder("test.prototxt", "net.caffemodel", regions="of_files", least_score=0.4)
    boxes = finder("a.png")
    assert finder.net.net.blobs["rois"].data[0].tolist() == [0, 10, 6, 22, 28]
    return {box.label: (box.score, box[3:]) for box in reversed(boxes)}


SOFTMAX = 'layer { name: "p" type: "Softmax" bottom: "cls_score" top: "cls_prob" }'


def red(net):
    """Class 2 is what is red, which lies half its height further down."""
    net.params["cls_score"][0].data[2, 8:12] = 0.1
    net.params["cls_score"][1].data[...] = [8, 0, 0]
    if "bbox_pred" in net.params:
        net.params["bbox_pred"][1].data[9] = 0.5


PLAIN = NET[: NET.index('layer { name: "bbox_pred"')]


@pytest.mark.parametrize(
    ("given", "more", "score", "top", "bottom"),
    [
        ({}, NET + SOFTMAX, 1, 8.75, 18),
        ({"TEST.BBOX_REG": False}, NET + SOFTMAX, 1, 3, 14.5),
        ({"TEST.SVM": True}, NET + SOFTMAX, 102, 8.75, 18),
        ({}, PLAIN + SOFTMAX, 1, 3, 14.5),  # of no_bbox_reg
    ],
)
def test_nets_of_theirs_find_boxes(folder, settings, given, more, score, top, bottom):
    settings.update({"PIXEL_MEANS": (0.0, 0.0, 0.0), **given})
    ((label, (own, box)),) = found(settings, more, red).items()
    assert label == 2 and own == pytest.approx(score, rel=1e-3)
    assert box == pytest.approx((5, top, 11.5, bottom), abs=1e-4)


def test_a_net_without_regions_finds_none(folder):
    Path("test.prototxt").write_text(INPUTS + PLAIN)
    caffelite.Net("test.prototxt", TEST).save("net.caffemodel")
    with pytest.raises(NetError, match="no layer finds boxes"):
        BoxFinder("test.prototxt", "net.caffemodel", regions="regions")


# In turns: a net that proposes, and one that learns from what it proposes

PYTHON = 'type: "Python" python_param {{ module: "rpn.{}" layer: "{}" param_str: "{}" }}'
ANCHORS = "'feat_stride': 4\\n'scales': [0.5, 1]"
FILLER = 'weight_filler { type: "gaussian" std: 0.001 }'
SCORES = f"""
layer {{ name: "map" type: "Convolution" bottom: "data" top: "map"
  convolution_param {{ num_output: 3 kernel_size: 4 stride: 4 {FILLER} }} }}
layer {{ name: "rpn_cls_score" type: "Convolution" bottom: "map" top: "rpn_cls_score"
  convolution_param {{ num_output: 12 kernel_size: 1 {FILLER} }} }}
layer {{ name: "rpn_bbox_pred" type: "Convolution" bottom: "map" top: "rpn_bbox_pred"
  convolution_param {{ num_output: 24 kernel_size: 1 {FILLER} }} }}
layer {{ name: "two" type: "Reshape" bottom: "rpn_cls_score" top: "two"
  reshape_param {{ shape {{ dim: [0, 2, -1, 0] }} }} }}
"""
RPN_TRAIN = f"""
layer {{ name: "rpn-data" bottom: "rpn_cls_score" bottom: "gt_boxes" bottom: "im_info"
  bottom: "data" top: "rpn_labels" top: "rpn_targets" top: "rpn_inside" top: "rpn_outside"
  {PYTHON.format("anchor_target_layer", "AnchorTargetLayer", ANCHORS)} }}
layer {{ name: "rpn_loss_cls" type: "SoftmaxWithLoss" bottom: "two" bottom: "rpn_labels"
  top: "rpn_loss_cls" propagate_down: [true, false] loss_param {{ ignore_label: -1 }} }}
layer {{ name: "rpn_loss_bbox" type: "SmoothL1Loss" bottom: "rpn_bbox_pred" bottom: "rpn_targets"
  bottom: "rpn_inside" bottom: "rpn_outside" top: "rpn_loss_bbox" loss_weight: 1 }}
"""
RPN_TEST = f"""
layer {{ name: "prob" type: "Softmax" bottom: "two" top: "prob" }}
layer {{ name: "back" type: "Reshape" bottom: "prob" top: "back"
  reshape_param {{ shape {{ dim: [0, 12, -1, 0] }} }} }}
layer {{ name: "proposal" bottom: "back" bottom: "rpn_bbox_pred" bottom: "im_info" top: "rois"
  top: "scores" {PYTHON.format("proposal_layer", "ProposalLayer", ANCHORS)} }}
"""
SOLVER = """base_lr: 0.0001 lr_policy: "fixed" random_seed: 1 max_iter: 2 display: 0
  net: "{0}.prototxt" snapshot_prefix: "{0}" """


def test_two_nets_are_trained_in_turns(folder, settings, capsys):
    settings.update({"TRAIN.REGIONS": "", "TRAIN.SOURCE": ""})
    given = 'input: "im_info" input_shape { dim: 1 dim: 3 }'
    Path("rpn.prototxt").write_text(text("data im_info gt_boxes", SCORES + RPN_TRAIN))
    Path("rpn_test.prototxt").write_text(INPUTS.splitlines()[1] + given + SCORES + RPN_TEST)
    Path("fast.prototxt").write_text(text(FIVE, NET + LOSSES))
    for name in ("rpn", "fast"):
        Path(f"{name}_solver.prototxt").write_text(SOLVER.format(name))
    size = ["--set", "TEST.SCALES=(40,)", "--set", "TEST.MAX_SIZE=70", "--mean_value", "0"]
    few = ["--set", "TEST.RPN_POST_NMS_TOP_N=30", "--set", "TEST.RPN_MIN_SIZE=2"]
    source = ["--set", "TRAIN.SOURCE=lmdb"]
    rpn = ["train", "rpn_solver.prototxt", "-q", "--set", "TRAIN.HAS_RPN=True", *source]
    assert main(rpn) == 0
    model = ["--model", "rpn_test.prototxt", "--weights", "rpn_iter_2.caffemodel"]
    assert main(["regions", "lmdb", "proposed", *model, *size, *few]) == 0
    settings["TRAIN.HAS_RPN"] = False
    fast = ["train", "fast_solver.prototxt", "-q", "--set", "TRAIN.REGIONS=proposed", *source]
    assert main([*fast, "--weights", "rpn_iter_2.caffemodel"]) == 0
    found = Regions("proposed")
    assert [len(found.of_record(n, b"%08d" % n, pixels(n).tobytes(), "")) for n in range(4)] == [
        30, 30, 30, 30,
    ]  # fmt: skip
    assert Path("fast_iter_2.caffemodel").exists()
