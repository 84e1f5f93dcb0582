"""Generators of pictures: what `generate` writes, and what `test --judge` tells of them."""

import json

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.errors import DataError, NetError
from caffelite.measures._frechet import frechet
from caffelite.predict.generator import Generator, TruePictures, _arc, nearest

SHAPE = 1, 2, 3
MAKER = """
layer { name: "noise" type: "Input" top: "noise" input_param { shape { dim: 4 dim: 6 } } }
layer { name: "kind" type: "Input" top: "kind" input_param { shape { dim: 4 } } }
layer { name: "shade" type: "Embed" bottom: "kind" top: "shade" embed_param {
  num_output: 6 input_dim: 3 bias_term: false } }
layer { name: "mix" type: "InnerProduct" bottom: "noise" top: "mix" inner_product_param {
  num_output: 6 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "shade" bottom: "mix" top: "sum" }
layer { name: "picture" type: "Reshape" bottom: "sum" top: "picture" reshape_param {
  shape { dim: 0 dim: 1 dim: 2 dim: 3 } } }
"""
DATA = """
layer { name: "digits" type: "Data" top: "data" top: "label" include { phase: TRAIN stage: "d" }
  transform_param { mean_value: 100 scale: 0.01 }
  data_param { source: "train" batch_size: 2 backend: LMDB } }
layer { name: "digits" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mean_value: 100 scale: 0.01 }
  data_param { source: "test" batch_size: 2 backend: LMDB } }
"""
SHADES = 30, 130, 220  # what a picture of each class has everywhere
JUDGE = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.01 } data_param { source: "test" batch_size: 5 backend: LMDB } }
layer { name: "features" type: "InnerProduct" bottom: "data" top: "features"
  inner_product_param { num_output: 2 } }
layer { name: "score" type: "InnerProduct" bottom: "features" top: "score"
  inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


def digits(count, seed):
    labels = np.arange(count) % 3
    noise = np.random.default_rng(seed).integers(-9, 10, (count, *SHAPE))
    return (np.array(SHADES)[labels].reshape(-1, 1, 1, 1) + noise).astype(np.uint8), labels


@pytest.fixture
def maker(tmp_path, monkeypatch):
    """A generator whose pictures are those of its classes, and 10 times the noise, in tmp_path."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("maker", MAKER), ("train_val", DATA), ("judge", JUDGE)):
        (tmp_path / f"{name}.prototxt").write_text(text)
    write_database("train", ArraySource(*digits(12, 1)))
    write_database("test", ArraySource(*digits(9, 2)))
    net = caffelite.Net("maker.prototxt", caffelite.TEST)
    shades = np.array(SHADES)[:, None] - 100
    net.params["shade"][0].data[...] = shades / 100
    net.params["mix"][0].data[...] = np.eye(6) / 10
    net.save("maker.caffemodel")
    judge = caffelite.Net("judge.prototxt", caffelite.TEST)
    judge.params["features"][0].data[...] = np.array([[1], [-1]]) / 6
    judge.params["features"][1].data[...] = 0
    centers = np.array(SHADES) / 100  # scores are 9 (c x - c^2 / 2): the nearest center's largest
    judge.params["score"][0].data[...] = 9 * np.stack([centers, 0 * centers], axis=1)
    judge.params["score"][1].data[...] = -9 * centers**2 / 2
    judge.save("judge.caffemodel")
    return net


def generate(*words):
    return main(["generate", "--model", "maker.prototxt", "--weights", "maker.caffemodel", *words])


def read(path):
    return np.array(Image.open(path))


def test_pixels_are_what_the_training_data_stand_for(maker):
    generator = Generator(maker)
    noise = generator.noise(7, seed=3)
    assert noise["noise"].shape == (7, 6), "not a multiple of the net's batch"
    assert generator.labels(noise) == [0, 1, 2, 0, 1, 2, 0]
    expected = np.array(SHADES)[generator.labels(noise), None] + 10 * noise["noise"]
    pictures = generator.pictures(noise)
    assert pictures.dtype == np.uint8
    np.testing.assert_allclose(pictures.reshape(7, 6), expected.clip(0, 255), atol=0.51)
    np.testing.assert_array_equal(pictures, generator.pictures(generator.noise(7, seed=3)))
    assert (pictures != generator.pictures(generator.noise(7, seed=4))).any()


def test_a_picture_that_is_no_number_is_refused(maker):
    maker.params["mix"][0].data[0, 0] = np.nan
    generator = Generator(maker)
    with pytest.raises(NetError, match=r'maker.prototxt: blob "picture": .* finite numbers'):
        generator.pictures(generator.noise(1))


def test_true_pictures_are_those_of_the_data(maker):
    with TruePictures("train_val.prototxt") as true:
        np.testing.assert_array_equal(true.pixels([2, 11]), digits(12, 1)[0][[2, 11]])
        assert len(true) == 12
    with pytest.raises(NetError, match="no layer brings pictures"):
        TruePictures("maker.prototxt")


def test_a_sheet_and_single_files(maker, tmp_path, capsys):
    assert generate("--class", "1", "--count", "3", "--out", "ones", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == [1, 1, 1]
    pictures = Generator(maker).pictures(Generator(maker).noise(3, label=1))
    for path, picture in zip(told["files"], pictures, strict=True):
        np.testing.assert_array_equal(read(path), picture[0])
    assert sorted(path.name for path in (tmp_path / "ones").iterdir()) == [
        f"{k:05}_class_1.png" for k in range(3)
    ]
    assert generate("--count", "4", "--out", "sheet.png") == 0
    assert "4 pictures: sheet.png" in capsys.readouterr().out
    sheet = read("sheet.png")
    pictures = Generator(maker).pictures(Generator(maker).noise(4))
    assert set(np.unique(sheet)) == {255, *np.unique(pictures)}, "values as they are, between white"
    assert generate("--count", "4", "--out", "again.png") == 0
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_a_strip_goes_from_one_noise_to_another(maker):
    generator = Generator(maker)
    ends, strip = generator.noise(2, seed=5, label=2), generator.between(5, 5, 2)["noise"]
    np.testing.assert_allclose(strip[[0, -1]], ends["noise"], rtol=1e-6)
    unit = [end / np.linalg.norm(end) for end in ends["noise"]]
    points = _arc(*unit, np.linspace(0, 1, 5))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-6)
    turns = np.arccos((points[1:] * points[:-1]).sum(axis=1))
    np.testing.assert_allclose(turns, turns[0], rtol=1e-3)
    assert generate("--between", "5", "--out", "strip.png") == 0
    height, width = read("strip.png").shape[:2]
    assert width > 5 * height


def test_the_nearest_pictures_stand_beside(maker, capsys):
    assert generate("--count", "2", "--nearest", "2", "--out", "near", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    made = read(told["files"][0]).astype(int)
    train = digits(12, 1)[0][:, 0].astype(int)
    far = np.sqrt(((train - made[:, :3]) ** 2).mean(axis=(1, 2)))
    best = far.argsort(kind="stable")[:2]
    np.testing.assert_array_equal(made[:, 5:], np.concatenate(train[best], axis=1))
    assert [one["distance"] for one in told["nearest"][0]] == pytest.approx(far[best])
    assert f"record {best[0]}" in told["nearest"][0][0]["name"]


def test_distances_do_not_hang_on_how_many_are_computed_at_once():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 256, (300, 1, 2, 2)), random.integers(0, 256, (7, 1, 2, 2))
    far = np.sqrt(((one[:, None] - other) ** 2).mean(axis=(2, 3, 4)))
    numbers, distances = nearest(one, other, 3)
    np.testing.assert_allclose(distances, np.sort(far, axis=1)[:, :3])
    np.testing.assert_allclose(np.take_along_axis(far, numbers, axis=1), distances)
    with pytest.raises(DataError, match="no distance"):
        nearest(one, other[..., :1])


def test_the_report_by_a_judge(maker, capsys):
    command = "test maker.prototxt --weights maker.caffemodel --report --judge judge.prototxt"
    command += " --judge-weights judge.caffemodel"
    assert main([*command.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 9, "as many as there are test pictures"
    generator = Generator(maker)
    pictures = generator.pictures(generator.noise(9)).astype(float)
    means = pictures.mean(axis=(1, 2, 3))
    classes = np.abs(means[:, None] - SHADES).argmin(axis=1)
    assert found["shares"] == pytest.approx((np.bincount(classes, minlength=3) / 9).tolist())
    assert found["as_asked"] == pytest.approx((classes == np.arange(9) % 3).mean())
    assert found["confidence"] > 0.9
    seen, learned = (digits(*which)[0].astype(float) for which in ((9, 2), (12, 1)))
    features = [np.outer(some.mean(axis=(1, 2, 3)), [1, -1]) / 100
                for some in (pictures, seen, learned[:9])]  # fmt: skip
    assert found["frechet"] == pytest.approx(frechet(*features[:2]), rel=1e-3)
    assert found["true_frechet"] == pytest.approx(frechet(*features[1:]), rel=1e-3)
    assert found["nearest"] == pytest.approx(np.median(nearest(pictures, learned)[1]))
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    assert "9 pictures" in printed and "as_asked" in printed and "taken for:" in printed


def test_a_report_needs_other_pictures_than_those_of_training(maker, tmp_path, capsys):
    (tmp_path / "train_val.prototxt").write_text(DATA.replace('"test"', '"train"'))
    command = "test maker.prototxt --weights maker.caffemodel --report --judge judge.prototxt"
    assert main([*command.split(), "--judge-weights", "judge.caffemodel"]) != 0
    assert "its pictures for tests are those for training" in capsys.readouterr().err


def test_the_frechet_distance_is_that_of_its_formula():
    linalg = pytest.importorskip("scipy.linalg")
    random = np.random.default_rng(1)
    one, other = (
        random.standard_normal((40, 5)),
        random.standard_normal((30, 5)) @ np.diag([1, 2, 3, 0.5, 1]),
    )
    covariances = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    between = one.mean(axis=0) - other.mean(axis=0)
    expected = between @ between + np.trace(sum(covariances) - 2 * root)
    assert frechet(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="2 samples or more"):
        frechet(one[:1], other)


@pytest.mark.parametrize(
    "words, message",
    [
        ("", "needs --out"),
        ("--out a.png --length 3", "--length: maker.prototxt makes pictures"),
        ("--out a.png --class 3", "class 3: it knows those from 0 to 2"),
        ("--out a.png --between 3 --count 2", "leave out --count"),
        ("--out a.png --nearest 13", "the training set has 12 pictures"),
        ("--out a.png --train_val maker.prototxt", "no layer brings pictures"),
    ],
)
def test_what_generate_refuses(maker, capsys, words, message):
    assert generate(*words.split()) != 0
    assert message in capsys.readouterr().err


def test_values_without_a_meaning_are_refused(maker, tmp_path, capsys):
    (tmp_path / "train_val.prototxt").unlink()
    assert generate("--out", "a.png") != 0
    assert "--train_val FILE" in capsys.readouterr().err
