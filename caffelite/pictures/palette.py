"""A color for each class, the same in every picture."""

import numpy as np


def color_of(labels):
    """The colors that PASCAL VOC gives labels, ... x 3, red first; 0 is black.

    Bit 3 k + c of a label is bit 7 - k of channel c.
    """
    labels = np.asarray(labels, int)[..., None]
    channels = np.arange(3)
    bits = [((labels >> (3 * k + channels)) & 1) << (7 - k) for k in range(8)]
    return np.bitwise_or.reduce(bits).astype(np.uint8)
