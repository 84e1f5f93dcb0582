"""Random transforms: what they do, their statistics, and that they can be repeated."""

import json
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from caffelite import rng
from caffelite.data.color import read_axes
from caffelite.data.geometry import RandomAspectRatio, Warp
from caffelite.data.source import Shard, Source, State
from caffelite.data.statistics import Statistics
from caffelite.data.transform import DataTransformer
from caffelite.errors import DataError
from caffelite.layers.data._prefetched import BatchLoader
from caffelite.proto.caffe_pb2 import TransformationParameter


class Pictures(Source):
    """A source of arrays in memory; the label is the index."""

    def __init__(self, images):
        self.images = images

    def sample(self, number):
        return self.images[number % len(self.images)], number

    def shape(self, number):
        return self.sample(number)[0].shape

    def name(self, number):
        return f"picture {number % len(self.images)}"


def batch(text, images, count=1, train=True, position=0, seed=1, shard=(0, 1)):
    """The data of `count` samples, transformed as the options say, or the text of them."""
    param = text_format.Parse(text, TransformationParameter()) if isinstance(text, str) else text
    transformer = DataTransformer(param, train)
    loader = BatchLoader(Pictures(images), transformer, count, np.float32)
    loader.source.shard(*shard)
    loader.shard = Shard(*shard)
    loader.source.restore(State(seed, 0))
    shape = loader.data_shape()
    data, _ = loader(position)
    assert shape == data.shape
    return data


def coordinates(height=64, width=96):
    """A picture whose blue is the row, green the column, red the same everywhere."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, 77)]).astype(np.uint8)


def colorful(shape=(3, 30, 40), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def flat(*values, size=(4, 4)):
    return np.broadcast_to(np.uint8(values)[:, None, None], (len(values), *size)).copy()


def assert_uniform(values, low, high):
    """Values look like draws from U(low, high): range, and counts in ten bins."""
    values = np.asarray(values)
    assert low <= values.min() and values.max() <= high
    counts = np.histogram(values, 10, (low, high))[0]
    expected = len(values) / 10
    assert abs(counts - expected).max() < 5 * expected**0.5


def assert_share(times, of, expected):
    assert abs(times - of * expected) < 5 * (of * expected * (1 - expected)) ** 0.5


# Every transform can be repeated

STATISTICS = {
    "eigenvalues": [3000.0, 200.0, 30.0],
    "eigenvectors": np.linalg.qr(np.arange(9).reshape(3, 3) ** 2 % 7 - 3.0)[0].tolist(),
}


@pytest.fixture
def pca_file(tmp_path):
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(STATISTICS))
    return path


RANDOM = {
    "mirror": "mirror: true",
    "crop": "crop_size: 8",
    "resize modes": "resize_param { height: 9 width: 9 interp_mode: NEAREST interp_mode: AREA }",
    "short side": "random_resize_param { min_size: 20 max_size: 50 } crop_size: 16",
    "aspect": "random_aspect_ratio_param { min_area_ratio: 0.1 aspect_ratio_change: 0.8 } "
    "crop_size: 16",
    "brightness": "distort_param { brightness_prob: 0.5 brightness_delta: 32 }",
    "contrast": "distort_param { contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 }",
    "saturation": "distort_param { saturation_prob: 0.5 saturation_upper: 1.5 }",
    "hue": "distort_param { hue_prob: 0.5 hue_delta: 18 }",
    "order": "distort_param { random_order_prob: 0.5 }",
    "inversion": "distort_param { invert_prob: 0.5 }",
    "rotation": "warp_param { rotation: 20 }",
    "shear": "warp_param { shear: 20 }",
    "shift": "warp_param { shift: 0.1 }",
    "local warp": "warp_param { local: 34 }",
    "lighting": 'lighting_param { pca_file: "PCA" }',
    "color shift": "color_shift: 20",
    "noise": "noise_std: 4",
    "upside down": "mirror_vertical: true",
}


@pytest.mark.parametrize("text", RANDOM.values(), ids=RANDOM)
def test_a_transform_depends_on_the_seed_and_the_sample_alone(text, pca_file):
    text, images = text.replace("PCA", str(pca_file)), [colorful()]
    first = batch(text, images, 24, position=24)
    np.testing.assert_array_equal(batch(text, images, 24, position=24), first)
    assert (batch(text, images, 24, position=24, seed=2) != first).any()
    assert (batch(text, images, 24, position=0) != first).any()
    assert (first != first[:1]).any(), "samples are drawn for one by one"
    if text not in (RANDOM["mirror"], RANDOM["crop"]) and "crop_size" not in text:
        halves = [batch(text, images, 12, position=p) for p in (24, 36)]
        np.testing.assert_array_equal(np.concatenate(halves), first)


@pytest.mark.parametrize("kind", [k for k in RANDOM if k not in ("mirror", "resize modes")])
def test_in_test_nothing_is_random_but_mirror(kind, pca_file):
    text = RANDOM[kind].replace("PCA", str(pca_file)) + " mean_value: 3 scale: 0.5"
    data = batch(text, [colorful()], 12, train=False)
    assert (data == data[:1]).all()


# Resizing


@pytest.mark.parametrize(
    ("mode", "shape", "inner"),
    [
        ("WARP", (20, 30), (20, 30)),
        ("FIT_SMALL_SIZE", (20, 40), (20, 40)),
        ("FIT_LARGE_SIZE_AND_PAD", (20, 30), (15, 30)),
    ],
)
def test_a_picture_is_squeezed_or_covers_or_fits(mode, shape, inner):
    cv2 = pytest.importorskip("cv2")
    x = colorful((3, 33, 66))
    text = f"resize_param {{ resize_mode: {mode} height: 20 width: 30 pad_value: 7 }}"
    (data,) = batch(text, [x], train=False)
    assert data.shape == (3, *shape)
    pads = (shape[0] - inner[0]) // 2, shape[0] - inner[0] - (shape[0] - inner[0]) // 2
    want = cv2.resize(np.ascontiguousarray(x.transpose(1, 2, 0)), inner[::-1]).transpose(2, 0, 1)
    want = np.pad(want, [(0, 0), pads, (0, 0)], constant_values=7)
    assert abs(data - want).max() <= 1


@pytest.mark.parametrize(
    ("pad_mode", "border"), [("MIRRORED", "reflect"), ("REPEAT_NEAREST", "edge")]
)
def test_padding_goes_on_with_the_picture(pad_mode, border):
    x = colorful((3, 12, 6))
    text = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 12 width: 13 pad_mode: %s }"
    (data,) = batch(text % pad_mode, [x])
    np.testing.assert_array_equal(data, np.pad(x, [(0, 0), (0, 0), (3, 4)], border))


def test_interpolation_is_drawn_evenly():
    modes = ["LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"]
    x, text = colorful((3, 9, 9)), "resize_param { height: 5 width: 6 %s }"
    listed = " ".join(f"interp_mode: {mode}" for mode in modes)
    data = batch(text % listed, [x], 1000)
    for mode in modes:
        want = batch(text % f"interp_mode: {mode}", [x])
        assert_share((data == want).all((1, 2, 3)).sum(), 1000, 1 / 5)


def test_the_short_side_is_drawn_evenly_and_halfway_in_test():
    text = "random_resize_param { min_size: 30 max_size: 49 }"
    sizes = [batch(text, [colorful((1, 40, 60))], seed=seed).shape[2:] for seed in range(400)]
    heights, widths = np.transpose(sizes)
    assert (widths == (heights * 1.5).astype(int)).all()
    assert set(heights) == set(range(30, 50))
    assert_uniform(heights - 0.5, 29.5 - 0.5, 49.5 - 0.5)
    assert batch(text, [colorful((1, 60, 40))], train=False).shape[2:] == (58, 39)


# Scale and aspect


def aspect(**options):
    param = TransformationParameter(random_aspect_ratio_param=options).random_aspect_ratio_param
    return RandomAspectRatio(param, (16, 16))


def test_area_and_proportions_are_drawn_evenly():
    step, random = aspect(min_area_ratio=0.08, aspect_ratio_change=0.5), rng.generator(0)
    sides = np.array([step._draw((3, 4000, 4000), random) for _ in range(4000)])
    assert_uniform(sides.prod(1) / 4000**2, 0.079, 1)
    change = np.sqrt(sides[:, 0] / sides[:, 1])  # a ~ U(1/2, 2), or 1/a
    assert 0.499 < change.min() and change.max() < 2.001
    assert_share((change > 1).sum(), 4000, 0.5)
    # P(a < t) = (t - 1/2) / 1.5, P(1/a < t) = (2 - 1/t) / 1.5
    for t in (0.6, 0.8, 1.2, 1.6):
        assert_share((change < t).sum(), 4000, ((t - 0.5) + (2 - 1 / t)) / 3)


def test_crops_lie_anywhere_and_become_the_crop():
    text = """random_aspect_ratio_param { min_area_ratio: 0.25 max_area_ratio: 0.25 }
              crop_size: 32"""
    data = batch(text, [coordinates(64, 64)], 800)  # 32 x 32 pixels, as they are
    assert_uniform(data[:, 0, 0, 0], 0, 32)
    assert_uniform(data[:, 1, 0, 0], 0, 32)
    assert abs(np.corrcoef(data[:, 0, 0, 0], data[:, 1, 0, 0])[0, 1]) < 0.2
    np.testing.assert_array_equal(data[:, 0, -1, 5] - data[:, 0, 0, 5], np.full(800, 31))


def test_where_no_crop_fits_the_short_side_becomes_the_crop():
    step = aspect(min_area_ratio=1, max_area_ratio=1)
    assert step(colorful((3, 40, 80)), rng.generator(0)).shape == (3, 16, 32)
    assert aspect(max_attempt=0)(colorful((3, 81, 40)), rng.generator(0)).shape == (3, 32, 16)


# Colors


def levels(text, value=100, count=2000):
    """What becomes of a gray picture of one value, sample by sample."""
    return batch(text, [flat(value)], count)[:, 0, 0, 0]


def test_brightness_is_added():
    data = levels("distort_param { brightness_prob: 0.75 brightness_delta: 30 }")
    changed = data[data != 100]
    assert_share(len(changed), 2000, 0.75 * 60 / 61)
    assert abs(changed.mean() - 100) < 2 and abs(changed.std() - 60 / 12**0.5) < 1
    assert set(np.unique(data)) == set(range(70, 131))


def test_contrast_is_a_factor():
    data = levels("distort_param { contrast_prob: 1 contrast_lower: 0.5 contrast_upper: 1.5 }")
    assert_uniform(data, 49.5, 150.5)
    strong = "distort_param { contrast_prob: 1 contrast_lower: 3 contrast_upper: 3 }"
    assert set(levels(strong)) == {255}, "values end at 255"


def test_saturation_moves_colors_to_and_from_gray():
    text = "distort_param { saturation_prob: 1 saturation_lower: 0.5 saturation_upper: 1.5 }"
    b, g, r = batch(text, [flat(100, 150, 200)], 2000)[:, :, 0, 0].T
    assert (r == 200).all(), "the largest stays"
    assert_uniform((200 - b) / 100, 0.48, 1.52)
    assert abs((200 - g) / (200 - b) - 0.5).max() < 0.03, "so does the hue"


def test_hue_turns():
    text = "distort_param { hue_prob: 1 hue_delta: 20 }"
    b, g, r = batch(text, [flat(50, 150, 50)], 2000)[:, :, 0, 0].T  # green: both ways are alike
    assert (g == 150).all() and (np.minimum(b, r) == 50).all()
    assert_uniform((b - r) / 100 * 30, -20.5, 20.5)


def test_channels_come_in_every_order():
    data = batch("distort_param { random_order_prob: 1 }", [flat(1, 2, 3)], 1200)[:, :, 0, 0]
    orders, counts = np.unique(data, axis=0, return_counts=True)
    assert len(orders) == 6
    for count in counts:
        assert_share(count, 1200, 1 / 6)


def test_channels_are_inverted_each_by_itself():
    data = batch("distort_param { invert_prob: 0.25 }", [flat(1, 2, 3)], 1200)[:, :, 0, 0]
    inverted = data != [1, 2, 3]
    np.testing.assert_array_equal(data, np.where(inverted, [254, 253, 252], [1, 2, 3]))
    for share in (1 / 4, 1 / 16):  # the last two together
        assert_share(inverted[:, 2].sum(), 1200, share)
        inverted = inverted & inverted[:, 1:2]
    gray = batch("distort_param { invert_prob: 1 }", [flat(7)], 2)
    assert (gray == 248).all()


def test_contrast_comes_before_or_after_saturation():
    text = """distort_param { contrast_prob: 1 contrast_lower: 2 contrast_upper: 2
              saturation_prob: 1 saturation_lower: 0 saturation_upper: 0 }"""
    data = batch(text, [flat(50, 100, 200)], 400)
    assert (data == 255).all(), "gray of 200, doubled, or doubled and gray"
    text = text.replace("saturation_lower: 0 saturation_upper: 0", "saturation_lower: 0.5")
    text = text.replace("saturation_prob: 1", "saturation_prob: 1 saturation_upper: 0.5")
    blue = batch(text, [flat(50, 100, 200)], 400)[:, 0, 0, 0]
    early, late = (blue < 200).sum(), (blue > 200).sum()
    assert early + late == 400
    assert_share(early, 400, 0.5)


# Warping


def warp(**options):
    return Warp(TransformationParameter(warp_param=options).warp_param)


def test_turning_by_a_right_angle_is_exact():
    step, x = warp(rotation=90), colorful((2, 7, 7))

    class Most:
        def uniform(self, low, high, count):
            return np.array([high] + [0.0] * (count - 1))

    np.testing.assert_array_equal(step(x, Most()), np.rot90(x, axes=(1, 2)))


@pytest.mark.slow
def test_angles_and_shifts_are_drawn_evenly():
    random = rng.generator(3)
    turn, skew, move = warp(rotation=30), warp(shear=30), warp(shift=0.25)
    angles, shears, shifts = [], [], []
    for _ in range(2000):
        matrix = turn._matrix((41, 41), random)
        np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(matrix @ [20, 20, 1], [20, 20])
        angles.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
        matrix = skew._matrix((41, 61), random)
        assert np.linalg.det(matrix[:, :2]) == pytest.approx(1)
        np.testing.assert_allclose(matrix @ [20, 30, 1], [20, 30])
        shears.append(np.degrees(np.arctan(matrix[1, 0])))
        matrix = move._matrix((40, 80), random)
        np.testing.assert_array_equal(matrix[:, :2], np.eye(2))
        shifts.append(matrix[:, 2])
    assert_uniform(angles, -30, 30)
    assert_uniform(shears, -30, 30)
    for shift, size in zip(np.transpose(shifts), (40, 80), strict=True):
        assert_uniform(shift, -size / 4, size / 4)


def test_a_zoom_is_as_often_larger_as_smaller():
    step, random = warp(zoom=1), rng.generator(0)
    sides = [np.linalg.inv(step._matrix((40, 80), random)[:, :2]) for _ in range(2000)]
    assert all(np.allclose(side, side[0, 0] * np.eye(2)) for side in sides)
    assert_uniform(np.log2([side[0, 0] for side in sides]), -1, 1)
    x = np.zeros((1, 5, 5), np.uint8)
    x[0, 2, 2] = 200
    assert (np.transpose(np.nonzero(step(x, random)))[:, 1:].mean(0) == 2).all(), "the middle stays"


def test_some_pictures_are_not_warped():
    step, x, random = warp(rotation=30, prob=0.25), colorful((3, 9, 9)), rng.generator(0)
    same = [np.array_equal(step(x, random), x) for _ in range(2000)]
    assert abs(np.mean(same) - 0.75) < 0.04


def test_what_is_shifted_in_is_as_asked_for():
    x = flat(200, size=(20, 20))
    for options, value in [
        ({}, 200),
        ({"pad_mode": "REPEAT_NEAREST"}, 200),
        ({"pad_mode": "CONSTANT"}, 0),
        ({"pad_mode": "CONSTANT", "pad_value": [9]}, 9),
    ]:
        y = warp(shift=0.9, **options)(x, rng.generator(0))
        assert y.min() == value


@pytest.mark.parametrize(("local", "sigma"), [(34, 4), (100, 7.5)])
def test_the_local_warp_is_as_strong_and_smooth_as_it_says(local, sigma):
    step, random = warp(local=local, local_sigma=sigma), rng.generator(0)
    away = np.array([step._away((64, 64), random) for _ in range(40)])
    rms = np.sqrt((away**2).mean())
    assert rms == pytest.approx(local / (sigma * np.sqrt(12 * np.pi)), rel=0.05)
    lag = round(sigma)
    similarity = (away[..., lag:] * away[..., :-lag]).mean() / rms**2
    assert similarity == pytest.approx(np.exp(-((lag / sigma) ** 2) / 4), abs=0.06)
    edges = np.sqrt((away[..., 0] ** 2).mean())
    assert edges == pytest.approx(rms, rel=0.15), "no weaker at the edges"


# After the crop


@pytest.mark.slow
def test_lighting_has_the_covariance_of_the_data(pca_file):
    text = f'lighting_param {{ pca_file: "{pca_file}" std: 0.5 }} scale: 2 mean_value: 10'
    data = batch(text, [flat(10, 10, 10)], 20000)
    assert (data == data[:, :, :1, :1]).all(), "all pixels alike"
    vectors = np.array(STATISTICS["eigenvectors"])
    want = vectors @ np.diag(STATISTICS["eigenvalues"]) @ vectors.T * 0.5**2 * 2**2
    np.testing.assert_allclose(np.cov(data[:, :, 0, 0].T), want, atol=0.05 * want.max())
    assert abs(data.mean((0, 2, 3))).max() < 5 * (want.max() / 20000) ** 0.5


def test_lighting_reads_the_statistics_that_data_sets_are_made_with(tmp_path):
    statistics, images = Statistics(), [colorful(seed=seed) for seed in range(3)]
    for image in images:
        image[1] = image[0] // 2
        statistics.add(image)
    (tmp_path / "statistics.json").write_text(json.dumps(statistics.report()))
    axes = read_axes(tmp_path / "statistics.json")
    pixels = np.concatenate([image.reshape(3, -1) for image in images], 1)
    np.testing.assert_allclose(axes.T @ axes, np.cov(pixels, bias=True), rtol=1e-6)


def test_blue_green_and_red_are_shifted_each_by_its_own():
    image = colorful()
    data = batch("color_shift: [5, 20, 0] scale: 2 mean_value: 10", [image], 2000)
    moved = data - 2 * (image.astype(np.float32) - 10)
    np.testing.assert_allclose(moved, moved[:, :, :1, :1] + 0 * moved, atol=1e-4)
    blue, green, red = moved[:, :, 0, 0].T
    assert_uniform(blue, -10.01, 10.01)
    assert_uniform(green, -40.01, 40.01)
    assert (red == 0).all()
    assert abs(np.corrcoef(blue, green)[0, 1]) < 0.1, "drawn for each"
    one = batch("color_shift: 20", [image], 2000) - image
    for values in one[:, :, 0, 0].T:
        assert_uniform(values, -20.01, 20.01)


def test_noise_is_normal_and_independent():
    text = "noise_std: 4 scale: 0.5 mean_value: 128"
    data = batch(text, [flat(128, 128, size=(50, 50))], 20)
    assert abs(data.mean()) < 5 * 2 / data.size**0.5
    assert data.std() == pytest.approx(2, rel=0.02)
    assert (abs(data) < 2).mean() == pytest.approx(0.6827, abs=0.01)
    for a, b in [(data[1:], data[:-1]), (data[:, 1], data[:, 0]), (data[..., 1:], data[..., :-1])]:
        assert abs((a * b).mean()) < 5 * 4 / a.size**0.5


def test_every_other_picture_is_upside_down():
    x = coordinates(8, 9)
    data = batch("mirror_vertical: true", [x], 1000)
    turned = (data == x[:, ::-1]).all((1, 2, 3))
    assert ((data == x).all((1, 2, 3)) | turned).all()
    assert_share(turned.sum(), 1000, 0.5)


def test_a_mean_file_is_that_of_the_resized_pictures(tmp_path):
    from caffelite.data import binaryproto

    mean = np.random.default_rng(0).random((1, 3, 10, 12), np.float32)
    binaryproto.write(tmp_path / "mean", mean)
    text = f'resize_param {{ height: 10 width: 12 }} mean_file: "{tmp_path / "mean"}" '
    x = colorful()
    resized = batch("resize_param { height: 10 width: 12 }", [x])
    np.testing.assert_array_equal(batch(text, [x]), resized - mean)
    with pytest.raises(DataError, match="has the shape .3, 30, 40., but the mean"):
        batch(f'mean_file: "{tmp_path / "mean"}"', [x])


# Rectangles, and several crops


def test_crops_may_be_rectangles():
    x = coordinates()
    (middle,) = batch("crop_h: 10 crop_w: 20", [x], train=False)
    np.testing.assert_array_equal(middle, x[:, 27:37, 38:58])
    data = batch("crop_h: 10 crop_w: 20", [x], 600)
    assert_uniform(data[:, 0, 0, 0], -0.5, 54.5)
    assert_uniform(data[:, 1, 0, 0], -0.5, 76.5)


def test_ten_crops_are_those_of_pycaffe():
    from caffelite.io import oversample

    images = [colorful(seed=seed) for seed in (0, 1)]
    data = batch("ten_crop: true crop_size: 16 mirror: true mean_value: 9", images, 2, train=False)
    want = oversample([x.transpose(1, 2, 0) for x in images], (16, 16)).transpose(0, 3, 1, 2) - 9
    np.testing.assert_array_equal(data, want)
    assert batch("ten_crop: true crop_size: 16", images, 2).shape[0] == 2, "not in TRAIN"


def test_crops_are_taken_at_several_sizes():
    x = colorful((3, 60, 90))
    data = batch("test_size: 20 test_size: 40 crop_size: 16", [x], train=False)
    for view, size in zip(data, (20, 40), strict=True):
        text = f"random_resize_param {{ min_size: {size} max_size: {size} }} crop_size: 16"
        np.testing.assert_array_equal(view, batch(text, [x], train=False)[0])
    text = "test_size: 20 test_size: 40 crop_size: 16 ten_crop: true"
    assert batch(text, [x], 3, train=False).shape == (60, 3, 16, 16)


# Shards


def test_shards_share_the_samples_out_and_draw_for_themselves():
    text, images = "warp_param { rotation: 30 } noise_std: 1", [colorful(seed=i) for i in range(12)]
    whole = batch(text, images, 12)
    parts = [batch(text, images, 4, shard=(rank, 3)) for rank in range(3)]
    np.testing.assert_array_equal(np.stack(parts, 1).reshape(whole.shape), whole)
    whole = batch("crop_size: 2", [coordinates()], 100)
    crops = [batch("crop_size: 2", [coordinates()], 50, shard=(rank, 2)) for rank in (0, 1)]
    np.testing.assert_array_equal(np.stack(crops, 1).reshape(whole.shape), whole)
    assert (crops[0] != crops[1]).any()


# Mistakes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resize_param { height: 5 }", "resize_param: give height and width"),
        ("resize_param { height: 100000 width: 100000 }", "100000 x 100000 pixels are too many"),
        (
            "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 9 width: 9 "
            "pad_value: 1 pad_value: 2 }",
            "has 3 channels, but there are 2 of resize_param: pad_value",
        ),
        ("random_resize_param { min_size: 5 }", "max_size: 0: expected"),
        ("random_resize_param { max_size: 5 }", "min_size: 0, max_size: 5: expected"),
        ("random_aspect_ratio_param { }", "needs crop_size"),
        ("crop_size: 2 random_aspect_ratio_param { min_area_ratio: 0 }", "min_area_ratio: 0"),
        ("crop_size: 2 random_aspect_ratio_param { max_area_ratio: 1.5 }", "max_area_ratio: 1.5"),
        ("crop_size: 2 random_aspect_ratio_param { min_area_ratio: nan }", "min_area_ratio: nan"),
        (
            "crop_size: 2 random_aspect_ratio_param { aspect_ratio_change: 1.2 }",
            "aspect_ratio_change: 1.2",
        ),
        (
            "crop_size: 2 random_aspect_ratio_param { max_attempt: 4000000000 }",
            "max_attempt: 4000000000, expected up to 1000",
        ),
        ("distort_param { contrast_prob: 1 contrast_upper: inf }", "contrast_upper: inf"),
        ("distort_param { brightness_delta: -1 }", "brightness_delta: -1"),
        ("distort_param { hue_delta: nan }", "hue_delta: nan"),
        ("distort_param { contrast_prob: 1 contrast_lower: 2 }", "contrast_lower: 2, contrast_upp"),
        ("distort_param { saturation_prob: 1 saturation_lower: -1 }", "saturation_lower: -1"),
        ("warp_param { rotation: -5 }", "rotation: -5, expected a number from 0 on"),
        ("warp_param { shear: 90 }", "shear: 90, expected less than 90"),
        ("warp_param { local: inf }", "local: inf"),
        ("warp_param { local_sigma: 0 }", "local_sigma: 0"),
        ("warp_param { local_sigma: 1e9 }", "local_sigma: 1e.09"),
        ("warp_param { pad_value: nan }", "warp_param: pad_value: nan: expected 0 to 255"),
        ("warp_param { pad_value: 1 pad_value: 2 }", "there are 2 of warp_param: pad_value"),
        ('lighting_param { pca_file: "none" }', "none: cannot be read"),
        ('lighting_param { std: -1 pca_file: "none" }', "std: -1"),
        ("noise_std: -1", "noise_std: -1"),
        ("color_shift: -1", "color_shift: -1, expected 0 to 255"),
        (
            "vertical_stretch_lower: 1 vertical_stretch_upper: inf",
            "vertical_stretch_upper: inf: expected a lower",
        ),
        ("color_shift: nan", "color_shift: nan, expected 0 to 255"),
        ("color_shift: [1, 2]", "color_shift: given 2 times, expected 1 or 3"),
        ("crop_size: 5 crop_h: 5 crop_w: 6", "crop_size, or crop_h and crop_w"),
        ("crop_h: 5", "give both crop_h and crop_w"),
        ("crop_h: 5 crop_w: 50", "30 x 40 pixels are too few for crop_size 5 x 50"),
    ],
)
def test_options_that_make_no_sense_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        batch(text, [colorful()])


NUMBERS = [0, 1, 2, 0.3, 0.866, 1.5, -1, 30, 1e30, math.nan, math.inf, -math.inf]
SIZES = [0, 1, 2, 5, 12, 300, 2**31, 2**32 - 1]
NOT_DRAWN = {
    *("mean_file", "noise_param", "emit_constraint", "expand_param", "scale_factors"),
    "resize_params",
}


def drawn(message, pick, pca_file):
    """Fill a message with options at random, sensible or not."""
    for field in message.DESCRIPTOR.fields:
        if field.name in NOT_DRAWN or pick.random() < 0.9:
            continue
        old = getattr(message, field.name)
        if isinstance(old, (bool, int, float, str)):
            setattr(message, field.name, a_value(field, pick, pca_file))
        elif field.message_type:
            old.SetInParent()
            drawn(old, pick, pca_file)
        else:
            old.extend(a_value(field, pick, pca_file) for _ in range(pick.choice([1, 3])))
    return message


def a_value(field, pick, pca_file):
    if field.type == field.TYPE_FLOAT:
        return pick.choice([pick.choice(NUMBERS), pick.random()])
    if field.type in (field.TYPE_INT32, field.TYPE_INT64):
        return pick.randint(-1, 12)
    if field.type == field.TYPE_UINT32:
        return pick.choice([pick.choice(SIZES), pick.randint(1, 12)])
    if field.type == field.TYPE_ENUM:
        return pick.choice(list(field.enum_type.values_by_number))
    return str(pca_file) if field.type == field.TYPE_STRING else pick.random() < 0.5


@pytest.mark.filterwarnings("error")
def test_no_options_end_in_anything_but_an_error_of_ours(pca_file):
    fine = 0
    for seed in range(600):
        pick = random.Random(seed)
        param = drawn(TransformationParameter(), pick, pca_file)
        image = colorful((pick.choice([1, 3, 4]), pick.randint(1, 20), pick.randint(1, 20)))
        try:
            with np.errstate(all="ignore"):  # scale and noise may be infinite
                batch(param, [image], train=pick.random() < 0.8)
            fine += 1
        except DataError:
            pass
    assert 50 < fine < 500


@pytest.mark.parametrize("text", ["ten_crop: true", "test_size: 9", "test_size: 0 crop_size: 4"])
def test_views_need_sizes(text):
    with pytest.raises(DataError, match="crop_size|test_size: 0"):
        batch(text, [colorful()], train=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON with"),
        ("[]", "expected JSON with"),
        ('{"eigenvalues": [1, 2]}', "expected JSON with"),
        ('{"eigenvalues": ["x"], "eigenvectors": [[1]]}', "expected JSON with"),
        ('{"eigenvalues": [1, 2], "eigenvectors": [[1]]}', "expected one and a column"),
        ('{"eigenvalues": [-1], "eigenvectors": [[1]]}', "below 0"),
        ('{"eigenvalues": [NaN], "eigenvectors": [[1]]}', "no number"),
    ],
)
def test_broken_statistics_are_refused(tmp_path, content, message):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_axes(tmp_path / "s.json")
    assert str(tmp_path / "s.json") in str(caught.value)


def test_pictures_that_a_step_cannot_take_are_named(pca_file):
    good, gray = colorful(), colorful((1, 30, 40))
    for text, bad, message in [
        ("distort_param { hue_prob: 1 }", gray, "has 1 channels; saturation"),
        ("distort_param { hue_prob: 1 saturation_prob: -inf }", gray, "has 1 channels; saturation"),
        ("distort_param { hue_prob: 1 saturation_prob: nan }", gray, "has 1 channels; saturation"),
        (f'lighting_param {{ pca_file: "{pca_file}" }}', gray, "has 1 channels, but pca_file"),
        ("color_shift: 5", gray, "has 1 channels; color_shift .* distort_param"),
        ("warp_param { }", good.astype(np.float32), "holds floats"),
    ]:
        with pytest.raises(DataError, match=f"picture 0: {message}"):
            batch(text, [bad])


def test_a_thin_picture_does_not_fill_the_memory():
    with pytest.raises(DataError, match="picture 0: 1 x 50000 pixels would become 256 x 12800000"):
        batch("random_resize_param { min_size: 256 max_size: 256 }", [colorful((1, 1, 50000))])


# A net that averages, as models/README.md has it


def test_a_net_averages_the_crops_of_a_picture(tmp_path):
    import caffelite
    from caffelite.data.datum import from_pixels
    from caffelite.data.lmdb import LmdbWriter

    readme = (Path(__file__).parent.parent / "models" / "README.md").read_text()
    (layers,) = re.findall(r"```\n(layer .*?)```", readme, re.S)
    with LmdbWriter(tmp_path / "db") as database:
        for i in range(3):
            datum = from_pixels(colorful(seed=i), i)
            database.put(b"%d" % i, datum.SerializeToString())
    (tmp_path / "net.prototxt").write_text(
        f"""layer {{ name: "data" type: "Data" top: "data" top: "label"
              transform_param {{ crop_size: 8 ten_crop: true scale: 0.01 }}
              data_param {{ source: "{tmp_path}/db" backend: LMDB batch_size: 3 }} }}
            layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
              inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
            layer {{ name: "prob" type: "Softmax" bottom: "ip" top: "prob" }}"""
        + layers.replace("1000", "5")
    )
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    net.forward()
    prob, mean = net.blobs["prob"].data, net.blobs["mean"].data
    assert prob.shape == (30, 5) and mean.shape == (3, 5)
    np.testing.assert_allclose(mean, prob.reshape(3, 10, 5).mean(1), rtol=1e-5)
    assert net.blobs["accuracy"].data == (mean.argmax(1) == [0, 1, 2]).mean(dtype=np.float32)
