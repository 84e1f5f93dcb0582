"""caffelite dataset --label-pictures: pairs of databases of pictures and of labels of pixels."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data import binaryproto
from caffelite.data.datum import DatumSource
from caffelite.data.image import INDICES, decode
from caffelite.layers.base import TRAIN
from caffelite.testing import make_layer

COUNT, CLASSES = 6, 4
SIZES = [(20 + 3 * k, 41 - 4 * k) for k in range(COUNT)]  # height, width


def save_labels(labels, path):
    picture = Image.fromarray(labels)
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    picture.save(path)


@pytest.fixture(autouse=True)
def pairs(tmp_path, monkeypatch):
    """photos/ and masks/: noise, whose labels are a fourth of its blue, and void in two rows."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for folder in ("photos/more", "masks/more"):
        os.makedirs(folder)
    for k, size in enumerate(SIZES):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        labels = pixels[:, :, 2] // 64
        labels[:2] = 255
        name = f"more/{k}" if k == 5 else str(k)
        Image.fromarray(pixels).save(f"photos/{name}.png")
        save_labels(labels, f"masks/{name}.png")


def dataset(*words):
    return main(["dataset", *map(str, words), "--label-pictures", "masks"])


def contents(path):
    source = DatumSource(path, INDICES if "labels" in path else None)
    keys = [source.records.sample(i)[0] for i in range(len(source))]
    return {key.decode(): source.sample(i)[0] for i, key in enumerate(keys)}


def test_two_folders_become_pairs_of_databases(capsys):
    assert dataset("photos", "--test", 0.3) == 0
    out, err = capsys.readouterr()
    assert err == "" and "data/train_lmdb: 4 pictures, 3 x 2" in out
    found, labels_of = {}, {}
    for part, count in ("train", 4), ("test", 2):
        pictures = contents(f"data/{part}_lmdb")
        labels = contents(f"data/{part}_labels_lmdb")
        assert list(pictures) == list(labels) and len(labels) == count
        found |= {key.partition("_")[2]: x for key, x in pictures.items()}
        labels_of |= {key.partition("_")[2]: x for key, x in labels.items()}
    assert sorted(found) == ["0", "1", "2", "3", "4", "more/5"]
    for name, pixels in found.items():
        np.testing.assert_array_equal(pixels, decode(f"photos/{name}.png"))
        np.testing.assert_array_equal(labels_of[name], decode(f"masks/{name}.png", INDICES))
    report = json.loads(Path("data/statistics.json").read_text())
    assert report["classes"] == CLASSES and report["parts"]["test"]["pictures"] == 2
    facts = report["parts"]["train"]
    of_train = np.concatenate([x.ravel() for x in contents("data/train_labels_lmdb").values()])
    assert facts["void_share"] == pytest.approx(np.mean(of_train == 255))
    assert facts["pixels"] == {str(k): int((of_train == k).sum()) for k in range(CLASSES)}
    assert not Path("data/mean.binaryproto").exists()
    options = 'data_param { source: "data/train_lmdb" label_source: "data/train_labels_lmdb" '
    made, _, top = make_layer(
        "Data", [], options + "backend: LMDB batch_size: 1 }", tops=2, phase=TRAIN
    )
    seen = set()
    for _ in range(4):
        made.forward([], top)
        x, labels = top[0].data[0], top[1].data[0]
        assert np.array_equal(x[:1, 2:] // 64, labels[:, 2:]) and (labels[:, :2] == 255).all()
        seen.add(x.shape)
    assert len(seen) == 4  # each in its own size


@pytest.mark.parametrize("way", ["squeezed", "--crop", "--border"])
def test_labels_go_where_their_pixels_go(way):
    """Ramps of colors say where a pixel of the new picture was in the old one."""
    height, width = 40, 80
    rows, columns = np.indices((height, width))
    for axis, place in enumerate((rows, columns)):
        Image.fromarray(np.uint8([rows, columns, 0 * rows + 200]).transpose(1, 2, 0)).save(
            "photos/0.png"
        )
        save_labels(place.astype(np.uint8), "masks/0.png")
        Path("list.txt").write_text("0.png 0.png\n")
        words = [] if way == "squeezed" else [way]
        out = f"{way.strip('-')}{axis}"
        more = ["--root", "photos", "--out", out, "--resize", "25x30"]
        assert dataset("list.txt", *more, *words) == 0
        (pixels,) = contents(f"{out}/train_lmdb").values()
        (labels,) = contents(f"{out}/train_labels_lmdb").values()
        assert pixels.shape == (3, 25, 30) and labels.shape == (1, 25, 30)
        void, mark = labels[0] == 255, pixels[0]
        assert np.array_equal(void, mark == 0) and void.any() == (way == "--border")
        off = np.abs(pixels[2 - axis].astype(int) - labels[0])[~void]
        assert off.max() <= 1  # the nearest, and colors are rounded
        assert binaryproto.read(f"{out}/mean.binaryproto").shape == (1, 3, 25, 30)


def test_vocs_layout(capsys):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        os.makedirs(f"VOCdevkit/VOC2012/{folder}")
    for k in range(4):
        with Image.open(f"photos/{k}.png") as picture:
            picture.save(f"VOCdevkit/VOC2012/JPEGImages/{k}.jpg")
        os.rename(f"masks/{k}.png", f"VOCdevkit/VOC2012/SegmentationClass/{k}.png")
    lists = Path("VOCdevkit/VOC2012/ImageSets/Segmentation")
    (lists / "train.txt").write_text("2\n0\n1\n")
    (lists / "val.txt").write_text("3\n")
    Path("names").write_text("background\na\nb\nc\n")
    for folder, prefix in ("VOCdevkit", "VOC2012/"), ("VOCdevkit/VOC2012", ""):
        words = [folder, "--no-shuffle", "--labels", "names", "--encode", "jpg", "--out", "x"]
        assert main(["dataset", *words, "--label-pictures"]) == 0
        assert "  3 c: 2" in capsys.readouterr().out
        keys = [f"0000000{at}_{prefix}{k}" for at, k in enumerate("201")]
        assert list(contents("x/train_lmdb")) == list(contents("x/train_labels_lmdb")) == keys
        assert list(contents("x/test_labels_lmdb")) == [f"00000000_{prefix}3"]
        first = DatumSource("x/train_lmdb").datum(0)
        assert first.data == Path("VOCdevkit/VOC2012/JPEGImages/2.jpg").read_bytes()
        assert DatumSource("x/train_labels_lmdb").datum(0).encoded
        assert Path("x/labels.txt").read_text() == "background\na\nb\nc\n"
        for name in os.listdir("x"):
            os.rename(f"x/{name}", f"x{prefix.strip('/')}{name}")
    (lists / "train.txt").unlink()
    os.rename(lists, "elsewhere")
    assert main(["dataset", "VOCdevkit", "--label-pictures"]) == 1
    assert "has no ImageSets/Segmentation with train.txt" in capsys.readouterr().err


def test_what_is_no_pair_is_named_and_nothing_is_made(capsys):
    Image.fromarray(np.full(SIZES[0], 999, np.uint16)).save("masks/0.png")
    Image.new("RGB", SIZES[1][::-1]).save("masks/1.png")
    Image.new("L", (3, 5)).save("masks/2.png")
    Path("masks/3.png").unlink()
    Path("masks/4.png").write_bytes(b"no picture")
    for words in [], ["--resize", 20, "--crop"]:
        assert dataset("photos", "--classes", 3, *words) == 1
        said = capsys.readouterr().err
        for name, words in {
            "0": "has 16 bits and the label 999, expected up to 255",
            "1": "is a picture in RGB, expected one with a palette, or gray, of labels",
            "2": "has 5 x 3 pixels, but its picture has 26 x 33",
            "3": "no such file",
            "4": "no picture that can be decoded: of no known format",
            "more/5": "has the label 3, expected 0 to 2, or 255 for void",
        }.items():
            assert f'photos/{name}.png: labels "masks/{name}.png": {words}' in said
        assert "photos: pair that cannot be stored: 6; --skip-bad leaves them out" in said
        assert sorted(os.listdir()) == ["masks", "photos"]
    assert dataset("photos", "--skip-bad") == 0
    assert "skipped: 5 pairs" in capsys.readouterr().out
    assert next(iter(contents("data/train_labels_lmdb").values())).shape == (1, *SIZES[5])


def test_masks(capsys):
    """0 and 255 are background and void, unless they are told to be masks."""
    for path in Path("masks").rglob("*.png"):
        labels = decode(str(path), INDICES)[0]
        Image.fromarray(np.uint8(255 * (labels == 1))).save(path)
    assert dataset("photos") == 0
    assert "labels are 0 and 255 alone, and 255 is void; if these" in capsys.readouterr().err
    assert dataset("photos", "--masks", "--out", "masked", "--no-shuffle") == 0
    assert capsys.readouterr().err == ""
    for name, labels in contents("masked/train_labels_lmdb").items():
        mask = decode(f"masks/{name.partition('_')[2]}.png")
        np.testing.assert_array_equal(labels, mask // 255)


@pytest.mark.parametrize(
    "words, said",
    [
        (["photos", "--masks"], "--masks is for pictures with label pictures, not for photos; gi"),
        (["mnist-5k", "--label-pictures"], "--label-pictures is for pictures with label pictures"),
        (["photos", "--label-pictures", "photos", "--crop"], "--crop cuts off what is over"),
        (["photos", "--label-pictures", "masks", "--mixed-sizes"], "comes by itself"),
        (["photos", "--label-pictures", "masks", "--void", "256"], "from 0 to 255, not"),
        (["photos", "--label-pictures", "nowhere"], "nowhere: cannot be read: No such file"),
        (["nowhere", "--label-pictures"], "nowhere: no such folder, or list, of pictures"),
        (["photos", "--label-pictures", "masks/more"], "none of the label pictures has the name"),
    ],
)
def test_what_does_not_go_together(words, said, capsys):
    try:
        assert main(["dataset", *words]) in (1, 2)
    except SystemExit as end:
        assert end.code == 2
    assert said in capsys.readouterr().err
    assert sorted(os.listdir()) == ["masks", "photos"]
