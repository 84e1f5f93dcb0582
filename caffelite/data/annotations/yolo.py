"""YOLO: a text file for each picture, a line "CLASS X Y WIDTH HEIGHT" for each box.

Classes are numbers from 0; X and Y are the middle, and all are fractions of the picture's sides. Of
a polygon, "CLASS X Y X Y X Y ...", the box around it counts. A picture without a file has no boxes.
Names of classes and lists of pictures stand in data.yaml, or in obj.data and obj.names, as darknet
has them.
"""

import logging
import math
import os
from collections import Counter

from ... import reading
from ...errors import DataError
from ..picture_file import is_picture_name
from .annotation import Annotation, Collection, Entry, Object, refuse_empty

log = logging.getLogger("caffelite")

MOST_CLASS = 100_000
_YAMLS = "data.yaml", "data.yml", "dataset.yaml"
_NAMES = "obj.names", "classes.txt", "classes.names", "data.names"
_PARTS = {"train": ("train",), "test": ("test", "valid", "val")}


def is_one(path):
    """Whether a path is data.yaml, obj.data, a folder with one, or with images and labels."""
    if os.path.isfile(path):
        return path.endswith((".yaml", ".yml", ".data"))
    has_both = all(os.path.isdir(os.path.join(path, name)) for name in ("images", "labels"))
    return bool(has_both or _head(path))


def read(path, root=None):
    """The Collection of a folder, of data.yaml or of obj.data."""
    head = path if os.path.isfile(path) else _head(path)
    folder = os.path.dirname(path) if os.path.isfile(path) else path
    facts = _facts(head) if head else {}
    names = facts.get("names") or _listed_names(folder)
    base = root or os.path.join(folder, facts.get("path", ""))
    parts = {}
    for part, keys in _PARTS.items():
        given = _given(head, base, part, [facts[key] for key in keys if facts.get(key)])
        if given is None and not any(facts.get(key) for keys in _PARTS.values() for key in keys):
            given = _usual(base, part, keys)
        entries = [entry for one in _listed(given) for entry in _entries(head, base, one)]
        if entries:
            parts[part] = entries
    used = [
        int(item.name)
        for entries in parts.values()
        for entry in entries
        if entry.annotation
        for item in entry.annotation.objects
    ]
    if not names:
        names = [str(number) for number in range(max(used, default=-1) + 1)]
    for entries in parts.values():
        for entry in entries:
            if entry.annotation:
                entry.annotation.objects[:] = [_named(i, names) for i in entry.annotation.objects]
    return refuse_empty(Collection(path, parts, names))


def _named(item, names):
    number = int(item.name)
    return item._replace(name=names[number]) if number < len(names) else item


def _head(folder):
    """The file in a folder that says what is where, or None."""
    names = [*_YAMLS, *(name for name in sorted(os.listdir(folder)) if name.endswith(".data"))]
    places = (os.path.join(folder, name) for name in names)
    return next((place for place in places if os.path.isfile(place)), None)


def _facts(head):
    """{"names": [...], "train": ..., ...} of a data.yaml or an obj.data."""
    source = reading.text(head, takes=("YAML",))
    if not head.endswith(".data"):
        facts = reading.yaml_mapping(source, head)
        if facts is None:
            raise DataError(f"{head}: expected names, train and val, as YOLO's data.yaml has them")
        facts["names"] = _names_of(head, facts.get("names"))
        count = facts.get("nc")
        if facts["names"] and count not in (None, len(facts["names"])):
            raise DataError(f"{head}: nc is {count}, but there are {len(facts['names'])} names")
        if not isinstance(facts.setdefault("path", ""), str):
            raise DataError(f"{head}: path: expected a folder, not {facts['path']!r}")
        return facts
    pairs = (line.partition("=") for line in source.splitlines() if "=" in line)
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    if "names" in facts:
        facts["names"] = _read_names(_near(os.path.dirname(head), facts["names"]))
    return facts


def _names_of(head, names):
    """A list of names of what YAML has: a list, or {number: name}."""
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{head}: names: expected the numbers 0 to {len(names) - 1}, each once")
        names = [names[number] for number in range(len(names))]
    if names is not None and not isinstance(names, list):
        raise DataError(f"{head}: names: expected a list of names")
    names = [str(name) for name in names or []]
    return _once(head, names)


def _once(where, names):
    counts = Counter(names)
    twice = next((name for name in names if counts[name] > 1), None)
    if twice is not None:
        raise DataError(f'{where}: names: "{twice}" comes twice; expected a name for each class')
    return names


def _listed_names(folder):
    places = [os.path.join(folder, *at, name) for name in _NAMES for at in ((), ("labels",))]
    path = next((place for place in places if os.path.isfile(place)), None)
    return _read_names(path) if path else []


def _read_names(path):
    lines = [line.strip() for line in reading.lines(path, "names of classes, a line each")]
    return _once(path, [line for line in lines if line])


def _listed(value):
    return [] if value is None else value if isinstance(value, list) else [value]


def _given(head, base, part, places):
    """The first of the places that a part is said to be at that is there, or else the first."""
    there = [p for p in places if not isinstance(p, str) or os.path.exists(_near(base, p))]
    if places and not there and part == "test":
        raise DataError(
            f"{head}: {places[0]}: there is no such folder or file; take the line out, and --test "
            "makes a part for testing"
        )
    if places and there[:1] not in ([], places[:1]):
        log.warning("%s: %s is not there; %s is for testing", head, places[0], there[0])
    return (there or places or [None])[0]


def _usual(base, part, keys):
    """The folder of a part where nothing says so: images/train, train/images, images."""
    for key in keys:
        for place in (os.path.join("images", key), os.path.join(key, "images")):
            if os.path.isdir(os.path.join(base, place)):
                return place
    return "images" if part == "train" and os.path.isdir(os.path.join(base, "images")) else None


def _near(base, path):
    """A path as it is, or from the folder `base` on, or from one below, as exports have them."""
    places = [os.path.join(base, path), path, os.path.join(base, path.removeprefix("../"))]
    return next((place for place in places if os.path.exists(place)), places[0])


def _entries(head, base, given):
    """Those of a folder, with those of texts without a picture, or of what a list names."""
    if not isinstance(given, str):
        raise DataError(f"{head}: expected a folder or a list of pictures, not {given!r}")
    place = _near(base, given)
    if os.path.isdir(place):
        names = [n for n in sorted(os.listdir(place)) if is_picture_name(n) and n[0] != "."]
        pictures = [os.path.join(place, name) for name in names]
        return [*(_entry(base, one) for one in pictures), *_without_picture(base, pictures)]
    lines = (line.strip() for line in reading.lines(place, "pictures, a line each"))
    return [_entry(base, _near(base, line)) for line in lines if line]


def _entry(base, picture):
    name = os.path.relpath(picture, base).replace(os.sep, "/")
    if not os.path.isfile(picture):
        return Entry(name, "", None, f'there is no picture "{picture}"')
    path = _label_file(picture)
    if path is None:
        return Entry(name, picture, Annotation(picture, in_fractions=True))
    try:
        return Entry(name, picture, read_boxes(path))
    except DataError as problem:
        return Entry(name, "", None, str(problem))


def _without_picture(base, pictures):
    """An Entry for each text in the folder `labels` beside a folder of pictures that has none."""
    known = {_label_file(picture) for picture in pictures} - {None}
    folders = {os.path.dirname(path) for path in known} - set(map(os.path.dirname, pictures))
    return [
        Entry(os.path.relpath(path, base), "", None, f"{path}: there is no picture of this name")
        for folder in sorted(folders)
        for path in (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
        if path.endswith(".txt") and path not in known and os.path.basename(path) not in _NAMES
    ]


def _label_file(picture):
    """The file beside a picture, or in the folder `labels` that is beside its `images`; or None."""
    stem = os.path.splitext(picture)[0]
    before, found, behind = stem.rpartition(f"{os.sep}images{os.sep}")
    if not found and stem.startswith(f"images{os.sep}"):
        behind, found = stem[len("images/") :], "images"
    places = [os.path.join(before, "labels", behind + ".txt")] if found else []
    return next((p for p in [*places, stem + ".txt"] if os.path.isfile(p)), None)


def read_boxes(path):
    """The Annotation in a text file."""
    objects = []
    for number, line in enumerate(reading.lines(path, "CLASS X Y WIDTH HEIGHT"), 1):
        words = line.split()
        if not words:
            continue
        at = f"{path}:{number}"
        whole = words[0].removesuffix(".0")  # as some programs write numbers
        label = reading.integer(whole, at, "CLASS", least=0, most=MOST_CLASS)
        corners = _corners(words[1:], at)
        said = ", ".join(words[1:]) if any(map(math.isnan, corners)) else ""
        objects.append(Object(str(label), corners, said=said))
    return Annotation(path, objects, in_fractions=True)


def _corners(words, at):
    """xmin, ymin, xmax, ymax of X Y WIDTH HEIGHT and perhaps a score, or around a polygon."""
    numbers = [_number(word) for word in words]
    if len(words) in (4, 5):
        x, y, width, height = numbers[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(words) < 6 or len(words) % 2:
        raise DataError(
            f"{at}: expected CLASS X Y WIDTH HEIGHT, or CLASS X Y X Y X Y ..., a polygon, not "
            f"{len(words) + 1} words"
        )
    if any(map(math.isnan, numbers)):
        return (math.nan,) * 4
    x, y = numbers[::2], numbers[1::2]
    return min(x), min(y), max(x), max(y)


def _number(word):
    try:
        return reading.number(word, "")
    except DataError:
        return math.nan
