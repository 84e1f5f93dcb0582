"""Databases of annotated pictures: an LMDB for each part, a label map, sizes, a report."""

import json
import logging
import os
from collections import Counter

import numpy as np

from ... import reading
from ...atomic import write_atomically, written_together
from ...errors import DataError
from ..annotated import annotated
from ..dataset import read_names
from ..image import decode
from ..label_map import is_label_map, label_map_text, read_label_map
from ..shard_writer import ONE_DATABASE
from ..statistics import Statistics
from .annotation import boxes_of

log = logging.getLogger("caffelite")

_SHARES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)  # of boxes below what the report tells


def split(collection, share, seed, shuffle=True):
    """{part: entries} of a Collection; of one that has no test part, `share` goes there."""
    random = np.random.RandomState(seed)  # unlike Generator's, its numbers are promised to stay
    parts = dict(collection.parts)
    if share:
        if "test" in parts:
            raise DataError(f"{collection.where}: has a part for testing already, without --test")
        entries = parts["train"]
        order = random.permutation(len(entries))
        tests = set(order[: round(share * len(entries))].tolist())
        parts["test"] = [entries[i] for i in range(len(entries)) if i in tests]
        parts["train"] = [entries[i] for i in range(len(entries)) if i not in tests]
    for part, entries in parts.items():
        if not entries:
            raise DataError(f"{collection.where}: the part {part} has no pictures")
        if shuffle:
            parts[part] = [entries[i] for i in random.permutation(len(entries))]
    return parts


def labels_of(collection, path=None):
    """({name: label}, the text of their label map): those of a file, else of the Collection.

    The file is a label map, or has names a line each, for the labels from 1 on.
    """
    if path is None or not is_label_map(path):
        names = collection.classes if path is None else read_names(path)
        text = label_map_text(names, shown=collection.shown)
        return {name: label for label, name in enumerate(names, 1)}, text
    items = read_label_map(path)
    labels = {item.name: item.label for item in items}
    shown = {name: label for name, label in labels.items() if label}
    for ident, name in collection.shown.items():  # a map by names that people read
        if ident not in labels and name in labels:
            shown[ident] = labels[name]
    return shown, reading.text(path)


def build(
    collection, out, encoder, parts, labels=None, skip_bad=False, progress=None, layout=ONE_DATABASE
):
    """Make OUT/PART_lmdb and OUT/PART_name_size.txt for each part, labelmap.prototxt, statistics.

    All of them are made, or none. Returns a report, which OUT/statistics.json holds, too.

    Parameters
    ----------
    collection, out : what `read` gives, and the folder to make things in
    encoder : how pictures are stored, a DatumEncoder
    parts : {part: entries}, of `split`; means of colors are those of the first one
    labels : a label map, or a list of names, to take instead of the Collection's classes
    skip_bad : leave out what is wrong, else pictures that cannot be had, and boxes of classes that
        the labels lack, are an error, once all are named; boxes that are none are always left out
    progress : wraps the iteration over a part's entries: progress(entries, part)
    layout : the Layout of parts, by default a database each
    """
    numbers, label_map = labels_of(collection, labels)
    shards = {part: layout.names(f"{part}_lmdb") for part in parts}
    names = [name for of_part in shards.values() for name in of_part]
    names += [f"{part}_name_size.txt" for part in parts]
    places = {
        name: os.path.join(out, name) for name in (*names, "labelmap.prototxt", "statistics.json")
    }
    faults, statistics, told = collection.faults, Statistics(), {}
    with written_together(*places.values()) as passing:
        files = {name: passing[place] for name, place in places.items()}
        for part, entries in parts.items():
            facts, sizes = _Facts(collection, numbers), []
            entries = progress(entries, part) if progress else entries
            with layout.writer([files[name] for name in shards[part]]) as database:
                for number, (entry, datum, pixels, size) in enumerate(
                    _sound(entries, encoder, faults)
                ):
                    boxes, kept = boxes_of(entry.annotation, size, numbers, faults)
                    key = b"%08d_" % number + os.fsencode(entry.name)
                    database.put(key[:511], annotated(datum, boxes).SerializeToString())
                    facts.add(boxes, kept, size, len(entry.annotation.objects))
                    sizes.append(
                        f"{os.path.splitext(os.path.basename(entry.path))[0]} {size[0]} {size[1]}\n"
                    )
                    if part == next(iter(parts)):
                        statistics.add(pixels)
            if not sizes:
                raise DataError(f"{collection.where}: none of the pictures of {part} can be stored")
            _write(files[f"{part}_name_size.txt"], "".join(sizes))
            told[part] = facts.report()
            _refuse_loss(collection, part, facts)
        _refuse(collection, faults, skip_bad)
        report = {"out": out, "parts": told, "faults": dict(faults.counts), **statistics.report()}
        _write(files["labelmap.prototxt"], label_map)
        _write(files["statistics.json"], json.dumps(report, indent=1) + "\n")
    return report


def _refuse_loss(collection, part, facts):
    """Raise an error where every object was left out; warn where there was none."""
    if facts.objects and not any(map(len, facts.boxes)):
        raise DataError(
            f"{collection.where}: none of the {facts.objects} boxes of {part} is left: a net that "
            "trains on this finds nothing"
        )
    if not facts.objects:
        log.warning("%s: the pictures of %s have no boxes", collection.where, part)


_PICTURE, _CLASS = "picture that cannot be had", "has a class that is not in the label map"


def _refuse(collection, faults, skip_bad):
    """Raise the error for what was named, and may not just be left out."""
    bad = [(kind, faults.counts[kind]) for kind in (_PICTURE, _CLASS) if faults.counts[kind]]
    if bad and not skip_bad:
        said = ", ".join(f"{kind}: {count}" for kind, count in bad)
        way = "; --labels names other classes" if faults.counts[_CLASS] else ""
        raise DataError(f"{collection.where}: {said}; --skip-bad leaves that out{way}")


def _sound(entries, encoder, faults):
    """Yield (entry, Datum, pixels, (height, width) before it was stored) of what can be stored."""

    def pairs():
        for entry in entries:
            if entry.problem or entry.annotation is None:
                faults.add(_PICTURE, entry.name, entry.problem)
                continue
            yield entry.path, entry

    stored = encoder.encode_all(pairs(), lambda path: path, label=-1)
    for path, entry, datum, pixels, problem in stored:
        if problem is not None:
            faults.add(_PICTURE, path, str(problem))
            continue
        size = pixels.shape[1:] if encoder.size is None else decode(path).shape[1:]
        said = entry.annotation.size
        if said is not None and tuple(said) != tuple(size):
            words = f"says {said[1]} x {said[0]}, but {path} has {size[1]} x {size[0]} pixels"
            faults.add(_PICTURE, entry.annotation.where, words)
            continue
        yield entry, datum, pixels, tuple(map(int, size))


class _Facts:
    """Counts pictures and boxes of a part."""

    def __init__(self, collection, numbers):
        self.shown, self.names = collection.shown, {label: name for name, label in numbers.items()}
        self.pictures = self.empty = self.objects = 0
        self.marks, self.classes = Counter(), Counter()
        self.boxes, self.sizes = [], []

    def add(self, boxes, kept, size, objects):
        """Count a picture of a size, with its boxes, the objects that they are of, all objects."""
        self.pictures += 1
        self.objects += objects
        self.empty += not len(boxes)
        for item in kept:
            self.classes[self.shown.get(item.name, item.name)] += 1
            self.marks.update(m for m in ("difficult", "truncated", "crowd") if getattr(item, m))
        sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
        self.boxes.append(np.column_stack([sides, sides * (size[1], size[0])]))
        self.sizes.append(size)

    def report(self):
        """All of it, for JSON: shares of boxes below a size, in pixels and of the picture."""
        width, height, across, down = np.concatenate(self.boxes).astype(float).T
        quantities = {
            "sides_of_picture": np.sqrt(width * height),
            "pixels": np.sqrt(across * down),
            "width_to_height": across / down if len(down) else down,
        }
        sizes = np.array(self.sizes)
        return {
            "pictures": self.pictures,
            "without_boxes": self.empty,
            "boxes": len(width),
            "difficult": self.marks["difficult"],
            "truncated": self.marks["truncated"],
            "crowd": self.marks["crowd"],
            "classes": dict(sorted(self.classes.items(), key=lambda pair: -pair[1])),
            "heights": [int(sizes[:, 0].min()), int(sizes[:, 0].max())],
            "widths": [int(sizes[:, 1].min()), int(sizes[:, 1].max())],
            "quantiles": list(_SHARES),
            **{
                name: [round(float(q), 4) for q in np.quantile(values, _SHARES)]
                if len(values)
                else []
                for name, values in quantities.items()
            },
        }


def _write(path, text):
    write_atomically(path, text.encode("utf-8", "surrogateescape"))
