"""Slow, obvious twins of caffelite/kernels/hsv.py."""

import colorsys

import numpy as np


def adjust(x, factor=1.0, delta=0.0):
    """Each color as 8-bit h (half degrees), s and v, changed, and back."""
    y = np.empty(x.shape)
    for at in np.ndindex(*x.shape[1:]):
        b, g, r = x[(slice(None), *at)] / 255
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        h, s = round(h * 180) % 180, round(s * 255)
        h, s = (min(max(round(c), 0), 255) for c in (h + delta, s * factor))
        y[(slice(None), *at)] = 255 * np.array(colorsys.hsv_to_rgb(h / 180 % 1, s / 255, v)[::-1])
    return y


def lookup(x, values):
    """Value by value."""
    y = np.empty_like(x)
    for at in np.ndindex(x.shape):
        y[at] = values[x[at]]
    return y
