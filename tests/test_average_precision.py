"""Average precision of boxes: what SSD, py-faster-rcnn and pycocotools gave for the same boxes."""

import json
from pathlib import Path

import numpy as np
import pytest

from caffelite import measures
from caffelite.measures import _coco

from .reference import coco as reference

OPS = Path(__file__).parent / "golden/detection/ops"
RULES = ("11point", "MaxIntegral", "Integral")


def recorded(name):
    with np.load(OPS / f"{name}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", ["usual", "all_right", "all_wrong", "no_positives"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_of_ssd(name, rule):
    case = recorded(f"average_precision_{name}")
    positives = json.loads(str(case["meta"]))["npos"]
    found = measures.average_precision(case["in/scores"], case["in/tp"], positives, rule)
    assert found == case[f"out/{rule}"]  # to the bit


def test_rules_by_hand():
    """Of 4 boxes: right, wrong, right, right, wrong."""
    right, scores = [1, 0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5]
    found = [measures.average_precision(scores, right, 4, rule) for rule in RULES]
    np.testing.assert_allclose(found, [0.613636, 0.625, 0.604167], atol=1e-6)


@pytest.mark.parametrize("tenths, points", [(3, 4), (7, 7)])
def test_a_recall_of_seven_tenths_misses_its_point_in_float32(tenths, points):
    """float32(0.7) < 0.7, float32(0.3) > 0.3: SSD counts the one and not the other."""
    found = measures.average_precision(np.arange(tenths), np.ones(tenths), 10, "11point")
    assert found == pytest.approx(points / 11, abs=1e-6)


@pytest.mark.parametrize("overlap", [0.5, 0.7])
@pytest.mark.parametrize("year", ["voc07", "voc12"])
def test_voc_eval(overlap, year):
    case = recorded("voc_eval")
    true, difficult = case["in/gt"][:, :6], case["in/gt"][:, 6]
    found = measures.voc_eval(case["in/det"], true, difficult, overlap, year == "voc07")
    assert list(found) == [1, 2, 3, 4]
    averages = [average for _, _, average in found.values()]
    np.testing.assert_allclose(averages, case[f"out/{year}/{overlap}/ap"], rtol=1e-12)
    if overlap == 0.5:
        for one, (recall, precision, _) in found.items():
            np.testing.assert_allclose(recall, case[f"out/c{one}/rec"])
            np.testing.assert_allclose(precision, case[f"out/c{one}/prec"])


def test_coco_eval():
    case = recorded("coco_eval")
    found = measures.coco_eval(case["in/det"], case["in/gt"][:, :6])
    per_class = found.pop("per_class")
    np.testing.assert_allclose(list(found.values()), case["out/stats"], rtol=1e-12)
    np.testing.assert_allclose(list(per_class.values()), case["out/ap_per_class"], rtol=1e-12)


def test_a_box_of_a_crowd_takes_any_number_and_counts_for_none():
    """COCO: parts of a crowd are neither right nor wrong, and its overlap is of the part alone."""
    true = [[0, 1, 0, 0, 100, 100], [0, 1, 200, 0, 210, 10]]
    found = [[0, 1, 0.9, 0, 0, 9, 9], [0, 1, 0.8, 50, 50, 60, 60], [0, 1, 0.7, 200, 0, 210, 10]]
    assert measures.coco_eval(found, true, crowd=[1, 0])["AP"] == pytest.approx(1)
    assert measures.coco_eval(found, true)["AP"] < 0.4


@pytest.mark.parametrize("area", _coco.AREAS)
@pytest.mark.parametrize("most", [3, 100])
def test_coco_counts_as_its_twin_does(area, most):
    """Many equal scores and overlaps, crowds, areas, and more boxes than count."""
    random = np.random.default_rng(most)

    def rows(count, *more):
        corners = random.integers(0, 6, (count, 2)) * 10
        boxes = np.hstack([corners, corners + random.integers(1, 4, (count, 2)) * 15])
        keys = random.integers(0, 4, count), random.integers(1, 4, count)
        return np.column_stack([*keys, *more, boxes]).astype(float)

    true, found = rows(15), rows(60, random.integers(0, 8, 60) / 8)
    crowd = random.random(15) < 0.2
    wanted = reference.count(found, true, crowd, _coco.AREAS[area], most)
    counted = _coco.count(found, true, crowd, within=_coco.AREAS[area], most=most)
    assert set(counted) == set(wanted)
    for one, (positives, scores, right, wrong) in wanted.items():
        own = counted[one]
        order = np.argsort(-own.scores, kind="stable")
        assert own.positives == positives
        np.testing.assert_array_equal(own.scores[order], scores)
        np.testing.assert_array_equal(own.right[:, order], right)
        np.testing.assert_array_equal(own.wrong[:, order], wrong)


def test_nothing_found_and_nothing_true():
    none, true = np.zeros((0, 7)), [[0, 1, 0, 0, 9, 9]]
    assert measures.voc_eval(none, true)[1][2] == 0
    assert measures.coco_eval(none, true)["AP"] == 0
    assert measures.voc_eval(none, none[:, :6]) == {}
    assert measures.coco_eval(none, none[:, :6])["AP"] is None
