"""What others wrote comes in one way: files, words, numbers, JSON and YAML, whatever they hold."""

import ast
import os
import threading
from pathlib import Path

import pytest

from caffelite import reading
from caffelite.errors import CaffeliteError, DataError


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Files that have no end


def test_a_device_is_refused_at_once():
    with pytest.raises(DataError, match="/dev/zero: cannot be read: it is a device, which may"):
        reading.opened("/dev/zero")


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(reading, "patience", 0.05)
    os.mkfifo("pipe")
    with pytest.raises(DataError, match=r"pipe: cannot be read: nothing came through .* in 0.05 s"):
        reading.text("pipe")


def test_a_pipe_with_a_name_is_read_to_its_end():
    os.mkfifo("pipe")

    def write():
        with open("pipe", "w") as file:
            file.write("one\ntwo")

    thread = threading.Thread(target=write)
    thread.start()
    assert list(reading.lines("pipe")) == ["one\n", "two"]
    thread.join()


def test_a_pipe_without_a_name_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr(reading, "patience", 0)
    out, into = os.pipe()
    thread = threading.Timer(0.05, lambda: (os.write(into, b"late"), os.close(into)))
    thread.start()
    assert reading.data(f"/dev/fd/{out}") == b"late"
    thread.join()
    os.close(out)


def test_a_pipe_is_refused_by_those_who_look_twice():
    out, into = os.pipe()
    with pytest.raises(DataError, match="it is a pipe; expected a file: save what comes"):
        reading.opened(f"/dev/fd/{out}", piped=False)
    os.close(out)
    os.close(into)


@pytest.mark.parametrize(
    "read", [reading.data, lambda path: reading.text(path, 1000), lambda p: list(reading.lines(p))]
)
def test_what_comes_through_a_pipe_has_a_limit(read, monkeypatch):
    monkeypatch.setattr(reading, "MOST_TEXT", 1000)
    out, into = os.pipe()
    os.write(into, b"y\n" * 1000)
    os.close(into)
    with pytest.raises(DataError, match=r"more than 1,000|found 1,000 characters"):
        read(f"/dev/fd/{out}")
    os.close(out)


def test_a_line_has_a_limit_and_a_file_one_as_its_readers_say():
    with open("sparse", "wb") as file:
        file.write(b"y" * (1 << 13))
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="sparse:1: expected text, found a line of more"):
        list(reading.lines("sparse"))
    with pytest.raises(DataError, match="sparse: cannot be read: has more than 5 characters"):
        reading.text("sparse", 5)
    with pytest.raises(DataError, match="sparse: cannot be read: has more than 5 bytes"):
        reading.data("sparse", 5)


@pytest.mark.parametrize(
    "path, reason",
    [("none", "No such file"), ("a\0b", "embedded null"), (".", "this is an empty folder")],
)
def test_what_cannot_be_opened_is_named(path, reason):
    with pytest.raises(CaffeliteError, match=f"cannot be read: {reason}"):
        reading.opened(path)


def test_text_that_is_none_is_named_with_its_line():
    with open("latin", "wb") as file:
        file.write("one\ntwo\nh\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="latin:3: expected text, but byte 0xe9 is not UTF-8"):
        list(reading.lines("latin", errors="strict"))
    with pytest.raises(DataError, match="latin: cannot be read: byte 0xe9 is not UTF-8"):
        reading.text("latin")
    assert list(reading.lines("latin"))[-1] == "h\udce9\n", "names of files may be such"


# Words, numbers, JSON, YAML


@pytest.mark.parametrize("word, value", [("7", 7), (" -0012 ", -12), ("+5", 5), ("0" * 5000, 0)])
def test_whole_numbers(word, value):
    assert reading.integer(word, "f:1") == value


@pytest.mark.parametrize("word", ["", "1.5", "1_0", "٣", "9" * 5000, "2147483648", "inf", "1 2"])
def test_what_is_no_whole_number_of_32_bits(word):
    with pytest.raises(DataError, match="f:1: the label: expected a whole number from -2147483648"):
        reading.integer(word, "f:1", "the label")


@pytest.mark.parametrize("word", ["", "x", "1_0", "nan", "-inf", "1e999", "9" * 5000])
def test_what_is_no_finite_number(word):
    with pytest.raises(DataError, match="f:1: expected a number, not "):
        reading.number(word, "f:1")
    assert reading.number("-1.5e-3", "f:1") == -1.5e-3


@pytest.mark.parametrize(
    "dims, size",
    [([1] * 33, 1), ([-1, -1], 1), ([2**40, 2**40], 1), ([0, 2**40, 2**40], 0), ([2, 3], 5)],
)
def test_shapes_that_no_array_has(dims, size):
    assert reading.shape(dims, size) is None


def test_a_shape_of_a_million_axes_takes_no_time():
    assert reading.shape([2**62] * 1_000_000, 1) is None
    assert reading.shape([2, 3], 6) == (2, 3) and reading.shape([], 1) == ()


@pytest.mark.parametrize(
    "text, reason",
    [
        ("[]", "found a list"),
        ("7", "found a int"),
        ("{", "Expecting"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a": ' * 65 + "1" + "}" * 65, "nested deeper than 64 levels"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
    ],
)
def test_json_that_is_no_object_is_refused(text, reason):
    with pytest.raises(DataError, match=f"f: expected JSON.*{reason}"):
        reading.json_object(text, "f")


def test_json_may_hold_brackets_in_strings_and_pairs_of_escapes():
    text = '{"a": "%s", "b": "\\ud83d\\ude00"}' % ("[" * 100)
    assert reading.json_object(text, "f") == {"a": "[" * 100, "b": "\U0001f600"}


@pytest.mark.parametrize("value", [None, "1", True, [1], {}, 10**400, float("nan"), float("inf")])
def test_values_in_json_that_are_no_numbers(value):
    assert reading.finite(value) != reading.finite(value), "nan"
    assert reading.count(value) is None
    assert reading.finite(3) == 3.0 and reading.count(3.0) == 3 and reading.count(-1) is None


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a: &x [1]\nb: *x", "aliases .* are not followed"),
        ("a: " + "[" * 65, "nested deeper than 64 levels"),
        ("a: " + "9" * 30, "is too large"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ("a: !!bool x", "x"),
        ("a: !!timestamp x", "could not determine a constructor"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ('a: "\\ud800"', "surrogates not allowed"),
        ("? [1]\n: 2", "unhashable"),
        ("a: " + "x" * (1 << 16), "expected 65,536 at most"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text, reason):
    with pytest.raises(DataError, match=f"(?s)f: .*{reason}"):
        reading.yaml_mapping(text, "f")


def test_dates_in_yaml_are_words():
    text = "a: 2024-99-99\nb: [1, 2.5, x]\nc: null\nd: !!python/tuple [1, [2]]"
    found = reading.yaml_mapping(text, "f")
    assert found == {"a": "2024-99-99", "b": [1, 2.5, "x"], "c": None, "d": [1, [2]]}
    assert reading.yaml_mapping("[1]", "f") is None


# The one way in

PACKAGE = Path(reading.__file__).parent
APART = {  # what reads other than foreign files and text
    "proto/caffe_pb2.py": "the schema, which comes along",
    "view/server.py": "the page's own files, which come along",
    "data/made/_digits.py": "digits in other packages",
    "data/_hdf5_trial.py": "what our own process answers",
    "data/_lmdb_pages.py": "pages of a database, which it checks",
    "data/tar_index.py": "what it keeps itself in the cache, which it checks",
    "net/memory.py": "what the system says of its memory",
    "run_log/writer.py": "the end of the log that it goes on with",
}
PARSERS = {"loads", "load", "safe_load", "full_load", "loadtxt", "genfromtxt", "fromfile",
           "fromstring"}  # fmt: skip
MODULES = {"json", "yaml", "np", "numpy", "pickle", "tomllib", "configparser"}


def ways_past(tree):
    """The calls in a module that open a file for reading, or parse a foreign text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        owner, _, last = name.rpartition(".")
        mode = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
        mode = mode[0].value if mode and isinstance(mode[0], ast.Constant) else "r"
        if name in ("open", "io.open") and not set(mode) & set("wax+"):
            yield node.lineno, name
        elif last in ("read_text", "read_bytes") and not node.args:
            yield node.lineno, name
        elif last in PARSERS and owner in MODULES:
            yield node.lineno, name


def test_nobody_reads_past_the_reader():
    """caffelite.reading has limits, and says what is wrong with a file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if path.name == "reading.py" or name in APART or name.startswith("kernels/"):
            continue
        found = list(ways_past(ast.parse(path.read_text())))
        assert not found, f"{name}: use caffelite.reading"


def test_ways_past_the_reader_are_seen():
    text = (
        "open(p)\nopen(p, 'rb')\nopen(p, mode='w')\njson.loads(s)\nyaml.safe_load(s)\np.read_text()"
    )
    assert [line for line, _ in ways_past(ast.parse(text))] == [1, 2, 4, 5, 6]
