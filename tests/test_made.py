"""The makers of data sets: each file of data/made says what `caffelite dataset` needs of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.data import made
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import DatumSource
from caffelite.data.text import SymbolSource
from caffelite.errors import CaffeliteError

EXTENDING = Path(__file__).parent.parent / "docs" / "pages" / "extending.md"


@pytest.mark.parametrize("name", made.names())
def test_a_maker_says_what_the_command_needs(name):
    line, rest = made.docstring(name)
    assert 10 < len(line) < 80 and rest
    maker = made.maker(name)
    assert maker.WHAT.endswith("s")
    assert all(isinstance(option, made.Option) for option in maker.OPTIONS.values())
    if any(option.required for option in maker.OPTIONS.values()):
        return
    try:
        parts = maker.parts(**{flag: option.default for flag, option in maker.OPTIONS.items()})
    except CaffeliteError as problem:
        pytest.skip(str(problem))
    assert list(parts)[:2] == ["train", "test"]
    for source in parts.values():
        values, label = source.sample(len(source) - 1)
        kind = np.float32 if isinstance(source, SymbolSource) else np.uint8
        assert values.dtype == kind and values.ndim == 3 and label >= 0


def test_help_needs_no_numpy():
    check = (
        "import sys; from caffelite.cli import parser_of; from caffelite.data import made\n"
        "parser_of('dataset')[1].format_help(); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_a_new_file_is_all_that_a_new_data_set_takes(tmp_path, monkeypatch, capsys):
    section = EXTENDING.read_text().partition("\n## A data set\n")[2]
    (tmp_path / "wide_stripes.py").write_text(section.split("```python\n")[1].split("```")[0])
    monkeypatch.setattr(made, "__path__", [*made.__path__, str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    assert "wide-stripes" in made.names()
    assert main(["dataset", "--help"]) == 0
    out = capsys.readouterr().out
    assert (
        "wide-stripes" in out
        and "two pictures of stripes" in out
        and "if --side says nothing" in out
    )
    assert "--side" in out and "wide-stripes: height and width [8]" in out
    assert main(["dataset", "wide-stripes", "--side", "5"]) == 0
    assert capsys.readouterr().out == (
        "data/wide_train_lmdb: 2 stripes\ndata/wide_test_lmdb: 2 stripes\n"
    )
    assert DatumSource("data/wide_train_lmdb").sample(1)[0].shape == (1, 5, 5)
    for words, message in [
        (["mnist-5k", "--side", "5"], "--side belongs to wide-stripes"),
        (["wide-stripes", "--side", "1000"], "expected a whole number from 0 to 999"),
        (["wide-stripes", "--gray"], "--gray is for your own pictures, not for wide-stripes"),
    ]:
        assert main(["dataset", *words]) == 2
        assert message in capsys.readouterr().err
    sys.modules.pop("caffelite.data.made.wide_stripes")


def test_an_array_may_be_read_past_its_end():
    source = ArraySource(np.arange(5))
    source.seek(3)
    (rows,) = source.read_rows(9)
    np.testing.assert_array_equal(rows, [3, 4, 0, 1, 2, 3, 4, 0, 1])


def test_shapes_are_of_their_classes_counts_and_sizes():
    maker = made.maker("shapes-600")
    parts = maker.parts(pixels=32, which=0)
    for part, counts in maker.COUNTS.items():
        pixels, labels = parts[part].arrays
        assert pixels.shape[1:] == (3, 32, 32)
        assert tuple(np.bincount(labels)) == counts
    again = maker.parts(pixels=32, which=0)["test"].arrays[0]
    np.testing.assert_array_equal(again, parts["test"].arrays[0])
    assert (maker.parts(pixels=32, which=1)["test"].arrays[0] != again).any()


@pytest.mark.parametrize("shape", ["circle", "cross", "square", "triangle"])
def test_a_shape_lies_within_its_picture(shape, monkeypatch):
    maker = made.maker("shapes-600")
    monkeypatch.setattr(maker, "_NOISE", 0)
    random, sides = np.random.RandomState(0), []
    for _ in range(40):
        picture = maker.picture(shape, 64, random).astype(int)
        border = np.concatenate([picture[:, 0], picture[:, -1]], axis=1)
        ground = np.median(border, axis=1)
        rows, columns = np.nonzero((abs(picture - ground[:, None, None]) > 8).any(axis=0))
        sides.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    assert 64 / 5 - 2 <= min(sides) < 24 and 40 < max(sides) <= 64 * 4 / 5 + 2
