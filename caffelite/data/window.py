"""A source of windows of pictures, drawn at random, as R-CNN is trained on.

A window is a box in a picture that a window file lists, here and in the whole folder.
"""

import math
from typing import NamedTuple

import numpy as np

from .. import reading, rng
from ..errors import DataError
from ..kernels.resize import bilinear
from .image import decode
from .source import Source


class Window(NamedTuple):
    """A box in a picture, corners included; label 0 is background."""

    picture: str
    label: int
    x1: int
    y1: int
    x2: int
    y2: int


def read_windows(path, root_folder, fg_threshold, bg_threshold):
    """(foreground, background) Windows of a window file.

    The file is, once for each picture: `# index`, name, channels, height, width, number of windows,
    then for each window: label, overlap, x1, y1, x2, y2. All is separated by white space. Windows
    with an overlap from fg_threshold on are foreground, below bg_threshold background; others are
    dropped.
    """
    words = _Words(path)
    foreground, background = [], []
    while (mark := words.next()) is not None:
        if mark != "#":
            raise words.error(mark, '"#" at the start of a picture')
        words.integer()
        picture = root_folder + words.one("a name")
        channels, _, _ = (words.integer() for _ in range(3))
        if channels != 3:
            raise words.error(channels, "3 channels: pictures are read in color")
        for _ in range(words.integer()):
            label, overlap = words.integer(), words.number()
            box = [words.integer() for _ in range(4)]
            if overlap >= fg_threshold:
                if label <= 0:
                    raise words.error(label, "a label above 0 for a foreground window")
                foreground.append(Window(picture, label, *box))
            elif overlap < bg_threshold:
                background.append(Window(picture, 0, *box))
    for kind, found in (("foreground", foreground), ("background", background)):
        if not found:
            raise DataError(
                f"{path}: has no {kind} windows, with fg_threshold {fg_threshold:g} and "
                f"bg_threshold {bg_threshold:g}"
            )
    return foreground, background


class _Words:
    """The words of a file, with the line they are on for messages."""

    def __init__(self, path):
        self.path, self.line = path, 0
        self._words = self._split()

    def _split(self):
        for line in reading.lines(self.path, "a window file"):
            self.line += 1
            yield from line.split()

    def next(self):
        """The next word, or None at the end of the file."""
        return next(self._words, None)

    def one(self, wanted):
        """The next word, which has to be there."""
        word = self.next()
        if word is None:
            raise self.error("the end of the file", wanted)
        return word

    def integer(self):
        """The next word, a whole number."""
        return reading.integer(self.one("a whole number"), f"{self.path}:{self.line}")

    def number(self):
        """The next word, a number."""
        return reading.number(self.one("a number"), f"{self.path}:{self.line}")

    def error(self, found, expected):
        return DataError(f"{self.path}:{self.line}: found {found}, expected {expected}")


class Cropper:
    """Cuts windows out of pictures and warps them to crop_size x crop_size.

    With `square`, a window first grows to the square around it. With context_pad p, it grows about
    its centre by crop_size / (crop_size - 2 p), so that p pixels of context surround it.
    """

    def __init__(self, crop_size, context_pad, square):
        self.crop_size, self.square = crop_size, square
        self.grows = context_pad > 0 or square
        self.growth = np.float32(crop_size) / np.float32(crop_size - 2 * context_pad)

    def crop(self, picture, window, flip):
        """(pixels, top, left): the warped window, and where it lies in the crop.

        What lies outside the picture is left out; it is flipped along, if `flip`.
        """
        box, (height, width), (top, left) = self.geometry(window, picture.shape[1:], flip)
        x1, y1, x2, y2 = box
        inside = 0 <= x1 <= x2 < picture.shape[2] and 0 <= y1 <= y2 < picture.shape[1]
        ordered = window.x1 <= window.x2 and window.y1 <= window.y2
        if not (inside and ordered) or height < 1 or width < 1:
            raise DataError(
                f"{window.picture}: the window {window.x1} {window.y1} {window.x2} {window.y2} "
                f"does not lie in the picture of {picture.shape[2]} x {picture.shape[1]} pixels"
            )
        pixels = bilinear(picture[:, y1 : y2 + 1, x1 : x2 + 1], height, width)
        return pixels[:, :, ::-1] if flip else pixels, top, left

    def geometry(self, window, picture_size, flip):
        """(box in the picture, (height, width) to warp it to, (top, left) in the crop)."""
        x1, y1, x2, y2 = window[2:]
        if not self.grows:
            return (x1, y1, x2, y2), (self.crop_size,) * 2, (0, 0)
        half_w, half_h = np.float32((x2 - x1 + 1) / 2), np.float32((y2 - y1 + 1) / 2)
        center_x, center_y = x1 + half_w, y1 + half_h
        if self.square:
            half_w = half_h = max(half_w, half_h)
        x1, x2, width, left, right = self._axis(center_x, half_w, picture_size[1])
        y1, y2, height, top, _ = self._axis(center_y, half_h, picture_size[0])
        left = right if flip else left
        size = min(height, self.crop_size - top), min(width, self.crop_size - left)
        return (x1, y1, x2, y2), size, (top, left)

    def _axis(self, center, half, picture_size):
        """Grow an interval and clip it to the picture: (first, last, new size, pads around it)."""
        first = _round(center - half * self.growth)
        last = _round(center + half * self.growth)
        scale = np.float32(self.crop_size) / np.float32(last - first + 1)
        before, after = max(0, -first), max(0, last - picture_size + 1)
        first, last = first + before, last - after
        return first, last, *(_round(n * scale) for n in (last - first + 1, before, after))


def _round(x):
    """As C does: halves away from 0."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


class WindowSource(Source):
    """Windows of pictures, drawn at random; a sample is (values, label).

    Of the windows of a batch, those of the background come first. What is drawn depends on the seed
    and the window's number alone. Windows may be drawn again before all
    were: a pass is as many as there are. Values are crop_size x crop_size of 3 channels,
    y = x - mean, 0 outside of pictures.

    Parameters
    ----------
    foreground, background
        lists of Windows
    cropper
        a Cropper
    batch_size, fg_fraction
        windows in a batch, and how much of it is foreground, rounded down
    mirror
        flip every other window, at random
    mean
        None, or what broadcasts against 3 x crop_size x crop_size
    cache
        keep the encoded pictures in memory
    """

    def __init__(
        self,
        foreground,
        background,
        cropper,
        batch_size,
        fg_fraction,
        mirror=False,
        mean=None,
        cache=False,
        dtype=np.float32,
    ):
        self.foreground, self.background = foreground, background
        self.fg_fraction = fg_fraction
        self.group_by(batch_size)
        self.cropper, self.mirror, self.mean = cropper, mirror, mean
        self.dtype = dtype
        self.files = {} if cache else None
        self._drawn = None, None  # (seed, first number of a group), what is drawn for it

    def group_by(self, size):
        """Let so many windows make up a batch."""
        self.group = size
        self.first_foreground = size - int(np.float32(size) * np.float32(self.fg_fraction))

    def __len__(self):
        return len(self.foreground) + len(self.background)

    def sample(self, number):
        """(values, label) of window `number`."""
        window, flip = self._window(number)
        values = np.zeros(self.shape(number), self.dtype)
        pixels, top, left = self.cropper.crop(self._picture(window.picture), window, flip)
        inside = values[:, top : top + pixels.shape[1], left : left + pixels.shape[2]]
        inside[...] = pixels
        if self.mean is not None:
            part = np.s_[:, top : top + pixels.shape[1], left : left + pixels.shape[2]]
            inside -= np.broadcast_to(self.mean, values.shape)[part]
        return values, window.label

    def shape(self, number):
        """The shape of its values."""
        return 3, self.cropper.crop_size, self.cropper.crop_size

    def name(self, number):
        window, _ = self._window(number)
        return f"{window.picture}: the window {window.x1} {window.y1} {window.x2} {window.y2}"

    def _window(self, number):
        """(Window, whether to flip it) that are drawn for a number."""
        place = number % self.group
        key = self.seed, number - place
        if self._drawn[0] != key:
            self._drawn = key, rng.generator(self.seed, 0, key[1]).random((self.group, 2))
        which, mirrored = self._drawn[1][place]
        windows = self.background if place < self.first_foreground else self.foreground
        return windows[int(which * len(windows))], self.mirror and mirrored < 0.5

    def _picture(self, path):
        encoded = path
        if self.files is not None:
            if path not in self.files:
                self.files[path] = reading.data(path)
            encoded = self.files[path]
        try:
            return decode(encoded, color=True)
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
