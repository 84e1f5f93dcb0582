"""write_atomically: the old file or the new one, never half of one."""

import errno
import os
import stat

import pytest

from caffelite.atomic import write_atomically, written_together
from caffelite.errors import CaffeliteError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.bin"


def alone(path):
    return [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "data", [b"new", bytearray(b"new"), memoryview(b"new"), [b"n", b"ew"], iter([b"new"])]
)
def test_bytes_or_chunks_of_them_replace_the_file(path, data):
    path.write_bytes(b"something old")
    write_atomically(path, data)
    assert path.read_bytes() == b"new"
    assert alone(path)


def failing_chunks(problem):
    yield b"half"
    raise problem


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left on device")])
def test_no_space_leaves_the_old_file_and_nothing_else(path, problem):
    path.write_bytes(b"old")
    with pytest.raises(CaffeliteError, match=r"file\.bin: cannot be written: No space left"):
        write_atomically(path, failing_chunks(problem))
    assert path.read_bytes() == b"old"
    assert alone(path)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ValueError("ours")])
def test_any_other_interruption_passes_through_and_leaves_the_old_file(path, problem):
    path.write_bytes(b"old")
    with pytest.raises(type(problem)):
        write_atomically(path, failing_chunks(problem))
    assert path.read_bytes() == b"old"
    assert alone(path)


def test_the_data_is_on_disk_before_the_name_is_its_own(path, monkeypatch):
    steps = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    for name in real:
        monkeypatch.setattr(os, name, lambda *a, n=name: (steps.append(n), real[n](*a)))
    write_atomically(path, b"new")
    assert steps == ["fsync", "replace", "fsync"]


def test_a_failing_sync_counts_as_not_written(path, monkeypatch):
    def full(handle):
        raise OSError(errno.EIO, "Input/output error")

    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CaffeliteError, match="Input/output error"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and alone(path)


def test_a_missing_directory_and_a_directory_are_refused(tmp_path):
    with pytest.raises(CaffeliteError, match="no/where: cannot be written: No such file"):
        write_atomically(tmp_path / "no/where", b"")
    with pytest.raises(CaffeliteError, match="cannot be written: Is a directory"):
        write_atomically(tmp_path, b"")


def test_permissions_are_kept_or_those_of_a_new_file(path):
    (path.parent / "plain").write_bytes(b"")
    plain = stat.S_IMODE((path.parent / "plain").stat().st_mode)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == plain
    path.chmod(0o640)
    write_atomically(path, b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_followed_and_stays_a_link(path):
    path.write_bytes(b"old")
    link = path.with_name("link")
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux devices")
def test_a_device_is_written_to_and_not_replaced():
    write_atomically("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(CaffeliteError, match="/dev/full: cannot be written: No space left"):
        write_atomically("/dev/full", b"gone")


# written_together


def make_both(places):
    with written_together(*places) as passing:
        with open(passing[places[0]], "w") as file:
            file.write("a")
        os.mkdir(passing[places[1]])
        assert not any(os.path.lexists(place) for place in places)


def test_several_files_and_folders_appear_together(tmp_path):
    places = [tmp_path / "new" / "file", tmp_path / "folder"]
    make_both(places)
    assert places[0].read_text() == "a" and places[1].is_dir()
    assert sorted(os.listdir(tmp_path)) == ["folder", "new"]
    assert os.listdir(tmp_path / "new") == ["file"]


def test_two_of_them_cannot_be_one(tmp_path):
    places = [tmp_path / "file", f"{tmp_path}/new/../file"]
    with pytest.raises(CaffeliteError, match="new/../file: is to be made twice"):
        make_both(places)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("problem", [CaffeliteError, KeyboardInterrupt, OSError])
def test_an_interruption_leaves_none_of_them(tmp_path, problem):
    place = tmp_path / "new" / "file"
    with pytest.raises(problem) as caught, written_together(place) as passing:
        with open(passing[place], "w") as file:
            file.write("a")
        raise problem(f"{passing[place]}: wrong")
    assert os.listdir(tmp_path) == []
    if problem is CaffeliteError:
        assert str(caught.value) == f"{place}: wrong"


def test_one_that_cannot_take_its_place_takes_the_others_back(tmp_path):
    places = [tmp_path / "file", tmp_path / "folder"]
    with pytest.raises(CaffeliteError, match="folder: cannot be written"):
        with written_together(*places) as passing:
            with open(passing[places[0]], "w") as file:
                file.write("a")
    assert os.listdir(tmp_path) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CaffeliteError, match="folder: exists already"):
        make_both([tmp_path / "file", tmp_path / "folder"])
    assert os.listdir(tmp_path) == ["folder"]


def test_a_name_of_as_many_bytes_as_there_may_be_is_written(tmp_path):
    name = "漢" * 85
    write_atomically(tmp_path / name, b"new")
    assert os.listdir(tmp_path) == [name]
