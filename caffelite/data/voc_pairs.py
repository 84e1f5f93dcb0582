"""Sources of pictures with labels of pixels as PASCAL VOC and SBDD lie on disk."""

import os

from .. import rng
from ..errors import DataError
from ..reading import lines
from .image import INDICES, decode
from .image_list import read_picture
from .source import Source


class VocPairSource(Source):
    """The pairs that a split of PASCAL VOC's segmentation names; a sample is (pixels, labels).

    Pixels are those of JPEGImages, blue first, and labels, 1 x height x width, the indices of
    SegmentationClass, with 255 for void.

    Parameters
    ----------
    folder
        that of a year, as VOC2012
    split
        train, val, trainval, ...: names are in ImageSets/Segmentation/SPLIT.txt
    draws
        draw each pair at random, whatever came before, as FCN's layers do; else they come in turn
    draw_seed
        what draws follow from; the attribute `seed`, if None
    """

    LIST, PICTURE = "ImageSets/Segmentation/{}.txt", "JPEGImages/{}.jpg"
    LABELS = "SegmentationClass/{}.png"

    def __init__(self, folder, split, draws=False, draw_seed=None):
        self.folder, self.draws, self.draw_seed = folder, draws, draw_seed
        path = self._place(self.LIST, split)
        self.names = [line.strip() for line in lines(path, "names of pictures, a line each")]
        while self.names and not self.names[-1]:
            self.names.pop()
        if not self.names:
            raise DataError(f"{path}: lists no pictures")

    def __len__(self):
        return len(self.names)

    def uneven_pass(self):
        if self.draws:
            return "draws each pair at random: write 'randomize': False in param_str"
        return super().uneven_pass()

    def sample(self, number):
        with self.named(number):
            name = self._picture(number)
            pixels = read_picture(self._place(self.PICTURE, name))
            labels = self._labels(name)
            if labels.shape[1:] != pixels.shape[1:]:
                sizes = (" x ".join(map(str, each.shape[1:])) for each in (pixels, labels))
                raise DataError("has {} pixels, but {} labels".format(*sizes))
            return pixels, labels

    def shape(self, number):
        return self.sample(number)[0].shape

    def name(self, number):
        return f'"{self._place(self.PICTURE, self._picture(number))}"'

    def _picture(self, number):
        count = len(self.names)
        if not self.draws:
            return self.names[number % count]
        seed = self.seed if self.draw_seed is None else self.draw_seed
        return self.names[int(rng.generator(seed, 8, number).integers(count))]

    def _place(self, pattern, name):
        return os.path.join(self.folder, pattern.format(name))

    def _labels(self, name):
        path = self._place(self.LABELS, name)
        try:
            return decode(path, INDICES)
        except DataError as problem:
            raise DataError(f'labels "{path}": {problem}') from None


class SbddPairSource(VocPairSource):
    """The pairs that a split of SBDD names, as a VocPairSource; labels are those of cls/NAME.mat.

    They need scipy.  Hariharan, Arbelaez, Bourdev, Maji, Malik 2011
    """

    LIST, PICTURE, LABELS = "{}.txt", "img/{}.jpg", "cls/{}.mat"

    def _labels(self, name):
        try:
            from scipy.io import loadmat
        except ImportError:
            words = "labels of SBDD are .mat files, which need scipy: pip install scipy"
            raise DataError(words) from None
        path = self._place(self.LABELS, name)
        try:
            labels = loadmat(path)["GTcls"][0]["Segmentation"][0]
        except Exception as problem:  # of a file of others, whatever scipy makes of it
            raise DataError(f'labels "{path}": {problem}') from None
        return labels.astype("uint8")[None]
