"""A data set of pictures with label pictures: pairs of databases for training and testing."""

import json
import logging
import os
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..atomic import write_atomically, written_together
from ..errors import DataError
from ..proto.caffe_pb2 import Datum
from ..reading import lines
from . import binaryproto
from .annotations.annotation import Faults
from .datum import from_pixels
from .datum_encoder import DatumEncoder, in_order
from .image import INDICES, decode, decoded_shape
from .image import encode as to_file
from .image_list import without_blank_end
from .image_pairs import naming_labels, read_pairs
from .label_pictures import VOID
from .picture_file import is_picture_name
from .pixel_labels import PixelLabels
from .shard_writer import ONE_DATABASE
from .statistics import Statistics
from .voc_pairs import VocPairSource

log = logging.getLogger("caffelite")

MOST_KEY = 511  # bytes, in an LMDB
_BAD = "pair that cannot be stored"


class Pair(NamedTuple):
    """A picture file and its label picture, with the name that both have in databases."""

    name: str
    picture: str
    labels: str


@dataclass
class Pairs:
    """The pairs of a data set: {part: [Pair]}; `where` is what errors name."""

    where: str
    parts: dict


def open_pairs(path, labels="", root=None):
    """The Pairs of a folder of pictures, of a list, or of a folder as PASCAL VOC's.

    `labels` is the folder of the label pictures: of a folder of pictures, by the same names but for
    their endings; of a list, with a line `NAME LABEL_NAME` each, the one in which names of labels
    start, where that is not `root`, which by default is where the list is. VOC's needs none.
    """
    if os.path.isfile(path):
        root = os.path.dirname(path) if root is None else root
        names = read_pairs(path)
        return Pairs(path, {"train": [_listed(*pair, root, labels or root) for pair in names]})
    if not os.path.isdir(path):
        raise DataError(f"{path}: no such folder, or list, of pictures with label pictures")
    if root is not None:
        raise DataError(f"{path}: is a folder; --root is for lists")
    if labels:
        return Pairs(path, {"train": _of_folders(path, labels)})
    parts = _of_voc(path)
    if not parts:
        raise DataError(
            f"{path}: has no ImageSets/Segmentation with train.txt, val.txt or trainval.txt, as "
            "PASCAL VOC has; name the folder of the label pictures: --label-pictures DIR"
        )
    return Pairs(path, parts)


def _listed(name, label_name, root, root_of_labels):
    return Pair(_stem(name).lstrip("/"), _place(root, name), _place(root_of_labels, label_name))


def _place(folder, name):
    """Where the file of a name lies; DeepLab's lists have names that begin with a slash."""
    path = os.path.join(folder, name)
    return path if os.path.lexists(path) else os.path.join(folder, name.lstrip("/"))


def _stem(name):
    return os.path.splitext(name)[0]


def _of_folders(pictures, labels):
    found, of_labels = _by_stem(pictures), _by_stem(labels)
    if found.keys().isdisjoint(of_labels):
        stem, path = next(iter(found.items()))
        raise DataError(
            f"{labels}: none of the label pictures has the name of a picture, but for its ending, "
            f"as {os.path.join(labels, stem)}.png for {path}; a list may name pairs: a line NAME "
            "LABEL_NAME each"
        )
    extra = [path for stem, path in of_labels.items() if stem not in found]
    if extra:
        log.warning("%s: %d label pictures have no picture, as %s", labels, len(extra), extra[0])
    return [
        Pair(stem, path, of_labels.get(stem) or os.path.join(labels, f"{stem}.png"))
        for stem, path in found.items()
    ]


def _by_stem(folder):
    """{name from the folder on, without its ending: path} of the pictures in a folder."""
    found = {}

    def fail(problem):
        raise DataError(f"{problem.filename}: cannot be read: {problem.strerror}")

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or not is_picture_name(name):
                continue
            path = os.path.join(place, name)
            stem = _stem(os.path.relpath(path, folder)).replace(os.sep, "/")
            if stem in found:
                raise DataError(f"{path}: has the name of {found[stem]}, but for its ending")
            found[stem] = path
    if not found:
        raise DataError(f"{folder}: holds no pictures")
    return found


def _of_voc(path):
    """{part: pairs} of VOCdevkit, or of a year in it: train or trainval, and val for testing."""
    years = [path, *(os.path.join(path, name) for name in sorted(os.listdir(path)))]
    parts = {"train": [], "test": []}
    for year in years:
        prefix = "" if year == path else os.path.basename(year) + "/"
        split = next((name for name in ("train", "trainval") if _is_split(year, name)), None)
        chosen = {"train": split} if split else {}
        if split != "trainval" and _is_split(year, "val"):
            chosen["test"] = "val"
        for part, name in chosen.items():
            parts[part] += _of_split(year, prefix, name)
    return {part: pairs for part, pairs in parts.items() if pairs}


def _split_file(year, split):
    return os.path.join(year, VocPairSource.LIST.format(split))


def _is_split(year, split):
    return os.path.isfile(_split_file(year, split))


def _of_split(year, prefix, split):
    rows = [line.strip() for line in lines(_split_file(year, split), "names, a line each")]
    for name in without_blank_end(rows):
        picture = os.path.join(year, VocPairSource.PICTURE.format(name))
        yield Pair(prefix + name, picture, os.path.join(year, VocPairSource.LABELS.format(name)))


@dataclass
class PairEncoder:
    """Makes two Datums of a Pair.

    encoder : how pictures are stored, and in which size; labels follow
    classes : how many there are, or None for as many as are found
    void : the label that counts nowhere
    masks : what is above 0 in a label picture is class 1, and nothing is void
    """

    encoder: DatumEncoder
    classes: int | None = None
    void: int = VOID
    masks: bool = False

    def encode(self, pair):
        """(the Datum of the picture, its pixels, the Datum of the labels, the labels)."""
        shape = decoded_shape(pair.picture, self.encoder.color)
        with naming_labels(pair.labels):
            labels = self._decoded(pair.labels)
            if labels.shape[1:] != shape[1:]:
                theirs, its = (" x ".join(map(str, sizes[1:])) for sizes in (labels.shape, shape))
                raise DataError(f"has {theirs} pixels, but its picture has {its}")
        follower = PixelLabels(labels[0], self.void)
        datum, pixels = self.encoder.encode(pair.picture, 0, follower)
        labels = follower.picture().astype(np.uint8)
        return datum, pixels, self._datum(labels), labels

    def _decoded(self, path):
        labels = decode(path, INDICES)
        if self.masks:
            return (labels > 0).astype(np.uint8)
        most = self.classes and max(labels[labels != self.void], default=0)
        if self.classes and most >= self.classes:
            raise DataError(
                f"has the label {most}, expected 0 to {self.classes - 1}, or {self.void} for void"
            )
        return labels

    def _datum(self, labels):
        if self.encoder.encoded:
            return Datum(data=to_file(labels, "png"), encoded=True, label=0)
        datum = from_pixels(labels, 0)
        datum.encoded = False
        return datum

    def encode_all(self, pairs):
        """Yield (pair, what `encode` gives, or None, problem, or None) for each, in their order."""

        def one(pair):
            try:
                return pair, self.encode(pair), None
            except (DataError, OSError) as problem:
                return pair, None, problem

        return in_order(one, pairs)


def make(pairs, out, encoder, parts, names=(), skip_bad=False, progress=None, layout=ONE_DATABASE):
    """Make OUT/PART_lmdb and OUT/PART_labels_lmdb for each part, statistics.json; returns a report.

    With `names` of classes there is labels.txt, and where all pictures get one size, the mean
    picture, mean.binaryproto. All of them are made, or none.

    Parameters
    ----------
    pairs, out : what `open_pairs` gives, and the folder to make things in
    encoder : a PairEncoder
    parts : {part: [Pair]}; the statistics of colors are those of the first one
    skip_bad : leave out pairs that cannot be stored, else they are an error, once all are named
    progress : wraps the iteration over a part's pairs: progress(pairs, part)
    layout : the Layout of parts, by default two databases each
    """
    databases = [f"{part}_{what}" for part in parts for what in ("lmdb", "labels_lmdb")]
    files = [name for database in databases for name in layout.names(database)]
    files += ["statistics.json"] + ["labels.txt"] * bool(names)
    files += ["mean.binaryproto"] * bool(encoder.encoder.size)
    places = {name: os.path.join(out, name) for name in files}
    faults, statistics, told = Faults(), Statistics(), {}
    with written_together(*places.values()) as passing:
        into = {name: passing[place] for name, place in places.items()}
        for part, entries in parts.items():
            facts = _Facts(encoder.void)
            stored = encoder.encode_all(progress(entries, part) if progress else entries)
            names_of = map(layout.names, (f"{part}_lmdb", f"{part}_labels_lmdb"))
            paths = [[into[name] for name in own] for own in names_of]
            with layout.writer(paths[0]) as of_pictures, layout.writer(paths[1]) as of_labels:
                for number, (pair, made, problem) in enumerate(stored):
                    if problem is not None:
                        faults.add(_BAD, pair.picture, str(problem))
                        continue
                    datum, pixels, label_datum, labels = made
                    key = (b"%08d_" % number + os.fsencode(pair.name))[:MOST_KEY]
                    of_pictures.put(key, datum.SerializeToString())
                    of_labels.put(key, label_datum.SerializeToString())
                    facts.add(labels)
                    if part == next(iter(parts)):
                        statistics.add(pixels)
            if facts.sizes:
                told[part] = facts.report()
        bad = faults.counts[_BAD]
        if bad and not skip_bad:
            raise DataError(f"{pairs.where}: {_BAD}: {bad}; --skip-bad leaves them out")
        for part in parts:
            if part not in told:
                raise DataError(f"{pairs.where}: none of the pairs for the part {part} is stored")
            _check(f"{pairs.where}: part {part}", told[part], encoder.void)
        count = encoder.classes or 1 + max(max(facts["pixels"]) for facts in told.values())
        report = {"out": out, "classes": count, "names": list(names), "void": encoder.void}
        report |= {"parts": told, "skipped": bad, **statistics.report()}
        _write(into["statistics.json"], json.dumps(report, indent=1))
        if names:
            _write(into["labels.txt"], "\n".join(names))
        if encoder.encoder.size:
            binaryproto.write(into["mean.binaryproto"], statistics.mean())
    return report


def _write(path, text):
    write_atomically(path, (text + "\n").encode("utf-8", "surrogateescape"))


def _check(where, facts, void):
    """Raise an error for labels that teach nothing; warn of those that teach one class."""
    found = facts["pixels"]
    if not found:
        raise DataError(f"{where}: all pixels are void, {void}")
    if list(found) == [0] and facts["void_share"] and void == VOID:
        log.warning(
            "%s: labels are 0 and %d alone, and %d is void; if these are masks, --masks makes what "
            "is above 0 class 1",
            *(where, void, void),
        )
    elif len(found) == 1:
        log.warning("%s: all pixels are of one class, %d", where, *found)


class _Facts:
    """Counts the labels of a part."""

    def __init__(self, void):
        self.void, self.pixels, self.pictures, self.sizes = void, Counter(), Counter(), []

    def add(self, labels):
        """Count those of a picture."""
        counts = np.bincount(labels.reshape(-1))
        found = {int(label): int(counts[label]) for label in np.flatnonzero(counts)}
        self.pixels.update(found)
        self.pictures.update(found.keys())
        self.sizes.append(labels.shape[1:])

    def report(self):
        """All of it, for JSON."""
        heights, widths = zip(*self.sizes, strict=True)
        total = self.pixels.total()
        return {
            "pictures": len(self.sizes),
            "heights": [min(heights), max(heights)],
            "widths": [min(widths), max(widths)],
            "pixels": {k: n for k, n in sorted(self.pixels.items()) if k != self.void},
            "pictures_with": {k: n for k, n in sorted(self.pictures.items()) if k != self.void},
            "void_share": self.pixels[self.void] / total,
        }
