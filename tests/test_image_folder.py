"""Folders of class folders."""

import pytest

from caffelite.data.image_folder import read_folder
from caffelite.errors import DataError


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_class_folders_are_labels_in_the_order_of_their_names(tmp_path):
    fill(tmp_path, "dog/b.PNG", "dog/a.jpg", "cat/deep/z.jpeg", "cat/y.bmp", "ant hill/1.jpg")
    fill(tmp_path, "dog/notes.txt", "dog/.hidden.jpg", ".git/x.jpg", "stray.jpg", "cat/.d/x.jpg")
    entries, names = read_folder(tmp_path)
    assert names == ["ant hill", "cat", "dog"]
    assert entries == [
        ("ant hill/1.jpg", 0),
        ("cat/deep/z.jpeg", 1),
        ("cat/y.bmp", 1),
        ("dog/a.jpg", 2),
        ("dog/b.PNG", 2),
    ]


def test_pictures_that_cannot_be_read_are_not_left_out_in_silence(tmp_path):
    fill(tmp_path, "a/1.avif", "a/2.EPS", "a/3.h5", "a/4.pdf", "a/5.webp")
    assert [name for name, _ in read_folder(tmp_path)[0]] == ["a/1.avif", "a/2.EPS", "a/5.webp"]


def test_a_link_in_a_circle_ends(tmp_path):
    fill(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_folder(tmp_path) == ([("a/1.jpg", 0), ("b/1.jpg", 1)], ["a", "b"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no folders; expected one for each class"),
        (["a.jpg"], "holds no folders"),
        (["a/1.jpg", "b/readme.txt"], "b: holds no pictures"),
    ],
)
def test_folders_without_classes_or_pictures_are_refused(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        read_folder(fill(tmp_path, *names))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="none: cannot be read: No such file"):
        read_folder(tmp_path / "none")
