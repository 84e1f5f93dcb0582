"""Draw a picture to take a style from: strokes of a brush that follow swirls.

    python tools/draw_painting.py swirls.png

Nobody else has rights in it, which can't be said of most paintings at hand.
"""

import sys

import numpy as np
from PIL import Image, ImageDraw

SIDE, STROKES, LENGTH = 512, 24_000, 14
PALETTE = ["121e54", "1e3e8c", "3468b2", "70a4ce", "ecbe3e", "f6e08c", "1a424c"]
COLORS = [tuple(bytes.fromhex(color)) for color in PALETTE]


def swirls(random):
    """A function of places: the direction of strokes, and how far on in the palette they are."""
    middles = random.uniform(0, SIDE, (9, 2))
    turns = random.choice([-1, 1], 9) * random.uniform(0.6, 1.2, 9)

    def at(place):
        away = place - middles
        near = np.exp(-(away**2).sum(1) / 5000) * turns
        x, y = 0.35 - near @ away[:, 1] / 30, 0.1 * np.sin(place[0] / 40) + near @ away[:, 0] / 30
        ring = np.sqrt((away**2).sum(1).min())
        return np.array([x, y]) / max(1e-6, np.hypot(x, y)), 0.5 + 0.5 * np.cos(ring / 9)

    return at


def draw(seed=3):
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (SIDE, SIDE), COLORS[1])
    pen, flow = ImageDraw.Draw(picture), swirls(random)
    for width in (7, 4, 3):
        for _ in range(STROKES // 3 // width):
            path = [random.uniform(-20, SIDE + 20, 2)]
            for _ in range(LENGTH):
                path.append(path[-1] + 2.5 * flow(path[-1])[0])
            light = flow(path[0])[1] + random.normal(0, 0.18)
            color = COLORS[int(np.clip(light, 0, 0.999) * len(COLORS))]
            shade = random.normal(0, 12, 3)
            color = tuple(int(v) for v in np.clip(np.add(color, shade), 0, 255))
            pen.line([tuple(p) for p in path], fill=color, width=width, joint="curve")
    return picture


if __name__ == "__main__":
    draw().save(sys.argv[1])
