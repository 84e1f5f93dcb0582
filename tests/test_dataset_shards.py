"""caffelite dataset --shards and --tar; check, browse and lint of shards."""

import json

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data.datum import DatumSource
from caffelite.data.tar import TarSource

from .test_shards import png, samples, tar, write_shards


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(folder):
    for label, name in enumerate("ab"):
        (folder / "p" / name).mkdir(parents=True)
        for number in range(4):
            (folder / "p" / name / f"{number}.x.png").write_bytes(png(10 * number + label))
    return folder


def test_dataset_writes_shards_that_are_read_as_what_they_were_made_of(pictures, capsys):
    for words in ("", "--shards 3", "--shards 3 --tar", "--tar"):
        out = f"d{words.replace(' ', '')}"
        assert main(["dataset", "p", "--out", out, *words.split()]) == 0
    printed = capsys.readouterr().out
    assert "d--shards3/train_lmdb-{0000..0002}: 8 pictures, 3 x 4 x 5; 2 classes, 4" in printed
    assert "d--shards3--tar/train-{0000..0002}.tar: 8 pictures" in printed
    one = DatumSource("d/train_lmdb")
    others = [
        DatumSource("d--shards3/train_lmdb-{0000..0002}"),
        DatumSource("d--shards3--tar/train-*.tar", database=TarSource),
        DatumSource("d--tar/train.tar", database=TarSource),
    ]
    for number in range(8):
        want = one.sample(number)
        for other in others:
            np.testing.assert_array_equal(other.sample(number)[0], want[0])
            assert other.sample(number)[1] == want[1]
    assert len({len(other) for other in others}) == 1
    names = [one.records.sample(0)[0], others[2].records.sample(0)[0]]
    assert names[1] == names[0].replace(b".", b"_").replace(b"/", b"_").removesuffix(b"_png")
    datum = others[2].datum(0)
    assert datum.data == (pictures / "p" / names[0].decode().partition("_")[2]).read_bytes()


@pytest.mark.parametrize("flags", ["--shards 2", "--shards 2 --tar", "--tar"])
def test_init_fits_a_net_to_shards(pictures, flags):
    words = ["dataset", "p", "--out", "d", "--test", "0.5", "--resize", "32", *flags.split()]
    assert main(words) == 0
    assert main(["init", "pictures", "own", "--data", "d"]) == 0
    text = (pictures / "own" / "train_val.prototxt").read_text()
    for part in ("train", "test"):
        kind, ending = ("TAR", ".tar") if "--tar" in flags else ("LMDB", "")
        name = part if kind == "TAR" else f"{part}_lmdb"
        number = "-{0000..0001}" if "--shards" in flags else ""
        assert f'source: "../d/{name}{number}{ending}"' in text and f"backend: {kind}" in text


def test_dataset_makes_all_shards_or_none(pictures, capsys):
    assert main(["dataset", "p", "--out", "d", "--shards", "9"]) == 1
    assert "9 shards, but 8 records" in capsys.readouterr().err
    assert not (pictures / "d").exists()
    assert main(["dataset", "digits-8x8", "--out", "d", "--shards", "2", "--tar"]) == 0
    assert "d/digits_train-{0000..0001}.tar" in capsys.readouterr().out
    assert main(["dataset", "digits-8x8", "--out", "d", "--shards", "2", "--tar"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["dataset", "check", "p", "--shards", "2"]) == 2
    assert main(["dataset", "p", "--label-pictures", "p", "--tar"]) == 2


def test_dataset_check_reads_every_shard(folder, capsys):
    write_shards(folder, range(6), 3)
    assert main(["dataset", "check", "t-{0..2}.tar"]) == 0
    assert "t-{0..2}.tar: 6 records in 3 shards, 3 x 4 x 5" in capsys.readouterr().out
    tar("t-1.tar", [*samples(1), ("1.png", b"no picture"), ("1.cls", b"22")])
    assert main(["dataset", "check", "t-{0..2}.tar"]) == 1
    out = capsys.readouterr().out
    assert 't-1.tar: record 1 (key "1")' in out and "damaged: t-1.tar" in out
    assert main(["dataset", "check", "db-*", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["shards"]
    assert [facts["records"] for facts in found] == [2, 2, 2]


def test_browse_shows_samples_of_shards(folder):
    write_shards(folder, [0, 1, 2, 3], 2)
    for source in ("t-*.tar", "db-{0..1}"):
        assert main(["browse", source, "--html", f"{source[:2]}.html"]) == 0
        assert "<br>\nlabel 3<br>" in (folder / f"{source[:2]}.html").read_text()


def test_lint_knows_that_shards_are_there(folder, capsys):
    write_shards(folder, range(4), 2)
    text = """layer { name: "data" type: "Data" top: "data" top: "label"
        data_param { source: "SOURCE" backend: LMDB batch_size: 2 } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 4 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }"""
    for source, there in [("db-{0..1}", True), ("db-{0..2}", False), ("e-*", False)]:
        (folder / "net.prototxt").write_text(text.replace("SOURCE", source))
        main(["lint", "net.prototxt"])
        assert ("is not there" not in capsys.readouterr().out) == there
