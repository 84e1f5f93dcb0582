"""models/course/detection: what deck 002 prints of detectors, by its own steps and formulas."""

import contextlib
import io
import math
import re
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.kernels import boxes as geometry

FOLDER = Path(__file__).parent.parent / "models" / "course" / "detection"
SHOWN = re.findall(
    r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", (FOLDER / "README.md").read_text(), re.M | re.S
)


@pytest.mark.parametrize(("code", "printed"), SHOWN)
def test_code_prints_what_the_page_shows(code, printed):
    with contextlib.redirect_stdout(io.StringIO()) as found:
        exec(code, {})
    assert found.getvalue() == printed


@pytest.fixture
def some_boxes():
    """Boxes of whole numbers, and scores, none of them twice."""
    generator = np.random.default_rng(0)
    low = generator.integers(0, 12, (60, 2))
    boxes = np.concatenate([low, low + generator.integers(1, 9, (60, 2))], axis=1)
    return boxes.tolist(), generator.permutation(60).tolist()


def shared_of_union(a, b):
    """IoU, by counting the unit squares that both have and that one has."""
    a, b = ({(x, y) for x in range(left, right) for y in range(top, bottom)}
            for left, top, right, bottom in (a, b))  # fmt: skip
    return len(a & b) / len(a | b)


def test_iou_counts_what_boxes_share(some_boxes):
    boxes, _ = some_boxes
    expected = [[shared_of_union(a, b) for b in boxes] for a in boxes]
    assert geometry.iou(boxes, boxes) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("threshold", [0.3, 0.45])
def test_suppression_by_the_steps_of_the_deck(some_boxes, threshold):
    boxes, scores = some_boxes
    candidates = sorted(range(len(boxes)), key=lambda i: -scores[i])  # 1
    answers = []
    while candidates:  # 4
        answers.append(best := candidates.pop(0))  # 2
        candidates = [  # 3
            i for i in candidates if shared_of_union(boxes[i], boxes[best]) <= threshold
        ]
    assert 5 < len(answers) < len(boxes)
    assert geometry.nms(boxes, scores, threshold).tolist() == answers


# SSD's default boxes


@pytest.fixture(scope="module")
def priors():
    """{top: boxes in pixels} of the net of default boxes."""
    net = caffelite.Net(FOLDER / "default-boxes.prototxt", caffelite.TEST)
    net.forward()
    return {
        name: 300 * blob.data[0, 0].reshape(-1, 4)
        for name, blob in net.blobs.items()
        if name.startswith(("printed", "ssd", "boxes"))
    }


def sizes(boxes, places):
    """{(width, height)} of the boxes at one place, all places having the same."""
    found = (boxes[:, 2:] - boxes[:, :2]).reshape(places, -1, 2)
    assert np.ptp(found, axis=0) == pytest.approx(0, abs=1e-3)
    return sorted(map(tuple, found[0].tolist()))


def scale(k, m=6, least=0.2, most=0.9):
    """s_k = s_min + (s_max - s_min) / (m - 1) (k - 1)."""
    return least + (most - least) / (m - 1) * (k - 1)


@pytest.mark.parametrize(("k", "side"), [*enumerate((38, 19, 10, 5, 3, 1), 1)])
def test_six_boxes_a_place_of_the_scales_as_printed(priors, k, side):
    s, between = 300 * scale(k), 300 * math.sqrt(scale(k) * scale(k + 1))
    expected = [(s, s), (between, between)]
    expected += [(s * math.sqrt(a), s / math.sqrt(a)) for a in (2, 3, 1 / 2, 1 / 3)]
    assert sizes(priors[f"printed{side}"], side**2) == [
        pytest.approx(size, rel=1e-4) for size in sorted(expected)
    ]


def test_boxes_of_ssd300(priors):
    of_a_place = {side: len(priors[f"ssd{side}"]) / side**2 for side in (38, 19, 10, 5, 3, 1)}
    assert of_a_place == {38: 4, 19: 6, 10: 6, 5: 6, 3: 4, 1: 4}
    assert len(priors["boxes"]) == 8732


def test_the_table_of_the_page(priors):
    rows = re.findall(r"^\| (\d+) × \d+ \| (.*) \|$", (FOLDER / "README.md").read_text(), re.M)
    for k, (side, cells) in enumerate(rows, 1):
        low, high = scale(k), math.sqrt(scale(k) * scale(k + 1))
        squares = [width for width, height in sizes(priors[f"ssd{side}"], int(side) ** 2)
                   if width == pytest.approx(height)]  # fmt: skip
        counts = [len(priors[f"{name}{side}"]) for name in ("printed", "ssd")]
        places = int(side) ** 2
        assert cells == " | ".join([
            f"{low:.4g}", f"{high:.4g}", f"{counts[0] // places}",
            f"{squares[0]:.4g}, {squares[1]:.4g}", f"{counts[1] // places}", f"{counts[1]:,}",
        ])  # fmt: skip
    assert len(rows) == 6
