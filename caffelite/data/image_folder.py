"""A source of the picture files in a folder of class folders: FOLDER/CLASS/NAME.jpg."""

import os

from .. import file_kind
from ..errors import DataError
from .image_list import ImageListSource
from .picture_file import is_picture_name


class ImageFolderSource(ImageListSource):
    """The picture files in a folder of class folders; a sample is (pixels, label).

    See `read_folder` for which they are, and in which order; `classes` has the names of the
    folders. The options are those of ImageListSource, but for its `root_folder`.
    """

    def __init__(self, folder, **options):
        super().__init__(folder, folder, **options)

    def read_entries(self, folder):
        entries, self.classes = read_folder(folder)
        return entries

    def path(self, name):
        return os.path.join(self.root_folder, name)

    def name(self, number):
        return f'"{self.path(self.entries[self._line(number)][0])}"'


class FlatFolderSource(ImageFolderSource):
    """The picture files that lie in a folder itself; a sample is (pixels, label), the label None.

    Pictures are told by their endings, as in `read_folder`, and come in the order of their names.
    """

    def read_entries(self, folder):
        try:
            names = sorted(os.listdir(folder))
        except OSError as problem:
            raise DataError(f"{folder}: cannot be read: {problem.strerror}") from None
        entries = [(n, None) for n in names if not _hidden(n) and is_picture_name(n)]
        if not entries:
            raise DataError(f"{folder}: holds no pictures")
        return entries


def read_folder(folder):
    """([(name, label)], class names) of the pictures in a folder of class folders.

    Label k is the k-th class folder by name. A name is a path from `folder` on, CLASS/NAME.jpg or
    deeper, with forward slashes; pictures come in the order of their labels, then of their names.
    Pictures are told by their endings. What is hidden, and what lies in `folder` itself, is left
    out; links to class folders are followed, links to folders within them are not.
    """
    try:
        with os.scandir(folder) as content:
            classes = sorted(e.name for e in content if e.is_dir() and not _hidden(e.name))
    except OSError as problem:
        raise DataError(f"{folder}: cannot be read: {problem.strerror}") from None
    if not classes:
        raise DataError(f"{folder}: holds no folders; expected one for each class, with pictures")
    entries = []
    for label, name in enumerate(classes):
        pictures = sorted(_pictures(os.fspath(folder), name))
        if not pictures:
            path = os.path.join(folder, name)
            kind = file_kind.of(path)
            if kind is not None and kind.name in ("LMDB", "LevelDB"):
                raise DataError(f"{folder}: holds {kind.what}: {name}; name that itself, {path}")
            raise DataError(
                f"{path}: holds no pictures; add some, or remove the folder: each folder is a class"
            )
        entries += [(picture, label) for picture in pictures]
    return entries, classes


def _pictures(folder, class_name):
    """The pictures below a class folder, as paths from `folder` on."""

    def fail(problem):
        raise DataError(f"{problem.filename}: cannot be read: {problem.strerror}")

    for place, folders, files in os.walk(os.path.join(folder, class_name), onerror=fail):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files:
            if not _hidden(name) and is_picture_name(name):
                path = os.path.relpath(os.path.join(place, name), folder)
                yield path.replace(os.sep, "/")


def _hidden(name):
    return name.startswith(".")
