"""README and the pages of docs/ show commands and code that do what they say."""

import configparser
import importlib.util
import re
import shlex
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import commands, main, parser_of
from caffelite.data.lmdb import LmdbWriter
from caffelite.io import array_to_datum
from caffelite.layers import base, layer_types
from caffelite.lint import lint_file
from caffelite.proto import caffe_pb2
from caffelite.proto.text import read_net
from caffelite.solver.rules import RULES
from caffelite.testing import check_gradient, make_layer
from tools import reference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
SERVES = {"browse", "view"}  # until it is told to stop
NEEDS = {"plot": "matplotlib", ".h5": "h5py"}
OLD_NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { name: "a" type: RELU bottom: "data" top: "a" }
"""


def blocks(page, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.S | re.M)


def words_of(line):
    """[words of each command] in a line as shells read it."""
    return [shlex.split(command) for command in line.split(" && ")]


SHOWN = [
    (page, words)
    for page in TEXTS
    for block in blocks(page, "console")
    for line in block.splitlines()
    for words in words_of(line)
]


def test_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 200
    assert [len(block.splitlines()) for block in blocks(ROOT / "README.md", "console")][:2] == [
        1,
        1,
    ]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).exists(), f"{link}: in a plain checkout, too"


def test_all_pages_are_in_the_menu():
    menu = (ROOT / "docs" / "mkdocs.yml").read_text()
    for name in [*(page.name for page in PAGES[1:]), *reference.pages()]:
        assert f": {name}\n" in menu, name


@pytest.mark.parametrize(
    "page, words", SHOWN, ids=lambda x: " ".join(x[:2]) if isinstance(x, list) else x.stem
)
def test_commands_that_are_shown_are_there(page, words):
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    program, *rest = words
    if program == "caffelite":
        parser_of(rest[0].replace("-", "_"))[1].parse_args(rest[1:])
    elif program == "pip":
        for named in re.findall(r"\.\[(.*)\]", " ".join(rest)):
            assert {*named.split(",")} <= {*extras["options.extras_require"]}
    else:
        assert program in ("cd", "pytest", "mkdocs", "python3", ".", "pre-commit")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_commands_and_flags_that_are_named_are_there(page):
    for text in re.findall(r"`(caffelite [^`]+)`", page.read_text()):
        name, *rest = text.split()[1:]
        if name in ("COMMAND", "--help"):
            continue
        assert name in commands(), text
        known = {flag for action in parser_of(name)[1]._actions for flag in action.option_strings}
        assert {word for word in rest if word.startswith("--")} <= known, text


@pytest.fixture
def registries(monkeypatch):
    """What the test registers is forgotten."""
    monkeypatch.setattr(base, "_types", dict(base._types))
    rules = dict(RULES)
    yield
    RULES.clear()
    RULES.update(rules)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """As the folder that `caffelite demo` makes, but with few digits, of noise; with pictures."""
    folder = tmp_path_factory.mktemp("lenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _make()
    return folder


def _make():
    assert main(["init", "lenet", "."]) == 0
    random = np.random.default_rng(0)
    for name in ("train", "test"):
        with LmdbWriter(f"data/mnist_{name}_lmdb") as database:
            for i in range(100):
                digit = random.integers(0, 256, (1, 28, 28)).astype(np.uint8)
                database.put(b"%05d" % i, array_to_datum(digit, i % 10).SerializeToString())
    for name in ("blue", "red"):
        Path("pictures", name).mkdir(parents=True)
        for i in range(10):
            noise = random.integers(0, 256, (40, 40, 3)).astype(np.uint8)
            Image.fromarray(noise).save(f"pictures/{name}/{i}.jpg")
    shutil.copy("pictures/red/0.jpg", "new.jpg")
    Path("old_net.prototxt").write_text(OLD_NET)
    shorten("solver.prototxt")
    assert main(["train", "--solver", "solver.prototxt", "--log", "lenet.jsonl", "-q"]) == 0


@pytest.fixture
def lenet(made, tmp_path, monkeypatch):
    """A copy of that folder is the current one."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shorten(solver):
    """Let a solver end after 4 iterations, with a snapshot after 2, too."""
    text = Path(solver).read_text()
    for option, value in (("max_iter", 4), ("snapshot", 2), ("test_iter", 1), ("display", 2)):
        text = re.sub(rf"^{option}: \d+", f"{option}: {value}", text, flags=re.M)
    Path(solver).write_text(text)


def shortened(word):
    return re.sub(r"iter_(1000|1500)\b", "iter_4", word).replace("iter_500", "iter_2")


APART = {"pictures", "detection"}  # whose commands other files run


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem != "README"))
        for page in PAGES
        if blocks(page, "console") and page.stem not in APART
    ],
)
def test_commands_run(page, lenet, monkeypatch, capsys):
    """Those of pictures.md and detection.md run in files of their own (test_own_pictures,
    test_annotations), the first two of README in .ci/run."""
    for block in blocks(page, "console"):
        monkeypatch.chdir(lenet)
        for line in block.splitlines():
            for program, *words in words_of(line):
                if program == "cd":
                    monkeypatch.chdir(words[0])
                if program != "caffelite" or words[0] in SERVES | {"demo"}:
                    continue
                if any(mark in line and not there(module) for mark, module in NEEDS.items()):
                    continue
                if words[0] == "draw" and not (shutil.which("dot") or there("pygraphviz")):
                    continue
                code = main([shortened(word) for word in words])
                assert code == 0, f"{line}: {capsys.readouterr().err}"
                if words[0] == "init" and "--data" in words:
                    shorten(f"{words[2]}/solver.prototxt")


def there(module):
    return importlib.util.find_spec(module) is not None


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("README.md", "(20, 1, 5, 5)"),
        ("docs/pages/python.md", "(20, 1, 5, 5)"),
        ("docs/pages/detection.md", "[[0.  3.  0.  0.5 0.2 0.9 0.9 0. ]]"),
    ],
)
def test_the_lines_in_python_run(name, printed, lenet, capsys):
    code = shortened("\n".join(blocks(ROOT / name, "python"))).replace("step(100)", "step(1)")
    exec(code, {})
    assert printed in capsys.readouterr().out


def test_the_net_of_the_page_on_segmentation_reads_what_dataset_makes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = blocks(ROOT / "docs" / "pages" / "segmentation.md", "text")
    for folder, mode in (("photos", "RGB"), ("masks", "L")):
        Path(folder).mkdir()
        for number in range(16):
            Image.new(mode, (50 + number, 44)).save(f"{folder}/{number}.png")
    assert (
        main(["dataset", "photos", "--label-pictures", "masks", "--out", "data", "--test", "0.5"])
        == 0
    )
    for file, start in (("train_val", "layer {"), ("solver", "net: ")):
        (text,) = [block for block in shown if block.startswith(start)]
        Path(f"{file}.prototxt").write_text(text)
        assert lint_file(f"{file}.prototxt") == []
    solver = caffelite.get_solver("solver.prototxt")
    assert solver.net.blobs["score"].shape == (4, 4, 40, 40)
    assert solver.test_nets[0].blobs["score"].shape[:3] == (1, 4, 44)


EXTENDING = ROOT / "docs" / "pages" / "extending.md"


def part(title):
    """The code under a heading of the page on extending."""
    text = EXTENDING.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_the_first_layer_trains_where_it_is_shown(registries, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plain, _, learned, _ = part("Your first layer")
    text = EXTENDING.read_text().partition("## Your first layer")[2]
    commands, net, solver, *_ = re.findall(r"```text\n(.*?)```", text, re.S)
    Path("net.prototxt").write_text(net)
    Path("solver.prototxt").write_text(solver)
    Path("plain.py").write_text(plain)
    Path("double.py").write_text(plain[: plain.index("    def forward")] + learned)
    assert main(["train", "--import", "plain.py", "solver.prototxt"]) == 1
    assert "its class needs a method backward()" in capsys.readouterr().err
    for line in commands.splitlines():
        assert main(line.split()[1:]) == 0, capsys.readouterr().err
    for name in ("plain", "double"):
        monkeypatch.delitem(sys.modules, name)


def test_the_first_layer_grows_as_shown(registries, monkeypatch):
    plain, gradient, learned, question = part("Your first layer")
    monkeypatch.setitem(sys.modules, "double", types.ModuleType("double"))
    names = {}
    exec(plain, names)
    layer, bottom, top = make_layer("Double", [(2, 3)])
    layer.forward(bottom, top)
    np.testing.assert_array_equal(top[0].data, 2 * bottom[0].data)
    head = plain[: plain.index("    def forward")]
    for body in (plain.removeprefix(head) + "\n" + gradient, learned):
        exec(head + body, names)  # registers the type anew
        exec(question, names)
    assert check_gradient is names["check_gradient"]


def test_the_solver_steps_by_its_formula(registries, lenet):
    exec(part("A solver")[0], {})
    text = Path("solver.prototxt").read_text().replace("weight_decay: 0.0005", "weight_decay: 0")
    Path("solver.prototxt").write_text(text + '\ntype: "SignSGD"\n')
    solver = caffelite.get_solver("solver.prototxt")
    weight = solver.net.params["ip2"][0]
    before = weight.data.copy()
    solver.step(1)
    moved = abs(weight.data - before)
    np.testing.assert_allclose(moved[moved > 0], 0.01, rtol=1e-3)
    assert np.any(moved)


def test_the_source_serves_its_samples(registries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(part("A source of data")[0], {})
    x = np.arange(3 * 2 * 4 * 5, dtype=np.uint8).reshape(3, 2, 4, 5)
    np.savez("pictures.npz", x=x, y=[5, 6, 7])
    layer, bottom, top = make_layer(
        "ArrayData", [], 'data_param { source: "pictures.npz" batch_size: 2 }', tops=2
    )
    for batch in ([0, 1], [2, 0]):
        layer.forward(bottom, top)
        np.testing.assert_array_equal(top[0].data, x[batch])
        np.testing.assert_array_equal(top[1].data, np.array([5, 6, 7])[batch])
    layer.close()


def test_the_net_can_be_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(part("A net")[0], {})
    assert [layer.type for layer in read_net("small.prototxt").layer][:2] == [
        "Input",
        "Convolution",
    ]
    net = caffelite.Net("small.prototxt", caffe_pb2.TEST)
    assert net.blobs["score"].shape == (1, 10)


# Pages that are made from the code


def test_the_reference_has_all_commands_with_their_flags():
    page = reference.pages()["commands.md"]
    for name in commands():
        text = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for action in parser_of(name)[1]._actions:
            for flag in action.option_strings:
                assert flag in ("-h", "--help") or f"`{flag}" in text, f"{name} {flag}"


def test_the_reference_lists_the_layers_there_are(capsys):
    page = reference.pages()["layers.md"]
    assert main(["layers", "--markdown"]) == 0
    assert capsys.readouterr().out in page
    for name, layer in layer_types().items():
        if layer.__module__.startswith("caffelite."):
            assert f"| {name} |" in page and f"\n## {name}\n" in page


def test_the_reference_has_the_names_of_the_package():
    page = reference.pages()["api.md"]
    for name in caffelite.__all__:
        assert f"\n## caffelite.{name}\n" in page
    assert "\n- `step(self, n: int) -> bool`: Train for `n` iterations" in page


def test_docstrings_become_markdown():
    text = """y = a * b_c[i], with `code_like`.

    Options (some_param)
        one: first,
            going on
        two: second

    Parameters
    ----------
    file : a path
    words
        What to say.

        a block"""
    assert reference._prose(reference.inspect.cleandoc(text)) == (
        "y = a \\* b\\_c\\[i\\], with `code_like`.\n\n"
        "**Options (some\\_param)**\n\n- one: first, going on\n- two: second\n\n"
        "**Parameters**\n\n- file : a path\n- words: What to say.\n\n"
        "```text\na block\n```"
    )


def test_the_site_builds_and_needs_no_network(tmp_path):
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "docs" / "mkdocs.yml"), strict=True, site_dir=str(tmp_path))
    build(config)
    for page in [*PAGES[1:], *map(Path, reference.pages())]:
        text = (tmp_path / page.name).with_suffix(".html").read_text()
        loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//[^>]*>", text)
        assert not loaded
        for name in re.findall(r"<img[^>]*src=\"([^\"]*)\"", text):
            assert (tmp_path / name).is_file(), name
    assert "<h2" in (tmp_path / "commands.html").read_text(), "made of the code"
