"""Slow, obvious twins of caffelite/data."""

import numpy as np


def transform(image, mean=0.0, scale=1.0, corner=(0, 0), size=None, flip=False):
    """out[c, h, w] = (image[c, top + h, left + w] - mean there) * scale, with w counted from the
    right if flipped. `mean` broadcasts against the image."""
    mean = np.broadcast_to(mean, image.shape)
    height, width = size or image.shape[1:]
    out = np.empty((len(image), height, width))
    for c, h, w in np.ndindex(*out.shape):
        at = c, corner[0] + h, corner[1] + w
        out[c, h, width - 1 - w if flip else w] = (float(image[at]) - mean[at]) * scale
    return out
