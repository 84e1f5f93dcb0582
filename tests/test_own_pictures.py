"""From a folder of JPEGs to what a net says of a new one, as docs/pages/pictures.md does it."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main

ROOT = Path(__file__).parent.parent
COLORS = {"blue": (30, 60, 200), "green": (40, 170, 60), "red": (200, 40, 50)}


def commands():
    """[words of each line] that the page shows."""
    page = (ROOT / "docs" / "pages" / "pictures.md").read_text()
    blocks = re.findall(r"```console\n(.*?)```", page, re.S)
    return [shlex.split(line) for line in "".join(blocks).splitlines()]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The current folder holds pictures/CLASS/N.jpg, as colorful as they say, and a red new.jpg."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)

    def save(path, color):
        height, width = random.integers(30, 60, 2)
        noise = random.integers(-30, 30, (height, width, 3))
        Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8)).save(path)

    for name, color in COLORS.items():
        Path("pictures", name).mkdir(parents=True)
        for i in range(20):
            save(f"pictures/{name}/{i}.jpg", color)
    save("new.jpg", COLORS["red"])


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(pictures, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    install, *shown, check = commands()
    assert install[:2] == ["pip", "install"]
    outputs = {}
    for program, name, *words in shown:
        if program == "cd":
            monkeypatch.chdir(name)
            continue
        assert program == "caffelite"
        words = [word.replace("iter_1500", "iter_12") for word in words]
        words += ["--epochs", "6"] if name == "init" else []
        assert main([name, *words]) == 0, capsys.readouterr().err
        outputs[name] = outputs.get(name, "") + capsys.readouterr().out
    assert main(check[1:]) == 0
    assert list(outputs) == ["dataset", "init", "train", "plot", "test", "classify", "predict"]
    assert [path.suffix for path in Path("answers").iterdir()] == [".png"]
    assert "data/train_lmdb: 48 pictures, 3 x 64 x 64; 3 classes, 16 pictures" in outputs["dataset"]
    assert "data/test_lmdb: 12 pictures" in outputs["dataset"]
    assert Path("curves.svg").read_text().lstrip().startswith("<?xml")
    assert "top_1 = 1\n" in outputs["test"]
    assert re.search(r"^red +0 +0 +4$", outputs["test"], re.M)
    assert re.match(r".*new\.jpg\n  [01]\.\d+  red\n", outputs["classify"])
