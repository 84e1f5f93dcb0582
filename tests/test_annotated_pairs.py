"""Pictures with boxes in one database, and labels of their pixels in another: all move alike.

The pixels of the pictures say where they come from: blue is the row, green the column, red a mark.
The labels are rows, too, or columns; so each made picture tells itself what labels it should have.
"""

from pathlib import Path

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.annotated import AnnotatedSource, annotated
from caffelite.data.annotated_transform import AnnotatedTransformer
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.datum_pairs import DatumPairSource
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import NetError
from caffelite.layers.base import TEST, TRAIN
from caffelite.predict.answers.pixels import PALETTE
from caffelite.proto.caffe_pb2 import TransformationParameter
from caffelite.testing import make_layer
from caffelite.view.samples import Samples, marked

HEIGHT, WIDTH, COUNT = 90, 120, 3
MARK, BLANK = 200, 32  # of a picture, and of what SSD's Caffe expands it with
BOX = 30, 20, 75, 60  # left, top, right, bottom, in pixels


@pytest.fixture(autouse=True)
def databases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, columns = np.indices((HEIGHT, WIDTH))
    pixels = np.uint8([rows, columns, np.full((HEIGHT, WIDTH), MARK)])
    boxes = Boxes([np.array(BOX) / (WIDTH, HEIGHT, WIDTH, HEIGHT)], [1])
    for name, values in ("pictures", pixels), ("rows", pixels[:1]), ("columns", pixels[1:2]):
        with LmdbWriter(name) as database:
            for k in range(COUNT):
                datum = from_pixels(values, k)
                record = annotated(datum, boxes) if name == "pictures" else datum
                database.put(b"%08d" % k, record.SerializeToString())


def layer(transform="", labels="rows", more="", phase=TRAIN, seed=1, tops=3, batch=3, data=""):
    options = f"""data_param {{
        source: "pictures" label_source: "{labels}" backend: LMDB batch_size: {batch} {data}
    }} transform_param {{ {transform} }} annotated_data_param {{ {more} }}"""
    return make_layer("AnnotatedData", [], options, tops=tops, phase=phase, seed=seed)


EXPAND = "expand_param { prob: 0.7 max_expand_ratio: 2.5 }"
SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 20
    sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
    sample_constraint { min_jaccard_overlap: 0.2 } }"""
SIZE = "resize_param { height: 96 width: 80 }"
CASES = {  # transform_param, annotated_data_param, how far a label may lie from what its pixel says
    "expanded": (EXPAND, "", 0),
    "a crop": ("crop_h: 50 crop_w: 70 mirror: true", "", 0),
    "sampled": ("mirror: true mirror_vertical: true", SAMPLERS, 0),
    "expanded, sampled, cropped or padded": (f"{EXPAND} crop_size: 64 mirror: true", SAMPLERS, 0),
    "as SSD trains": (f"{EXPAND} {SIZE} mirror: true", SAMPLERS, 1),
    "letterbox": (
        """resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 99 width: 77 pad_value: 32 }
        mirror: true""",
        "",
        1,
    ),
    "warped": (
        f"""{SIZE} crop_size: 70 warp_param {{ rotation: 25 shear: 5 zoom: 0.2 shift: 0.1
        pad_mode: CONSTANT pad_value: 32 }}""",
        SAMPLERS,
        1,
    ),
    "drawn sizes": (
        """resize_param { height: 50 width: 60 prob: 0.5 }
        resize_param { height: 80 width: 70 prob: 0.5 } crop_size: 48""",
        SAMPLERS,
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_labels_are_those_of_the_very_pixels(case):
    transform, more, off = CASES[case]
    seen, batch = set(), 1 if case in ("expanded", "sampled") else 3  # of several sizes
    layers = [layer(transform, labels, more, batch=batch) for labels in ("rows", "columns")]
    for _ in range(6 if batch == 3 else 20):
        for axis, (made, _, top) in enumerate(layers):
            made.forward([], top)
            x, labels = top[0].data, top[1].data[:, 0]
            assert labels.shape == (len(x), *x.shape[2:])
            mark = np.rint(x[:, 2])
            void = labels == 255
            within = (mark == MARK) & ~void
            assert within.any() and np.abs(x[:, axis] - labels)[within].max() <= off
            if not off:
                assert np.array_equal(void, mark != MARK)
            inner = (mark == BLANK) & (np.abs(x[:, :2] - BLANK).max(axis=1) == 0)
            assert np.mean(void[inner]) == 1 if inner.any() else True
            assert np.mean(void == (mark < (MARK + BLANK) / 2)) > 0.97
            seen.add(labels.tobytes())
    assert len(seen) >= 6


def test_boxes_move_along_with_labels():
    """Where the box ends, the labels say so."""
    transform = f"{EXPAND} {SIZE} mirror: true"
    wholes = 0
    made, _, top = layer(transform, "columns", SAMPLERS, batch=1)
    for _ in range(40):
        made.forward([], top)
        labels, (_, _, _, x1, y1, x2, y2, _) = top[1].data[0, 0], top[2].data[0, 0, 0]
        x1, x2, middle = int(x1 * 80), int(x2 * 80) - 1, int((y1 + y2) / 2 * 96)
        row = labels[middle]
        pixel = np.abs(np.diff(row[row < 255])).max()  # of the made picture, in first ones
        ends = sorted(row[[x1, x2]])
        assert BOX[0] - pixel - 1 <= ends[0] and ends[1] <= BOX[2] + pixel
        if x1 > 0 and x2 < 79:  # not cut off
            assert np.abs(np.subtract(ends, (BOX[0], BOX[2] - 1))).max() <= pixel + 1
            wholes += 1
    assert wholes > 10


def test_a_run_that_goes_on_gets_the_same_pictures_labels_and_boxes():
    transform = f"{EXPAND} {SIZE} mirror: true warp_param {{ rotation: 9 local: 9 }}"

    def batches(first, count, seed=1):
        made, _, top = layer(transform, more=SAMPLERS, seed=seed, data="shuffle: true")
        made.seek(first)
        for _ in range(count):
            made.forward([], top)
        arrays = [blob.data.tobytes() for blob in top]
        made.close()
        return arrays

    assert batches(0, 5) == batches(4 * 3, 1)
    assert all(one != other for one, other in zip(batches(0, 1), batches(0, 1, 2), strict=True))


def test_tops_are_data_labels_of_pixels_and_boxes():
    made, _, top = layer(SIZE, phase=TEST)
    assert [blob.shape for blob in top] == [(3, 3, 96, 80), (3, 1, 96, 80), (1, 1, 3, 8)]
    made.forward([], top)
    assert np.array_equal(top[1].data[0, 0, :, 0], (2 * np.arange(96) + 1) * HEIGHT // 192)
    two, _, top = layer(SIZE, tops=2)
    assert [blob.shape for blob in top] == [(3, 3, 96, 80), (3, 1, 96, 80)]
    assert two.told_labels(3) == [(3, 1, 96, 80)]
    with pytest.raises(NetError, match="label_source is for Data and AnnotatedData"):
        make_layer("BoxData", [], 'data_param { source: "pictures" label_source: "rows" }')


NET = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  transform_param { mirror: true }
  data_param { source: "pictures" label_source: "%s" backend: LMDB batch_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"
  convolution_param { num_output: %d kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "score" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""


def notes(capsys, labels, classes=120):
    Path("net.prototxt").write_text(NET % (labels, classes))
    assert main(["lint", "net.prototxt", "--ignore", "mirror-in-test"]) == 0
    return capsys.readouterr().out


def test_lint_tells_of_pairs_that_are_none(capsys):
    def made(name, count=COUNT, size=(1, HEIGHT, WIDTH), key="%08d"):
        with LmdbWriter(name) as database:
            for k in range(count):
                datum = from_pixels(np.full(size, 7, np.uint8), 0)
                database.put(key.encode() % k, datum.SerializeToString())
        return notes(capsys, name)

    at = 'net.prototxt:1: layer "data" (AnnotatedData): note: '
    assert "note" not in notes(capsys, "rows")
    few = 'columns: has the label 119, but "loss" compares with 119 outputs, for labels 0 to 118'
    assert at + few in notes(capsys, "columns", 119)
    assert at + "fewer: has 2 records, but pictures has 3; expected labels" in made("fewer", 2)
    others = 'record 2 is "00000002" in pictures, but "00000002_b" in others: pairs have the same'
    assert at + others in made("others", key="%08d_b")
    sizes = '90 x 120 pixels, but 90 x 7 labels in "thin"'
    assert sizes in made("thin", size=(1, HEIGHT, 7))
    assert 'labels in "colors": 3 channels, expected 1' in made("colors", size=(3, HEIGHT, WIDTH))
    assert 'label_source "nowhere" is not there' in notes(capsys, "nowhere")


def test_pages_show_labels_on_pictures(capsys):
    notes(capsys, "rows")
    words = ["--label-pictures", "rows"], ["--model", "net.prototxt"]
    for k, more in enumerate(
        (["pictures", *words[0]], words[1], ["pictures", *words[0], *words[1]])
    ):
        assert main(["browse", *more, "--html", f"{k}.html"]) == 0
        page = Path(f"{k}.html").read_text()
        assert page.count("<img") == COUNT * (2 if k == 0 else 4) and "7: 1.11 %" in page
    source = DatumPairSource(AnnotatedSource("pictures"), "rows")
    param = TransformationParameter(mirror=True)
    samples = Samples(source, "", (), AnnotatedTransformer(param, train=True), draws=6)
    pixels, label = source.sample(0)
    boxes = samples._follow(label, pixels.shape)
    shown = marked(pixels, boxes)
    rows = np.arange(HEIGHT)
    # without the box's frame: green is that of the column and of the color of the row
    green = (np.arange(WIDTH)[None] + PALETTE[rows, 1][:, None].astype(int)) // 2
    assert np.array_equal(shown[1, 65:], green[65:])
    assert np.array_equal(shown[1, 0], np.arange(WIDTH))  # background
    flipped = {bool(seen[1, 80, 0] != shown[1, 80, 0]) for seen in samples.seen(pixels, 0, label)}
    assert flipped == {False, True}
    for seen in samples.seen(pixels, 0, label):
        assert any(np.array_equal(seen, each) for each in (shown, shown[:, :, ::-1]))
