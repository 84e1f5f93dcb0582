"""Backgrounds of two to four textures, the same on every machine.

All is sums, products and comparisons of numbers, whose results no library may choose.
"""

import math

import numpy as np

from ..geometry import resized

MIDDLE = 60, 195  # of the colors of a background lies here, of 0 to 255
APART = 20  # levels between it and the color of a texture, at most
RELIEF = 6, 16  # levels of a texture, up and down
_LEAST_SHARE = 0.1  # of the picture, for a texture


class Palette:
    """The textures of one picture: their colors are near one another."""

    def __init__(self, random, side):
        self.random, self.side = random, side
        self.middle = random.uniform(*MIDDLE, size=3)
        self.rows, self.columns = np.mgrid[:side, :side]

    def background(self):
        """Levels, 3 x side x side, of which each of two to four textures has its part."""
        parts = self._parts(self.random.randint(2, 5))
        kinds = self.random.permutation(len(_PATTERNS))
        levels = np.empty((3, self.side, self.side), np.int64)
        for part in range(parts.max() + 1):
            levels = np.where(parts == part, self.texture(_PATTERNS[kinds[part]]), levels)
        return levels

    def texture(self, pattern=None):
        """Levels, 3 x side x side: a color, and a pattern that goes up and down from it."""
        random = self.random
        pattern = pattern or _PATTERNS[random.randint(len(_PATTERNS))]
        color = self.middle + random.uniform(-APART, APART, size=3)
        relief = random.uniform(*RELIEF, size=3) * random.choice([-1, 1], size=3)
        values = pattern(random, self.columns, self.rows)
        return np.rint(color[:, None, None] + relief[:, None, None] * values).astype(np.int64)

    def _parts(self, count):
        """Which texture each pixel has: that of the nearest of some points."""
        while True:
            points = self.random.randint(self.side, size=(count, 2))
            far = [(self.rows - y) ** 2 + (self.columns - x) ** 2 for y, x in points]
            parts = np.argmin(far, axis=0)
            if np.bincount(parts.ravel(), minlength=count).min() >= _LEAST_SHARE * parts.size:
                return parts


# A pattern has values from -1 to 1.


def _ramp(random, x, y):
    way = _along(random, x, y, 1)
    low, high = way.min(), way.max()
    return (way - low) / (high - low) * 2 - 1


def _stripes(random, x, y):
    return _waves(_along(random, x, y, random.uniform(4, 16)))


def _checks(random, x, y):
    a, b = _both_ways(random, x, y, random.uniform(6, 20))
    return np.where((a < 0) == (b < 0), 1.0, -1.0)


def _dots(random, x, y):
    a, b = _both_ways(random, x, y, random.uniform(5, 14))
    return np.where((a + 1) * (a + 1) + (b + 1) * (b + 1) < random.uniform(0.4, 1.5), 1.0, -1.0)


def _grain(random, x, y):
    return random.randint(256, size=x.shape) / 127.5 - 1


def _clouds(random, x, y):
    count = random.randint(4, 12)
    coarse = random.randint(256, size=(1, count, count)).astype(np.uint8)
    return resized(coarse, *x.shape)[0] / 127.5 - 1


_PATTERNS = _ramp, _stripes, _checks, _dots, _grain, _clouds


def _along(random, x, y, period):
    """How far each pixel is in a direction of chance, in periods, from a place of chance."""
    return _turned(random.uniform(0, 2 * math.pi), x, y) / period + random.random_sample()


def _both_ways(random, x, y, period):
    """Waves in a direction of chance, and across."""
    angle = random.uniform(0, math.pi / 2)
    across = angle + math.pi / 2
    return [_waves(_turned(way, x, y) / period + random.random_sample()) for way in (angle, across)]


def _turned(angle, x, y):
    cos, sin = (round(f(angle) * 1024) / 1024 for f in (math.cos, math.sin))  # alike everywhere
    return cos * x + sin * y


def _waves(way):
    """A triangular wave, from -1 at whole numbers to 1 halfway between."""
    return 1 - abs(4 * (way - np.floor(way)) - 2)
