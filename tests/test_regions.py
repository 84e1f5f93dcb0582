"""Regions of pictures: found and kept, read beside the pictures, and what learns from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.annotated import annotated
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.regions import Regions, checksum, write_regions
from caffelite.errors import CaffeliteError, DataError
from caffelite.predict.box_net import BoxFinder
from caffelite.predict.machines import box_regression, support_vectors
from caffelite.predict.region_features import RegionFeatures
from caffelite.testing import TRAIN, make_layer

WIDTH, HEIGHT = 40, 20


def picture(seed):
    """Noise with a block, blue or red by turns, and where that is, in fractions."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 30, (3, HEIGHT, WIDTH), np.uint8)
    x, y = random.integers(2, 15), random.integers(2, 8)
    pixels[2 * (seed % 2), y : y + 8, x : x + 12] = 200
    return pixels, [x / WIDTH, y / HEIGHT, (x + 12) / WIDTH, (y + 8) / HEIGHT]


def database(path, count=3, start=0, factor=1):
    with LmdbWriter(path) as file:
        for i in range(count):
            pixels, corners = picture(start + i)
            pixels = pixels.repeat(factor, 1).repeat(factor, 2)
            message = annotated(from_pixels(pixels, -1), Boxes([corners], [1 + i % 2]))
            file.put(b"%08d" % i, message.SerializeToString())
    return str(path)


def kept(path, *regions, start=0):
    """A database of regions of `database`."""
    found = (
        (b"%08d" % i, checksum(picture(start + i)[0].tobytes()), own)
        for i, own in enumerate(regions)
    )
    write_regions(path, found)
    return str(path)


def data(source, regions, more="", seed=0):
    options = f'data_param {{ source: "{source}" backend: LMDB batch_size: 1 }}'
    options += f' roi_data_param {{ regions: "{regions}" }} {more}'
    return make_layer("RoIData", [], options, TRAIN, np.float32, 4, seed=seed)


def batch(made):
    made[0].forward(made[1], made[2])
    return [blob.data.copy() for blob in made[2]]


REGION = [[0.1, 0.2, 0.5, 0.8], [0, 0, 1, 1]]  # columns 4 to 19, rows 4 to 15


def test_selective_search_is_run_once_and_kept(tmp_path, capsys):
    pytest.importorskip("cv2.ximgproc.segmentation")
    source, out = database(tmp_path / "lmdb", factor=5), str(tmp_path / "regions")
    assert main(["regions", source, out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == told["boxes"] == 3 and told["recall"] == 1
    pixels, corners = picture(1)
    stored = pixels.repeat(5, 1).repeat(5, 2).tobytes()
    regions = Regions(out).of_record(1, b"%08d" % 1, stored, "record 1")
    assert np.isclose(regions, corners, atol=0.06).all(axis=1).any()
    assert main(["regions", source, out]) == 2
    assert "is there already" in capsys.readouterr().err


def test_regions_follow_a_mirror_and_a_size(tmp_path):
    regions = kept(tmp_path / "regions", *[REGION] * 3)
    made = data(
        database(tmp_path / "lmdb"),
        regions,
        "transform_param { mirror: true resize_param { height: 40 width: 80 } }",
    )
    found = {tuple(batch(made)[3][0].round(3).tolist()) for _ in range(12)}
    assert found == {(0, 8, 8, 38, 30), (0, 40, 8, 70, 30)}


def test_regions_are_cut_off_with_the_picture(tmp_path):
    regions = kept(tmp_path / "regions", *[REGION] * 3)
    crop = "transform_param { crop_size: 20 }"
    *_, boxes, found = batch(data(database(tmp_path / "lmdb"), regions, crop))
    assert boxes.shape == (1, 5)
    left = found[1, 1:].tolist()
    assert left == [0, 0, 19, 19]
    assert found[0, 3] - found[0, 1] < 16 or found[0, 3] <= 19


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (
            (REGION, REGION),
            "has regions of other pictures: it has 2 records, .*lmdb has 3; caffelite",
        ),
        (([[0, 0, 2, 1]], REGION, REGION), r"record 0 \(key .*: region 0 is 0, 0, 2, 1, expected"),
        ((np.empty((0, 4)), REGION, REGION), r"record 0 \(key \"00000000\"\): has no region"),
    ],
)
def test_what_is_wrong_with_regions_is_told(regions, words, tmp_path):
    with pytest.raises(DataError, match=words):
        batch(data(database(tmp_path / "lmdb"), kept(tmp_path / "regions", *regions)))


def test_regions_of_other_pictures_are_refused(tmp_path):
    regions = kept(tmp_path / "regions", *[REGION] * 3, start=7)
    with pytest.raises(DataError, match=r"\(key \"00000000\"\) has those of another picture than "):
        batch(data(database(tmp_path / "lmdb"), regions))


def test_a_file_that_is_cut_off_is_told(tmp_path):
    path = kept(tmp_path / "regions", *[REGION] * 3)
    file = Path(path, "data.mdb")
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(CaffeliteError, match="regions"):
        batch(data(database(tmp_path / "lmdb"), path))


def test_a_batch_with_regions_is_one_picture(tmp_path):
    with pytest.raises(CaffeliteError, match="expected 1 with regions"):
        options = (
            f'data_param {{ source: "{database(tmp_path / "lmdb")}" batch_size: 2 backend: LMDB }}'
        )
        options += ' roi_data_param { rows: true regions: "r" }'
        make_layer("RoIData", [], options, TRAIN, np.float32, 4)


NET = """
layer { name: "data" type: "RoIData" top: "data" top: "im_info" top: "gt" top: "all"
  include { phase: TRAIN } data_param { source: "lmdb" batch_size: 1 backend: LMDB }
  roi_data_param { regions: "regions" } }
layer { name: "data" type: "RoIData" top: "data" top: "im_info" top: "label" top: "rois"
  include { phase: TEST } data_param { source: "lmdb" batch_size: 1 backend: LMDB }
  roi_data_param { rows: true regions: "regions" } }
layer { name: "take" type: "ProposalTarget" bottom: "all" bottom: "gt" top: "rois" top: "labels"
  top: "a" top: "b" top: "c" include { phase: TRAIN } proposal_target_param { num_classes: 3 } }
layer { name: "pool" type: "ROIAlign" bottom: "data" bottom: "rois" top: "pool"
  roi_align_param { pooled_h: 3 pooled_w: 3 sampling_ratio: 2 pad_ratio: 0.5 } }
layer { name: "svm" type: "InnerProduct" bottom: "pool" top: "svm" include { phase: TEST }
  inner_product_param { num_output: 3 } }
layer { name: "boxes" type: "InnerProduct" bottom: "pool" top: "boxes" include { phase: TEST }
  inner_product_param { num_output: 12 } }
layer { name: "found" type: "RoIDetectionOutput" bottom: "rois" bottom: "svm" bottom: "boxes"
  bottom: "im_info" top: "found" include { phase: TEST }
  roi_detection_output_param { confidence_threshold: -1 } }
"""


def test_machines_find_what_they_were_trained_on(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn.svm")
    monkeypatch.chdir(tmp_path)
    database("lmdb", 6)
    random, regions = np.random.default_rng(0), []
    for i in range(6):
        low = random.uniform(0, 0.5, (12, 2))
        near = picture(i)[1] + random.uniform(-0.03, 0.03, (4, 4))
        regions.append(np.concatenate([np.hstack([low, low + 0.4]), near]).clip(0, 1))
    kept("regions", *regions)
    Path("net.prototxt").write_text(NET)
    caffelite.Net("net.prototxt", TRAIN).save("net.caffemodel")
    words = ["svm", "net.prototxt", "net.caffemodel", "out.caffemodel", "--cost", "1", "--json"]
    assert main([*words, "--decay", "0.1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["true_boxes"] == 6 and told["regions"] == 6 * 16 and not list(Path().glob(".feat*"))
    net = caffelite.Net("net.prototxt", caffelite.TEST, weights="out.caffemodel")
    for i in range(6):
        net.forward()
        best = net.blobs["found"].data[0, 0, 0]
        assert best[1] == 1 + i % 2 and best[2] > 0
        np.testing.assert_allclose(best[3:], picture(i)[1], atol=0.1)


def test_a_regression_moves_regions_to_their_boxes():
    """Codes that are linear in the features are learnt as they are; a class without any is left."""
    pytest.importorskip("sklearn.svm")
    random = np.random.default_rng(0)
    features, weight = random.normal(size=(300, 5)), random.normal(size=(4, 5))
    codes = features @ weight.T + [1, 2, 3, 4]
    found = RegionFeatures(
        features, np.zeros((300, 3)), np.zeros(300), [features, codes, np.full(300, 2)]
    )
    learnt = box_regression(found, decay=1e-3)
    assert not learnt.weight[:8].any()
    np.testing.assert_allclose(learnt.weight[8:], weight, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(learnt.bias[8:], [1, 2, 3, 4], rtol=1e-3)


def test_a_class_without_boxes_is_told():
    pytest.importorskip("sklearn.svm")
    near = [np.ones((1, 2)), np.zeros((1, 4)), np.ones(1)]
    found = RegionFeatures(np.ones((4, 2)), np.zeros((4, 3)), np.array([1, 0, 0, 0]), near)
    with pytest.raises(DataError, match="class 2 has 0 true boxes"):
        support_vectors(found)


def test_detect_takes_regions_of_files(tmp_path, capsys):
    pytest.importorskip("cv2.ximgproc.segmentation")
    net = tmp_path / "net.prototxt"
    inputs = "".join(
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {d}" for d in dims)} }} '
        for name, dims in (("data", (1, 3, 20, 40)), ("im_info", (1, 3)), ("rois", (5, 5)))
    )
    net.write_text(inputs + NET[NET.index('layer { name: "pool"') :])
    caffelite.Net(str(net), caffelite.TEST).save(str(tmp_path / "net.caffemodel"))
    (tmp_path / "pictures").mkdir()
    for i in range(2):
        pixels = picture(i)[0][::-1].transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "pictures" / f"{i}.png")
    given = str(net), str(tmp_path / "net.caffemodel")
    with pytest.raises(CaffeliteError, match='takes regions, in "rois": give those'):
        BoxFinder(*given)
    regions = str(tmp_path / "regions")
    assert main(["regions", str(tmp_path / "pictures"), regions]) == 0
    finder = BoxFinder(*given, least_score=-2, regions=regions)
    (found,) = {len(finder(str(tmp_path / "pictures" / f"{i}.png"))) > 0 for i in range(2)}
    assert found
    rois = finder.net.net.blobs["rois"].data
    corners = Regions(regions).of_file(str(tmp_path / "pictures" / "1.png"))
    np.testing.assert_allclose(rois[:, 1:3], corners[:, :2] * [1000, 500], rtol=1e-5)
    with pytest.raises(DataError, match=r"has no regions of 2\.png"):
        Regions(regions).of_file("2.png")
