"""COCO: one JSON file with images, annotations and categories.

The name of a class is its category's id, as in SSD's label maps, and its display name what it is
called; labels have no holes where ids have some.
"""

import json
import math
import os

from ... import reading
from ...errors import DataError
from .annotation import Annotation, Collection, Entry, Faults, Object, refuse_empty

MOST_JSON = 1 << 30  # characters
MOST_SAID = 80  # of a bbox that is none
_WANTED = "COCO's JSON, an object with images, annotations and categories"


def is_one(path):
    """Whether a file is JSON by its name."""
    return os.path.isfile(path) and path.lower().endswith(".json")


def read(path, root=None):
    """The Collection of a JSON file; pictures are in `root`, or in folders near the file."""
    found = reading.json_object(reading.text(path, MOST_JSON, takes=("JSON",)), path, _WANTED)
    lists = {key: found.get(key, []) for key in ("images", "annotations", "categories")}
    for key, items in lists.items():
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise DataError(f"{path}: {key}: expected a list of objects; this is to be {_WANTED}")
    if not lists["images"]:
        raise DataError(f"{path}: has no images; expected {_WANTED}")
    names = _categories(path, lists["categories"])
    images = _by_id(path, "images", lists["images"])
    faults = Faults()
    annotations = _annotations(path, images, lists["annotations"], faults)
    entries = []
    for ident, image in images.items():
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            entries.append(
                Entry(f"image {ident}", "", None, f"{path}: image {ident}: no file_name")
            )
            continue
        picture = _picture(path, root, name)
        problem = "" if picture else f'{path}: image {ident}: there is no picture "{name}"'
        entries.append(Entry(name, picture or "", annotations[ident], problem))
    return refuse_empty(Collection(path, {"train": entries}, list(names), names, faults))


def _by_id(path, key, items):
    """{id: object} of a list."""
    found = {}
    for number, item in enumerate(items):
        ident = item.get("id")
        if type(ident) is not int and not isinstance(ident, str):
            raise DataError(f"{path}: {key}[{number}]: expected an id, not {ident!r}")
        if ident in found:
            raise DataError(f"{path}: {key}[{number}]: the id {ident} comes twice")
        found[ident] = item
    return found


def _categories(path, items):
    """{name of a class: its display name}, by id."""
    found = _by_id(path, "categories", items)
    try:
        ordered = sorted(found)
    except TypeError:
        raise DataError(
            f"{path}: categories: ids are numbers and words; expected one kind"
        ) from None
    return {str(ident): str(found[ident].get("name", ident)) for ident in ordered}


def _annotations(path, images, items, faults):
    """{id of an image: its Annotation}, of {id: image} and the list of annotations."""
    found = {}
    for ident, image in images.items():
        sides = [reading.count(image.get(side)) for side in ("height", "width")]
        size = tuple(sides) if all(sides) else None
        found[ident] = Annotation(f"{path}: image {ident}", [], size)
    for number, item in enumerate(items):
        ident = item.get("image_id")
        if not isinstance(ident, (int, str)) or ident not in found:
            words = f"is of an image that is not there: {ident!r}"
            faults.add("is of no image", f"{path}: annotations[{number}]", words)
            continue
        found[ident].objects.append(object_of(item))
    return found


def object_of(item):
    """The Object of one of COCO's annotations, a dict."""
    given = item.get("bbox")
    box = given if isinstance(given, list) and len(given) == 4 else [None] * 4
    x, y, width, height = map(reading.finite, box)
    corners = x, y, x + width, y + height
    said = f"bbox: {json.dumps(given)[:MOST_SAID]}" if any(map(math.isnan, corners)) else ""
    crowd = bool(item.get("iscrowd", 0))
    return Object(str(item.get("category_id")), corners, crowd=crowd, said=said)


def _picture(path, root, name):
    """Where a picture lies, or None: in `root`, or in one of the folders where COCO has them."""
    folder = os.path.dirname(path)
    part = os.path.splitext(os.path.basename(path))[0].rpartition("_")[2]  # of instances_val2017
    above = os.path.dirname(os.path.abspath(folder))
    folders = (
        [root]
        if root
        else [
            *(folder, os.path.join(folder, "images"), os.path.join(folder, part)),
            *(os.path.join(above, part), os.path.join(above, "images", part)),
            os.path.join(above, "images"),
        ]
    )
    places = (os.path.join(place, name) for place in folders)
    return next((place for place in places if os.path.isfile(place)), None)
