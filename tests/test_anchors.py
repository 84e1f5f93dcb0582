"""caffelite anchors: sizes of boxes by k-means, with 1 - IoU for a distance."""

import json

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data import anchors
from caffelite.data.annotated import annotated
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import CaffeliteError

CENTERS = np.array([[0.1, 0.2], [0.3, 0.3], [0.8, 0.4]])


def drawn(count=300, spread=0.1, seed=0):
    generator = np.random.default_rng(seed)
    return np.repeat(CENTERS, count // 3, axis=0) * (
        1 + spread * generator.uniform(-1, 1, (count, 2))
    )


def database(path, sizes, empty=0):
    """A picture for every two boxes, and some without any."""
    picture = np.zeros((3, 8, 8), np.uint8)
    groups = [sizes[i : i + 2] for i in range(0, len(sizes), 2)] + [[]] * empty
    with LmdbWriter(str(path)) as writer:
        for i, group in enumerate(groups):
            corners = [[0.1, 0.05, 0.1 + w, 0.05 + h] for w, h in group]
            record = annotated(from_pixels(picture, 0), Boxes(corners, [1] * len(corners)))
            writer.put(b"%08d" % i, record.SerializeToString())
    return str(path)


def test_the_overlap_of_two_sizes_is_that_of_boxes_with_one_middle():
    found = anchors.overlaps(np.array([[2.0, 3.0]]), np.array([[1.0, 1.0], [4.0, 1.0], [2.0, 3.0]]))
    np.testing.assert_allclose(found, [[1 / 6, 2 / 8, 1]])


def test_groups_of_boxes_are_found_whatever_the_seed():
    sizes = drawn()
    for seed in range(4):
        found = anchors.cluster(sizes, 3, seed)
        np.testing.assert_allclose(found.sizes, CENTERS, rtol=0.03)
        np.testing.assert_allclose(found.shares, [1 / 3] * 3)
        expected = anchors.overlaps(sizes, found.sizes).max(axis=1).mean()
        assert found.average_iou == pytest.approx(expected) and found.average_iou > 0.87


def test_more_anchors_fit_better_and_one_start_is_no_better_than_ten():
    sizes = np.random.default_rng(1).uniform(0.02, 0.9, (400, 2))
    ious = [anchors.cluster(sizes, count).average_iou for count in (1, 3, 5, 9)]
    assert ious == sorted(ious)
    assert anchors.cluster(sizes, 5, starts=1).average_iou <= ious[2]


def test_many_boxes_are_taken_in_parts(monkeypatch):
    sizes = drawn()
    whole = anchors.cluster(sizes, 3)
    monkeypatch.setattr(anchors, "AT_ONCE", 21)
    np.testing.assert_array_equal(anchors.cluster(sizes, 3).sizes, whole.sizes)


def test_the_command_prints_a_line_to_paste(tmp_path, capsys):
    db = database(tmp_path / "db", drawn(60, 0), empty=2)
    assert main(["anchors", db, "--count", "3", "--grid", "10"]) == 0
    first, *rest, last = capsys.readouterr().out.splitlines()
    assert first == "60 boxes, average IoU 1.0000"
    assert last == "biases: 1 biases: 2 biases: 3 biases: 3 biases: 8 biases: 4"
    assert rest[0].split() == ["1", "x", "2", "best", "for", "33.3%"]
    assert main(["anchors", db, "--count", "3", "--size", "200,100", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["biases"] == [20, 20, 60, 30, 160, 40] and told["boxes"] == 60


def test_same_data_and_seed_give_the_same_anchors(tmp_path, capsys):
    sizes = np.random.default_rng(2).uniform(0.05, 0.85, (80, 2))
    db = database(tmp_path / "db", sizes)
    texts = []
    for _ in range(2):
        assert main(["anchors", db, "--count", "6", "--seed", "3"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--count", "4"], "4 anchors of boxes of 3 different sizes: ask for fewer"),
        (["--grid", "1,2,3"], 'expected N or W,H, not "1,2,3"'),
        (["--grid", "13", "--size", "9"], "not both"),
        (["--size", "x"], "--size: expected a whole number"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, capsys, flags, words):
    db = database(tmp_path / "db", drawn(6, 0))
    assert main(["anchors", db, *flags]) in (1, 2)
    assert words in capsys.readouterr().err


def test_no_anchors_are_none_to_find(tmp_path, capsys):
    assert main(["anchors", "db", "--count", "0"]) == 2
    assert "expected a whole number from 1 to 1000" in capsys.readouterr().err


def test_a_database_without_boxes_is_told(tmp_path, capsys):
    assert main(["anchors", database(tmp_path / "db", [], empty=2)]) == 1
    assert "its 2 pictures have no boxes" in capsys.readouterr().err


def test_boxes_of_one_size_make_one_anchor():
    found = anchors.cluster(np.full((9, 2), 0.5), 1)
    assert found.sizes.tolist() == [[0.5, 0.5]] and found.average_iou == 1
    with pytest.raises(CaffeliteError, match="2 anchors of boxes of 1 different sizes"):
        anchors.cluster(np.full((9, 2), 0.5), 2)
