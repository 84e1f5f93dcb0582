"""Slow, obvious twins of caffelite/layers/detection, one box at a time."""

import math

import numpy as np


def prior_box(features, picture, min_size, max_size=(), ratios=(), step=None, offset=0.5,
              clip=False, variance=(0.1,) * 4, size=None):  # fmt: skip
    """`ratios` are all beside 1 that count; step and size are (height, width)."""
    rows, columns = features.shape[2:]
    height, width = size or picture.shape[2:]
    boxes = []
    for i in range(rows):
        for j in range(columns):
            y = (i + offset) * (step[0] if step else height / rows)
            x = (j + offset) * (step[1] if step else width / columns)
            for k, size in enumerate(min_size):
                sides = [(size, size)]
                if max_size:
                    sides.append((math.sqrt(size * max_size[k]),) * 2)
                sides += [(size * math.sqrt(r), size / math.sqrt(r)) for r in ratios]
                for w, h in sides:
                    box = [(x - w / 2) / width, (y - h / 2) / height]
                    box += [(x + w / 2) / width, (y + h / 2) / height]
                    boxes += [min(max(n, 0), 1) for n in box] if clip else box
    return np.array([[boxes, list(variance) * (len(boxes) // 4)]])
