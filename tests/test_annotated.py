"""Pictures with boxes: AnnotatedDatums, label maps, and boxes that follow their pixels."""

from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.data.annotated import AnnotatedSource, annotated, boxes_of
from caffelite.data.boxes import Boxes
from caffelite.data.datum import DatumSource, from_pixels, pixels
from caffelite.data.label_map import class_names, read_label_map, write_label_map
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import CaffeliteError, DataError

GOLDEN = Path(__file__).parent / "golden" / "detection_data"
PICTURE = np.random.default_rng(0).integers(0, 256, (3, 24, 32), np.uint8)
CORNERS = np.float32(
    [[0.05, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.95], [0.7, 0.05, 0.98, 0.4], [0.2, 0.55, 0.35, 0.8]]
)
LABELS = [3, 1, 3, 2]


def four():
    return Boxes(CORNERS, LABELS, [False, True, False, False])


def written(path, boxes, picture=PICTURE):
    """A database with a picture for each Boxes of a list."""
    with LmdbWriter(path) as database:
        for i, own in enumerate(boxes):
            record = annotated(from_pixels(picture, 0), own)
            database.put(b"%08d" % i, record.SerializeToString())
    return path


def test_a_record_holds_a_picture_and_its_boxes_by_label():
    message = annotated(from_pixels(PICTURE, 7), four())
    assert [group.group_label for group in message.annotation_group] == [3, 1, 2]
    np.testing.assert_array_equal(pixels(message.datum), PICTURE)
    np.testing.assert_array_equal(
        boxes_of(message).rows(5),
        [
            [5, 3, 0, *CORNERS[0], 0],
            [5, 3, 1, *CORNERS[2], 0],
            [5, 1, 0, *CORNERS[1], 1],
            [5, 2, 0, *CORNERS[3], 0],
        ],
    )


def test_what_a_box_is_made_of_comes_as_often():
    with pytest.raises(ValueError, match="2 labels, and other counts"):
        Boxes(CORNERS, [1, 2])


BAD = [
    ([np.nan, 0, 1, 1], "is not made of numbers, and left out"),
    ([0.5, 0.5, 0.5, 0.9], "has no area, and is left out"),
    ([0.6, 0.5, 0.5, 0.9], "has no area, and is left out"),
    ([1.2, 0.5, 1.5, 0.9], "lies outside, and is left out"),
    ([-0.5, -0.5, 0.5, 0.9], "reaches beyond the picture, and is cut off"),
]


@pytest.mark.parametrize(("corners", "words"), BAD)
def test_a_bad_box_is_named_once_and_counted(tmp_path, caplog, corners, words):
    boxes = [four(), Boxes([CORNERS[0], corners], [1, 2])]
    source = AnnotatedSource(written(tmp_path / "db", boxes))
    for number in range(4):
        found = source.sample(number)[1]
        assert len(found) == (4 if number % 2 == 0 else 1 + ("left out" not in words))
    (line,) = caplog.messages
    assert line.startswith(f'{tmp_path}/db: record 1 (key "00000001"): box 1 (label 2: ')
    assert words in line
    assert source.faults == {words: 2}


def test_a_label_that_the_map_lacks_is_named(tmp_path, caplog):
    source = AnnotatedSource(written(tmp_path / "db", [four()]), known={0, 1, 2})
    assert len(source.sample(0)[1]) == 4
    assert "box 0 (label 3: 0.05, 0.1, 0.5, 0.6) has a label that the label map" in caplog.text
    assert source.faults.total() == 2


def test_records_with_boxes_and_without_are_told_apart(tmp_path):
    with LmdbWriter(tmp_path / "plain") as database:
        database.put(b"0", from_pixels(PICTURE, 1).SerializeToString())
        database.put(b"1", b"damaged")
        database.put(b"2", annotated(from_pixels(PICTURE, 1), four()).SerializeToString()[200:])
    plain = AnnotatedSource(tmp_path / "plain")
    with pytest.raises(DataError, match="record 0 .*is a Datum, which has no boxes; write ty"):
        plain.sample(0)
    with pytest.raises(DataError, match="record 1 .*is an AnnotatedDatum without|damaged"):
        plain.sample(1)
    with pytest.raises(DataError, match="record 2"):
        plain.sample(2)
    source = DatumSource(written(tmp_path / "boxes", [four()]))
    with pytest.raises(DataError, match="is an AnnotatedDatum, which has boxes; in a net"):
        source.sample(0)


def test_a_label_map_is_written_and_read(tmp_path):
    write_label_map(tmp_path / "map.prototxt", ["cat", "dog"])
    assert class_names(tmp_path / "map.prototxt") == {0: "background", 1: "cat", 2: "dog"}
    assert [item.name for item in read_label_map(tmp_path / "map.prototxt")] == [
        *("none_of_the_above", "cat", "dog")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'item { name: "a" label: 1 } item { name: "b" label: 1 }',
            "items 1 and 2 both have",
        ),
        ('item { name: "a" label: 1 } item { name: "a" label: 2 }', 'both have the name "a"'),
        ("item { label: 0", "map.prototxt"),
        ("", "is empty"),
    ],
)
def test_a_label_map_that_says_two_things_is_refused(tmp_path, text, words):
    (tmp_path / "map.prototxt").write_text(text)
    with pytest.raises(CaffeliteError, match=words):
        read_label_map(tmp_path / "map.prototxt")


# Recorded batches of SSD's Caffe


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("*.prototxt")), ids=lambda path: path.stem)
def test_batches_are_those_of_ssd(case, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    recorded = np.load(case.with_suffix(".npz"))
    net = caffelite.Net(str(case), caffelite.TEST)
    for batch in range(3):
        net.forward()
        for blob in ("data", "label"):
            want, got = recorded[f"out/{batch}/{blob}"], net.blobs[blob].data
            assert got.shape == want.shape
            most = max(1, np.abs(want).max())
            within = 0.01 if case.stem.startswith("image") and blob == "data" else 1e-4
            assert np.abs(got - want).max() <= within * most
