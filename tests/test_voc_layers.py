"""FCN's Python data layers, which are here without their module."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.errors import DataError, NetError
from caffelite.testing import make_layer

SIZES = {"a": (5, 7), "b": (6, 4), "c": (3, 8)}


@pytest.fixture(autouse=True)
def voc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        Path("voc", folder).mkdir(parents=True)
    for k, (name, size) in enumerate(SIZES.items()):
        Image.new("RGB", size[::-1], (10 * k, 20, 30)).save(f"voc/JPEGImages/{name}.jpg")
        labels = Image.new("P", size[::-1], k)
        labels.putpalette([value % 256 for value in range(768)])
        labels.putpixel((0, 0), 255)
        labels.save(f"voc/SegmentationClass/{name}.png")
    for split in ("train", "val"):
        Path(f"voc/ImageSets/Segmentation/{split}.txt").write_text("a\nb\nc\n")


def layer(words, name="VOCSegDataLayer", seed=0):
    text = f"{{'voc_dir': 'voc', 'mean': (1.5, 2, 3), {words}}}"
    options = f'python_param {{ module: "voc_layers" layer: "{name}" param_str: "{text}" }}'
    return make_layer("Python", [], options, tops=2, seed=seed)


def served(made, top, count):
    found = []
    for _ in range(count):
        made.forward([], top)
        found.append([blob.data.copy() for blob in top])
    return found


def test_a_split_that_is_not_for_training_comes_in_turn():
    made, _, top = layer("'split': 'val'")
    for k, (x, labels) in enumerate(served(made, top, 4)):
        size = list(SIZES.values())[k % 3]
        assert (x.shape, labels.shape) == ((1, 3, *size), (1, 1, *size))
        want = np.array([30, 20, 10 * (k % 3)]) - [1.5, 2, 3]  # blue, green, red
        assert x[0].mean(axis=(1, 2)) == pytest.approx(want, abs=3)  # JPEG
        assert labels[0, 0, 0, 0] == 255 and (labels[0, 0, 1:] == k % 3).all()
    made.close()


def test_draws_follow_from_the_seed_and_go_on_where_they_were():
    made, _, top = layer("'split': 'train', 'seed': 1337")
    first = served(made, top, 12)
    assert len({x.shape for x, _ in first}) == 3
    again, _, top = layer("'split': 'train', 'seed': 1337", seed=5)
    again.seek(7)
    for (x, labels), (y, others) in zip(served(again, top, 5), first[7:], strict=True):
        assert np.array_equal(x, y) and np.array_equal(labels, others)
    other, _, top = layer("'split': 'train', 'seed': 1338")
    assert [x.shape for x, _ in served(other, top, 12)] != [x.shape for x, _ in first]
    turn, _, top = layer("'split': 'train', 'randomize': False")
    assert [x.shape[2:] for x, _ in served(turn, top, 3)] == list(SIZES.values())
    for one in (made, again, other, turn):
        one.close()


def test_sbdd(tmp_path):
    io = pytest.importorskip("scipy.io")
    for folder in ("img", "cls"):
        Path("sbdd", folder).mkdir(parents=True)
    Path("voc/JPEGImages/a.jpg").rename("sbdd/img/a.jpg")
    Path("sbdd/train.txt").write_text("a\n")
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7) % 21
    io.savemat("sbdd/cls/a.mat", {"GTcls": {"Segmentation": labels}})
    text = "{'sbdd_dir': 'sbdd', 'split': 'train', 'mean': (0, 0, 0), 'seed': 1337}"
    options = (
        f'python_param {{ module: "voc_layers" layer: "SBDDSegDataLayer" param_str: "{text}" }}'
    )
    made, _, top = make_layer("Python", [], options, tops=2)
    made.forward([], top)
    assert np.array_equal(top[1].data[0, 0], labels)
    made.close()


@pytest.mark.parametrize(
    "words, said",
    [
        ("'split': 1", "expected text for 'split', 'voc_dir'"),
        ("'split'", "expected a dict of Python, with 'mean', 'split', 'voc_dir'"),
        ("'splits': 'val'", "lacks 'split'"),
        ("'split': 'val', 'flip': 1", "unknown 'flip'"),
        ("'split': 'val', 'mean': 3", "'mean': expected 3 numbers"),
        ("'split': 'train', 'seed': -1", "'seed': -1, expected a whole number"),
        ("'split': 'test'", "voc/ImageSets/Segmentation/test.txt: cannot be read"),
    ],
)
def test_what_param_str_has_to_say(words, said):
    with pytest.raises((NetError, DataError), match=said):
        layer(words)


def test_bad_labels_are_named():
    Image.new("P", (3, 3)).save("voc/SegmentationClass/a.png")
    with pytest.raises(DataError, match=r'a.jpg": has 5 x 7 pixels, but 3 x 3 labels'):
        layer("'split': 'val'")
    Path("voc/SegmentationClass/a.png").unlink()
    with pytest.raises(DataError, match=r'labels "voc/SegmentationClass/a.png": no such file'):
        layer("'split': 'val'")


def test_another_layer_of_the_module_is_the_users():
    with pytest.raises(NetError, match='the module "voc_layers" is not imported'):
        layer("'split': 'val'", "OtherLayer")
