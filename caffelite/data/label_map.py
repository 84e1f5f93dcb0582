"""Label maps: prototxts that say which number each class has, and how it is called.

item { name: "none_of_the_above" label: 0 display_name: "background" }
item { name: "cat" label: 1 display_name: "Cat" }
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import reading
from ..atomic import write_atomically
from ..errors import DataError
from ..proto import text
from ..proto.caffe_pb2 import LabelMap, LabelMapItem
from ..types import Path

MOST_LABEL = 100_000
BACKGROUND = "none_of_the_above"  # the name of class 0 in SSD's label maps


def read_label_map(path: Path) -> list[LabelMapItem]:
    """The items of a label map, each with `name`, `label` and `display_name`.

    A label that is not given is 0. Two items of one name, or of one label, are a DataError.
    """
    items = list(text.read(path, LabelMap).item)
    for field in ("name", "label"):
        seen: dict[object, int] = {}
        for number, item in enumerate(items, 1):
            value = getattr(item, field)
            if value in seen:
                shown = f'"{value}"' if field == "name" else value
                raise DataError(
                    f"{path}: items {seen[value]} and {number} both have the {field} {shown}; "
                    f"expected another {field} for each"
                )
            seen[value] = number
    return items


def class_names(path: Path) -> dict[int, str]:
    """{label: what to call it} of a label map: display names, or names where there are none."""
    return {item.label: item.display_name or item.name for item in read_label_map(path)}


def listed_names(path: Path) -> list[str]:
    """The same as a list, by label: numbers stand for classes that have none."""
    names = class_names(path)
    for label in names:
        if not 0 <= label <= MOST_LABEL:
            raise DataError(f"{path}: has the label {label}, expected 0 to {MOST_LABEL}")
    return [names.get(label, str(label)) for label in range(max(names, default=-1) + 1)]


def write_label_map(path: Path, names: Iterable[str], background: str = BACKGROUND) -> None:
    """Write a label map of classes, numbered from 1; 0 is the background."""
    write_atomically(path, label_map_text(names, background).encode())


def label_map_text(
    names: Iterable[str],
    background: str = BACKGROUND,
    shown: Mapping[str, str] | None = None,
) -> str:
    """The text of what `write_label_map` writes; `shown` has display names that are others."""
    items = [LabelMapItem(name=background, label=0, display_name="background")]
    items += [
        LabelMapItem(name=name, label=label, display_name=(shown or {}).get(name, name))
        for label, name in enumerate(names, 1)
    ]
    return text.to_text(LabelMap(item=items))


def is_label_map(path: Path) -> bool:
    """Whether a file with names of classes is a label map, and no text with a name a line."""
    said = (line.split("#")[0].strip() for line in reading.lines(path, "names of classes"))
    return next(filter(None, said), "").startswith("item")
