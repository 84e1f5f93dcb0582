"""Small colored scenes: one of eight shapes, light on dark, anywhere, of any size.

Other things lie about. They are made, 32 x 32 pixels, in the same way each time; a mirrored scene
is of the same class.
"""

import numpy as np

from caffelite.data.arrays import ArraySource

SIDE = 32
DARK, LIGHT = (0, 110), (140, 255)
PARTS = {"train": 500, "test": 1000}
SHAPES = {  # of u to the right and v downwards, both from -1 to 1
    "disc": lambda u, v: u**2 + v**2 < 1,
    "ring": lambda u, v: (u**2 + v**2 < 1) & (u**2 + v**2 > 0.3),
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 0.85,
    "frame": lambda u, v: (np.maximum(abs(u), abs(v)) < 0.85) & (np.maximum(abs(u), abs(v)) > 0.45),
    "plus": lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
    "cross": lambda u, v: (abs(abs(u) - abs(v)) < 0.35) & (np.maximum(abs(u), abs(v)) < 0.85),
    "triangle": lambda u, v: (v < 0.8) & (2 * abs(u) < v + 1),
    "crescent": lambda u, v: (u**2 + v**2 < 1) & ((u - 0.5) ** 2 + v**2 > 0.7),
}


def parts():
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    random = np.random.RandomState(0)
    return {part: ArraySource(*scenes(random, count)) for part, count in PARTS.items()}


def scenes(random, count):
    labels = np.arange(count) % len(SHAPES)
    return np.stack([scene(random, shape) for shape in np.array([*SHAPES])[labels]]), labels


def scene(random, shape):
    """A shape over a background of two dark colors and four small discs, and some noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    one, other = random.uniform(*DARK, (2, 3, 1, 1))
    direction = random.uniform(-1, 1, 2)
    share = 1 / (1 + np.exp(-(direction[0] * (x - SIDE / 2) + direction[1] * (y - SIDE / 2)) / 4))
    pixels = one * share + other * (1 - share)
    for _ in range(4):
        draw(random, pixels, "disc", random.uniform(1.5, 3))
    draw(random, pixels, shape, random.uniform(5, 11))
    pixels += random.normal(0, 10, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def draw(random, pixels, shape, radius):
    """Paint a shape wholly within the picture, in a light color, looking to the left or right."""
    x0, y0 = random.uniform(radius, SIDE - 1 - radius, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    u, v = random.choice([-1, 1]) * (x - x0) / radius, (y - y0) / radius
    pixels[:, SHAPES[shape](u, v)] = random.uniform(*LIGHT, (3, 1))
