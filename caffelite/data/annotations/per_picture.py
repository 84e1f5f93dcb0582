"""The files of SSD's convert_annoset, one for each picture: XML, JSON or text."""

import math

from ... import reading
from ...errors import DataError
from .annotation import Annotation, Object
from .coco import object_of
from .voc import read_xml

KINDS = ("xml", "json", "txt")


def read(path, kind):
    """The Annotation in a file of one of KINDS.

    JSON has COCO's image and annotation, those of one picture; text has lines "LABEL XMIN YMIN XMAX
    YMAX", in pixels, the label a number.
    """
    if kind == "xml":
        return read_xml(path)[0]
    return _read_json(path) if kind == "json" else _read_text(path)


def _read_json(path):
    wanted = "JSON, an object with an image and its annotation"
    found = reading.json_object(reading.text(path, takes=("JSON",)), path, wanted)
    image, items = found.get("image", {}), found.get("annotation")
    if not isinstance(image, dict) or not isinstance(items, list):
        raise DataError(f"{path}: expected {wanted}, a list; COCO's own file is for dataset")
    if not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path}: annotation: expected a list of objects")
    sides = [reading.count(image.get(side)) for side in ("height", "width")]
    return Annotation(
        path, [object_of(item) for item in items], tuple(sides) if all(sides) else None
    )


def _read_text(path):
    objects = []
    for number, line in enumerate(reading.lines(path, "LABEL XMIN YMIN XMAX YMAX"), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 5:
            raise DataError(
                f"{path}:{number}: expected LABEL XMIN YMIN XMAX YMAX, not {len(words)} words"
            )
        label = reading.integer(words[0], f"{path}:{number}", "LABEL", least=0)
        objects.append(Object(str(label), tuple(map(_number, words[1:]))))
    return Annotation(path, objects)


def _number(word):
    try:
        return reading.number(word, "")
    except DataError:
        return math.nan
