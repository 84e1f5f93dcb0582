"""PASCAL VOC: an XML file for each picture, in folders as the VOC devkit has them, or in one.

Corners are divided by the sides as they are, though VOC counts pixels from 1: SSD does so, too.
"""

import math
import os

from ... import reading
from ...errors import DataError
from .annotation import Annotation, Collection, Entry, Object, pictures_in, refuse_empty

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_FOLDERS = "Annotations", "JPEGImages"
_LISTS = os.path.join("ImageSets", "Main")


def is_one(path):
    """Whether a folder is VOCdevkit, VOC2007 or the like, or holds XML files."""
    return os.path.isdir(path) and bool(_years(path))


def read(path, root=None):
    """The Collection of a folder: VOCdevkit, VOC2007, or one with XML files and pictures.

    Where there are lists, trainval and test are the parts, or train and val if there is no test.
    """
    years = _years(path)
    listed = {year: _lists(year) for year in years}
    tests = any("test" in lists for lists in listed.values())
    parts = {"train": [], "test": []}
    for year, lists in listed.items():
        prefix = "" if len(years) == 1 else os.path.basename(year) + "/"
        entries = _entries(year, prefix, root)
        names = _split(lists, tests) if lists else {"train": list(entries)}
        for part, chosen in names.items():
            parts[part] += [
                entries.get(name)
                or Entry(prefix + name, "", None, "is listed, but has no XML file")
                for name in chosen
            ]
    found = {
        item.name
        for part in parts.values()
        for e in part
        if e.annotation
        for item in e.annotation.objects
    }
    classes = list(CLASSES) if found <= set(CLASSES) else sorted(found)
    parts = {part: entries for part, entries in parts.items() if entries}
    return refuse_empty(Collection(path, parts, classes))


def _years(path):
    """The folders that have annotations: the path itself, or some in it."""
    below = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    if os.path.isdir(os.path.join(path, "Annotations")) or any(n.endswith(".xml") for n in below):
        return [path]
    return [year for year in below if os.path.isdir(os.path.join(year, "Annotations"))]


def _lists(year):
    """{name of a list: the names in it}."""
    found = {}
    for name in ("trainval", "train", "val", "test"):
        path = os.path.join(year, _LISTS, f"{name}.txt")
        if os.path.exists(path):
            words = [line.split() for line in reading.lines(path, "names, a line each")]
            found[name] = [line[0] for line in words if line]
    return found


def _split(lists, tests):
    """{part: names} of the lists of a year; `tests` says whether some year has a list of tests."""
    wanted = {"train": ("trainval", "train", "val"), "test": ("test",)}
    if not tests and {"train", "val"} <= set(lists):
        wanted = {"train": ("train",), "test": ("val",)}
    chosen = {
        part: next((lists[name] for name in names if name in lists), [])
        for part, names in wanted.items()
    }
    return {part: names for part, names in chosen.items() if names}


def _entries(year, prefix, root):
    """{name: Entry} of the XML files of a year."""
    folder = os.path.join(year, "Annotations")
    folder = folder if os.path.isdir(folder) else year
    near = [os.path.join(year, name) for name in ("JPEGImages", "images", "Images")]
    pictures = pictures_in([root] if root else [*near, folder, year])
    entries = {}
    for file in sorted(os.listdir(folder)):
        name, ending = os.path.splitext(file)
        if ending.lower() != ".xml" or name.startswith("."):
            continue
        path = os.path.join(folder, file)
        try:
            annotation, named = read_xml(path)
        except DataError as problem:
            entries[name] = Entry(prefix + name, "", None, str(problem))
            continue
        picture = pictures.get(name) or pictures.get(os.path.splitext(named)[0])
        missing = ""
        if not picture:
            missing = f'{path}: there is no picture "{named or name}"; --root FOLDER says where'
        entries[name] = Entry(prefix + name, picture or "", annotation, missing)
    return entries


def read_xml(path):
    """(the Annotation in an XML file, the name of the picture that it says it is of)."""
    root = reading.xml(path, "annotation")
    sides = [_number(root, f"size/{side}") for side in ("height", "width")]
    size = tuple(map(int, sides)) if all(side >= 1 for side in sides) else None
    objects = []
    for number, item in enumerate(root.findall("object"), 1):
        places = [f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
        for place in places:
            if item.find(place) is None:
                raise DataError(f"{path}: object {number} has no {place}")
        corners = tuple(_number(item, place) for place in places)
        said = ""
        if any(map(math.isnan, corners)):
            said = ", ".join((item.findtext(place) or "").strip() for place in places)
        name = (item.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{path}: object {number} has no name, which tells its class")
        marks = [_number(item, mark) == 1 for mark in ("difficult", "truncated")]
        objects.append(Object(name, corners, *marks, said=said))
    named = os.path.basename((root.findtext("filename") or "").strip())
    return Annotation(path, objects, size), named


def _number(element, path):
    """The number in an element below another one, or nan."""
    try:
        return reading.number((element.findtext(path) or "").strip(), "")
    except DataError:
        return math.nan
