"""What others wrote comes in one way: files, words, numbers, JSON and YAML, whatever they hold."""

import os
import threading

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
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="sparse:1: expected text, found a line of more"):
        list(reading.lines("sparse"))
    with pytest.raises(DataError, match="sparse: cannot be read: has more than 5 characters"):
        reading.text("sparse", 5)
    with pytest.raises(DataError, match="sparse: cannot be read: has more than 5 bytes"):
        reading.data("sparse", 5)


@pytest.mark.parametrize(
    "path, reason", [("none", "No such file"), ("a\0b", "embedded null"), (".", "Is a directory")]
)
def test_what_cannot_be_opened_is_named(path, reason):
    with pytest.raises(CaffeliteError, match=f"cannot be read: {reason}"):
        reading.opened(path)


def test_text_that_is_none_is_named_with_its_line():
    with open("latin", "wb") as file:
        file.write("one\ntwo\nh\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="latin:1: expected text, but byte 0xe9 is not UTF-8"):
        list(reading.lines("latin", errors="strict"))
    with pytest.raises(DataError, match="latin: cannot be read: byte 0xe9 is not UTF-8"):
        reading.text("latin")
    assert list(reading.lines("latin"))[-1] == "h\udce9\n", "names of files may be such"
