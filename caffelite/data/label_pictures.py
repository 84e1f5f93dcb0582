"""Pictures of labels by themselves, wherever they are: databases, lists, folders."""

import os

import numpy as np

from .. import file_kind
from ..errors import DataError
from .datum import DATABASES, DatumSource
from .image import INDICES
from .image_folder import FlatFolderSource
from .image_pairs import ImagePairSource

VOID = 255  # the label that counts nowhere, as VOC, FCN and DeepLab have it
MOST_CLASSES = 1000


class LabelPictures:
    """The pictures of labels at a path: `labels(number)` is an array of ints, height x width.

    The path is a database of label pictures, as `caffelite dataset` makes them, a folder of picture
    files, or a list with a line `NAME LABEL_NAME` for each pair, before whose names `root` stands.
    """

    def __init__(self, path, root="", void=VOID):
        self._source, self._part = _opened(path, root)
        self.void = void

    def __len__(self):
        return len(self._source)

    def name(self, number):
        return self._source.name(number)

    def labels(self, number):
        """Those of a picture; `void` may be among them, no other one above those of classes."""
        labels = self._source.sample(number)[self._part]
        with self._source.named(number):
            if len(labels) != 1:
                raise DataError(
                    f"has {len(labels)} channels, expected 1, of labels: a picture with a palette, "
                    "or a gray one"
                )
            if labels.dtype.kind == "f" and (labels != labels.round()).any():
                raise DataError("holds numbers with fractions, expected labels")
            labels = labels[0].astype(int)
            counted = labels[labels != self.void]
            if len(counted) and not 0 <= counted.min() <= counted.max() < MOST_CLASSES:
                wrong = counted.min() if counted.min() < 0 else counted.max()
                raise DataError(f"has the label {wrong}, expected 0 to {MOST_CLASSES - 1}")
            return labels

    def close(self):
        self._source.close()


def _opened(path, root):
    """The source at a path, and which part of its samples is the labels, 1 x height x width."""
    if os.path.isfile(path):
        return ImagePairSource(path, root, labels_as=INDICES), 1
    kind = file_kind.of(path)
    records = kind and DATABASES.get(kind.name.lower())
    if records:
        return DatumSource(path, INDICES, records), 0
    return FlatFolderSource(path, color=INDICES), 0


class ClassPixels:
    """Of each class, the pixels with it, and all that count in the pictures where it occurs."""

    def __init__(self):
        self.own, self.around = np.zeros((2, 0), np.int64)

    def add(self, labels, void=VOID):
        """Take in the labels of a picture."""
        found = np.bincount(labels[labels != void])
        count = max(len(found), len(self.own))
        found, self.own, self.around = (
            np.pad(each, (0, count - len(each))) for each in (found, self.own, self.around)
        )
        self.own += found
        self.around += np.where(found, found.sum(), 0)

    def median_frequency_weights(self):
        """median of f / f[k] for each class k, with f[k] = own[k] / around[k]; 1 where it is none.

        Rare classes count for more, those with the frequency in the middle for 1.  Eigen, Fergus
        2015, arXiv:1411.4734; Badrinarayanan, Kendall, Cipolla 2015, arXiv:1511.00561 (SegNet)
        """
        found = self.own > 0
        frequency = self.own[found] / self.around[found]
        weights = np.ones(len(self.own))
        if found.any():
            weights[found] = np.median(frequency) / frequency
        return weights
