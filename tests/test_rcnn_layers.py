"""The Python layers of py-faster-rcnn and R-FCN, which are here without their modules."""

import sys
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.errors import CaffeliteError, NetError
from caffelite.layers.detection._anchors import anchors
from caffelite.layers.detection._rcnn_settings import DEFAULTS, rcnn_settings
from caffelite.testing import TEST, TRAIN, make_layer

from .test_golden import assert_near, cases, part

GOLDEN = Path(__file__).parent / "golden"
CFG, OPS = GOLDEN / "detection_cfg", GOLDEN / "detection" / "ops"
MODULES = {
    "ProposalLayer": "rpn.proposal_layer",
    "AnchorTargetLayer": "rpn.anchor_target_layer",
    "ProposalTargetLayer": "rpn.proposal_target_layer",
}


@pytest.fixture(autouse=True)
def settings():
    yield rcnn_settings
    rcnn_settings.reset()


def layer(name, bottoms, words, tops, phase=TRAIN, seed=0):
    options = f'python_param {{ module: "{MODULES[name]}" layer: "{name}" param_str: "{words}" }}'
    return make_layer("Python", bottoms, options, phase, np.float32, tops, seed=seed)


def run(made):
    made[0].reshape(made[1], made[2])
    made[0].forward(made[1], made[2])
    return [blob.data.copy() for blob in made[2]]


# Against what py-faster-rcnn computed; its cases without settings are in test_golden.py


@cases(CFG)
def test_settings_act_as_theirs(prototxt, settings):
    recorded = np.load(prototxt.with_suffix(".npz"))
    for name, value in part(recorded, "cfg").items():
        settings[name] = value.tolist()
    net = caffelite.Net(str(prototxt), getattr(caffelite, str(recorded["phase"])))
    for name, values in part(recorded, "in").items():
        net.blobs[name].data[...] = values
    net.forward()
    for name, want in part(recorded, "out").items():
        assert_near(net.blobs[name].data, want, name)


def test_anchors():
    recorded = np.load(OPS / "frcnn_anchors.npz")
    for name, how in {
        "default": {},
        "coco": {"scales": (4, 8, 16, 32)},
        "base8": {"base_size": 8, "scales": (8, 16)},
        "ratios": {"ratios": (0.25, 1, 4), "scales": (2, 4)},
        "fine": {"scales": (2, 4, 8, 16, 32)},
    }.items():
        np.testing.assert_array_equal(anchors(**how), recorded[f"out/{name}"])


@pytest.mark.parametrize("name", ["all_taken", "normalized"])
def test_regions_that_are_taken(name, settings):
    recorded = np.load(OPS / f"frcnn_proposal_target_{name}.npz")
    given, want = part(recorded, "in"), part(recorded, "out")
    settings["TRAIN.BATCH_SIZE"] = 512
    settings["TRAIN.BBOX_NORMALIZE_TARGETS_PRECOMPUTED"] = name == "normalized"
    classes = want["bbox_targets"].shape[1] // 4
    bottoms = [given["rpn_rois"], given["gt_boxes"]]
    made = layer("ProposalTargetLayer", bottoms, f"'num_classes': {classes}", 5)
    rois, labels, *boxes = run(made)
    assert (labels > 0).sum() == want["foreground"] and (labels[: want["foreground"]] > 0).all()
    order = np.lexsort(rois.T[::-1])
    keys = "rois", "labels", "bbox_targets", "bbox_inside_weights"
    for got, key in zip((rois, labels, *boxes[:2]), keys, strict=True):
        assert_near(got[order], want[key], key)
    np.testing.assert_array_equal(boxes[1], boxes[2])


def test_regions_that_are_drawn(settings):
    recorded = np.load(OPS / "frcnn_proposal_target_drawn.npz")
    given, want = part(recorded, "in"), part(recorded, "out")
    settings["TRAIN.BATCH_SIZE"] = 32
    bottoms = [given["rpn_rois"], given["gt_boxes"]]
    made = layer("ProposalTargetLayer", bottoms, "'num_classes': 21", 5)
    first = run(made)
    assert len(first[0]) == want["foreground"] + want["background"] == 32
    assert (first[1] > 0).sum() == want["foreground"]
    candidates = {tuple(row) for row in np.float32(given["rpn_rois"][:, 1:])}
    candidates |= {tuple(row) for row in np.float32(given["gt_boxes"][:, :4])}
    assert {tuple(row) for row in first[0][:, 1:]} <= candidates
    assert len({tuple(row) for row in first[0]}) == 32  # each once
    second = run(made)
    assert not np.array_equal(first[0], second[0])
    again = layer("ProposalTargetLayer", bottoms, "'num_classes': 21", 5)
    again[0].seek(1)
    for got, expected in zip(run(again), second, strict=True):
        np.testing.assert_array_equal(got, expected)
    other = layer("ProposalTargetLayer", bottoms, "'num_classes': 21", 5, seed=5)
    assert not np.array_equal(run(other)[0], first[0])


TRUE_ONE = np.float32([[20, 30, 90, 120, 2]])
TRUE = [[20, 30, 90, 120, 2], [100, 60, 190, 150, 1]]


def test_boxes_of_any_object(settings):
    settings["TRAIN.AGONISTIC"] = True  # as R-FCN spells it
    settings["TRAIN.BATCH_SIZE"] = -1
    rois = np.float32([[0, 22, 28, 88, 118], [0, 0, 0, 60, 60], [0, 150, 1, 160, 9]])
    settings["TRAIN.BG_THRESH_LO"] = 0.0
    made = layer("ProposalTargetLayer", [rois, np.float32(TRUE)], "'num_classes': 2", 5)
    found, labels, targets, inside, _ = run(made)
    assert labels.shape == (5, 1, 1, 1) and targets.shape == (5, 8, 1, 1)  # as in R-FCN
    labels, targets, inside = (blob.reshape(5, -1) for blob in (labels, targets, inside))
    assert labels[:, 0].tolist() == [2, 2, 1, 0, 0] and len(found) == 5
    assert inside[:3].tolist() == [[0] * 4 + [1] * 4] * 3 and not inside[3:].any()
    assert not targets[1:].any() and targets[0, 4:].any()  # true boxes are where they are


def anchor_targets(words="", scores=(1, 18, 12, 13), truth=TRUE, size=(192, 208, 1), seed=0):
    bottoms = [scores, np.float32(truth), np.float32([size]), (1, 3, 8, 8)]
    return layer("AnchorTargetLayer", bottoms, f"'feat_stride': 16{words}", 4, seed=seed)


def test_anchors_that_are_drawn(settings):
    settings["TRAIN.RPN_BATCHSIZE"] = 8
    made = anchor_targets("\\n'scales': [2, 4]", (1, 12, 12, 13))
    labels, targets, inside, outside = run(made)
    assert ((labels == 1).sum(), (labels == 0).sum()) == (4, 4)
    assert (inside.sum(), round(float(outside.sum()), 5)) == (16, 4)
    flat = labels.reshape(6, 12, 13)
    np.testing.assert_array_equal(inside.reshape(6, 4, 12, 13).all(axis=1), flat == 1)
    np.testing.assert_array_equal(outside.reshape(6, 4, 12, 13).all(axis=1), flat >= 0)
    assert np.count_nonzero(targets) > 16  # also where labels are ignored, as theirs
    others = run(made)
    assert not np.array_equal(others[0], labels)
    made[0].seek(0)
    np.testing.assert_array_equal(run(made)[0], labels)


def test_few_objects_leave_room_for_background(settings):
    settings["TRAIN.RPN_BATCHSIZE"] = 64
    labels, *_ = run(anchor_targets("\\n'scales': [2, 4]", (1, 12, 12, 13), TRUE[:1]))
    assert 0 < (labels == 1).sum() < 32 and (labels >= 0).sum() == 64


def test_a_map_too_small_for_any_anchor_has_nothing_to_learn():
    labels, *numbers = run(anchor_targets("", (1, 18, 2, 2), [[0, 0, 20, 20, 1]], (32, 32, 1)))
    assert (labels == -1).all() and not any(values.any() for values in numbers)


def layers(*lines):
    """Prototxt of layers, a line each: name, type, bottoms, tops, and more."""
    text = ""
    for line in lines:
        name, type, bottoms, tops, *more = (part.strip() for part in line.split("|"))
        blobs = [f'bottom: "{b}"' for b in bottoms.split()] + [f'top: "{t}"' for t in tops.split()]
        text += f'layer {{ name: "{name}" type: "{type}" {" ".join(blobs)} {" ".join(more)} }}\n'
    return text


def convolution(count, size=1):
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    pad = size // 2
    return f"convolution_param {{ num_output: {count} kernel_size: {size} pad: {pad} {filler} }}"


def python(name, words):
    given = f'module: "{MODULES[name]}" layer: "{name}" param_str: "{words}"'
    return f"python_param {{ {given} }}"


def given(name, *dims):
    shape = " ".join(f"dim: {n}" for n in dims)
    return f"{name} | Input | | {name} | input_param {{ shape {{ {shape} }} }}"


def dense(count):
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    return f"inner_product_param {{ num_output: {count} {filler} }}"


ANCHORS = "'feat_stride': 16\\n'scales': [2, 4]"
END_TO_END = layers(
    given("map", 1, 4, 9, 11),
    given("im_info", 1, 3),
    given("gt_boxes", 2, 5),
    f"features | Convolution | map | f | {convolution(5, 3)}",
    f"rpn_cls_score | Convolution | f | rpn_cls_score | {convolution(12)}",
    f"rpn_bbox_pred | Convolution | f | rpn_bbox_pred | {convolution(24)}",
    "reshape | Reshape | rpn_cls_score | scores | reshape_param { shape { dim: [0, 2, -1, 0] } }",
    "rpn-data | Python | rpn_cls_score gt_boxes im_info map | rpn_labels rpn_targets rpn_inside "
    f"rpn_outside | {python('AnchorTargetLayer', ANCHORS)}",
    "rpn_loss_cls | SoftmaxWithLoss | scores rpn_labels | rpn_loss_cls | propagate_down: 1 "
    "propagate_down: 0 loss_param { ignore_label: -1 }",
    "rpn_loss_bbox | SmoothL1Loss | rpn_bbox_pred rpn_targets rpn_inside rpn_outside | "
    "rpn_loss_bbox | loss_weight: 1 smooth_l1_loss_param { sigma: 3 }",
    "rpn_cls_prob | Softmax | scores | prob",
    "back | Reshape | prob | rpn_prob | reshape_param { shape { dim: [0, 12, -1, 0] } }",
    "proposal | Python | rpn_prob rpn_bbox_pred im_info | rpn_rois | "
    + python("ProposalLayer", ANCHORS),
    "roi-data | Python | rpn_rois gt_boxes | rois labels targets inside outside | "
    + python("ProposalTargetLayer", "'num_classes': 4"),
    "pool | ROIPooling | f rois | pooled | "
    "roi_pooling_param { pooled_h: 3 pooled_w: 3 spatial_scale: 0.0625 }",
    f"cls_score | InnerProduct | pooled | cls_score | {dense(4)}",
    f"bbox_pred | InnerProduct | pooled | bbox_pred | {dense(16)}",
    "loss_cls | SoftmaxWithLoss | cls_score labels | loss_cls | propagate_down: [true, false]",
    "loss_bbox | SmoothL1Loss | bbox_pred targets inside outside | loss_bbox | loss_weight: 1",
)


def test_a_net_learns_end_to_end_without_their_code(tmp_path, settings):
    """Regions and targets count as given, as in py-faster-rcnn: all four losses, and no more."""
    settings["TRAIN.BG_THRESH_LO"] = 0.0
    path = tmp_path / "end2end.prototxt"
    path.write_text(END_TO_END)
    caffelite.set_random_seed(1)
    net = caffelite.Net(str(path), TRAIN)
    net.blobs["map"].data[...] = np.random.default_rng(1).standard_normal((1, 4, 9, 11))
    net.blobs["im_info"].data[...] = [144, 176, 1]
    net.blobs["gt_boxes"].data[...] = [[20, 30, 70, 100, 2], [90, 60, 160, 130, 3]]
    wants = {node.layer.name: (node.needs_backward, node.propagate_down) for node in net.nodes}
    assert wants["proposal"] == (False, [False] * 3) and wants["roi-data"] == (False, [False] * 2)
    assert wants["rpn-data"] == (False, [False] * 4) and wants["pool"] == (True, [True, False])
    assert wants["loss_bbox"][1] == [True, False, False, False]
    losses = []
    for _ in range(30):
        found = net.forward()
        net.clear_param_diffs()
        net.backward()
        for blobs in net.params.values():
            for blob in blobs:
                assert blob.diff.any()
                blob.data[...] -= 0.05 * blob.diff
        losses.append(sum(float(loss) for loss in found.values()))
    assert losses[-1] < 0.7 * losses[0], losses


# What is told


@pytest.mark.parametrize(
    ("name", "bottoms", "words", "error"),
    [
        (
            "ProposalLayer",
            [(2, 18, 3, 4), (2, 36, 3, 4), (2, 3)],
            "",
            "expected 1 on its first axis",
        ),
        (
            "ProposalLayer",
            [(1, 18, 3, 4)] * 2 + [(1, 3)],
            "",
            "(N, 36, height, width): four numbers",
        ),
        (
            "ProposalLayer",
            [(1, 9, 3, 4)] * 2 + [(1, 3)],
            "",
            "(N, 18, height, width): two scores f",
        ),
        ("AnchorTargetLayer", [(2, 18, 3, 4), (2, 5), (1, 3)], "", "write iter_size in the solver"),
        ("ProposalLayer", [(1, 3)] * 3, "\\n'scale': 3", "expected YAML, {'feat_stride': a whole"),
        (
            "ProposalLayer",
            [(1, 3)] * 3,
            "\\n'scales': [0]",
            "'scales' is [0], expected a list of n",
        ),
        (
            "ProposalLayer",
            [(1, 3)] * 3,
            "\\n'scales': 8",
            "'scales' is 8, expected a list of numbe",
        ),
        ("ProposalLayer", [(1, 3)] * 3, "]", "param_str"),
        ("AnchorTargetLayer", [(1, 3)] * 3, "\\n'allowed_border': 1.5", "'allowed_border' is 1.5"),
    ],
)
def test_mistakes(name, bottoms, words, error):
    with pytest.raises(NetError, match=r'layer "layer" \(Python\)') as caught:
        layer(name, bottoms, f"'feat_stride': 16{words}", 4 if name.startswith("A") else 1)
    assert error in str(caught.value)


@pytest.mark.parametrize("words", ["", "'num_classes': '21'", "'num_classes': true", "21"])
def test_classes_must_be_told(words):
    with pytest.raises(
        NetError, match="param_str: (expected YAML, {'num_classes'|'num_classes' is)"
    ):
        layer("ProposalTargetLayer", [(3, 5), (1, 5)], words, 5)


@pytest.mark.parametrize(
    ("truth", "error"),
    [
        (np.zeros((0, 5)), 'bottom[1] "x1" has no row: the picture has no true box'),
        ([[0, 0, 9, 9, 0]], "row 0 is (0, 0, 9, 9, 0), expected a box and its class, from 1 on"),
        ([[9, 0, 0, 9, 1]], "expected a box and its class"),
        ([[0, 0, np.nan, 9, 1]], "expected a box and its class"),
        ([[0, 0, 9, 9, 21]], "a box of class 21, expected 1 to 20"),
    ],
)
def test_true_boxes_are_checked(truth, error):
    rois = np.float32([[0, 0, 0, 9, 9]])
    made = layer("ProposalTargetLayer", [rois, np.float32(truth)], "'num_classes': 21", 5)
    with pytest.raises(NetError) as caught:
        run(made)
    assert error in str(caught.value)


def test_a_picture_of_which_nothing_is_taken_is_told_once(settings, caplog):
    """Without objects, or background; without either, there is nothing to learn, and no NaN."""
    far, near = [0, 0, 0, 9, 9], [0, 20, 30, 90, 119]
    for lone, labels in ((near, [2, 2]), (far, [2])):  # far regions overlap by less than 0.1
        made = layer("ProposalTargetLayer", [np.float32([lone]), TRUE_ONE], "'num_classes': 3", 5)
        assert run(made)[1].tolist() == labels
    settings["TRAIN.FG_FRACTION"] = 0.0
    made = layer("ProposalTargetLayer", [np.float32([far]), TRUE_ONE], "'num_classes': 3", 5)
    assert [len(values) for values in (*run(made), *run(made))] == [0] * 10
    (told,) = [record.getMessage() for record in caplog.records]
    assert "takes none of the 2 regions of a picture, true boxes included, which overlap" in told
    for type, shapes in (("SoftmaxWithLoss", [(0, 3), (0,)]), ("SmoothL1Loss", [(0, 12)] * 2)):
        (loss,) = run(make_layer(type, shapes, "", TRAIN, np.float32, 1))
        assert loss == 0


def test_regions_of_another_picture_are_refused():
    bottoms = [np.float32([[1, 0, 0, 9, 9]]), np.float32([[0, 0, 9, 9, 1]])]
    with pytest.raises(NetError, match="begin with the number of its picture, 0, of the only one"):
        run(layer("ProposalTargetLayer", bottoms, "'num_classes': 21", 5))


def test_settings_are_checked_and_forgotten(settings):
    with pytest.raises(CaffeliteError, match="no setting TRAIN.RPN_BATCH_SIZE; did you mean"):
        settings["TRAIN.RPN_BATCH_SIZE"] = 3
    for value in ("3", 3.5, True):
        with pytest.raises(CaffeliteError, match="TRAIN.RPN_BATCHSIZE is .*, expected a value su"):
            settings["TRAIN.RPN_BATCHSIZE"] = value
    with pytest.raises(CaffeliteError, match="BBOX_INSIDE_WEIGHTS is"):
        settings["TRAIN.BBOX_INSIDE_WEIGHTS"] = [1, 2, 3]
    with pytest.raises(CaffeliteError, match="TRAIN.FG_THRESH is nan"):
        settings.update({"TRAIN.FG_THRESH": np.nan})
    settings["TRAIN.FG_FRACTION"], settings["TRAIN.SCALES"] = 1, [400, 600]
    settings["TEST.RPN_MIN_SIZE"] = -1
    with pytest.raises(NetError, match="a setting does not fit: "):
        layer("ProposalLayer", [(1, 3)] * 3, "'feat_stride': 16", 1, TEST)
    settings.reset()
    assert settings == DEFAULTS and caffelite.rcnn_settings is settings


def test_a_phase_has_settings_of_its_own(settings):
    settings["TEST.RPN_POST_NMS_TOP_N"], settings["TRAIN.RPN_PRE_NMS_TOP_N"] = 3, 0
    bottoms = [(1, 18, 3, 4), (1, 36, 3, 4), np.float32([[48, 64, 0.5]])]
    for phase, most in ((TRAIN, 108), (TEST, 3)):
        made = layer("ProposalLayer", bottoms, "'feat_stride': 16", 2, phase)
        assert [blob.shape for blob in made[2]] == [(most, 5), (most, 1)]
        assert 0 < len(run(made)[0]) <= most


def test_a_module_that_was_imported_is_taken_instead(monkeypatch):
    class ProposalLayer(caffelite.Layer):
        def reshape(self, bottom, top):
            top[0].reshape(7)

        def forward(self, bottom, top):
            top[0].data[...] = 3

    module = type(sys)("rpn.proposal_layer")
    module.ProposalLayer = ProposalLayer
    monkeypatch.setitem(sys.modules, "rpn.proposal_layer", module)
    made = layer("ProposalLayer", [(1, 3)], "", 1)
    assert run(made)[0].tolist() == [3] * 7
