"""Hue and saturation of 8-bit pictures, in the arithmetic of OpenCV's conversions.

v = max(b, g, r), s = 255 (v - min) / v, h in half degrees from 0 (red) to 179; all are rounded to
whole numbers. Smith 1978, Color gamut transform pairs.
"""

import numpy as np

from ._jit import kernel, read_only

# 255 / v and 30 / span with 12 bits after the point; nothing is divided by 0
_PER_VALUE = np.rint((255 << 12) / np.arange(256).clip(1)).astype(np.int32)
_PER_SPAN = np.rint((30 << 12) / np.arange(256).clip(1)).astype(np.int32)


def adjust(x, factor=1.0, delta=0.0, values=None):
    """x (3 x height x width: blue, green, red) with s times `factor`, and `delta` added to h.

    Both then lie from 0 to 255, rounded; an h from 180 on counts on from red again, one that would
    be below 0 is red. `values` (256 of uint8) are what to take for the values of x before.
    """
    x, y = read_only(x), np.empty(x.shape, np.uint8)
    saturations = np.rint(np.arange(256) * factor).clip(0, 255).astype(np.float32)
    hues = np.rint(np.arange(180) + delta).clip(0, 255).astype(np.float32)
    sixths = hues * np.float32(6 / 180)
    sixths -= np.where(sixths >= 6, np.float32(6), np.float32(0))
    sectors = np.floor(sixths)
    values = _SAME if values is None else values
    convert(x, values, saturations / np.float32(255), sectors, sixths - sectors, y)
    return y


_SAME = np.arange(256, dtype=np.uint8)


def lookup(x, values):
    """values[x], of uint8."""
    x, y = read_only(x), np.empty(x.shape, np.uint8)
    replace(x.reshape(-1), values, y.reshape(-1))
    return y


@kernel
def replace(x, values, y):
    """y = values[x]."""
    for i in range(x.size):
        y[i] = values[x[i]]


@kernel
def convert(x, values, saturations, sectors, parts, y):
    """y = values[x], of uint8, with each s replaced by saturations[s], each h by another.

    That one lies parts[h] of the way through sixth sectors[h] of the circle; all are float32. What
    is looked up has loops of its own, so that the others work on vectors.
    """
    width = x.shape[2]
    one, half = np.float32(1), np.float32(0.5)
    colors = np.empty((3, width), np.int32)
    spans, hues = np.empty(width, np.int32), np.empty(width, np.int32)
    v, s = np.empty(width, np.float32), np.empty(width, np.float32)
    t, sector = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(x.shape[1]):
        for c in range(3):
            row, line = x[c, i], colors[c]
            for j in range(width):
                line[j] = values[row[j]]
        for j in range(width):
            b, g, r = colors[0, j], colors[1, j], colors[2, j]
            most = max(b, g, r)
            span = most - min(b, g, r)
            h = r - g + 4 * span
            h = b - r + 2 * span if most == g else h
            h = g - b if most == r else h
            spans[j], hues[j], v[j] = span, h, most
        for j in range(width):
            h = (hues[j] * _PER_SPAN[spans[j]] + (1 << 11)) >> 12
            h += 180 if h < 0 else 0
            at = (spans[j] * _PER_VALUE[np.uint8(v[j])] + (1 << 11)) >> 12
            s[j], t[j], sector[j] = saturations[at], parts[h], sectors[h]
        for j in range(width):
            low = v[j] * (one - s[j])
            falling = v[j] * (one - s[j] * t[j])
            rising = v[j] * (one - s[j] * (one - t[j]))
            k, most = sector[j], v[j]
            blue = low if k < 2 else falling
            blue = rising if k == 2 else blue
            blue = most if (k == 3) | (k == 4) else blue
            green = low if k > 3 else falling
            green = rising if k == 0 else green
            green = most if (k == 1) | (k == 2) else green
            red = low if (k == 2) | (k == 3) else falling
            red = rising if k == 4 else red
            red = most if (k == 0) | (k == 5) else red
            y[0, i, j] = np.int32(blue + half)
            y[1, i, j] = np.int32(green + half)
            y[2, i, j] = np.int32(red + half)
