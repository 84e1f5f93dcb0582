"""Geometry of boxes against its twin, torchvision, and what Caffe's forks computed."""

from pathlib import Path

import numpy as np
import pytest

from caffelite.kernels import boxes as geometry

from .reference import boxes as slow

OPS = Path(__file__).parent / "golden" / "detection" / "ops"
CODES = ["CORNER", "CENTER_SIZE", "CORNER_SIZE", "RCNN"]
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(count, seed=0, dtype=np.float64, size=1):
    """Boxes of all sizes, some of which leave the picture, on a grid that makes equals of some."""
    numbers = np.random.default_rng(seed).integers(-2, 11, (count, 2, 2)) / 8 * size
    return np.sort(numbers, axis=1).reshape(-1, 4).astype(dtype)


def recorded(name):
    file = np.load(OPS / f"{name}.npz")
    given = {key[3:]: file[key] for key in file if key.startswith("in/")}
    return given, {key[4:]: file[key] for key in file if key.startswith("out/")}


def near(got, want, dtype=np.float64):
    np.testing.assert_allclose(got, want, rtol=3e-5 if dtype == np.float32 else 1e-9, atol=1e-6)


# Against the twin


@TYPES
@pytest.mark.parametrize("pixels", [False, True])
def test_overlaps(dtype, pixels):
    a, b = draw(30, 1, dtype, 40), draw(17, 2, dtype, 40)
    overlaps = geometry.iou(a, b, pixels)
    assert overlaps.dtype == dtype
    near(overlaps, slow.iou(a, b, pixels), dtype)
    near(geometry.coverage(a, b), slow.coverage(a, b), dtype)
    near(geometry.area(a, pixels), [slow.area(box, pixels) for box in a], dtype)
    sizes = geometry.area(a, True), geometry.area(b) + 2
    got = geometry.iou_in_ssd_pixels(a, b, *sizes)
    near(got, slow.iou_in_ssd_pixels(a, b, *sizes), dtype)


def test_boxes_that_only_touch_share_nothing_but_pixels():
    left, right = [[0, 0, 9, 9]], [[9, 0, 18, 9]]
    assert geometry.iou(left, right) == 0
    assert geometry.iou(left, right, pixels=True) == pytest.approx(10 / 190)


def test_a_box_turned_inside_out_has_no_area():
    inside_out = np.array([[0.6, 0.6, 0.2, 0.2], [0.2, 0.6, 0.6, 0.2]])
    assert not geometry.area(inside_out).any()
    assert not geometry.iou(inside_out, [[0, 0, 1, 1]]).any()


def test_clipping_and_leaving():
    boxes = draw(40)
    near(geometry.clip(boxes, 1, 0.5), slow.clip(boxes, 1, 0.5))
    assert geometry.leaves(boxes, 1, 0.5).tolist() == slow.leaves(boxes, 1, 0.5)


@TYPES
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("varied", [False, True])
def test_codes_are_those_of_the_twin_and_go_back(dtype, code, varied):
    boxes, priors = (draw(50, seed, dtype) + [[0, 0, 0.1, 0.2]] for seed in (3, 4))
    boxes, priors = boxes.astype(dtype), priors.astype(dtype)
    variances = np.tile(np.asarray([0.1, 0.1, 0.2, 0.3], dtype), (50, 1)) if varied else None
    codes = geometry.encode(boxes, priors, code, variances)
    assert codes.dtype == dtype
    near(codes, slow.encode(boxes, priors, code, variances), dtype)
    back = geometry.decode(codes, priors, code, variances)
    near(back, slow.decode(codes, priors, code, variances), dtype)
    near(back, boxes + ([0, 0, 1, 1] if code == "RCNN" else 0), dtype)


def test_a_code_that_there_is_not_is_an_error():
    with pytest.raises(ValueError, match="no code of boxes is called CENTRE"):
        geometry.encode(draw(1), draw(1), "CENTRE")


@TYPES
@pytest.mark.parametrize("boxes", [0, 1, 7])
@pytest.mark.parametrize("threshold", [None, 0.3, 0])
@pytest.mark.parametrize("inside", [False, True])
def test_matching(dtype, boxes, threshold, inside):
    for seed in range(4):
        priors, given = draw(60, seed, dtype), draw(boxes, seed + 9, dtype)
        index, overlap = geometry.match(priors, given, threshold, inside)
        want, largest = slow.match(priors, given, threshold, inside)
        assert index.tolist() == want
        near(overlap, largest, dtype)


SUPPRESSIONS = [
    {},
    {"above": 0.4},
    {"top_k": 20},
    {"top_k": 0},
    {"eta": 0.9},
    {"inclusive": True},
    {"pixels": True},
    {"least": 0.1, "top_k": 30},
    {"most": 9},
    {"most": 0},
]


@TYPES
@pytest.mark.parametrize("how", SUPPRESSIONS, ids=str)
@pytest.mark.parametrize("threshold", [0.25, 0.75])
def test_suppression(dtype, how, threshold):
    boxes, scores = draw(150, 5, dtype, 8), np.random.default_rng(6).integers(0, 40, 150) / 40
    got = geometry.nms(boxes, scores.astype(dtype), threshold, **how)
    assert got.tolist() == slow.nms(boxes, scores, threshold, **how)


def test_equal_scores_keep_their_order_and_no_number_is_no_score():
    scores = np.array([1, 3, np.nan, 3, 1, 3], np.float32)
    assert geometry.best_first(scores).tolist() == [1, 3, 5, 0, 4]
    assert geometry.best_first(scores, top_k=2).tolist() == [1, 3]
    assert geometry.best_first(scores, top_k=0).tolist() == []
    assert geometry.best_first(scores * np.inf, top_k=0).tolist() == []
    assert geometry.best_first(scores, above=1).tolist() == [1, 3, 5]
    assert geometry.nms(np.zeros((0, 4)), [], 0.5).tolist() == []


@pytest.mark.slow  # the import takes seconds
def test_suppression_is_that_of_torchvision():
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))
    generator = np.random.default_rng(7)
    low = generator.random((900, 2))
    boxes = np.concatenate([low, low + generator.random((900, 2)) / 3], axis=1).astype(np.float32)
    scores = generator.random(900).astype(np.float32)
    want = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.45)
    assert geometry.nms(boxes, scores, 0.45).tolist() == want.tolist()


# Against what forks computed


def test_overlaps_of_ssd():
    given, want = recorded("box_overlap")
    a, b = given["A"], given["B"]
    near(geometry.area(a), want["size"], np.float32)
    near(geometry.area(a, pixels=True), want["size_px"], np.float32)
    near(np.diag(geometry.iou(a, b)), want["jaccard"], np.float32)
    near(np.diag(geometry.coverage(a, b)), want["coverage"], np.float32)


def test_overlaps_of_ssd_in_pixels():
    given, want = recorded("box_overlap_pixels")
    a, b = given["A"], given["B"]
    got = geometry.iou_in_ssd_pixels(a, b, geometry.area(a), geometry.area(b))
    near(np.diag(got), want["jaccard"], np.float32)


def test_boxes_decoded_by_ssd():
    given, want = recorded("decode_boxes")
    variances = np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (len(given["prior"]), 1))
    for name, boxes in want.items():
        code = name.partition("_in_target")[0].removesuffix("_clip")
        own = None if "_in_target" in name else variances
        got = geometry.decode(given["code"], given["prior"], code, own)
        near(geometry.clip(got) if name.endswith("_clip") else got, boxes, np.float32)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("per_prediction", {"threshold": 0.5}),
        ("per_prediction_0.3", {"threshold": 0.3}),
        ("bipartite", {}),
        ("ignore_cross_boundary", {"threshold": 0.4, "inside": True}),  # not told: 0.32 to 0.42
    ],
)
def test_matches_of_ssd(name, how):
    given, want = recorded("match_boxes")
    index, overlap = geometry.match(given["pred"], given["gt"], **how)
    assert index.tolist() == want[f"{name}/index"].tolist()
    near(overlap, want[f"{name}/overlap"], np.float32)


@pytest.mark.parametrize(("name", "how"), [("0.45_all", {}), ("0.3_top_30", {"top_k": 30})])
def test_suppression_of_ssds_mining(name, how):
    given, want = recorded("nms_mining")
    threshold = float(name.partition("_")[0])
    got = geometry.nms(given["boxes"], given["scores"], threshold, least=1e-5, **how)
    assert got.tolist() == want[name].tolist()


def test_overlaps_and_codes_of_faster_rcnn():
    given, want = recorded("frcnn_bbox_overlaps")
    got = geometry.iou(given["boxes"], given["query"], pixels=True)
    near(got, want["overlaps"], np.float32)
    given, want = recorded("frcnn_bbox_transform")
    got = geometry.encode(given["gt"], given["ex"], "RCNN")
    near(got, want["targets"], np.float32)
