"""A data set made of pictures: databases for training and testing, class names, the mean."""

import hashlib
import json
import logging
import os
from collections import Counter

import numpy as np

from ..atomic import write_atomically, written_together
from ..errors import DataError, did_you_mean
from ..reading import lines
from . import binaryproto, made
from .image_folder import ImageFolderSource
from .image_list import ImageListSource, read_list, without_blank_end
from .label_map import is_label_map, listed_names
from .shard_writer import ONE_DATABASE
from .statistics import Statistics

log = logging.getLogger("caffelite")

MOST_NAMED = 20  # bad pictures that are named one by one


class LabeledListSource(ImageListSource):
    """The pictures of a list for a data set; a sample is (pixels, label).

    Each line has to have a label, 0 or more. Names start in the folder `root`, which is where the
    list is unless it is given; `labels` is a file with a name for each class, a line each.
    """

    def __init__(self, list_path, root=None, labels=None):
        root = os.path.dirname(list_path) if root is None else root
        super().__init__(list_path, root)
        count = max(label for _, label in self.entries) + 1
        self.classes = read_names(labels) if labels else []
        if labels and len(self.classes) < count:
            raise DataError(
                f"{labels}: names {len(self.classes)} classes, but {list_path} has {count}"
            )
        used = {label for _, label in self.entries}
        if len(used) < count:
            log.warning(
                "%s: %d of the labels 0 to %d have no pictures, as %d",
                *(list_path, count - len(used), count - 1),
                min(set(range(len(used) + 1)) - used),
            )

    def read_entries(self, list_path):
        entries = read_list(list_path, strict=True)
        for number, (_, label) in enumerate(entries, 1):
            if label < 0:
                raise DataError(f"{list_path}:{number}: the label is {label}, expected 0 or more")
        return entries

    def path(self, name):
        return os.path.join(self.root_folder, name)


def open_pictures(path, root=None, labels=None):
    """The source of the pictures in a folder of class folders, or of those that a list names.

    `root` and `labels` are for lists; see LabeledListSource.
    """
    if os.path.isdir(path):
        if root is not None or labels is not None:
            raise DataError(f"{path}: is a folder; --root and --labels are for lists")
        return ImageFolderSource(path)
    if not os.path.exists(path):
        known = made.names()
        raise DataError(
            f"{path}: no such folder of pictures, list of pictures, or data set that is known "
            f"({', '.join(known)}){did_you_mean(path, known)}"
        )
    return LabeledListSource(path, root, labels)


def split(pictures, share, seed, shuffle=True):
    """{"train": entries, "test": entries} of a source: of each class, `share` goes to the test.

    The same seed gives the same split and order; `shuffle=False` keeps the order.
    """
    random = np.random.RandomState(seed)  # unlike Generator's, its numbers are promised to stay
    labels = np.array([label for _, label in pictures.entries])
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
                f"{pictures.list_path}: {len(labels)} pictures are too few for a share of "
                f"{share:g} of each class for testing: none is left for the part {name}"
            )
    return {name: [pictures.entries[i] for i in part] for name, part in parts.items()}


def read_names(path):
    """The names of classes, in order of their numbers: in a text file, a line each, or a label map.

    Numbers that a label map leaves out stand for their own names.
    """
    if is_label_map(path):
        return listed_names(path)
    rows = [line.removesuffix("\n") for line in lines(path, "names of classes, a line each")]
    names = without_blank_end(rows)
    if not any(names[:2]):
        raise DataError(f"{path}: is empty; expected a name a line")
    return names


def make(
    pictures, out, encoder, parts, skip_bad=False, mixed=False, progress=None, layout=ONE_DATABASE
):
    """Make OUT/PART_lmdb for each part, labels.txt, the mean, statistics.json; returns a report.

    All of them are made, or none.

    Parameters
    ----------
    pictures, out : what `open_pictures` gives, and the folder to make things in
    encoder : how pictures are stored, a DatumEncoder
    parts : {part: entries}; the statistics are those of the first part, which is for training
    skip_bad : leave out pictures that cannot be read, else they are an error, once all are named
    mixed : let pictures have several sizes; there is no mean picture then
    progress : wraps the iteration over a part's entries: progress(entries, part)
    layout : the Layout of parts, by default a database each
    """
    shards = {part: layout.names(f"{part}_lmdb") for part in parts}
    names = [*(name for of_part in shards.values() for name in of_part), "statistics.json"]
    names += ["labels.txt"] if pictures.classes else []
    names += [] if mixed else ["mean.binaryproto"]
    places = {name: os.path.join(out, name) for name in names}
    inspector, statistics = _Inspector(skip_bad, mixed), Statistics()
    with written_together(*places.values()) as passing:
        files = {name: passing[place] for name, place in places.items()}
        for part, entries in parts.items():
            entries = progress(entries, part) if progress else entries
            encoded = encoder.encode_all(entries, pictures.path)
            with layout.writer([files[name] for name in shards[part]]) as database:
                for key, datum, pixels in inspector.sound(encoded, part):
                    database.put(key, datum.SerializeToString())
                    if part == next(iter(parts)):
                        statistics.add(pixels)
        report = {
            "out": out,
            "classes": pictures.classes,
            **inspector.report(),
            **statistics.report(),
        }
        _write_text(files["statistics.json"], json.dumps(report, indent=1))
        if pictures.classes:
            _write_text(files["labels.txt"], "\n".join(pictures.classes))
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
