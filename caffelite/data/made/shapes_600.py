"""600 pictures of circles, crosses, squares and triangles, few of some

Each has one shape in a color of chance on another, of a fifth to four fifths of the side, anywhere
and turned by any angle; then noise is added to each value, a number from -32 to 32, so that it goes
over a quarter of the range. In one of the channels at least, the two colors are 64 apart. For
training there are 300 circles, 150 crosses, 100 squares and 50 triangles, for testing 100 of each;
--which gives others. The pictures are color, 32 x 32, if --pixels says nothing else.
"""

from . import Option

OPTIONS = {
    "pixels": Option("height and width", int, default=32, most=512),
    "which": Option("other pictures of the same kind", int, default=0, most=10**9),
}
WHAT = "pictures"

CLASSES = ("circle", "cross", "square", "triangle")
COUNTS = {"train": (300, 150, 100, 50), "test": (100, 100, 100, 100)}
_APART = 64  # levels between the two colors, in one channel at least
_NOISE = 32  # levels, up or down
_FINER = 4  # drawn so much larger, for smooth edges


def parts(**options):
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    import numpy as np

    from ..arrays import ArraySource

    side, seed = options["pixels"], options["which"]
    random = np.random.RandomState(seed)  # unlike Generator's, its numbers are promised to stay
    found = {}
    for part, counts in COUNTS.items():
        labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
        pixels = np.stack([picture(CLASSES[label], side, random) for label in labels])
        found[part] = ArraySource(pixels, labels)
    return found


def picture(shape, side, random):
    """uint8 pixels, 3 x side x side, of one shape."""
    import numpy as np

    angle = random.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    corners = _corners(shape) @ [[cos, sin], [-sin, cos]]
    size = side * random.uniform(1 / 5, 4 / 5) / np.ptp(corners, axis=0).max()
    low, high = size * corners.min(axis=0), size * corners.max(axis=0)
    middle = random.uniform(-low, side - high)
    at = (np.arange(side * _FINER) + 0.5) / _FINER
    x, y = (at - middle[0]) / size, (at[:, None] - middle[1]) / size
    inside = _INSIDE[shape](cos * x + sin * y, cos * y - sin * x)
    share = inside.reshape(side, _FINER, side, _FINER).mean(axis=(1, 3))
    ground, color = random.uniform(0, 255, (2, 3))
    while abs(ground - color).max() < _APART:
        color = random.uniform(0, 255, 3)
    values = ground[:, None, None] + (color - ground)[:, None, None] * share
    values += random.uniform(-_NOISE, _NOISE, values.shape)
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def _corners(shape):
    """Points on its outline that lie farthest out, x and y from its middle."""
    import numpy as np

    if shape == "cross":
        return np.array(
            [(x, y) for a in (-1, 1) for b in (-1, 1) for x, y in ((a, b / 3), (b / 3, a))]
        )
    count = {"circle": 360, "square": 4, "triangle": 3}[shape]
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_INSIDE = {  # where there is the shape
    "circle": lambda x, y: x * x + y * y <= 1,
    "cross": lambda x, y: _within(x, y, 1, 1 / 3) | _within(x, y, 1 / 3, 1),
    "square": lambda x, y: abs(x) + abs(y) <= 1,
    "triangle": lambda x, y: (x >= -0.5) & (x + 3**0.5 * y <= 1) & (x - 3**0.5 * y <= 1),
}


def _within(x, y, width, height):
    return (abs(x) <= width) & (abs(y) <= height)
