"""caffelite detect on pictures: boxes that nets find, in pixels of the picture."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.annotated import annotated
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import DataError
from caffelite.predict.deploy import deploy
from caffelite.predict.way_back import WayBack
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse

SIDE, CELLS = 32, 8
DATA = f"""
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }} }} MORE }}
"""
MAP = f"""
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "map"
  convolution_param {{ num_output: 7 kernel_size: {SIDE // CELLS} stride: {SIDE // CELLS} }} }}
"""
YOLO = """
layer { name: "found" type: "YoloDetectionOutput" bottom: "map" top: "found"
  yolo_detection_output_param { num_classes: 2 num_box: 1 biases: 1 biases: 1 } }
"""
SSD = """
layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "data" top: "prior"
  prior_box_param { min_size: 4 } }
layer { name: "cut" type: "Slice" bottom: "map" top: "loc" top: "conf"
  slice_param { axis: 1 slice_point: 4 } }
layer { name: "loc_p" type: "Permute" bottom: "loc" top: "loc_p"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_f" type: "Flatten" bottom: "loc_p" top: "loc_f" }
layer { name: "conf_p" type: "Permute" bottom: "conf" top: "conf_p"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_r" type: "Reshape" bottom: "conf_p" top: "conf_r"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "conf_s" type: "Softmax" bottom: "conf_r" top: "conf_s" softmax_param { axis: 2 } }
layer { name: "conf_f" type: "Flatten" bottom: "conf_s" top: "conf_f" }
layer { name: "found" type: "DetectionOutput" bottom: "loc_f" bottom: "conf_f" bottom: "prior"
  top: "found" detection_output_param { num_classes: 3 keep_top_k: 20
  nms_param { nms_threshold: 0.45 } code_type: CENTER_SIZE } }
"""
RAW = ["--mean_value", "0"]


def net_text(end, more=""):
    return DATA.replace("MORE", more) + MAP + end


def weights(end):
    """A cell that is bright has a box, as large as it is, of class 1."""
    Path("deploy.prototxt").write_text(net_text(end))
    net = caffelite.Net("deploy.prototxt", caffelite.TEST)
    weight, bias = (blob.data for blob in net.params["conv"])
    weight[...] = bias[...] = 0
    bright = 0.02 / weight[0].size
    if end is YOLO:  # x, y, w, h, object, two classes
        weight[4], bias[4], bias[5] = bright * 4, -10, 5
    else:  # four of the place, background, two classes
        weight[5], bias[5], bias[6] = bright * 4, -10, -20
    net.save("net.caffemodel")


FINDERS = {"YoloDetectionOutput": YOLO, "DetectionOutput": SSD}


@pytest.fixture(params=FINDERS)
def folder(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights(FINDERS[request.param])
    Path("map.prototxt").write_text(
        'item { name: "none" label: 0 } item { name: "spot" label: 1 display_name: "Spot" }'
        'item { name: "dog" label: 2 }'
    )
    return tmp_path


def picture(name, width, height, *boxes):
    """A picture that is bright in boxes of xmin, ymin, xmax, ymax."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        pixels[ymin:ymax, xmin:xmax] = 255
    Image.fromarray(pixels).save(name)


def detect(*words, code=0):
    command = ["detect", *words, "--model=deploy.prototxt", "--weights=net.caffemodel"]
    assert main([*command, *(RAW if "--train_val" not in words else [])]) == code


def sides(one):
    return [one[side] for side in ("xmin", "ymin", "xmax", "ymax")]


def test_boxes_are_in_pixels_of_the_picture(folder, capsys):
    """64 x 96 pixels are squeezed to 32 x 32: a cell is 8 x 12 of them."""
    picture("a.png", 64, 96, (16, 24, 24, 36), (48, 72, 56, 84))
    picture("b.png", 32, 32)
    detect("a.png", "b.png", "--json", "--labelmap", "map.prototxt")
    first, second = json.loads(capsys.readouterr().out)
    assert (first["file"], first["height"], first["width"]) == ("a.png", 96, 64)
    assert [one["name"] for one in first["boxes"]] == ["Spot", "Spot"]
    found = sorted(sides(one) for one in first["boxes"])
    np.testing.assert_allclose(found, [[16, 24, 24, 36], [48, 72, 56, 84]], atol=0.01)
    assert second["boxes"] == []


def test_a_picture_in_borders(folder, capsys):
    """resize_param keeps its proportions: 64 x 32 is 32 x 16, with 8 rows above and below."""
    picture("a.png", 64, 32, (32, 8, 40, 16))
    Path("readme.md").write_text(
        "---\ntransform_param: { mean_value: [0], resize_param: { height: 32, width: 32, "
        "resize_mode: FIT_LARGE_SIZE_AND_PAD } }\n---\n"
    )
    detect("a.png", "--json")
    (one,) = json.loads(capsys.readouterr().out)[0]["boxes"]
    np.testing.assert_allclose(sides(one), [32, 8, 40, 16], atol=0.01)
    assert one["name"] == "1"  # without a label map
    detect("a.png", "--json", "--resize", "32")
    two = json.loads(capsys.readouterr().out)[0]["boxes"]  # squeezed, it is two cells high
    assert sorted(map(sides, two)) == [[32, 8, 40, 12], [32, 12, 40, 16]]
    Path("readme.md").write_text(
        Path("readme.md").read_text().replace("PAD }", "PAD, pad_value: [255] }")
    )
    detect("a.png", "--json")
    assert len(json.loads(capsys.readouterr().out)[0]["boxes"]) == 1, "what is bright around it"


def test_a_table_and_files(folder, capsys):
    picture("a.png", 32, 32, (8, 12, 12, 16))
    Path("more").mkdir()
    picture("more/a.png", 64, 64, (8, 8, 16, 16))
    names = ["--labelmap", "map.prototxt"]
    detect("a.png", "more", "*.png", *names, "--csv=out.csv", "--voc=xml", "--draw=drawn")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "a.png" and told[2] == "more/a.png" and told[4] == "a.png"
    assert told[1].split()[1:] == ["8.0", "12.0", "12.0", "16.0", "Spot"]
    rows = list(csv.DictReader(Path("out.csv").open()))
    assert [row["filename"] for row in rows] == ["a.png", "more/a.png", "a.png"]
    assert rows[1]["name"] == "Spot" and sides(rows[1]) == ["8.0", "8.0", "16.0", "16.0"]
    assert sorted(path.name for path in Path("xml").iterdir()) == ["a.xml", "a_1.xml"]
    root = ElementTree.parse("xml/a_1.xml").getroot()
    assert [root.findtext(tag) for tag in ("folder", "filename")] == ["more", "a.png"]
    assert [root.findtext(f"size/{tag}") for tag in ("width", "height")] == ["64", "64"]
    assert root.findtext("object/name") == "Spot"
    assert [e.text for e in root.find("object/bndbox")] == ["8", "8", "16", "16"]
    drawn = np.asarray(Image.open("drawn/a_1.png"))
    assert drawn.shape == (64, 64, 3) and (drawn[8, 8] != 255).any()


def test_pictures_that_a_list_names(folder, capsys):
    """From the working directory on, or from the list's folder."""
    picture("a.png", 32, 32)
    Path("more").mkdir()
    picture("more/b.png", 32, 32)
    Path("more/list.txt").write_text("b.png\n\na.png\n")
    detect("more/list.txt", "--draw=drawn")
    assert capsys.readouterr().out.splitlines() == ["more/b.png", "a.png"]
    Path("more/list.txt").write_text("none.png\n")
    detect("more/list.txt", code=1)
    assert "none.png" in capsys.readouterr().err
    Path("more/list.txt").write_text("\n")
    detect("more/list.txt", code=1)
    assert "more/list.txt: names no pictures" in capsys.readouterr().err


def test_which_drawing_is_whose(folder, capsys):
    picture("a.png", 32, 32)
    picture("a.bmp", 32, 32)
    detect("a.png", "a.bmp", "--draw=drawn")
    assert capsys.readouterr().err.splitlines() == ["a.bmp: drawn as drawn/a_1.png"]
    detect("a.png", "--csv=-", code=2)
    assert "--csv: expected the name of a file" in capsys.readouterr().err


def test_a_database_is_no_folder_of_pictures(folder, capsys):
    Path("db_lmdb").mkdir()
    Path("db_lmdb/data.mdb").touch()
    detect("db_lmdb", code=1)
    assert "db_lmdb: is an LMDB, and holds no pictures; caffelite browse" in capsys.readouterr().err
    assert main(["browse", "."]) == 1
    assert "holds an LMDB: db_lmdb; name that itself, ./db_lmdb" in capsys.readouterr().err


def test_what_is_there_is_not_written_over(folder, capsys):
    picture("a.png", 32, 32)
    Path("xml").mkdir()
    Path("xml/a.xml").write_text("mine")
    detect("a.png", "--voc=xml", code=2)
    assert "xml/a.xml is there already" in capsys.readouterr().err
    assert Path("xml/a.xml").read_text() == "mine"


def test_a_bad_picture_is_named_and_the_others_are_answered(folder, capsys):
    picture("a.png", 32, 32, (8, 12, 12, 16))
    Path("b.png").write_text("no picture")
    detect("a.png", "b.png", code=1)
    out, err = capsys.readouterr()
    assert "a.png" in out and "b.png: no picture that can be decoded" in err
    detect("a.png", "b.png", "--skip-bad")


@pytest.mark.parametrize(
    "text, words",
    [
        ('item { name: "a" label: 1 } item { name: "b" label: 1 }', "both have the label 1"),
        ('item { name: "a" label: 0 } item { name: "b" label: 1 }', "no name for 1 of the 2"),
        ("background\none\ntwo\nthree\n", "has 1 names of other classes than the 2 that"),
        ("one\ntwo\n", ""),
        ("background\none\ntwo\n", ""),
    ],
)
def test_names_of_classes(folder, capsys, caplog, text, words):
    picture("a.png", 32, 32, (8, 12, 12, 16))
    Path("names").write_text(text)
    bad = "both" in words
    detect("a.png", "--json", "--labelmap=names", code=int(bad))
    out, err = capsys.readouterr()
    assert words in err
    if not bad:
        (one,) = json.loads(out)[0]["boxes"]
        assert one["name"] == ("b" if "item" in text else "one")


def test_a_least_score_and_a_blob(folder, capsys):
    picture("a.png", 32, 32, (8, 12, 12, 14))  # half of a cell
    for least, count in (("0.0001", 1), ("0.99", 0)):
        detect("a.png", "--json", "--threshold", least, "--output=found")
        boxes = json.loads(capsys.readouterr().out)[0]["boxes"]
        assert len(boxes) >= count if count else boxes == []
    detect("a.png", "--output=map", code=1)
    assert 'no layer finds boxes in "map", but in found' in capsys.readouterr().err


def test_a_net_that_finds_no_boxes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("deploy.prototxt").write_text(net_text(""))
    caffelite.Net("deploy.prototxt", caffelite.TEST).save("net.caffemodel")
    picture("a.png", 32, 32)
    detect("a.png", code=1)
    assert 'the net ends in "conv" (Convolution)' in capsys.readouterr().err
    Path("deploy.prototxt").write_text('name: "empty"')
    detect("a.png", code=1)
    assert "the net ends in nothing" in capsys.readouterr().err


@pytest.mark.parametrize("layout", ["cells", "planes"])
def test_the_first_yolo_ends_in_its_numbers(tmp_path, monkeypatch, capsys, layout):
    """The middle of cell (3, 4), a quarter of the picture wide and high; class 5, without flags."""
    monkeypatch.chdir(tmp_path)
    Path("deploy.prototxt").write_text(
        DATA.replace("MORE", "") + 'layer { name: "fc" type: "InnerProduct" bottom: "data" '
        'top: "fc" inner_product_param { num_output: 1470 } }'
    )
    net = caffelite.Net("deploy.prototxt", caffelite.TEST)
    cell, box = 3 * 7 + 4, 1
    x, y, side = 0.5, 0.5, 0.5  # in the cell; sides are square roots
    if layout == "planes":
        places = [5 * 49 + cell, (20 + box) * 49 + cell]
        places += [(22 + 4 * box + k) * 49 + cell for k in range(4)]
    else:
        places = [cell * 20 + 5, 980 + cell * 2 + box]
        places += [1078 + (cell * 2 + box) * 4 + k for k in range(4)]
    net.params["fc"][1].data[places] = [0.9, 0.8, x, y, side, side]
    net.save("net.caffemodel")
    picture("a.png", 70, 140)
    detect("a.png", "--json", *(["--layout=planes"] if layout == "planes" else []))
    (one,) = json.loads(capsys.readouterr().out)[0]["boxes"]
    assert one["label"] == 6 and one["score"] == pytest.approx(0.72)
    np.testing.assert_allclose(sides(one), [36.25, 52.5, 53.75, 87.5], atol=0.01)


TRAINS = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "no" batch_size: 1 }
  transform_param { mean_value: 0 mean_value: 0 mean_value: 0
    resize_param { height: 32 width: 32 } } }
"""


def test_a_net_for_training_tells_what_its_loss_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights(YOLO)
    loss = """layer { name: "loss" type: "RegionLoss" bottom: "map" bottom: "label" top: "loss"
      region_loss_param { num_class: 2 num: 1 biases: 1 biases: 1 } }"""
    Path("deploy.prototxt").write_text(TRAINS + MAP + loss)
    picture("a.png", 32, 32, (8, 12, 12, 16))
    detect("a.png", "--json")
    (one,) = json.loads(capsys.readouterr().out)[0]["boxes"]
    np.testing.assert_allclose(sides(one), [8, 12, 12, 16], atol=0.01)


def test_the_losses_of_yolo_v3_tell_of_all_their_maps():
    def of(*losses):
        text = 'layer { name: "data" type: "Data" top: "data" top: "label" } '
        for n, fields in enumerate(losses):
            text += f"""layer {{ name: "map{n}" type: "Power" bottom: "data" top: "map{n}" }}
              layer {{ name: "loss{n}" type: "Yolov3" bottom: "map{n}" bottom: "label"
              top: "loss{n}" yolov3_param {{ num_class: 2 biases: [4, 4, 8, 8] {fields} }} }}"""
        return deploy(parse(text, caffe_pb2.NetParameter), (3, 32, 32)).layer[-1]

    found = of("num: 1 mask: 1 anchors_scale: 32", "num: 1 mask: 0 anchors_scale: 16")
    assert found.type == "Yolov3DetectionOutput" and list(found.bottom) == ["map0", "map1"]
    options = found.yolov3_detection_output_param
    assert (options.num_classes, options.num_box, options.mask_group_num) == (2, 1, 2)
    assert (options.mask, options.anchors_scale, options.biases) == ([1, 0], [32, 16], [4, 4, 8, 8])
    unlike = of("num: 1 mask: 1", "num: 2 mask: 0 mask: 1")
    assert unlike.type == "Power", "one layer has as many boxes of each map"


def test_a_report_on_a_detector(folder, capsys):
    """Three pictures: a box that is found, one that is not, and one where there is none."""
    spot, other = [0.25, 0.375, 0.375, 0.5], [0.5, 0.5, 0.625, 0.625]
    made = [(spot, [spot]), (other, [spot, other]), (other, [])]
    with LmdbWriter("db") as database:
        for k, (bright, boxes) in enumerate(made):
            pixels = np.zeros((3, 64, 64), np.uint8)
            left, top, right, bottom = (round(64 * x) for x in bright)
            pixels[:, top:bottom, left:right] = 255
            record = annotated(from_pixels(pixels, 0), Boxes(boxes, [1] * len(boxes)))
            database.put(b"%08d" % k, record.SerializeToString())
    data = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
      transform_param { mean_value: 0 resize_param { height: 32 width: 32 } }
      data_param { source: "db" batch_size: 2 backend: LMDB }
      annotated_data_param { label_map_file: "map.prototxt" } }"""
    evaluate = """layer { name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "label"
      top: "eval" detection_evaluate_param { num_classes: 3 } }"""
    body = Path("deploy.prototxt").read_text().partition('layer { name: "conv"')[2]
    text = data + 'layer { name: "conv"' + body.replace("num_box: 1", "num_box: 1 per_image: true")
    Path("train_val.prototxt").write_text(text + evaluate)
    command = ["test", "train_val.prototxt", "--weights", "net.caffemodel"]
    assert main([*command, "--html", "page.html", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["samples"], report["boxes"]) == (3, 3)
    assert report["confusion"][:2] == [[0, 1, 0], [1, 2, 0]]
    assert [(one["name"].split(":")[0], one["missed"]) for one in report["worst"]] == [
        ("db", 1),
        ("db", 0),
    ]
    page = Path("page.html").read_text()
    assert page.count("data:image/png") == 2 and "Spot" in page and "<svg" in page
    assert main([*command, "--report"]) == 0
    assert "mAP VOC2012 = " in capsys.readouterr().out


def test_flags_of_the_other_kind(folder, capsys):
    picture("a.png", 32, 32)
    detect("a.png", "--context_pad=3", code=2)
    detect("w.csv", "o.csv", "--voc=xml", code=2)
    assert "--voc is for pictures" in capsys.readouterr().err
    detect("w.csv", code=2)
    assert "expected WINDOWS and OUT" in capsys.readouterr().err


def test_a_call_from_python(folder):
    picture("a.png", 64, 96, (16, 24, 24, 36))
    Path("readme.md").write_text("---\ntransform_param: { mean_value: [0] }\n---\n")
    finder = caffelite.BoxFinder("deploy.prototxt", "net.caffemodel", "map.prototxt")
    (one,) = finder("a.png")
    assert one.name == "Spot" and one.label == 1
    np.testing.assert_allclose(one.sides, [16, 24, 24, 36], atol=0.01)
    np.testing.assert_allclose(finder(np.asarray(Image.open("a.png")))[0].sides, one.sides)
    with pytest.raises(DataError, match="expected a picture as uint8"):
        finder(np.zeros((4, 4)))


def test_predict_knows_what_such_nets_answer(folder, capsys):
    picture("a.png", 32, 32, (8, 12, 12, 16))
    command = ["predict", "a.png", "--model=deploy.prototxt", "--weights=net.caffemodel", *RAW]
    assert main([*command, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["answer"] == "found" and len(found["boxes"]) == 1


def test_the_way_back():
    """What becomes of boxes in a crop, a border, a mirror, and what resizing stretches."""
    way = WayBack()
    way.resize(0.5, 1)
    way.stretch = 2.0, 0.5
    way.finish((0.25, 0.5, 0.75, 1), mirrored=True)
    inside = np.array([[0.25, 0.5, 0.5, 1]])  # of the picture of 100 x 100
    forth = np.array([[0.25, 0, 0.5, 1]])  # mirrored: 1 - 0.5, 1 - 0.25
    forth = np.array([[0.5, 0, 0.75, 1]]) * [1, 0.25, 1, 0.25]
    np.testing.assert_allclose(way.boxes(forth, 100, 100), inside * 100)
