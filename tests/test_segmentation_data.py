"""Pictures with labels of their pixels: both move alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.data.boxes import Boxes, BoxesWith
from caffelite.data.datum import from_pixels
from caffelite.data.follower import Follower
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.pixel_labels import BoxesAndPixels, PixelLabels
from caffelite.data.true_boxes import ScaledBoxes
from caffelite.errors import DataError, NetError
from caffelite.layers.base import TEST, TRAIN
from caffelite.net import Net
from caffelite.testing import make_layer

PADDED = "resize_mode: FIT_LARGE_SIZE_AND_PAD"
HEIGHT, WIDTH = 40, 56


@pytest.fixture(autouse=True)
def pairs(tmp_path, monkeypatch):
    """Two pictures, black and white in big patches, whose labels are 1 where they are white."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for k in range(2):
        patches = np.random.default_rng(k).integers(0, 2, (5, 7))
        labels = np.kron(patches, np.ones((8, 8), int)).astype(np.uint8)
        Image.fromarray(labels * 255).convert("RGB").save(f"{k}.png")
        picture = Image.fromarray(labels).convert("P")
        picture.putdata(labels.ravel())
        picture.putpalette([0, 0, 0, 128, 0, 0])
        picture.save(f"{k}_labels.png")
        lines.append(f"{k}.png {k}_labels.png\n")
    Path("list.txt").write_text("".join(lines))


def layer(transform, kind="DenseImageData", more="", phase=TRAIN, seed=1, tops=2):
    field = "dense_image_data_param" if kind == "DenseImageData" else "image_data_param"
    options = f'{field} {{ source: "list.txt" {more} }} transform_param {{ {transform} }}'
    return make_layer(kind, [], options, tops=tops, phase=phase, seed=seed)


PALETTE = "palette_indices: true"
STEPS = {
    "crop": "crop_size: 24",
    "crop to a rectangle": "crop_h: 16 crop_w: 40",
    "mirror": "mirror: true",
    "upside down": "mirror_vertical: true",
    "squeeze": "resize_param { height: 64 width: 64 }",
    "cover": "resize_param { resize_mode: FIT_SMALL_SIZE height: 72 width: 72 } crop_size: 70",
    "pad": """resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 64 width: 64
        pad_value: 99 }""",
    "short side": "random_resize_param { min_size: 50 max_size: 80 } crop_size: 48 mirror: true",
    "stretch": "img_rand_resize_lower: 60 img_rand_resize_upper: 90 horizontal_stretch_lower: 1 "
    "horizontal_stretch_upper: 1.3",
    "area": """random_aspect_ratio_param { min_area_ratio: 0.3 max_area_ratio: 0.8
        aspect_ratio_change: 0.8 } crop_size: 64""",
    "warp": "warp_param { rotation: 20 shear: 5 zoom: 0.2 shift: 0.1 pad_mode: CONSTANT "
    "pad_value: 99 }",
    "local warp": "warp_param { local: 34 local_sigma: 4 pad_mode: CONSTANT pad_value: 99 } "
    "mirror: true mirror_vertical: true",
    "border": "crop_size: 72 mean_value: 99",
}


@pytest.mark.parametrize("step", STEPS)
def test_labels_move_as_their_picture_does(step):
    """At most near edges of patches, which are gray where something was interpolated."""
    made, _, top = layer(f"{STEPS[step]} {PALETTE}")
    seen = set()
    for _ in range(6):
        made.forward([], top)
        x, labels = top[0].data[0, 0], top[1].data[0, 0]
        x = x + (99 if "mean_value" in STEPS[step] else 0)
        assert labels.shape == x.shape
        seen.add(labels.tobytes())
        border = labels == 255
        assert not border.any() or np.mean(abs(x[border] - 127.5) > 120) < 0.02
        assert border.any() == ("99" in STEPS[step]) or step == "local warp"
        sure = ~border & (abs(x - 127.5) > 120)
        assert sure.mean() > 0.5 - border.mean() / 2
        assert np.mean((x > 127.5)[sure] == labels[sure]) > 0.99
    assert len(seen) == 2 or step not in ("pad", "squeeze")
    made.close()


def test_a_crop_takes_the_very_labels():
    """Without resizing, none is off by one: crops in all places, mirrored or not."""
    labels = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH))
    for left in range(0, 30, 7):
        for flip in (False, True):
            moved = PixelLabels(labels)
            window = left / WIDTH, 3 / HEIGHT, (left + 24) / WIDTH, 34 / HEIGHT
            moved.finish(window, flip, (31, 24))
            want = labels[3:34, left : left + 24]
            assert np.array_equal(moved.picture()[0], want[:, ::-1] if flip else want)


def test_what_was_cropped_away_does_not_come_back():
    """A border behind a crop is empty, although the first picture had something there."""
    moved = PixelLabels(np.ones((8, 8), int))
    moved.cut((0.25, 0.25, 0.75, 0.75))
    moved.pad((-0.5, -0.5, 1.5, 1.5))
    moved.finish((0, 0, 1, 1), False, (8, 8))
    want = np.full((8, 8), 255)
    want[2:6, 2:6] = 1
    assert np.array_equal(moved.picture()[0], want)


def test_all_that_follows_follows_all():
    moves = [name for name in vars(Follower) if callable(vars(Follower)[name])]
    for kind in (Boxes, PixelLabels, BoxesWith, BoxesAndPixels, ScaledBoxes):
        own = ["finish"] if kind.__mro__[1] is BoxesWith else moves
        own = [name for name in own if kind is not BoxesWith or name != "finish"]
        above = kind.__mro__[1]
        assert all(getattr(kind, name) is not getattr(above, name) for name in own)


def test_a_run_that_goes_on_gets_the_same_pairs():
    more = f"crop_size: 24 mirror: true warp_param {{ rotation: 20 }} {PALETTE}"
    whole, _, top = layer(more, more="shuffle: true")
    for _ in range(5):
        whole.forward([], top)
    again, _, later = layer(more, more="shuffle: true")
    again.seek(4)
    again.forward([], later)
    for one, other in zip(top, later, strict=True):
        assert np.array_equal(one.data, other.data)
    other, _, others = layer(more, more="shuffle: true", seed=2)
    for _ in range(5):
        other.forward([], others)
    assert not np.array_equal(top[0].data, others[0].data)


def test_enets_words():
    more = "mirror: true crop_height: 16 crop_width: 24"
    made, _, top = layer(PALETTE, more=more)
    made.forward([], top)
    assert top[0].shape == (1, 3, 16, 24) and top[1].shape == (1, 1, 16, 24)
    assert np.array_equal(top[0].data[0, 0] > 0, top[1].data[0, 0])


def test_deeplabs_layer():
    made, _, top = layer(
        "crop_size: 48 mirror: true mean_value: 99",
        "ImageSegData",
        "label_type: PIXEL batch_size: 2 ignore_label: 254",
        tops=3,
    )
    made.forward([], top)
    x, labels, sizes = (blob.data for blob in top)
    assert (x.shape, labels.shape, sizes.shape) == ((2, 3, 48, 48), (2, 1, 48, 48), (2, 1, 1, 2))
    assert np.array_equal(sizes[:, 0, 0], [[40, 48]] * 2)
    assert (labels[:, :, 40:] == 254).all() and (labels[:, :, :40] < 2).all()
    assert (x[:, :, 40:] == 0).all()
    assert np.array_equal(x[:, :1, :40] > 0, labels[:, :, :40])


def test_deeplabs_layer_tells_the_size_of_what_was_resized():
    """Not of the file: once it fills all, once 30 columns, with a border above and below."""
    for more, there in (
        ("resize_param { height: 80 width: 120 }", (80, 120)),
        (f"resize_param {{ height: {HEIGHT} width: 30 {PADDED} }}", (HEIGHT * 30 // WIDTH, 30)),
    ):
        made, _, top = layer(more, "ImageSegData", "label_type: PIXEL", TEST, tops=3)
        made.forward([], top)
        counted = top[1].data[0, 0] != 255
        assert (counted.any(1).sum(), counted.any(0).sum()) == there
        assert tuple(top[2].data.ravel()) == there


def test_deeplabs_layer_without_labels():
    Path("list.txt").write_text("0.png\n1.png\n")
    made, _, top = layer("", "ImageSegData", "label_type: NONE", TEST, tops=3)
    made.forward([], top)
    assert top[0].shape == (1, 3, HEIGHT, WIDTH) and (top[1].data == 255).all()
    assert top[2].data.ravel().tolist() == [HEIGHT, WIDTH]
    with pytest.raises(NetError, match="label_type: IMAGE, a label for each picture, is what Im"):
        layer("", "ImageSegData")


def databases(labels, count=2):
    """The pictures as a database, and another one of these labels."""
    with LmdbWriter("pictures") as database:
        for k in range(count):
            pixels = np.asarray(Image.open(f"{k % 2}.png")).transpose(2, 0, 1)
            database.put(b"%08d" % k, from_pixels(pixels, 0).SerializeToString())
    with LmdbWriter("labels") as database:
        for k, each in enumerate(labels):
            database.put(b"%08d" % k, from_pixels(np.uint8(each), 0).SerializeToString())


PAIR = 'data_param { source: "pictures" label_source: "labels" backend: LMDB batch_size: 2 %s }'


def test_a_pair_of_databases_moves_alike():
    databases([np.asarray(Image.open(f"{k}_labels.png"))[None] for k in range(2)])
    transform = "transform_param { crop_size: 24 mirror: true mirror_vertical: true }"
    made, _, top = make_layer("Data", [], PAIR % "shuffle: true" + transform, tops=2, phase=TRAIN)
    for _ in range(4):
        made.forward([], top)
        x, labels = (blob.data for blob in top)
        assert labels.shape == (2, 1, 24, 24) and np.array_equal(x[:, :1] > 0, labels)
    assert made.source.name(0).startswith("pictures")
    made.close()


@pytest.mark.parametrize(
    "labels, said",
    [
        ([np.zeros((1, HEIGHT, WIDTH))], "labels: has 1 records, but pictures has 2"),
        ([np.zeros((3, HEIGHT, WIDTH))] * 2, 'labels in "labels": 3 channels, expected 1'),
        ([np.zeros((1, HEIGHT, 9))] * 2, '40 x 56 pixels, but 40 x 9 labels in "labels"'),
    ],
)
def test_databases_that_are_no_pair(labels, said):
    databases(labels)
    with pytest.raises(DataError, match=said):
        made, _, top = make_layer("Data", [], PAIR % "", tops=2)
        made.forward([], top)


BAD = {
    "JPEG": (Image.new("L", (WIDTH, HEIGHT)), "is a JPEG, which keeps no number exactly"),
    "RGB": (Image.new("RGB", (WIDTH, HEIGHT)), "is a picture in RGB, expected one with a palette"),
    "another size": (Image.new("L", (WIDTH, HEIGHT + 1)), "40 x 56 pixels, but 41 x 56 labels"),
    "16 bits": (
        Image.fromarray(np.full((HEIGHT, WIDTH), 999, np.uint16)),
        "has 16 bits and the label 999, exp",
    ),
}


@pytest.mark.parametrize("what", [*BAD, "missing"])
@pytest.mark.parametrize("kind", ["DenseImageData", "ImageSegData"])
def test_bad_label_pictures_are_named_with_the_layer(what, kind):
    if what == "missing":
        said = "no such file"
        Path("0_labels.png").unlink()
    else:
        picture, said = BAD[what]
        picture.save("0_labels.png", "JPEG" if what == "JPEG" else "PNG")
    more = "label_type: PIXEL" if kind == "ImageSegData" else ""
    with pytest.raises(Exception, match="0_labels.png") as caught:
        made, _, top = layer(PALETTE if kind == "DenseImageData" else "", kind, more)
        made.forward([], top)
    assert said in str(caught.value) and f"({kind})" in str(caught.value)


def test_colors_are_no_gray_labels():
    """The gray of three channels is a label only where they are alike."""
    labels = np.asarray(Image.open("0_labels.png").convert("L"))
    Image.fromarray(np.stack([labels] * 3, axis=-1)).save("0_labels.png")
    made, _, top = layer("")
    made.forward([], top)
    assert np.array_equal(top[1].data[0, 0], labels)
    made.close()
    Image.fromarray(np.stack([labels, labels, labels + 1], axis=-1)).save("0_labels.png")
    with pytest.raises(DataError, match="is a picture in RGB, whose colors are no labels; expec"):
        made, _, top = layer("")
        made.forward([], top)
    Image.fromarray(np.uint16(labels)).save("0_labels.png")
    with pytest.raises(DataError, match="0_labels.png.*has 16 bits, of which the upper 8 would be"):
        made, _, top = layer("")
        made.forward([], top)


NET = """layer { name: "data" type: "%s" top: "data" top: "label" %s }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
%s"""
ACCURACY = 'layer { name: "a" type: "Accuracy" bottom: "conv" bottom: "label" top: "a" }'


@pytest.mark.parametrize("more", ["", ACCURACY])  # with which there is a Split
def test_a_class_that_the_net_does_not_have_is_told_with_its_picture(more):
    labels = [np.asarray(Image.open(f"{k}_labels.png"))[None].copy() for k in range(2)]
    labels[1][0, 7, 9] = 2
    databases(labels)
    Image.fromarray(labels[1][0]).save("1_labels.png")
    listed = 'dense_image_data_param { source: "list.txt" batch_size: 2 }'
    listed += " transform_param { palette_indices: true }"
    for type, options, name in (
        ("Data", PAIR % "", r'pictures: record 1 \(key "00000001"\)'),
        ("DenseImageData", listed, 'list.txt:2: "1.png"'),
    ):
        Path("net.prototxt").write_text(NET % (type, options, more))
        net = Net("net.prototxt", TRAIN)
        said = r"net.prototxt:\d+: .*SoftmaxWithLoss.* holds the label 2 at \[1, 0, 7, 9\]: .*"
        with pytest.raises(NetError, match=said + f"; it is that of {name}"):
            net.forward()
