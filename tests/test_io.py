"""Pictures and messages: what caffe.io does to them; Classifier and Detector on top."""

import numpy as np
import pytest
from PIL import Image

import caffelite as caffe
from caffelite import io
from caffelite.proto.caffe_pb2 import BlobProto

rng = np.random.default_rng(0)

# Messages


def test_blobs_come_in_either_kind_of_shape():
    values = rng.random(24)
    old = BlobProto(data=values, num=2, channels=3, height=4, width=1)
    new = BlobProto(data=values, diff=-values, shape={"dim": [4, 6]})
    assert io.blobproto_to_array(old).shape == (2, 3, 4, 1)
    np.testing.assert_array_equal(io.blobproto_to_array(new), np.float32(values).reshape(4, 6))
    np.testing.assert_array_equal(io.blobproto_to_array(new, True)[0], -np.float32(values[:6]))
    assert io.blobproto_to_array(BlobProto(data=[5], shape={})) == 5


@pytest.mark.parametrize("shape", [dict(), dict(shape={"dim": [5]}), dict(num=2, height=3)])
def test_a_blob_that_does_not_fill_its_shape_is_a_value_error(shape):
    with pytest.raises(ValueError, match="6 values"):
        io.blobproto_to_array(BlobProto(data=range(6), **shape))


def test_arrays_become_blobs_and_lists_of_arrays_bytes():
    x = rng.random((2, 3), np.float32)
    blob = io.array_to_blobproto(x, diff=2 * x)
    np.testing.assert_array_equal(io.blobproto_to_array(blob), x)
    np.testing.assert_array_equal(io.blobproto_to_array(blob, return_diff=True), 2 * x)
    arrays = [x, np.float32(3), np.arange(4)]
    back = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(arrays))
    assert len(back) == 3
    for ours, theirs in zip(back, arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_datums_hold_bytes_or_floats(dtype):
    x = (255 * rng.random((3, 4, 5))).astype(dtype)
    datum = io.array_to_datum(x, 7)
    assert (datum.label, bool(datum.data)) == (7, dtype == np.uint8)
    back = io.datum_to_array(datum)
    np.testing.assert_array_equal(back, x.astype(np.float32))
    back[...] = 0  # of its own


def test_a_datum_needs_three_axes_and_no_label():
    assert not io.array_to_datum(np.zeros((1, 2, 3))).HasField("label")
    assert io.array_to_datum(np.zeros((1, 2, 3)), label=0).HasField("label")
    with pytest.raises(ValueError, match=r"not \(2, 3\)"):
        io.array_to_datum(np.zeros((2, 3)))


# Reading pictures


def save(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def test_pictures_are_read_as_red_green_blue_from_0_to_1(tmp_path):
    pixels = rng.integers(0, 256, (4, 5, 3), np.uint8)
    path = save(tmp_path / "p.png", pixels)
    image = io.load_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / 255, rtol=1e-6)
    gray = io.load_image(path, color=False)
    assert gray.shape == (4, 5, 1)
    expected = pixels @ [0.2125, 0.7154, 0.0721] / 255
    np.testing.assert_allclose(gray[:, :, 0], expected, rtol=1e-5)


def test_gray_is_tiled_and_alpha_dropped(tmp_path):
    pixels = rng.integers(0, 256, (4, 5, 4), np.uint8)
    with_alpha = io.load_image(save(tmp_path / "a.png", pixels))
    np.testing.assert_allclose(with_alpha, pixels[:, :, :3] / 255, rtol=1e-6)
    path = save(tmp_path / "g.png", pixels[:, :, 0].copy())
    np.testing.assert_allclose(io.load_image(path, color=False)[:, :, 0], pixels[:, :, 0] / 255)
    tiled = io.load_image(path)
    np.testing.assert_allclose(tiled, pixels[:, :, :1].repeat(3, 2) / 255, rtol=1e-6)
    tiled[0, 0, 0] = 9  # of its own
    assert tiled[0, 0, 1] != 9


def test_16_bits_count_to_65535(tmp_path):
    path = save(tmp_path / "deep.png", np.array([[0, 13107], [65535, 1]], np.uint16))
    image = io.load_image(path, color=False)[:, :, 0]
    np.testing.assert_allclose(image, [[0, 0.2], [1, 1 / 65535]], rtol=1e-6)


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, problem in (("text.png", "no picture"), ("none.png", "no such file")):
        with pytest.raises(RuntimeError, match=f"{name}: {problem}"):
            io.load_image(tmp_path / name)


# Resizing


def test_pixel_centres_are_mapped_and_the_minimum_lies_around():
    row = np.array([[2.0, 6.0]])[:, :, None]
    wide = io.resize_image(row, (1, 4))
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide[0, :, 0], [2, 3, 5, 5])
    narrow = io.resize_image(np.array([[1.0, 3, 5, 9]])[:, :, None], (1, 2))
    np.testing.assert_allclose(narrow[0, :, 0], [2, 7])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_one_and_three_channels_resize_as_with_a_constant_border(channels, order):
    ndimage = pytest.importorskip("scipy").ndimage
    x = rng.standard_normal((7, 5, channels))
    dims = (4, 11)
    grid = np.meshgrid(
        *[(np.arange(n) + 0.5) * old / n - 0.5 for n, old in zip(dims, x.shape, strict=False)],
        indexing="ij",
    )
    low, high = x.min(), x.max()
    expected = [
        ndimage.map_coordinates((c - low) / (high - low), grid, order=order, mode="grid-constant")
        for c in x.transpose(2, 0, 1)
    ]
    expected = np.clip(np.stack(expected, 2), 0, 1) * (high - low) + low
    np.testing.assert_allclose(io.resize_image(x, dims, order), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("dims", [(14, 9), (3, 3), (1, 6), (7, 5)])
def test_other_numbers_of_channels_zoom(dims, order):
    ndimage = pytest.importorskip("scipy").ndimage
    x = rng.standard_normal((7, 5, 4))
    expected = ndimage.zoom(x, (dims[0] / 7, dims[1] / 5, 1), order=order)
    np.testing.assert_allclose(io.resize_image(x, dims, order), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dims", [(0, 2), (2, -3), (2,), (2, 3, 4)])
def test_sizes_that_are_none_are_refused(dims):
    with pytest.raises(RuntimeError, match=r"expected a size of \(height, width\)"):
        io.resize_image(np.ones((4, 5, 3)), dims)


def test_constant_pictures_stay_constant():
    for value in (0, 1, -3.5):
        x = np.full((5, 6, 3), value)
        assert (io.resize_image(x, (7, 9)) == value).all()


# Crops


def test_ten_crops_are_corners_centre_and_their_mirror_images():
    images = rng.random((2, 7, 8, 3))
    crops = io.oversample(images, (4, 5))
    assert crops.shape == (20, 4, 5, 3) and crops.dtype == np.float32
    starts = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1)]
    for k, image in enumerate(images.astype(np.float32)):
        for i, (y, x) in enumerate(starts):
            expected = image[y : y + 4, x : x + 5]
            np.testing.assert_array_equal(crops[10 * k + i], expected)
            np.testing.assert_array_equal(crops[10 * k + 5 + i], expected[:, ::-1])


def test_crops_must_fit_into_the_picture():
    for dims in ((5, 3), (3, 6), (0, 3)):
        with pytest.raises(RuntimeError, match="do not fit into pictures of 4 x 5"):
            io.oversample(np.ones((1, 4, 5, 3)), dims)


# Transformer


def transformer(**settings):
    made = io.Transformer({"data": (10, 3, 4, 6)})
    for name, value in settings.items():
        getattr(made, f"set_{name}")("data", value)
    return made


EVERYTHING = dict(
    transpose=(2, 0, 1), channel_swap=(2, 1, 0), raw_scale=255, mean=np.array([1, 2, 3]),
    input_scale=0.5,
)  # fmt: skip


def test_a_transformer_does_its_steps_in_caffes_order():
    x = rng.random((4, 6, 3), np.float32)
    before = x.copy()
    out = transformer(**EVERYTHING).preprocess("data", x)
    expected = (x.transpose(2, 0, 1)[::-1] * 255 - np.array([1, 2, 3])[:, None, None]) * 0.5
    assert out.shape == (3, 4, 6) and out.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(x, before)


def test_deprocessing_takes_it_back():
    x = rng.random((4, 6, 3), np.float32)
    made = transformer(**EVERYTHING)
    batch = made.preprocess("data", x)[None]
    np.testing.assert_allclose(made.deprocess("data", batch), x, rtol=1e-4, atol=1e-5)


def test_a_gray_picture_comes_back_with_its_axes():
    x = rng.random((4, 6, 1), np.float32)
    gray = io.Transformer({"data": (1, 1, 4, 6)})
    assert gray.deprocess("data", x.transpose(2, 0, 1)).shape == (4, 6), "squeezed, as in Caffe"
    gray.set_transpose("data", (2, 0, 1))
    for batch in (gray.preprocess("data", x), gray.preprocess("data", x)[None]):
        np.testing.assert_array_equal(gray.deprocess("data", batch), x)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (8, 9, 2), (8, 9), (0, 9, 3)])
def test_what_is_no_picture_for_the_input_is_refused(shape):
    with pytest.raises(RuntimeError, match=r"picture.* \("):
        transformer(**EVERYTHING).preprocess("data", np.ones(shape))


def test_one_channel_may_be_swapped_into_three():
    x = rng.random((4, 6, 1), np.float32)
    out = transformer(transpose=(2, 0, 1), channel_swap=(0, 0, 0)).preprocess("data", x)
    np.testing.assert_array_equal(out, np.repeat(x.transpose(2, 0, 1), 3, axis=0))


def test_pictures_of_another_size_are_resized():
    x = rng.random((8, 9, 3), np.float32)
    out = transformer(transpose=(2, 0, 1)).preprocess("data", x)
    np.testing.assert_array_equal(out.transpose(1, 2, 0), io.resize_image(x, (4, 6)))


def test_a_mean_image_is_resized():
    mean = rng.random((3, 8, 12))
    made = transformer(mean=mean)
    expected = io.resize_image(mean.transpose(1, 2, 0), (4, 6)).transpose(2, 0, 1)
    np.testing.assert_allclose(made.mean["data"], expected)
    fitting = rng.random((3, 4, 6))
    np.testing.assert_array_equal(transformer(mean=fitting).mean["data"], fitting)
    one = io.Transformer({"data": (1, 1, 4, 6)})
    one.set_transpose("data", (2, 0, 1))
    one.set_mean("data", fitting[0])
    np.testing.assert_allclose(one.preprocess("data", np.zeros((4, 6, 1)))[0], -fitting[0])


def test_settings_are_kept_by_input():
    made = transformer(**EVERYTHING)
    assert made.inputs == {"data": (10, 3, 4, 6)}
    assert (made.transpose, made.channel_swap) == ({"data": (2, 0, 1)}, {"data": (2, 1, 0)})
    assert (made.raw_scale, made.input_scale) == ({"data": 255}, {"data": 0.5})
    assert made.mean["data"].shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("transpose", (1, 0), Exception),
        ("transpose", (2, 0, 0), Exception),
        ("channel_swap", (1, 0), Exception),
        ("mean", np.zeros(4), ValueError),
        ("mean", np.zeros((4, 4, 6)), ValueError),
        ("mean", np.zeros((1, 3, 4, 6)), ValueError),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, value, kind):
    with pytest.raises(kind, match=r"expected|shape"):
        transformer(**{name: value})


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_unknown_input_is_refused(name):
    with pytest.raises(Exception, match="inputs are data, not blob"):
        getattr(transformer(), f"set_{name}")("blob", EVERYTHING[name])
    for method in (transformer().preprocess, transformer().deprocess):
        with pytest.raises(Exception, match="inputs are data, not blob"):
            method("blob", np.zeros((4, 6, 3)))


# Classifier and Detector

MEANS = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 4 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" } bias_term: false } }
"""


@pytest.fixture
def files(tmp_path):
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_text(MEANS)
    caffe.Net(str(model), caffe.TEST).save(weights)
    return str(model), str(weights)


SETTINGS = dict(mean=np.array([10, 20, 30]), input_scale=0.1, raw_scale=255, channel_swap=(2, 1, 0))


def test_a_classifier_averages_ten_crops(files):
    classifier = caffe.Classifier(*files, image_dims=(6, 7), **SETTINGS)
    assert tuple(classifier.crop_dims) == (4, 4) and tuple(classifier.image_dims) == (6, 7)
    images = [rng.random((9, 8, 3), np.float32) for _ in range(3)]
    scores = classifier.predict(images)
    assert scores.shape == (3, 5)
    (w,) = (blob.data for blob in classifier.params["ip"])
    crops = io.oversample([io.resize_image(x, (6, 7)) for x in images], (4, 4))
    inputs = (crops[..., ::-1] * 255 - [10, 20, 30]) * 0.1
    expected = (inputs.transpose(0, 3, 1, 2).reshape(30, -1) @ w.T).reshape(3, 10, 5).mean(1)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)


def test_a_classifier_may_look_at_the_centre_only(files):
    classifier = caffe.Classifier(*files, image_dims=(7, 8))
    image = rng.random((7, 8, 3), np.float32)
    score = classifier.predict([image], oversample=False)
    expected = classifier.forward_all(data=image[1:5, 2:6].transpose(2, 0, 1)[None])["score"]
    assert score.shape == (1, 5)
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)
    assert tuple(caffe.Classifier(*files).image_dims) == (4, 4)


@pytest.fixture
def picture(tmp_path):
    return str(save(tmp_path / "p.png", rng.integers(0, 256, (20, 30, 3), np.uint8)))


def test_a_detector_scores_windows(files, picture):
    detector = caffe.Detector(*files, **SETTINGS)
    windows = [(0, 0, 20, 30), np.array([5, 6, 9, 10]), (2.0, 3.0, 8.0, 20.0)]
    found = detector.detect_windows([(picture, windows), (picture, windows[:1])])
    assert [f["filename"] for f in found] == [picture] * 4
    assert [tuple(f["window"]) for f in found] == [tuple(w) for w in [*windows, windows[0]]]
    image = io.load_image(picture)
    batch = detector.transformer.preprocess("data", image[5:9, 6:10])[None]
    expected = detector.forward_all(data=batch)["score"][0]
    np.testing.assert_allclose(found[1]["prediction"], expected, rtol=1e-4, atol=1e-4)
    assert detector.detect_windows([]) == []


def test_context_is_cut_out_with_the_window_and_the_mean_fills_the_rest(files):
    detector = caffe.Detector(*files, **SETTINGS, context_pad=1)
    mean = np.array([30, 20, 10]) / 255  # as pictures have it: red first, 0 to 1
    np.testing.assert_allclose(detector.crop_mean, np.broadcast_to(mean, (4, 4, 3)), rtol=1e-6)
    image = rng.random((40, 40, 3), np.float32)
    # 10 pixels about 15 grow to 20
    inside = detector.crop(image, (10, 10, 19, 19))
    np.testing.assert_array_equal(inside, io.resize_image(image[5:25, 5:25], (4, 4)))
    corner = detector.crop(image, np.array([0, 10, 9, 19]))
    np.testing.assert_allclose(corner[0], np.broadcast_to(mean, (4, 3)), rtol=1e-6)
    np.testing.assert_array_equal(corner[1:], io.resize_image(image[:15, 5:25], (3, 4)))


def test_context_needs_room(files):
    with pytest.raises(RuntimeError, match="context_pad 2 leaves nothing"):
        caffe.Detector(*files, context_pad=2)
    detector = caffe.Detector(*files, context_pad=1)
    with pytest.raises(RuntimeError, match="leaves the picture"):
        detector.crop(np.zeros((10, 10, 3)), (30, 30, 35, 35))


def test_selective_search_says_what_it_needs(files, picture, monkeypatch):
    detector = caffe.Detector(*files)
    with pytest.raises(RuntimeError, match="selective_search_ijcv_with_python is not installed"):
        detector.detect_selective_search([picture])

    class Proposals:
        get_windows = staticmethod(lambda names: [[(0, 0, 4, 4)] for _ in names])

    monkeypatch.setitem(__import__("sys").modules, "selective_search_ijcv_with_python", Proposals)
    (found,) = detector.detect_selective_search([picture])
    assert found["window"] == (0, 0, 4, 4)
