"""models/course/README.md: no topic of the decks is missing, and what it names is there."""

import functools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffelite
from caffelite.cli import commands, parser_of
from caffelite.data.lmdb import LmdbWriter
from caffelite.io import array_to_datum
from caffelite.layers import layer_types
from caffelite.lint import lint_file
from caffelite.models import blocks
from caffelite.proto import caffe_pb2
from tools.claims import experiments

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "models" / "course" / "README.md"
PAGES = sorted(TABLE.parent.rglob("*.md"))
TOPICS = Path(__file__).parent / "golden" / "course" / "topics.txt"


def name_of(page):
    return str(page.relative_to(TABLE.parent).with_suffix(""))


MESSAGES = (caffe_pb2.LayerParameter, caffe_pb2.SolverParameter, caffe_pb2.FillerParameter)


def rows():
    """(deck, topic, words that the deck prints, where it runs) of each row."""
    for section in re.split(r"^## ", TABLE.read_text(), flags=re.M)[1:]:
        for line in section.splitlines():
            if line.startswith("| ") and not line.startswith("| topic |"):
                topic, words, place = (cell.strip() for cell in line[1:-1].split(" | "))
                yield section[:3], topic, words.split(" · "), place


ROWS = list(rows())
CODES = sorted({code for *_, place in ROWS for code in re.findall(r"`([^`]+)`", place)})


def in_words(place):
    """What is left of a place without names of files and code."""
    return re.sub(r"`[^`]+`|\]\([^)]+\)", "", place)


def test_each_topic_of_the_decks_has_its_row_in_the_order_of_the_slides():
    topics = [tuple(line.split("\t")) for line in TOPICS.read_text().splitlines()]
    assert [(deck, word) for deck, _, words, _ in ROWS for word in words] == topics
    assert {deck for deck, _ in topics} == {"000", "001", "002", "003", "004"}


def test_each_row_has_a_place_or_says_what_is_missing():
    for *_, place in ROWS:
        there, planned, reason = place.partition("planned: ")
        assert re.search(r"`|\]\(", there) or planned, f"no command, no file, not planned: {place}"
        assert "planned" not in there and "planned" not in reason, f"once, with a colon: {place}"
        assert not planned or len(in_words(reason).split()) >= 2, f"planned, but why? {place}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        name, _, heading = link.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), link
        assert not heading or heading in anchors(file.resolve()), link


@pytest.mark.parametrize("page", sorted({*PAGES} - {TABLE}), ids=name_of)
def test_the_table_and_each_other_page_lead_to_one_another(page):
    assert page in linked(TABLE) and TABLE in linked(page)


def linked(page):
    """The files that a page has links to."""
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    return {(page.parent / link).resolve() for link in links}


@pytest.mark.parametrize("file", sorted(TABLE.parent.rglob("*.prototxt")), ids=name_of)
def test_lint_has_nothing_against_the_nets_of_the_course(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not lint_file(file)


def test_the_code_that_is_shown_writes_a_digit(tmp_path, monkeypatch):
    digit = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    with LmdbWriter(tmp_path / "data" / "mnist_test_lmdb") as writer:
        writer.put(b"0", array_to_datum(digit, 3).SerializeToString())
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", TABLE.read_text(), re.M | re.S)
    exec(code, {})
    with Image.open("digit.png") as picture:
        assert (np.asarray(picture) == digit[0]).all()


@functools.cache
def anchors(file):
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_is_named_is_there():
    for code in CODES:
        check(code)


def check(code):
    program, *words = shlex.split(code)
    if program == "caffelite":
        check_command(words)
    elif program == "python":
        check_script(words)
    elif ":" in code or "{" in code:
        assert any(parses(code, message) for message in MESSAGES), "no option of this name"
    else:
        known = code in layer_types() or hasattr(blocks, code) or code in WORDS
        assert known or functools.reduce(getattr, code.split(".")[1:], caffelite)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_can_be_typed(page):
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.splitlines():
            program, *words = shlex.split(line)
            assert program in ("caffelite", "python", "pip")
            if program == "caffelite":
                check_command(words)
            elif program == "python":
                check_script(words)


WORDS = {
    "backward",
    "step",
    "batch_size",
    "cont",
    "conv4_2",
    "fool",
}  # as their sentences say what of


def check_command(words):
    """The command takes these flags; nets, layers and files of the repository are there."""
    name, *rest = words
    assert name in commands()
    args = parser_of(name)[1].parse_args(rest)
    if name == "layers":
        assert args.type in layer_types()
    if name in ("models", "init") and args.name:
        assert (ROOT / "models" / args.name / "readme.md").exists()
    for word in re.split("[,=]", ",".join(rest)):
        if word.endswith(".prototxt"):
            assert (ROOT / word).exists()
        if word.endswith(".caffemodel"):
            check_is_made(word)


def check_is_made(snapshot):
    """The weights are the last that a solver of that name writes."""
    name, iteration = re.fullmatch(r"snapshots/(.+)_iter_(\d+)\.caffemodel", snapshot).groups()
    solver = caffe_pb2.SolverParameter()
    text_format.Parse((ROOT / "solvers" / f"{name}.prototxt").read_text(), solver)
    assert solver.snapshot_prefix == f"snapshots/{name}" and solver.max_iter == int(iteration)


def check_script(words):
    """A script of the repository, with experiments that it knows."""
    if words[0] == "-m":
        file = words[1].replace("caffelite.models.", "models/").replace(".", "/") + ".py"
        assert (ROOT / file).exists()
        return
    script, *rest = words
    assert (ROOT / script).exists()
    if script == "tools/course.py":
        assert {*rest} <= {*experiments()}


def parses(text, message):
    try:
        text_format.Parse(text, message())
    except text_format.ParseError:
        return False
    return True
