"""caffelite convert_annoset and get_image_size: what SSD's tools of these names do."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data.annotated import AnnotatedSource
from caffelite.data.leveldb import LevelDbSource
from caffelite.proto.caffe_pb2 import AnnotatedDatum

XML = """<annotation><size><width>40</width><height>20</height></size>
<object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object>
<object><name>cat</name>
<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>40</xmax><ymax>20</ymax></bndbox></object>
<object><name>dog</name>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>
</annotation>"""
MAP = 'item { name: "none" label: 0 } item { name: "cat" label: 1 } item { name: "dog" label: 2 }'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("root").mkdir()
    pixels = np.random.RandomState(0).randint(256, size=(20, 40, 3)).astype(np.uint8)
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(pixels).save(f"root/{name}")
    Path("root/a.xml").write_text(XML)
    Path("map.prototxt").write_text(MAP)
    Path("list.txt").write_text("a.jpg a.xml\nb.jpg none.xml\n")


def convert(*words, database="db"):
    words = ["--anno_type=detection", "--label_map_file=map.prototxt", *words]
    return main(["convert_annoset", *words, "root/", "list.txt", database])


def records(database="db"):
    source = AnnotatedSource(database).records
    return {
        k.decode(): AnnotatedDatum.FromString(v) for k, v in map(source.sample, range(len(source)))
    }


def test_records_are_as_ssds_program_makes_them(capsys):
    # the words that create_annoset.py calls it with
    flags = "--label_type=xml --check_label=True --min_dim=0 --max_dim=0 --resize_height=0"
    flags += " --resize_width=0 --backend=lmdb --shuffle=False --check_size=False"
    flags += " --encode_type=jpg --encoded=True --gray=False"
    assert convert(*flags.split()) == 0
    out, err = capsys.readouterr()
    assert "db: 2 pictures, 3 boxes" in out
    assert "none.xml: is not there: the picture has no boxes" in err
    made = records()
    assert list(made) == ["00000000_a.jpg", "00000001_b.jpg"]
    first, second = made.values()
    datum = first.datum
    assert datum.encoded and datum.data == Path("root/a.jpg").read_bytes() and datum.label == -1
    assert (datum.channels, datum.height, datum.width) == (3, 20, 40)
    groups = [
        (g.group_label, [(a.instance_id, a.bbox.xmin, a.bbox.difficult) for a in g.annotation])
        for g in first.annotation_group
    ]
    tenth, fortieth = np.float32(0.1), np.float32(1 / 40)
    assert groups == [(2, [(0, tenth, True), (1, fortieth, False)]), (1, [(0, 0, False)])]
    box = first.annotation_group[0].annotation[0].bbox
    assert (box.ymin, box.xmax, box.ymax) == (0.25, 0.5, 0.75)
    assert first.type == AnnotatedDatum.BBOX and not second.annotation_group


def test_other_forms_of_annotations():
    boxes = [{"category_id": 2, "bbox": [4, 5, 16, 10], "iscrowd": 1}]
    data = {"image": {"width": 40, "height": 20}, "annotation": boxes}
    Path("root/a.json").write_text(json.dumps(data))
    Path("root/a.txt").write_text("7 4 5 20 15\n\n3 0 0 40 20\n")
    Path("map.prototxt").write_text('item { name: "2" label: 5 display_name: "dog" }')
    Path("list.txt").write_text("a.jpg a.json\n")
    assert convert("--label_type=json") == 0
    (record,) = records().values()
    box = record.annotation_group[0].annotation[0].bbox
    assert record.annotation_group[0].group_label == 5 and box.difficult and box.xmax == 0.5
    assert not record.datum.encoded and len(record.datum.data) == 3 * 20 * 40
    Path("list.txt").write_text("a.jpg a.txt\n")
    assert convert("--label_type=txt", "--redo") == 0
    (record,) = records().values()
    assert [group.group_label for group in record.annotation_group] == [7, 3]


@pytest.mark.parametrize(
    "flags, size",
    [
        (["--resize_height=10", "--resize_width=30"], (10, 30)),
        (["--min_dim=30"], (30, 60)),
        (["--min_dim=30", "--max_dim=50"], (25, 50)),
        (["--max_dim=20"], (10, 20)),
        (["--min_dim=10", "--max_dim=100"], (20, 40)),
    ],
)
def test_sizes(flags, size):
    assert convert(*flags) == 0
    first = records()["00000000_a.jpg"]
    assert (first.datum.height, first.datum.width) == size
    assert first.annotation_group[0].annotation[0].bbox.ymin == 0.25


def test_classification_has_labels(capsys):
    Path("list.txt").write_text("a.jpg 3\nb.jpg 4\n")
    words = ["convert_annoset", "--gray", "--backend=leveldb", "root", "list.txt", "db"]
    pytest.importorskip("plyvel")
    assert main(words) == 0
    source = LevelDbSource("db")
    made = [AnnotatedDatum.FromString(source.sample(i)[1]) for i in range(2)]
    assert [m.datum.label for m in made] == [3, 4] and made[0].datum.channels == 1
    assert not made[0].HasField("type")


def test_a_database_is_replaced_only_where_that_is_asked_for(capsys):
    assert convert() == 0
    before = Path("db/data.mdb").stat().st_ino
    assert convert() == 1
    assert "exists already" in capsys.readouterr().err
    Path("root/a.xml").write_text(XML.replace("dog", "cow"))
    assert convert("--redo") == 1
    assert 'root/a.xml: "cow" is not in the label map' in capsys.readouterr().err
    assert Path("db/data.mdb").stat().st_ino == before, "what fails leaves the old one"
    Path("root/a.xml").write_text(XML)
    assert convert("--redo") == 0 and Path("db/data.mdb").stat().st_ino != before
    assert sorted(path.name for path in Path().iterdir()) == [
        "db",
        "list.txt",
        "map.prototxt",
        "root",
    ]
    assert convert("--redo", database="root") == 1
    assert "root: is no database, which --redo would replace" in capsys.readouterr().err


def test_what_is_wrong_is_told(capsys):
    assert main(["convert_annoset", "--anno_type=detection", "root", "list.txt", "db"]) == 2
    assert "needs --label_map_file FILE" in capsys.readouterr().err
    Path("map.prototxt").write_text(MAP + ' item { name: "cow" label: 2 }')
    assert convert() == 1
    assert "both have the label 2" in capsys.readouterr().err
    Path("map.prototxt").write_text(MAP)
    Path("root/a.xml").write_text(XML.replace("<width>40", "<width>80").replace(">15<", ">5<"))
    assert convert("--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["faults"] == {
        "says another size": 1,
        "has no area": 1,
        "annotation that is not there": 1,
    }
    assert "says 80 x 20, but the picture has 40 x 20 pixels" in err
    Path("list.txt").write_text("a.jpg\n")
    assert convert(database="other") == 1
    assert 'list.txt:1: expected PICTURE ANNOTATION, not "a.jpg"' in capsys.readouterr().err
    Path("list.txt").write_text("c.jpg a.xml\n")
    assert convert(database="other") == 1
    assert "none of its pictures can be read" in capsys.readouterr().err
    assert not Path("other").exists()


def test_sizes_of_pictures_are_listed(capsys):
    words = ["get_image_size", "root", "list.txt", "sizes.txt"]
    assert main(words) == 0
    assert Path("sizes.txt").read_text() == "a 20 40\nb 20 40\n"
    Path("ids.txt").write_text("a 12\nb 7\n")
    assert main([*words, "--name_id_file=ids.txt"]) == 0
    assert Path("sizes.txt").read_text() == "12 20 40\n7 20 40\n"
    Path("ids.txt").write_text("a 12\n")
    assert main([*words, "--name_id_file", "ids.txt"]) == 1
    assert 'ids.txt: has no ID for "b"' in capsys.readouterr().err
