"""Hue and saturation of 8-bit pictures, in the arithmetic of OpenCV's conversions.

v = max(b, g, r), s = 255 (v - min) / v, h in half degrees from 0 (red) to 179; all are rounded to
whole numbers. Smith 1978, Color gamut transform pairs.
"""

import numpy as np

from ._jit import kernel

# 255 / v and 30 / span with 12 bits after the point; nothing is divided by 0
_PER_VALUE = np.rint((255 << 12) / np.arange(256).clip(1)).astype(np.int32)
_PER_SPAN = np.rint((30 << 12) / np.arange(256).clip(1)).astype(np.int32)


def adjust(x, factor=1.0, delta=0.0):
    """x (3 x height x width: blue, green, red) with s times `factor`, and `delta` added to h.

    Both then lie from 0 to 255, rounded; an h from 180 on counts on from red again, one that would
    be below 0 is red.
    """
    y = np.empty_like(x)
    saturations = np.rint(np.arange(256) * factor).clip(0, 255)
    hues = np.rint(np.arange(180) + delta).clip(0, 255)
    convert(x, saturations.astype(np.float32), hues.astype(np.float32), y)
    return y


@kernel
def convert(x, saturations, hues, y):
    """y = x with each s replaced by saturations[s], each h by hues[h]."""
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            b, g, r = np.int64(x[0, i, j]), np.int64(x[1, i, j]), np.int64(x[2, i, j])
            v = max(b, g, r)
            span = v - min(b, g, r)
            if v == r:
                h = g - b
            elif v == g:
                h = b - r + 2 * span
            else:
                h = r - g + 4 * span
            h = (h * _PER_SPAN[span] + (1 << 11)) >> 12
            h += 180 if h < 0 else 0
            s = (span * _PER_VALUE[v] + (1 << 11)) >> 12
            _color(hues[h], saturations[s], np.float32(v), y[:, i, j])


@kernel
def _color(h, s, v, y):
    """y = the blue, green and red of a color."""
    sixth = h * np.float32(6 / 180)
    sixth -= np.float32(6 if sixth >= 6 else 0)
    sector = int(sixth)
    t, s = sixth - np.float32(sector), s / np.float32(255)
    one = np.float32(1)
    low, falling, rising = v * (one - s), v * (one - s * t), v * (one - s * (one - t))
    if sector == 0:
        b, g, r = low, rising, v
    elif sector == 1:
        b, g, r = low, v, falling
    elif sector == 2:
        b, g, r = rising, v, low
    elif sector == 3:
        b, g, r = v, falling, low
    elif sector == 4:
        b, g, r = v, low, rising
    else:
        b, g, r = falling, low, v
    half = np.float32(0.5)
    y[0], y[1], y[2] = int(b + half), int(g + half), int(r + half)
