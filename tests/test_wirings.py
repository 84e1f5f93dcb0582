"""models/course/wirings: what its nets are asked at which step, and that they train."""

from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.models.course.wirings.net import BATCH, WIRINGS
from caffelite.models.program import program
from caffelite.run_log.reader import read_log

ROOT = Path(__file__).parent.parent
FOLDER = Path("models/course/wirings")
LETTERS = "efghinorstuvwxz"
NAMES = "zero one two three four five six seven eight nine".split()


def test_its_files_are_what_the_program_writes():
    files = program(ROOT / FOLDER / "net.py").files()
    assert set(files) == {path.name for path in (ROOT / FOLDER).glob("*.prototxt")} - {
        "solver.prototxt"
    }
    for name, text in files.items():
        assert (ROOT / FOLDER / name).read_text() == text


def test_names_are_spelled_right():
    rows = np.loadtxt(ROOT / FOLDER / "names.txt", dtype=int)
    for row, name in zip(rows, NAMES, strict=True):
        end = len(name)
        assert "".join(LETTERS[letter - 1] for letter in row[:end]) == name
        assert row[end] == 0 and (row[end + 1 :] == -1).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures whose rows all say which digit it is, and the nets beside them."""
    folder = tmp_path_factory.mktemp("wirings")
    (folder / "data").mkdir()
    (folder / "models").symlink_to(ROOT / "models")
    random = np.random.default_rng(0)
    rows = random.integers(0, 17, (10, 1, 8), dtype=np.uint8)
    for part in ("train", "test"):
        labels = random.integers(0, 10, 2 * BATCH)
        pictures = np.repeat(rows[labels], 8, axis=1).reshape(-1, 1, 8, 8)
        write_database(str(folder / "data" / f"digits_{part}_lmdb"), ArraySource(pictures, labels))
    return folder


@pytest.mark.parametrize("name", WIRINGS)
def test_what_comes_in_and_what_is_asked(name, folder, monkeypatch):
    """Rows or the whole, then zeros; and classes, or names letter by letter."""
    monkeypatch.chdir(folder)
    net = caffelite.Net(str(FOLDER / f"{name}.prototxt"), caffelite.TRAIN)
    net.forward()
    blob = {key: blob.data for key, blob in net.blobs.items()}
    rows = 8 if name.startswith("many") else 1
    x = blob.get("x", blob["digit"])
    np.testing.assert_array_equal(x[:rows].swapaxes(0, 1).reshape(BATCH, 8, 8), blob["data"][:, 0])
    assert not x[rows:].any()
    cont = blob.get("cont", blob["begins"])
    assert cont.shape == x.shape[:2] and not cont[0].any() and (cont[1:] == 1).all()
    labels = blob["label"].astype(int)
    if name in ("one_to_many", "many_to_many_delayed"):
        said = [
            "".join(LETTERS[int(letter) - 1] for letter in letters if letter > 0)
            for letters in blob["wanted"].T
        ]
        assert said == [NAMES[label] for label in labels]
        assert len(x) == 6 + (rows if rows > 1 else 0)
    else:
        times = 8 if name == "many_to_many" else 1
        assert blob["wanted"].tolist() == [labels.tolist()] * times and len(x) == rows
    assert blob["scores"].shape[:2] == blob["wanted"].shape
    np.testing.assert_array_equal(blob.get("said", blob["h"]), blob["h"][-len(blob["scores"]) :])


@pytest.mark.parametrize("name", WIRINGS)
def test_each_trains_by_the_solver_of_all(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    changes = f"net={FOLDER / name}.prototxt", "test_iter=2", "test_interval=60", "max_iter=60"
    flags = [word for change in changes for word in ("--set", change)]
    log = Path(f"{name}.jsonl")
    solver = str(FOLDER / "solver.prototxt")
    assert main(["train", "-q", "--solver", solver, "--log", str(log), *flags]) == 0
    first, last = (row.outputs for row in read_log(log).test)
    assert dict(first)["accuracy"] < 0.4 and dict(last)["accuracy"] > 0.9
