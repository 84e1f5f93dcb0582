"""Pictures with boxes: AnnotatedDatums, label maps, and boxes that follow their pixels."""

import json
from pathlib import Path
from random import Random as Pick

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.cli import main
from caffelite.data.annotated import AnnotatedSource, annotated, boxes_of
from caffelite.data.annotated_transform import AnnotatedTransformer
from caffelite.data.borders import Expand
from caffelite.data.box_labels import Fives
from caffelite.data.boxes import Boxes, emitted
from caffelite.data.color import Distort, linear
from caffelite.data.datum import DatumSource, from_pixels, pixels
from caffelite.data.geometry import Resize
from caffelite.data.image import encode
from caffelite.data.label_map import class_names, read_label_map, write_label_map
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.noise import Degrade
from caffelite.data.sampler import BoxCrop, SampleCrop, cropped, shares
from caffelite.errors import CaffeliteError, DataError
from caffelite.kernels import hsv, windows
from caffelite.layers.base import create_layer
from caffelite.layers.data.box_data import BoxData
from caffelite.proto.caffe_pb2 import (
    AnnotatedDataParameter,
    AnnotatedDatum,
    BatchSampler,
    EmitConstraint,
    NetParameter,
    ResizeParameter,
    SampleConstraint,
    TransformationParameter,
)
from caffelite.proto.text import parse
from caffelite.view.samples import Samples, marked

from .test_transform import drawn

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
    ([np.nan, 0, 1, 1], "is not made of numbers, and is left out"),
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


# Labels in other forms


def labels_of(tmp_path, type, data="", options="", boxes=None, tops=1):
    """What a layer of this type gives for two pictures, with the four boxes and none, or others."""
    if not (tmp_path / "db").exists():
        written(tmp_path / "db", [four(), Boxes()] if boxes is None else boxes)
    names = "".join(f'top: "label{i}" ' for i in range(tops))
    text = f"""layer {{ name: "data" type: "{type}" top: "data" {names} {options}
        data_param {{ source: "{tmp_path}/db" backend: LMDB batch_size: 2 {data} }} }}"""
    (tmp_path / "net.prototxt").write_text(text)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    net.forward()
    return [net.blobs[f"label{i}"].data.copy() for i in range(tops)]


def test_a_middle_on_the_edge_of_the_picture_is_within_it():
    """0 would end the list of boxes, and 1 is in no cell."""
    edges = np.array([[-0.5, 0.5, 0.5, 1.5], [0.5, -0.5, 1.5, 0.5]], np.float32)
    (labels,) = Fives(3, True)([Boxes(edges, np.array([1, 2]))])
    middles = labels[0, 0, :2, 1:3]
    assert ((middles > 0) & (middles < 1)).all()
    np.testing.assert_allclose(middles, [[0, 1], [1, 0]], atol=1e-6)


def test_boxes_of_mobilenet_yolo_stand_in_rows_of_five(tmp_path):
    five = "annotated_data_param { yolo_data_type: 1 yolo_data_jitter: 0 %s }"
    (labels,) = labels_of(tmp_path, "AnnotatedData", options=five % "")
    want = [
        [2, 0.275, 0.35, 0.45, 0.5],
        [2, 0.84, 0.225, 0.28, 0.35],
        [1, 0.275, 0.675, 0.15, 0.25],
    ]
    np.testing.assert_allclose(labels[0, 0, :3], want, 1e-6)
    assert labels.shape == (2, 1, 300, 5) and not labels[0, 0, 3:].any() and not labels[1].any()
    (labels,) = labels_of(tmp_path, "AnnotatedData", options=five % "train_diffcult: true")
    np.testing.assert_allclose(labels[0, 0, 2], [0, 0.65, 0.625, 0.5, 0.65], 1e-6)
    (flat,) = labels_of(tmp_path, "BoxData", "label_boxes: 30")
    assert flat.shape == (2, 150)
    np.testing.assert_array_equal(flat[0], labels[0, 0, :30].reshape(-1))


def test_boxes_beyond_those_that_labels_hold_are_told_of(tmp_path, caplog):
    many = Boxes([[0, 0, 0.5, 0.5]] * 4, [1] * 4)
    (labels,) = labels_of(tmp_path, "BoxData", "label_boxes: 3", boxes=[many])
    assert labels.shape == (2, 15) and (labels[0].reshape(3, 5)[:, 1] == 0.25).all()
    assert "A picture has 4 boxes, of which labels hold the first 3" in caplog.text


def test_pictures_with_a_label_and_no_boxes_give_it(tmp_path):
    with LmdbWriter(tmp_path / "db") as database:
        for label in range(2):
            record = AnnotatedDatum(datum=from_pixels(PICTURE, 5 + label))
            database.put(b"%d" % label, record.SerializeToString())
    (labels,) = labels_of(tmp_path, "AnnotatedData")
    assert labels.tolist() == [5, 6]
    typed = "annotated_data_param { anno_type: BBOX }"
    (labels,) = labels_of(tmp_path, "AnnotatedData", options=typed)
    assert labels.reshape(-1).tolist() == [-1] * 8


def test_records_of_boxes_behind_one_with_a_label_are_named(tmp_path):
    """The first record decides what the labels are, as in SSD's Caffe."""
    labeled, boxed = AnnotatedDatum(datum=from_pixels(PICTURE, 3)), AnnotatedDatum()
    boxed.CopyFrom(annotated(from_pixels(PICTURE, -1), four()))
    neither = AnnotatedDatum(datum=from_pixels(PICTURE, -1))

    def labels(name, *records):
        folder = tmp_path / name
        folder.mkdir()
        with LmdbWriter(folder / "db") as database:
            for number, record in enumerate(records):
                database.put(b"%d" % number, record.SerializeToString())
        return labels_of(folder, "AnnotatedData")[0]

    with pytest.raises(DataError, match=r"record 1.* has 4 boxes, but .* anno_type: BBOX"):
        labels("boxes", labeled, boxed)
    with pytest.raises(DataError, match="record 1.* has neither a label nor boxes, but the first"):
        labels("neither", labeled, neither)
    boxed.ClearField("type")  # as others than SSD's tools write them
    assert labels("none first", neither, boxed).shape == (1, 1, 4, 8)


def test_grids_hold_the_object_of_each_cell(tmp_path):
    grids = labels_of(tmp_path, "BoxData", "side: [2, 1]", tops=2)
    assert [grid.shape for grid in grids] == [(2, 28), (2, 7)]
    np.testing.assert_array_equal(grids[0][0, :12], [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 0])
    places = grids[0][0, 12:].reshape(4, 4)
    want = [[0.275, 0.35, 0.45, 0.5], [0.84, 0.225, 0.28, 0.35], [0.275, 0.675, 0.15, 0.25]]
    np.testing.assert_allclose(places, [*want, [0.65, 0.625, 0.5, 0.65]], 1e-6)
    np.testing.assert_allclose(grids[1][0], [0, 1, 1, *want[2]], 1e-6)  # the last of all
    np.testing.assert_array_equal(grids[1][1], [0, 0, -1, 0, 0, 0, 0])


def test_datums_of_the_first_yolo_are_read(tmp_path):
    datum = from_pixels(PICTURE, 0)
    datum.encoded, datum.data = True, encode(PICTURE, "png")
    datum.float_data.extend([4, 1, 0.25, 0.5, 0.5, 0.25, 0, 0, 0.75, 0.5, 0.25, 0.25])
    with LmdbWriter(tmp_path / "db") as database:
        database.put(b"0", datum.SerializeToString())
        datum.float_data.append(1)
        database.put(b"1", datum.SerializeToString())
    source = AnnotatedSource(tmp_path / "db")
    want = [[0, 5, 0, 0, 0.375, 0.5, 0.625, 1], [0, 1, 0, 0.625, 0.375, 0.875, 0.625, 0]]
    np.testing.assert_array_equal(source.sample(0)[1].rows(), want)
    with pytest.raises(DataError, match="record 1 .* 13 values of float_data, expected 6 fo"):
        source.sample(1)


@pytest.mark.parametrize("label", [np.nan, 1.5, -1, 1e30])
def test_a_class_of_the_first_yolo_that_is_no_whole_number_is_refused(tmp_path, label):
    datum = from_pixels(PICTURE, 0)
    datum.float_data.extend([label, 0, 0.5, 0.5, 0.2, 0.2])
    with LmdbWriter(tmp_path / "db") as database:
        database.put(b"0", datum.SerializeToString())
    with pytest.raises(DataError, match="has a box of the class .*, expected a whole nu"):
        AnnotatedSource(tmp_path / "db").sample(0)


def test_a_picture_of_the_first_yolo_is_cropped_around_the_middle_of_a_box():
    step, widths = BoxCrop(), set()
    for seed in range(60):
        boxes = Boxes([[0.9, 0.1, 1, 0.2], [0.1, 0.5, 0.3, 0.9]], [1, 2])
        boxes.emit, boxes.uncut = BoxData.emit, True
        image = step(PICTURE, np.random.default_rng(seed), boxes)
        assert image.shape == PICTURE.shape and 1 <= len(boxes) <= 2
        widths.update(np.round(boxes.centers()[boxes.labels == 2, 2], 4).tolist())
    assert min(widths) >= 0.2 and max(widths) <= 0.2 / 0.65 and len(widths) > 10
    assert step(PICTURE, np.random.default_rng(0), Boxes()).shape == PICTURE.shape


def test_one_of_several_sizes_is_drawn_for_ten_batches(tmp_path):
    sizes = [f"resize_param {{ height: {n} width: {n} prob: 0.5 }}" for n in (8, 12)]
    labels_of(tmp_path, "AnnotatedData", options=f"transform_param {{ {' '.join(sizes)} }}")
    caffelite.set_random_seed(1)
    net, found = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TRAIN), []
    for _ in range(80):
        net.forward()
        found.append(net.blobs["data"].data.shape[2])
    tens = [set(found[i : i + 10]) for i in range(0, 80, 10)]
    assert all(len(sizes) == 1 for sizes in tens) and set(found) == {8, 12}


# Crops that samplers draw, by distributions that SSD's Caffe gave in 10,000 calls

OPS = GOLDEN.parent / "detection" / "ops"


def ops(name):
    """(arrays, what is said of them) of a recorded function."""
    arrays = np.load(OPS / f"{name}.npz")
    return arrays, json.loads(str(arrays["meta"]))


@pytest.mark.parametrize("name", ["ssd300", "min_jaccard_0.7", "object_coverage"])
def test_samplers_draw_what_those_of_ssd_draw(name):
    recorded, meta = ops(f"sampler_{name}")
    options = text_format.Parse(meta["annotated_data_param"], AnnotatedDataParameter())
    step, random, calls = SampleCrop(options.batch_sampler), np.random.default_rng(3), 1000
    found = [step.windows(recorded["in/objects"], random) for _ in range(calls)]
    counts = np.bincount([len(own) for own in found], minlength=8) / calls
    np.testing.assert_allclose(counts, recorded["out/per_call"] / 10_000, atol=0.05)
    drawn = np.concatenate(found).astype(float)
    width, height = (drawn[:, 2:] - drawn[:, :2]).T
    assert 0 <= drawn.min() and drawn.max() <= 1 + 1e-6
    values = {"width": width, "height": height, "scale": np.sqrt(width * height)}
    values |= {"aspect": width / height, "xmin": drawn[:, 0], "ymin": drawn[:, 1]}
    for key, value in values.items():
        error = recorded[f"out/{key}/std"] / np.sqrt(len(value)) + 1e-6
        assert abs(value.mean() - recorded[f"out/{key}/mean"]) < 4.5 * error
        middle = slice(2, -2)  # from the 5th to the 95th percentile
        quantiles = np.quantile(value, meta["quantiles"][middle])
        np.testing.assert_allclose(quantiles, recorded[f"out/{key}/q"][middle], atol=8 * error)


def meets(window, boxes, constraint):
    """Whether a window meets a SampleConstraint for some box."""
    limits = np.array([1, 1, 1, 1, *shares(constraint)])
    return windows.meets(window, np.asarray(boxes, np.float32).reshape(-1, 4), limits)


@pytest.mark.filterwarnings("error")
def test_windows_that_are_thinner_than_a_number_can_tell_are_none():
    tiny = BatchSampler()
    tiny.sampler.min_scale = tiny.sampler.max_scale = 1e-9
    boxes = Boxes([[0.2, 0.2, 0.8, 0.8]], [1])
    for seed in range(9):
        random = np.random.default_rng(seed)
        assert SampleCrop([tiny])(photo(3, (13, 17)), random, boxes).size
    tiny.sample_constraint.min_jaccard_overlap = 1.5
    with pytest.raises(DataError, match="min_jaccard_overlap: 1.5, expected a share, 1 at most"):
        SampleCrop([tiny])


def test_without_objects_no_constraint_is_met():
    recorded, meta = ops("sample_constraint_no_objects")
    for name, text in meta["params"].items():
        constraint = text_format.Parse(text, SampleConstraint())
        got = [meets(window, [], constraint) for window in recorded["in/samples"]]
        np.testing.assert_array_equal(got, recorded[f"out/{name}"])


def test_all_kinds_of_constraints_are_met_for_one_box():
    boxes = [[0, 0, 0.5, 0.5], [0.6, 0.6, 0.8, 0.8]]
    window = np.float32([0.2, 0.2, 1, 1])  # covers little of the first, all of the second
    constraint = SampleConstraint(max_jaccard_overlap=0.2, min_object_coverage=0.9)
    assert meets(window, boxes, constraint)
    assert not meets(window, boxes[:1], constraint)
    constraint = SampleConstraint(min_jaccard_overlap=0.11, min_object_coverage=0.9)
    assert not meets(window, boxes, constraint)  # the first has one, the second the other


def test_boxes_are_seen_from_a_crop_as_ssd_sees_them():
    recorded, _ = ops("project_after_crop")
    for window, corners, want, left in zip(
        *(recorded[key] for key in ("in/S", "in/B", "out/box", "out/ok")), strict=True
    ):
        boxes = Boxes([corners], [1])
        boxes.cut(tuple(window.tolist()))
        assert len(boxes) == left
        np.testing.assert_allclose(boxes.corners, want[None][: len(boxes)], atol=1e-6)


def test_boxes_are_left_that_ssd_leaves():
    recorded, meta = ops("emit_constraint")
    for name, text in meta["params"].items():
        constraint = text_format.Parse(text, EmitConstraint())
        got = [
            emitted(corners[None], tuple(window.tolist()), constraint)[0]
            for window, corners in zip(recorded["in/S"], recorded["in/B"], strict=True)
        ]
        np.testing.assert_array_equal(got, recorded[f"out/{name}"])


def test_a_crop_is_that_of_ssd():
    recorded, meta = ops("crop_image")
    for name, window in meta["crops"].items():
        for emit, text in meta["transform_param"].items():
            param = text_format.Parse(text, TransformationParameter())
            boxes = boxes_of(
                annotated(
                    from_pixels(recorded["in/image"], 0),
                    Boxes(recorded["in/boxes"], recorded["in/labels"], recorded["in/difficult"]),
                )
            )
            boxes.emit = param.emit_constraint if text else None
            image = cropped(recorded["in/image"], boxes, window)
            np.testing.assert_array_equal(image, recorded[f"out/{name}/image"])
            np.testing.assert_allclose(boxes.rows(), recorded[f"out/{name}/{emit}/rows"], atol=1e-6)


def test_a_picture_is_expanded_as_ssd_expands_it():
    recorded, meta = ops("expand_image")
    param = text_format.Parse(meta["transform_param"], TransformationParameter())
    step, random = Expand(param.expand_param, list(param.mean_value)), np.random.default_rng(5)
    image, ratios, offsets, calls = recorded["in/image"], [], [], 1000
    for _ in range(calls):
        boxes = Boxes(recorded["in/boxes"], recorded["in/labels"], recorded["in/difficult"])
        boxes.raw = True
        canvas = step(image, random, boxes)
        if canvas is image:
            continue
        _, height, width = canvas.shape
        left, top = boxes.corners[0, :2] * (width, height) - recorded["in/boxes"][0, :2] * (32, 24)
        left, top = round(float(left)), round(float(top))
        np.testing.assert_array_equal(canvas[:, top : top + 24, left : left + 32], image)
        assert canvas.astype(int).sum() == image.sum() + 32 * 3 * (height * width - 24 * 32)
        ratios.append(height / 24)
        offsets += [top / (height - 24)] if height > 24 else []
    assert abs(len(ratios) / calls - recorded["out/expanded_fraction"]) < 0.06
    for got, key in ((ratios, "ratio"), (offsets, "offset_y")):
        quantiles = np.quantile(got, meta["quantiles"][2:-2])
        np.testing.assert_allclose(quantiles, recorded[f"out/{key}/q"][2:-2], atol=0.25)
    assert (step(image, np.random.default_rng(3), None)[:, 0, 0] == [104, 117, 123]).all()


def test_boxes_follow_resizing_as_in_ssd():
    recorded, meta = ops("resize_boxes")
    for name, text in meta["params"].items():
        step = Resize(text_format.Parse(text, ResizeParameter()))
        for (width, height), want in zip(meta["sizes_wh"], recorded[f"out/{name}"], strict=True):
            boxes = Boxes(recorded["in/boxes"], range(30))
            step(np.zeros((1, height, width), np.uint8), None, boxes)
            np.testing.assert_allclose(boxes.corners, want, atol=1e-6)


def test_boxes_of_fit_small_size_are_in_fractions_of_the_scales():
    recorded, meta = ops("extrapolate_boxes")
    step = Resize(text_format.Parse(meta["param"], ResizeParameter()))
    whole = Boxes([[0, 0, 1, 1]], [1])
    step(np.zeros((1, 375, 500), np.uint8), None, whole)
    for corners, window, want in zip(
        *(recorded[key] for key in ("in/boxes", "in/crop", "out/box")), strict=True
    ):
        boxes = Boxes([corners], [1])
        boxes.stretch = whole.stretch
        x1, y1, x2, y2 = window.tolist()
        boxes.cut = lambda window: None  # it was cut before, there
        boxes.finish((x1, y1, x2, y2), False)
        np.testing.assert_allclose(boxes.corners[0], want, atol=1e-5)


def test_colors_are_adjusted_as_ssd_adjusts_them():
    recorded, _ = ops("adjust_colours")
    image = np.ascontiguousarray(recorded["in/image"].transpose(2, 0, 1))
    made = {
        "brightness": lambda value: hsv.lookup(image, linear(1, value)),
        "contrast": lambda value: hsv.lookup(image, linear(value, 0)),
        "saturation": lambda value: hsv.adjust(image, value),
        "hue": lambda value: hsv.adjust(image, delta=value),
    }
    cases = [key for key in recorded.files if key.startswith("out/")]
    assert len(cases) > 10
    param = TransformationParameter(distort_param={"hue_prob": 1}).distort_param
    assert Distort(param)(image, np.random.default_rng(0)) is image
    cases.remove("out/hue/0")  # which is no change at all
    for key in cases:
        _, kind, value = key.split("/")
        want = recorded[key].transpose(2, 0, 1).astype(int)
        assert abs(made[kind](float(value)) - want).max() <= 2


# Boxes stay on what they were drawn around


def scene(height=60, width=80):
    """A dark picture with a bright rectangle, and its box."""
    picture = np.full((3, height, width), 30, np.uint8)
    rows, columns = np.s_[height // 4 : height * 6 // 10], np.s_[width // 5 : width * 11 // 20]
    picture[:, rows, columns] = 220
    return picture, Boxes([[0.2, 0.25, 0.55, 0.6]], [1])


def around_bright(values):
    """(xmin, ymin, xmax, ymax) of what is brighter than the middle, in fractions."""
    rows, columns = np.nonzero(values.max(axis=0) > 125)
    height, width = values.shape[1:]
    return [
        *(columns.min() / width, rows.min() / height),
        *((columns.max() + 1) / width, (rows.max() + 1) / height),
    ]


@pytest.mark.parametrize(
    ("text", "slack"),
    [
        ("mirror: true", 0),
        ("mirror_vertical: true", 0),
        ("crop_size: 40", 0),
        ("crop_h: 30 crop_w: 70 mirror: true", 0),
        ("resize_param { height: 33 width: 97 }", 0.02),
        ("resize_param { height: 90 width: 90 resize_mode: FIT_LARGE_SIZE_AND_PAD }", 0.02),
        ("resize_param { height: 90 width: 30 resize_mode: FIT_LARGE_SIZE_AND_PAD }", 0.05),
        ("resize_param { height: 50 width: 50 resize_mode: FIT_SMALL_SIZE } crop_size: 40", 0.03),
        ("random_resize_param { min_size: 40 max_size: 90 } crop_size: 35", 0.04),
        ("random_aspect_ratio_param { aspect_ratio_change: 0.7 } crop_size: 40", 0.04),
        ("vertical_stretch_lower: 0.7 vertical_stretch_upper: 1.4", 0.03),
        ("warp_param { rotation: 40 pad_mode: CONSTANT }", 0.03),
        ("warp_param { shear: 20 zoom: 0.3 shift: 0.1 pad_mode: CONSTANT }", 0.03),
        ("warp_param { local: 40 rotation: 15 pad_mode: CONSTANT }", 0.04),
        ("expand_param { max_expand_ratio: 3 }", 0.001),
        ("distort_param { brightness_prob: 1 brightness_delta: 20 hue_prob: 1 hue_delta: 20 }", 0),
        (
            "expand_param { max_expand_ratio: 2 } mirror: true mirror_vertical: true "
            "resize_param { height: 70 width: 90 } crop_h: 60 crop_w: 50",
            0.04,
        ),
    ],
)
def test_boxes_follow_what_is_done_to_pixels(text, slack):
    param = text_format.Parse(text, TransformationParameter())
    transformer, seen = AnnotatedTransformer(param, train=True), []
    for seed in range(25):
        picture, boxes = scene()
        random = np.random.default_rng(seed)
        (image,) = transformer.prepare(picture, random, boxes)
        out = np.empty((1, *transformer.output_shape(image.shape)), np.float32)
        transformer.transform([image], random, out, [boxes])
        transformer.finish(out[0], random, boxes)
        if len(boxes) and (out[0] > 125).any():
            seen.append(boxes.corners[0])
            np.testing.assert_allclose(seen[-1], around_bright(out[0]), atol=slack + 1e-6)
        else:
            assert (out[0] > 125).mean() < 0.02  # it was cropped away
    assert len(seen) > 12


def test_boxes_follow_the_crops_of_samplers():
    options = "sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }"
    step = SampleCrop([text_format.Parse(f"{options} max_sample: 1", BatchSampler())])
    for seed in range(40):
        picture, boxes = scene(480, 640)
        image = step(picture, np.random.default_rng(seed), boxes)
        assert image.shape != picture.shape
        if len(boxes) and (image > 125).any():
            np.testing.assert_allclose(boxes.corners[0], around_bright(image), atol=0.03)


def test_sizes_are_told_without_data():
    text = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label" %s
        transform_param { mean_value: [1, 2, 3] resize_param { height: 30 width: 40 %s } }
        data_param { source: "none" batch_size: 8 backend: LMDB } }"""
    for options, mode, want in (
        ("", "", [(8, 3, 30, 40), (1, 1, 1, 8)]),
        ("annotated_data_param { yolo_data_type: 1 }", "", [(8, 3, 30, 40), (8, 1, 300, 5)]),
        ("", "resize_mode: FIT_SMALL_SIZE", [(8, 3, 0, 0), (1, 1, 1, 8)]),
    ):
        (param,) = parse(text % (options, mode), NetParameter).layer
        assert create_layer(param).told_shapes() == want


# Same seed, same samples

DRAWN = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
    transform_param { mirror: true expand_param { prob: 0.5 max_expand_ratio: 2 } noise_std: 1
        distort_param { hue_prob: 0.5 hue_delta: 18 contrast_prob: 0.5 contrast_lower: 0.5
            contrast_upper: 1.5 } emit_constraint { emit_type: CENTER }
        resize_param { height: 20 width: 24 interp_mode: LINEAR interp_mode: LANCZOS4 } }
    data_param { source: "%s" backend: LMDB batch_size: 2 shuffle: true prefetch: %d }
    annotated_data_param { batch_sampler { max_sample: 1 max_trials: 50 sampler { min_scale: 0.3 }
        sample_constraint { min_jaccard_overlap: 0.1 } } } }"""


def test_samples_follow_from_the_seed_whatever_is_loaded_ahead(tmp_path):
    runs = []
    for prefetch, start in ((4, 0), (1, 0), (9, 3)):
        (tmp_path / "net.prototxt").write_text(DRAWN % (GOLDEN / "annotated_png_lmdb", prefetch))
        caffelite.set_random_seed(5)
        net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TRAIN)
        net.layers[0].seek(2 * start)
        run = []
        for _ in range(6 - start):
            net.forward()
            run += [net.blobs[name].data.tobytes() for name in ("data", "label")]
        runs.append(run)
    assert runs[1] == runs[0] and runs[2] == runs[0][6:]
    assert len(set(runs[0])) == 12


def test_options_of_other_layers_are_told_of():
    text = """layer { name: "data" type: "%s" top: "data" top: "label"
        data_param { source: "none" batch_size: 8 backend: LMDB %s } %s }"""
    for type, data, options, words in (
        ("Data", "label_boxes: 30", "", "label_boxes does nothing here; labels are numbers here"),
        ("AnnotatedData", "side: 7", "", 'write type: "BoxData" for labels that are grids'),
        ("BoxData", "side: 7 label_boxes: 9", "", ""),
        ("AnnotatedData", "", "annotated_data_param { single_class: false }", "labels of pixels"),
        ("AnnotatedData", "", "transform_param { noise_param { prob: 0.5 } }", "every picture is"),
    ):
        (param,) = parse(text % (type, data, options), NetParameter).layer
        told = [said for _, _, said in create_layer(param).unread()]
        assert len(told) == bool(words) and all(words in said for said in told)


# noise_param


def photo(channels=3, shape=(45, 66)):
    """Something smooth with edges and noise."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / 12
    random = np.random.default_rng(4)
    planes = [np.sin(x + c) * np.cos(y - c) * 90 + 110 + 60 * (x > y + c) for c in range(channels)]
    return (
        (np.stack(planes) + random.normal(0, 9, (channels, *shape))).clip(0, 255).astype(np.uint8)
    )


def degraded(image, **options):
    param = TransformationParameter(noise_param=options).noise_param
    return Degrade(param)(image, np.random.default_rng(2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["gauss_blur", "hist_eq", "clahe", "erode", "decolorize", "hsv"])
def test_noise_is_that_of_opencv(name, channels):
    cv2 = pytest.importorskip("cv2")
    image = photo(channels)
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0)).squeeze()

    def of_brightness(change):
        if channels == 1:
            return change(pixels)
        y, cr, cb = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb))
        return cv2.cvtColor(cv2.merge([change(y), cr, cb]), cv2.COLOR_YCrCb2BGR)

    if channels == 1 and name in ("decolorize", "hsv"):
        with pytest.raises(DataError, match="has 1 channels"):
            degraded(image, decolorize=True)
        return
    want = {
        "gauss_blur": lambda: cv2.GaussianBlur(pixels, (7, 7), 1.5),
        "hist_eq": lambda: of_brightness(cv2.equalizeHist),
        "clahe": lambda: of_brightness(cv2.createCLAHE(4).apply),
        "erode": lambda: cv2.erode(pixels, cv2.getStructuringElement(2, (3, 3))),
        "decolorize": lambda: cv2.cvtColor(cv2.cvtColor(pixels, 6), 8),
        "hsv": lambda: cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV),
    }[name]()
    want = want.reshape(*image.shape[1:], channels).transpose(2, 0, 1).astype(int)
    off = np.abs(degraded(image, **{"convert_to_hsv" if name == "hsv" else name: True}) - want)
    # A brightness that is rounded to its neighbor is a step of the histogram away.
    stepped = channels == 3 and name in ("hist_eq", "clahe")
    assert np.median(off) == 0 and np.quantile(off, 0.98 if stepped else 1) <= 1


def test_noise_by_values():
    image = photo()
    np.testing.assert_array_equal(degraded(image, inverse=True), 255 - image)
    assert set(np.unique(degraded(image, posterize=True))) <= {32, 96, 160, 224}
    pepper = {"fraction": 0.1, "value": [0, 128, 255]}
    changed = degraded(image, saltpepper=True, saltpepper_param=pepper) != image
    assert 0.07 < changed.any(axis=0).mean() <= 0.1
    coarse, fine = (np.abs(degraded(image, jpeg=q).astype(int) - image).mean() for q in (20, 95))
    assert coarse > fine > 0
    for options, words in (
        ({"convert_to_lab": True}, "convert_to_lab would make floats"),
        ({"saltpepper": True}, "saltpepper needs saltpepper_param"),
        ({"jpeg": 200}, "expected a quality up to 100"),
    ):
        with pytest.raises(DataError, match=words):
            degraded(image, **options)


# Commands


def run(capsys, *words):
    """(exit code, what is printed) of a command."""
    code = main([*map(str, words)])
    return code, capsys.readouterr().out


def test_commands_take_databases_of_pictures_with_boxes(tmp_path, capsys):
    path = written(tmp_path / "db", [four(), Boxes(), four()])
    assert run(capsys, "dataset", "check", path) == (
        0,
        f"{path}: LMDB, 3 records in 4 pages\n"
        "pictures: 3, 3 x 24 x 32; 8 boxes; 3 labels, 1 to 3\nwhole\n",
    )
    code, out = run(capsys, "compute_image_mean", path, tmp_path / "mean.binaryproto")
    assert code == 0 and f"mean_value channel [0]: {PICTURE[0].mean():g}" in out
    code, out = run(capsys, "browse", path, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert code == 0 and "3: 0.05, 0.1, 0.5, 0.6" in page
    assert "1: 0.4, 0.3, 0.9, 0.95 difficult" in page


def test_a_check_of_a_database_names_boxes_that_are_none(tmp_path, capsys):
    bad = Boxes([CORNERS[0], [0.5, 0.5, 0.5, 0.9], [1.2, 0, 1.4, 0.5]], [1, 2, 2])
    path = written(tmp_path / "db", [four(), bad])
    code, out = run(capsys, "dataset", "check", path)
    assert code == 1 and f'{path}: record 1 (key "00000001"): box 1 has no area\n' in out
    assert "box 2 lies outside\n" in out and out.endswith("damaged\n")


def test_pages_show_boxes_as_the_net_gets_them(tmp_path):
    picture, boxes = scene()
    path = written(tmp_path / "db", [boxes], picture)
    param = TransformationParameter(mirror=True, resize_param={"height": 90, "width": 120})
    samples = Samples(AnnotatedSource(path), "db", (), AnnotatedTransformer(param, train=True))
    stored, *seen = (
        np.asarray(shown) for shown in [marked(picture, boxes), *samples.seen(picture, 0, boxes)]
    )
    frame = (stored != picture).any(axis=0)
    assert frame[15, 16] and frame[35, 43] and not frame[20:30, 20:40].any()
    assert [shown.shape for shown in seen] == [(3, 90, 120)] * 2
    assert boxes.corners[0].tolist() == np.float32([0.2, 0.25, 0.55, 0.6]).tolist()


@pytest.mark.filterwarnings("error")
def test_no_options_end_in_anything_but_an_error_of_ours(tmp_path):
    fine = 0
    for seed in range(400):
        pick, random = Pick(seed), np.random.default_rng(seed)
        param = drawn(TransformationParameter(), pick, "none")
        for name in ("noise_param", "emit_constraint", "expand_param"):
            if pick.random() < 0.3:
                drawn(getattr(param, name), pick, "none").SetInParent()
        sampler = drawn(BatchSampler(), pick, "none")
        corners = np.sort(random.random((pick.choice([0, 1, 3]), 2, 2)), axis=1).reshape(-1, 4)
        boxes, image = Boxes(corners, range(len(corners))), photo(pick.choice([1, 3]), (13, 17))
        try:
            with np.errstate(all="ignore"):  # scale and noise may be infinite
                crop = SampleCrop([sampler])
                transformer = AnnotatedTransformer(param, True, crop=lambda _, crop=crop: crop)
                (image,) = transformer.prepare(image, random, boxes)
                out = np.empty((1, *transformer.output_shape(image.shape)), np.float32)
                transformer.transform([image], random, out, [boxes])
                transformer.finish(out[0], random, boxes)
            fine += 1
        except DataError:
            continue
        assert boxes.sound().all() and (boxes.corners >= 0).all()
    assert 20 < fine < 380
