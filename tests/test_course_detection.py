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
from caffelite.testing import make_layer

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


# YOLO's loss


SIDE, CLASSES, BOXES = 3, 4, 2
LAMBDA_COORD, LAMBDA_NOOBJ = 5, 0.5
LOSS = (
    f"detection_loss_param {{ side: {SIDE} num_class: {CLASSES} num_object: {BOXES} "
    f"constriant: true coord_scale: {LAMBDA_COORD} noobject_scale: {LAMBDA_NOOBJ} }}"
)


def corners(cell, x, y, root_w, root_h):
    row, column = divmod(cell, SIDE)
    x, y, w, h = (column + x) / SIDE, (row + y) / SIDE, root_w**2, root_h**2
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def goals(numbers, objects):
    """Of each cell with an object: class, the best box, its overlap, what it should say."""
    found = {}
    for cell, (label, x, y, w, h) in objects.items():
        true = x, y, math.sqrt(w), math.sqrt(h)
        overlaps = [
            geometry.iou(corners(cell, *box), corners(cell, *true))[0, 0]
            for box in numbers[CLASSES + BOXES :, cell].reshape(BOXES, 4)
        ]
        found[cell] = label, int(np.argmax(overlaps)), max(overlaps), true
    return found


def as_the_deck_has_it(numbers, objects):
    """The five sums of the slide, for one picture; numbers are a row for each number of a cell."""
    total = 0
    for i in range(SIDE**2):
        p, confidences = numbers[:CLASSES, i], numbers[CLASSES : CLASSES + BOXES, i]
        for j in range(BOXES):
            box = numbers[CLASSES + BOXES :, i].reshape(BOXES, 4)[j]
            label, best, overlap, true = objects.get(i, (None, None, None, None))
            if j == best:
                total += LAMBDA_COORD * ((box - true) ** 2).sum()
                total += (confidences[j] - overlap) ** 2
                total += ((p - np.eye(CLASSES)[label]) ** 2).sum()  # once a cell
            else:
                total += LAMBDA_NOOBJ * confidences[j] ** 2
    return total


def test_the_gradient_of_yolo_s_loss_is_half_that_of_the_deck_s():
    random = np.random.default_rng(0)
    numbers = random.uniform(0.2, 0.8, (2, CLASSES + 5 * BOXES, SIDE**2))
    objects = [
        {4: (2, 0.3, 0.6, 0.3, 0.5), 8: (0, 0.5, 0.1, 0.4, 0.2)},
        {0: (3, 0.9, 0.4, 0.2, 0.2)},
    ]
    labels = np.zeros((2, 7, SIDE**2))
    labels[:, 2] = -1
    for picture, own in enumerate(objects):
        for cell, (label, x, y, w, h) in own.items():
            row, column = divmod(cell, SIDE)
            labels[picture, 1:3, cell] = 1, label
            box = (column + x) / SIDE, (row + y) / SIDE, w, h
            labels[picture, 3:].reshape(SIDE**2, 4)[cell] = box
    shapes = [(2, numbers[0].size), (2, labels[0].size)]
    layer, bottom, top = make_layer("DetectionLoss", shapes, LOSS, dtype=np.float64)
    bottom[0].data[...], bottom[1].data[...] = numbers.reshape(2, -1), labels.reshape(2, -1)
    layer.forward(bottom, top)
    top[0].diff[...] = 1
    layer.backward(top, [True, False], bottom)
    for picture, own in enumerate(objects):
        found, targets = (
            bottom[0].diff[picture].reshape(numbers[0].shape),
            goals(numbers[picture], own),
        )
        expected = np.empty_like(found)
        for at in np.ndindex(found.shape):
            moved = []
            for step in (0.5, -0.5):  # any will do: the sums are of squares
                other = numbers[picture].copy()
                other[at] += step
                moved.append(as_the_deck_has_it(other, targets))
            expected[at] = moved[0] - moved[1]
        assert found == pytest.approx(expected / 2 / len(objects), abs=1e-6)
