"""caffelite dataset of pictures with boxes: VOC, COCO and YOLO, sound and not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data.annotated import AnnotatedSource
from caffelite.data.annotations import voc
from caffelite.data.label_map import read_label_map
from caffelite.proto.caffe_pb2 import AnnotatedDatum


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path, width=40, height=20, value=100):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, 50, 0)).save(path)


def xml(objects, width=40, height=20, file="a.jpg"):
    body = "".join(
        f"<object><name>{name}</name><truncated>{truncated}</truncated>"
        f"<difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2, difficult, truncated in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file}</filename>{size}{body}</annotation>"


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(database):
    """{picture: [(label, corners, difficult)]} of a database."""
    source = AnnotatedSource(database)
    records = {}
    for number in range(len(source)):
        _, boxes = source.sample(number)
        key = source.records.sample(number)[0].decode()[9:]
        corners = np.round(boxes.corners.astype(float), 4).tolist()
        records[key] = list(
            zip(boxes.labels.tolist(), corners, boxes.difficult.tolist(), strict=True)
        )
    return records


def voc2007(root="VOCdevkit/VOC2007"):
    for name in ("000001", "000002", "000003"):
        picture(f"{root}/JPEGImages/{name}.jpg")
        write(f"{root}/Annotations/{name}.xml", xml([("dog", 4, 5, 20, 15, 0, 0)]))
    two = [("person", 10, 2, 40, 20, 1, 1), ("dog", 1, 1, 8, 8, 0, 1)]
    write(f"{root}/Annotations/000002.xml", xml(two))
    write(f"{root}/ImageSets/Main/trainval.txt", "000001\n000002\n")
    write(f"{root}/ImageSets/Main/test.txt", "000003\n")
    write(f"{root}/ImageSets/Main/dog_test.txt", "000003 1\n")


@pytest.mark.parametrize("source", ["VOCdevkit", "VOCdevkit/VOC2007"])
def test_voc_becomes_databases_of_its_lists(source, capsys):
    voc2007()
    assert main(["dataset", source, "--out", "out", "--no-shuffle"]) == 0
    out = capsys.readouterr().out
    assert "out/train_lmdb: 2 pictures, 40 x 20; 3 boxes, 1 difficult, 2 truncated" in out
    assert "classes: dog 2, person 1" in out
    assert found("out/train_lmdb") == {
        "000001": [(12, [0.1, 0.25, 0.5, 0.75], False)],
        # groups come in the order of their first boxes
        "000002": [(15, [0.25, 0.1, 1, 1], True), (12, [0.025, 0.05, 0.2, 0.4], False)],
    }
    assert list(found("out/test_lmdb")) == ["000003"]
    names = [item.name for item in read_label_map("out/labelmap.prototxt")]
    assert names == ["none_of_the_above", *voc.CLASSES]
    assert Path("out/test_name_size.txt").read_text() == "000003 20 40\n"
    source = AnnotatedSource("out/train_lmdb")
    datum = AnnotatedDatum.FromString(source.records.sample(0)[1]).datum
    assert datum.encoded and datum.data[:2] == b"\xff\xd8" and datum.label == -1
    facts = json.loads(Path("out/statistics.json").read_text())
    assert facts["parts"]["train"]["pixels"][-1] == pytest.approx((30 * 18) ** 0.5, abs=1e-3)
    assert facts["parts"]["train"]["classes"] == {"dog": 2, "person": 1}


def test_two_years_share_their_parts():
    voc2007()
    voc2007("VOCdevkit/VOC2012")
    Path("VOCdevkit/VOC2012/ImageSets/Main/test.txt").unlink()
    write("VOCdevkit/VOC2012/ImageSets/Main/train.txt", "000001\n")
    write("VOCdevkit/VOC2012/ImageSets/Main/val.txt", "000002\n")
    assert main(["dataset", "VOCdevkit", "--out", "both"]) == 0
    years = ["VOC2007/000001", "VOC2007/000002", "VOC2012/000001", "VOC2012/000002"]
    assert sorted(found("both/train_lmdb")) == years
    assert list(found("both/test_lmdb")) == ["VOC2007/000003"]
    assert main(["dataset", "VOCdevkit/VOC2012", "--out", "one"]) == 0
    assert list(found("one/train_lmdb")) == ["000001"] and list(found("one/test_lmdb")) == [
        "000002"
    ]


def test_a_plain_folder_of_xml_and_pictures():
    for number in range(10):
        picture(f"mine/{number}.png", value=number)
        write(
            f"mine/{number}.xml",
            xml([("cow", 0, 0, 40, 20, 0, 0), ("ape", 4, 4, 8, 8, 0, 0)], 0, 0),
        )
    assert main(["dataset", "mine", "--out", "out", "--test", "0.3"]) == 0
    train, test = found("out/train_lmdb"), found("out/test_lmdb")
    assert len(train) == 7 and len(test) == 3 and not set(train) & set(test)
    names = [item.name for item in read_label_map("out/labelmap.prototxt")]
    assert names == ["none_of_the_above", "ape", "cow"]
    assert train[next(iter(train))][0] == (2, [0, 0, 1, 1], False), "sizes of 0 are not said"
    write("names.txt", "cow\nape\n")
    assert main(["dataset", "mine", "--out", "named", "--labels", "names.txt"]) == 0
    assert found("named/train_lmdb")["0"][0][0] == 1
    map_of = (
        'item { name: "bg" label: 0 } item { name: "ape" label: 7 } item { name: "cow" label: 3 }'
    )
    write("map.prototxt", map_of)
    assert main(["dataset", "mine", "--out", "mapped", "--labels", "map.prototxt"]) == 0
    assert [box[0] for box in found("mapped/train_lmdb")["0"]] == [3, 7]
    assert Path("mapped/labelmap.prototxt").read_text() == map_of


def test_resized_pictures_keep_their_fractions():
    voc2007()
    assert main(["dataset", "VOCdevkit", "--out", "out", "--resize", "10", "--encode", "png"]) == 0
    source = AnnotatedSource("out/test_lmdb")
    pixels, boxes = source.sample(0)
    assert pixels.shape == (3, 10, 10)
    np.testing.assert_allclose(boxes.corners, [[0.1, 0.25, 0.5, 0.75]])


BAD = [
    ("dog", 5, 5, 5, 9, 0, 0),  # no area
    ("dog", 9, 5, 6, 9, 0, 0),  # the wrong way round
    ("dog", "nan", 5, 6, 9, 0, 0),
    ("dog", "1e999", 5, 6, 9, 0, 0),
    ("dog", "x", 5, 6, 9, 0, 0),
    ("dog", 50, 5, 60, 9, 0, 0),  # outside
    ("dog", 30, 5, 50, 9, 0, 0),  # beyond
]
WITHOUT = xml([("dog", 5, 5, 15, 9, 0, 0)]).replace("xmax", "xmost")


def test_boxes_that_are_none_are_left_out_and_told_of(capsys):
    voc2007()
    write("VOCdevkit/VOC2007/Annotations/000001.xml", xml(BAD))
    assert main(["dataset", "VOCdevkit", "--out", "out", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["faults"] == {
        "has no area": 2,
        "is not made of numbers": 3,
        "lies outside of the picture": 1,
        "reaches beyond the picture": 1,
    }
    assert '000001.xml: object 1 ("dog"): has no area, and left out: 5, 5, 5, 9' in err
    assert 'object 5 ("dog"): is not made of numbers, and left out: x, 5, 6, 9' in err
    assert found("out/train_lmdb")["000001"] == [(12, [0.75, 0.25, 1, 0.45], False)]


BILLION = (
    '<!DOCTYPE a [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation>&c;</annotation>'
)


@pytest.mark.parametrize(
    "text, words",
    [
        (xml([])[:-30], "000001.xml:1: expected XML, <annotation>...: "),
        (BILLION, "000001.xml:1: has a document type"),
        ("<annotation>&other;</annotation>", "undefined entity"),
        ("<html></html>", "000001.xml:1: expected <annotation>, found <html>"),
        ("", "no element found"),
        ("<annotation>" + "<a>" * 100 + "</a>" * 100 + "</annotation>", "nested deeper than 64"),
        (xml([], 39, 20), "says 39 x 20, but"),
        (xml([("car", 1, 2, 3, 4, 0, 0), ("", 1, 2, 3, 4, 0, 0)]), "object 2 has no name"),
        (WITHOUT, "000001.xml: object 1 has no bndbox/xmax"),
    ],
)
def test_bad_xml_stops_all_or_is_left_out(text, words, capsys):
    voc2007()
    write("VOCdevkit/VOC2007/Annotations/000001.xml", text)
    assert main(["dataset", "VOCdevkit", "--out", "out"]) == 1
    err = capsys.readouterr().err
    assert words in err and "picture that cannot be had: 1; --skip-bad leaves that out" in err
    assert not Path("out").exists(), "nothing is half made"
    assert main(["dataset", "VOCdevkit", "--out", "out", "--skip-bad"]) == 0
    assert list(found("out/train_lmdb")) == ["000002"]


def test_a_part_that_loses_all_boxes_is_not_made(capsys):
    yolo()
    write("yolo/labels/train/0.txt", "1 30 10 4 5\n0 0.5 0.5 0 0\n")
    assert main(["dataset", "yolo", "--out", "out", "--skip-bad"]) == 1
    err = capsys.readouterr().err
    assert 'object 1 ("dog"): lies outside of the picture, and left out: 28, 7.5, 32, 12.5' in err
    assert "these look like pixels, but YOLO's numbers are fractions of the sides" in err
    assert "none of the 2 boxes of train is left" in err and not Path("out").exists()


def test_missing_pictures_and_annotations_are_named(capsys):
    voc2007()
    Path("VOCdevkit/VOC2007/JPEGImages/000001.jpg").unlink()
    Path("VOCdevkit/VOC2007/JPEGImages/000002.jpg").write_bytes(b"\xff\xd8 no more")
    write("VOCdevkit/VOC2007/ImageSets/Main/test.txt", "000003\n000009\n")
    assert main(["dataset", "VOCdevkit", "--out", "out"]) == 1
    err = capsys.readouterr().err
    assert '000001.xml: there is no picture "a.jpg"; --root FOLDER says where' in err
    assert "000002.jpg: " in err and "none of the pictures of train can be stored" in err
    assert not Path("out").exists()


def coco(**more):
    picture("coco/images/a.jpg")
    picture("coco/images/b.png")
    data = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 40, "height": 20},
            {"id": 9, "file_name": "b.png", "width": 40, "height": 20},
        ],
        "categories": [{"id": 90, "name": "brush"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [4, 5, 16, 10], "iscrowd": 0},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }
    for key, items in more.items():
        data[key] += items
    write("coco/instances.json", json.dumps(data))


def test_coco_closes_holes_and_makes_crowds_difficult(capsys):
    coco()
    assert main(["dataset", "coco/instances.json", "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert "2 pictures, 40 x 20; 2 boxes, 1 crowd, 1 picture without" in out
    assert found("out/train_lmdb") == {
        "a.jpg": [(2, [0.1, 0.25, 0.5, 0.75], False), (1, [0, 0, 1, 1], True)],
        "b.png": [],
    }
    items = [(i.name, i.label, i.display_name) for i in read_label_map("out/labelmap.prototxt")]
    assert items[1:] == [("3", 1, "car"), ("90", 2, "brush")]
    write("map.prototxt", 'item { name: "car" label: 5 } item { name: "brush" label: 4 }')
    assert main(["dataset", "coco/instances.json", "--out", "by", "--labels", "map.prototxt"]) == 0
    assert [box[0] for box in found("by/train_lmdb")["a.jpg"]] == [4, 5]


def test_unknown_categories_and_images_are_named(capsys):
    strange = [
        {"image_id": 7, "category_id": 4, "bbox": [1, 1, 2, 2]},
        {"image_id": 8, "category_id": 3, "bbox": [1, 1, 2, 2]},
        {"image_id": 7, "category_id": 3, "bbox": [1, 1, 2]},
    ]
    coco(annotations=strange, images=[{"id": 11, "file_name": "c.jpg"}])
    assert main(["dataset", "coco/instances.json", "--out", "out"]) == 1
    err = capsys.readouterr().err
    assert 'image 7: object 3 ("4"): has a class that is not in the label map' in err
    assert 'image 7: object 4 ("3"): is not made of numbers, and left out: bbox: [1, 1, 2]' in err
    assert "annotations[3]: is of an image that is not there: 8" in err
    assert 'image 11: there is no picture "c.jpg"' in err
    assert "--skip-bad leaves that out; --labels names other classes" in err
    assert not Path("out").exists()
    assert main(["dataset", "coco/instances.json", "--out", "out", "--skip-bad"]) == 0
    assert len(found("out/train_lmdb")["a.jpg"]) == 2
    faults = json.loads(Path("out/statistics.json").read_text())["faults"]
    assert faults["is of no image"] == 1


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"images": [', "expected COCO's JSON"),
        ("[]", "found a list"),
        ('{"images": 3}', "images: expected a list of objects"),
        ('{"images": []}', "has no images"),
        ('{"images": [{"id": 1, "file_name": "a"}, {"id": 1}]}', "the id 1 comes twice"),
        ('{"images": [{"id": [1]}]}', "expected an id, not [1]"),
    ],
)
def test_json_that_is_not_cocos_says_so(text, words, capsys):
    write("instances.json", text)
    assert main(["dataset", "instances.json", "--out", "out"]) == 1
    assert words in capsys.readouterr().err
    assert not Path("out").exists()


def yolo():
    for part, count in (("train", 3), ("val", 1)):
        for number in range(count):
            picture(f"yolo/images/{part}/{number}.jpg")
    write("yolo/labels/train/0.txt", "1 0.3 0.5 0.4 0.5\n0 0.5 0.5 1 1\n")
    write("yolo/labels/train/1.txt", "")
    write("yolo/labels/val/0.txt", "0 0.5 0.5 0.5 0.5 0.9\n")
    write("yolo/data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n")


EXPECTED = {
    "images/train/0.jpg": [(2, [0.1, 0.25, 0.5, 0.75], False), (1, [0, 0, 1, 1], False)],
    "images/train/1.jpg": [],
    "images/train/2.jpg": [],
}


@pytest.mark.parametrize("source", ["yolo", "yolo/data.yaml"])
def test_yolo_becomes_databases(source, capsys):
    yolo()
    assert main(["dataset", source, "--out", "out"]) == 0
    assert found("out/train_lmdb") == EXPECTED
    assert found("out/test_lmdb") == {"images/val/0.jpg": [(1, [0.25, 0.25, 0.75, 0.75], False)]}
    names = [item.name for item in read_label_map("out/labelmap.prototxt")]
    assert names == ["none_of_the_above", "cat", "dog"]


def test_yolo_as_darknet_has_it_and_without_names():
    yolo()
    Path("yolo/data.yaml").unlink()
    assert main(["dataset", "yolo", "--out", "plain"]) == 0
    assert found("plain/train_lmdb") == EXPECTED
    names = [item.name for item in read_label_map("plain/labelmap.prototxt")]
    assert names[1:] == ["0", "1"]
    write("yolo/obj.names", "cat\ndog\n")
    write("yolo/train.txt", "images/train/0.jpg\nimages/train/9.jpg\n")
    write("yolo/obj.data", "classes = 2\ntrain = train.txt\nnames = obj.names\nbackup = b/\n")
    assert main(["dataset", "yolo/obj.data", "--out", "out", "--skip-bad"]) == 0
    assert found("out/train_lmdb") == {"images/train/0.jpg": EXPECTED["images/train/0.jpg"]}


def test_faults_of_yolo_are_named(capsys):
    yolo()
    write("yolo/labels/train/0.txt", "2 0.5 0.5 0.1 0.1\n1 0.5 0.5 0 0.1\n")
    write("yolo/labels/train/1.txt", "1 0.1 0.1 0.2 0.1 0.3 0.3 0.1\n")
    write("yolo/labels/train/7.txt", "")
    assert main(["dataset", "yolo", "--out", "out"]) == 1
    err = capsys.readouterr().err
    assert '0.txt: object 1 ("2"): has a class that is not in the label map' in err
    assert "1.txt:1: expected CLASS X Y WIDTH HEIGHT, or CLASS X Y X Y X Y ..., a polygon, n" in err
    assert "7.txt: there is no picture of this name" in err
    write("yolo/data.yaml", "train: images/train\nnames: {0: cat, 2: dog}\n")
    assert main(["dataset", "yolo", "--out", "out"]) == 1
    assert "names: expected the numbers 0 to 1, each once" in capsys.readouterr().err


def test_polygons_of_yolo_and_classes_with_a_point(capsys):
    yolo()
    write("yolo/labels/train/0.txt", "1.0 0.1 0.5 0.5 0.25 0.25 0.75\n0 0 0.5 1 0.5 0.5 0 0.5 1\n")
    assert main(["dataset", "yolo", "--out", "out"]) == 0
    assert found("out/train_lmdb") == EXPECTED


def test_parts_that_a_yaml_names_and_that_are_not_there(capsys):
    """Roboflow writes a line for tests even where there are none."""
    yolo()
    head = "path: .\ntrain: images/train\nnames: [cat, dog]\ntest: ../test/images\n"
    write("yolo/data.yaml", head + "val: images/val\n")
    assert main(["dataset", "yolo", "--out", "out"]) == 0
    assert (
        "data.yaml: ../test/images is not there; images/val is for testing"
        in capsys.readouterr()[1]
    )
    assert len(found("out/test_lmdb")) == 1
    write("yolo/data.yaml", head)
    assert main(["dataset", "yolo", "--out", "other"]) == 1
    assert (
        "../test/images: there is no such folder or file; take the line o" in capsys.readouterr()[1]
    )
    write("yolo/data.yaml", head + "nc: 3\n")
    assert main(["dataset", "yolo", "--out", "other"]) == 1
    assert "data.yaml: nc is 3, but there are 2 names" in capsys.readouterr().err


def test_commands_of_the_page_run():
    page = Path(__file__).parent.parent / "docs" / "pages" / "detection.md"
    section = page.read_text().partition("\n## Boxes of your own\n")[2]
    commands = section.split("```console\n")[1].split("```")[0].splitlines()
    assert len(commands) == 3
    voc2007()
    coco(images=[{"id": number, "file_name": "a.jpg"} for number in range(10, 18)])
    shutil.move("coco/images", "pictures")
    shutil.move("coco/instances.json", "instances.json")
    yolo()
    for command in commands:
        program, *words = command.split()
        assert program == "caffelite" and main(words) == 0
        assert Path("data/train_lmdb").is_dir() and Path("data/test_lmdb").is_dir()
        shutil.rmtree("data")


def test_flags_that_do_not_fit_are_refused(capsys):
    voc2007()
    for words, message in [
        (["VOCdevkit", "--crop", "--resize", "9"], "--crop is not for pictures with boxes"),
        (["mnist-5k", "--form", "voc"], "--form is for pictures with boxes, not for mnist-5k"),
    ]:
        assert main(["dataset", *words, "--out", "out"]) == 2
        assert message in capsys.readouterr().err
    assert main(["dataset", "VOCdevkit", "--test", "0.5", "--out", "out"]) == 1
    assert "has a part for testing already, without --test" in capsys.readouterr().err
