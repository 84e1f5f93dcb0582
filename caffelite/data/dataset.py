"""A data set made of pictures: databases for training and testing, class names, the mean."""

import hashlib
import json
import logging
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..atomic import write_atomically, written_together
from ..errors import DataError, did_you_mean
from ..reading import lines
from . import binaryproto
from .image_folder import read_folder
from .image_list import read_list
from .lmdb import LmdbWriter
from .statistics import Statistics

log = logging.getLogger("caffelite")

_KNOWN = ("mnist", "mnist-5k", "digits-8x8")

MOST_NAMED = 20  # bad pictures that are named one by one


@dataclass
class Album:
    """Pictures, with a label each, and the names of the classes that labels count."""

    entries: list  # (name, label)
    root: str  # the folder that names start at
    names: list = field(default_factory=list)

    def split(self, share, seed, shuffle=True):
        """{"train": entries, "test": entries}: of each class, `share` goes to the test.

        The same seed gives the same split and order; `shuffle=False` keeps the order.
        """
        random = np.random.RandomState(seed)  # unlike Generator's, its numbers are promised to stay
        labels = np.array([label for _, label in self.entries])
        order = random.permutation(len(labels))
        test = np.zeros(len(labels), bool)
        for label in np.unique(labels):
            own = order[labels[order] == label]
            test[own[: round(share * len(own))]] = True
        if not shuffle:
            order = np.arange(len(labels))
        parts = {"train": order[~test[order]], "test": order[test[order]]}
        if not share:
            del parts["test"]
        for name, part in parts.items():
            if not len(part):
                raise DataError(
                    f"{self.root}: {len(labels)} pictures are too few for a share of {share:g} of "
                    f"each class for testing: none is left for the part {name}"
                )
        return {name: [self.entries[i] for i in part] for name, part in parts.items()}


def read_album(source, root=None, labels=None):
    """The Album in a folder of class folders, or in a list file, whose names start at `root`.

    `labels` is a file with a name for each class of a list, a line each.
    """
    if os.path.isdir(source):
        if root is not None or labels is not None:
            raise DataError(f"{source}: is a folder; --root and --labels are for lists")
        entries, names = read_folder(source)
        return Album(entries, source, names)
    if not os.path.exists(source):
        raise DataError(
            f"{source}: no such folder of pictures, list of pictures, or data set that is known "
            f"({', '.join(_KNOWN)}){did_you_mean(source, _KNOWN)}"
        )
    entries = read_list(source, strict=True)
    for number, (_, label) in enumerate(entries, 1):
        if label < 0:
            raise DataError(f"{source}:{number}: the label is {label}, expected 0 or more")
    classes = max(label for _, label in entries) + 1
    names = read_names(labels) if labels else []
    if names and len(names) < classes:
        raise DataError(f"{labels}: names {len(names)} classes, but {source} has {classes}")
    used = {label for _, label in entries}
    if len(used) < classes:
        log.warning(
            "%s: %d of the labels 0 to %d have no pictures, as %d",
            *(source, classes - len(used), classes - 1, min(set(range(len(used) + 1)) - used)),
        )
    return Album(entries, os.path.dirname(source) if root is None else root, names)


def read_names(path):
    """The names in a text file, a line each."""
    names = [line.removesuffix("\n") for line in lines(path)]
    if not any(names[:2]):
        raise DataError(f"{path}: is empty; expected a name a line")
    return names


def make(album, out, storing, parts, skip_bad=False, mixed=False, progress=None):
    """Make OUT/PART_lmdb for each part, labels.txt, the mean, statistics.json; returns a report.

    All of them are made, or none.

    Parameters
    ----------
    album, out : an Album, and the folder to make things in
    storing : how pictures are stored, a Storing
    parts : {part: entries}; the statistics are those of the first part, which is for training
    skip_bad : leave out pictures that cannot be read, else they are an error, once all are named
    mixed : let pictures have several sizes; there is no mean picture then
    progress : wraps the iteration over a part's entries: progress(entries, part)
    """
    names = [*(f"{part}_lmdb" for part in parts), "statistics.json"]
    names += ["labels.txt"] if album.names else []
    names += [] if mixed else ["mean.binaryproto"]
    places = {name: os.path.join(out, name) for name in names}
    inspector, statistics = _Inspector(skip_bad, mixed), Statistics()
    path_of = partial(os.path.join, album.root)
    with written_together(*places.values()) as passing:
        files = {name: passing[place] for name, place in places.items()}
        for part, entries in parts.items():
            entries = progress(entries, part) if progress else entries
            with LmdbWriter(files[f"{part}_lmdb"]) as database:
                for key, datum, pixels in inspector.sound(storing.all(entries, path_of), part):
                    database.put(key, datum.SerializeToString())
                    if part == next(iter(parts)):
                        statistics.add(pixels)
        report = {"out": out, "classes": album.names, **inspector.report(), **statistics.report()}
        _write_text(files["statistics.json"], json.dumps(report, indent=1))
        if album.names:
            _write_text(files["labels.txt"], "\n".join(album.names))
        if not mixed:
            binaryproto.write(files["mean.binaryproto"], statistics.mean())
    return report


def _write_text(path, text):
    write_atomically(path, (text + "\n").encode("utf-8", "surrogateescape"))


class _Inspector:
    """Looks at each picture before it is stored, and counts."""

    def __init__(self, skip_bad, mixed):
        self.skip_bad, self.mixed = skip_bad, mixed
        self.first = None  # the first picture: name, shape
        self.bad = 0
        self.counts = {}  # part: pictures by label
        self.seen = {}  # digest of pixels: name, label, part
        self.again = []  # (name, label, part) of a picture, and of one before it that is the same

    def sound(self, pictures, part):
        """Yield (key, Datum, pixels) of the pictures that can be stored."""
        counts = self.counts[part] = Counter()
        for number, (name, label, datum, pixels, problem) in enumerate(pictures):
            if problem is not None:
                self._note(name, problem)
                continue
            self._check_shape(name, pixels.shape)
            digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
            if digest in self.seen:
                self.again.append((self.seen[digest], (name, label, part)))
            else:
                self.seen[digest] = name, label, part
            counts[label] += 1
            yield b"%08d_" % number + os.fsencode(name), datum, pixels
        if self.bad and not self.skip_bad:
            raise DataError(f"pictures that cannot be read: {self.bad}; --skip-bad leaves them out")
        if not counts:
            raise DataError(f"none of the pictures for the part {part} can be read")

    def _note(self, name, problem):
        self.bad += 1
        if self.bad <= MOST_NAMED:
            log.warning('%s"%s": %s', "skipped " if self.skip_bad else "", name, problem)
        elif self.bad == MOST_NAMED + 1:
            log.warning("and more, which are counted only")

    def _check_shape(self, name, shape):
        self.first = self.first or (name, shape)
        if shape != self.first[1] and not self.mixed:
            raise DataError(
                f'"{name}" has the shape {shape}, but "{self.first[0]}" {self.first[1]}; give '
                "--resize, or --mixed-sizes for nets that cut out a crop_size of their own"
            )

    def report(self):
        """What was counted; warns of pictures that are there several times."""
        other_part = [pair for pair in self.again if pair[0][2] != pair[1][2]]
        other_label = [pair for pair in self.again if pair[0][1] != pair[1][1]]
        for pairs, what in (
            (other_part, "pictures for testing are for training, too"),
            (other_label, "pictures are there twice, with different labels"),
        ):
            if pairs:
                first, second = pairs[0]
                log.warning('%d %s, as "%s" and "%s"', len(pairs), what, first[0], second[0])
        return {
            "parts": {
                part: {"pictures": counts.total(), "by_label": dict(sorted(counts.items()))}
                for part, counts in self.counts.items()
            },
            "shape": None if self.mixed else list(self.first[1]),
            "skipped": self.bad,
            "duplicates": len(self.again),
            "duplicates_across_parts": len(other_part),
            "duplicates_across_labels": len(other_label),
        }
