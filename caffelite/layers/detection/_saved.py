"""Files of boxes that a net found in a set of pictures, as SSD's DetectionOutput writes them."""

import errno
import logging
import os
import re

import numpy as np

from ...atomic import write_all_atomically
from ...data.label_map import read_label_map
from ...errors import DataError
from ._pixels import in_pixels, read_name_sizes

log = logging.getLogger("caffelite")


class SavedDetections:
    """Gathers the boxes of a set of pictures, in order, and writes them when it has all of them.

    Until then no file is touched; then the files are there whole, and the next round begins.

    Parameters
    ----------
    layer : the layer that finds them, for errors
    param : SaveOutputParameter
    labels : the classes that boxes are of
    """

    def __init__(self, layer, param, labels):
        self.at, self.param, self.labels = layer.at, param, labels
        self.rows, self.seen, self.pictures = [], 0, []

    def begin(self):
        """Look at the files that it needs; whether there is a folder to save anything in."""
        folder = self.param.output_directory
        try:
            os.makedirs(folder, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as problem:
            log.warning(
                "%s: output_directory %s cannot be written to: %s; what the net finds is not saved",
                *(self.at, folder, problem.strerror),
            )
            return False
        names = {item.label: item.name for item in read_label_map(self.param.label_map_file)}
        for label in self.labels:
            if label not in names:
                raise DataError(
                    f"label_map_file {self.param.label_map_file} has no label {label}; "
                    f"expected one for each class from {self.labels[0]} to {self.labels[-1]}"
                )
            if os.path.basename(names[label]) != names[label] or names[label] in ("", ".", ".."):
                raise DataError(
                    f"label_map_file {self.param.label_map_file}: label {label} has the name "
                    f'"{names[label]}", which cannot be that of a file; write another one'
                )
        self.names = names
        self.pictures = read_name_sizes(self.param.name_size_file)
        count = self.param.num_test_image or len(self.pictures)
        if count > len(self.pictures):
            raise DataError(
                f"num_test_image is {count}, but name_size_file "
                f"{self.param.name_size_file} has {len(self.pictures)} pictures"
            )
        self.pictures = self.pictures[:count]
        return True

    def add(self, found):
        """Take in the rows of the next picture: label, score and the corners of a box each."""
        name, size = self.pictures[self.seen]
        resize = self.param.resize_param if self.param.HasField("resize_param") else None
        corners, _ = in_pixels(found[:, 2:], size, resize)
        sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        for (label, score), box in zip(found[:, :2], sides, strict=True):
            self.rows.append((name, int(label), np.float32(score), _rounded(box)))
        self.seen += 1
        if self.seen == len(self.pictures):
            self.write()

    def write(self):
        files = _FORMATS[self.param.output_format](self)
        start = os.path.join(self.param.output_directory, self.param.output_name_prefix)
        write_all_atomically(
            {start + name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}
        )
        self.rows, self.seen = [], 0

    def give_up(self):
        """Say what is not written since pictures are missing."""
        if self.seen:
            log.warning(
                "%s: the net saw %d of the %d pictures of a round; nothing of it is written to %s",
                *(self.at, self.seen, len(self.pictures), self.param.output_directory),
            )
        self.rows, self.seen = [], 0

    def lines(self, label=None):
        """A line for each box: name, [label,] score and corners, whole pixels."""
        for name, own, score, box in self.rows:
            if label in (None, own):
                x, y, width, height = map(int, box)
                which = f"{own} " if label is None else ""
                yield f"{name} {which}{score:.6g} {x} {y} {x + width} {y + height}\n"


def _rounded(box):
    """To hundredths of a pixel, halves away from 0, in the arithmetic of SSD's Caffe."""
    hundred = np.float64(box * np.float32(100))
    return np.float32(np.copysign(np.floor(abs(hundred) + 0.5), hundred) / 100)


def _voc(saved):
    """A file for each class, as PASCAL VOC's competitions want them."""
    return {f"{saved.names[k]}.txt": "".join(saved.lines(k)) for k in saved.labels}


def _ilsvrc(saved):
    return {".txt": "".join(saved.lines())}


def _coco(saved):
    """A list in JSON, of x, y, width and height; numbers stand there as Boost writes them."""
    items = []
    for name, label, score, box in saved.rows:
        sides = ",\n".join(f"                {_word(f'{side:.9g}')}" for side in box)
        items.append(
            "        {\n"
            f'            "image_id": {_word(name)},\n'
            f'            "category_id": {_word(saved.names[label])},\n'
            f'            "bbox": [\n{sides}\n            ],\n'
            f'            "score": {_word(f"{score:.9g}")}\n'
            "        }"
        )
    return {".json": "[\n" + ",\n".join(items) + "\n    \n]\n"}


def _word(text):
    """A string in JSON; one that looks like a number, or null, true or false, is one."""
    if re.fullmatch(r"null|true|false|-?[0-9]+(\.[0-9]+)?", text):
        return text
    return '"' + re.sub(r'[\x00-\x1f"\\/]', _escaped, text) + '"'


def _escaped(found):
    known = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
    letter = found[0]
    if letter in '"\\/':
        return "\\" + letter
    return "\\" + known.get(letter, f"u{ord(letter):04X}")


_FORMATS = {"VOC": _voc, "COCO": _coco, "ILSVRC": _ilsvrc}
FORMATS = tuple(_FORMATS)
