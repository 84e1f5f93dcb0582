"""Which true box each of those that a detector found stands for, whatever its class."""

import numpy as np

from ..kernels.boxes import iou
from ._matching import groups
from ._voc import taken_boxes


class TakenFor:
    """Pairs of found and true boxes, and those that are left.

    A box that is found takes the true one of its class which it overlaps most, if nothing better
    did; of those left, the best score first takes what it overlaps most of any class. What is found
    on a true box that does not count is left out.

    Attributes
    ----------
    pairs : (rows of found, rows of true) boxes
    extra : rows of found boxes that stand for none
    missed : rows of true boxes that count and were not found

    Parameters
    ----------
    found : image, class, score, box
    true : image, class, box
    counts : which true boxes are to be found
    overlap : the least
    """

    def __init__(self, found, true, counts, overlap):
        own, first = taken_boxes(found, true, overlap, reaches=True)
        spared = (own >= 0) & ~np.append(counts, True)[own]
        own[~first] = -1
        free = counts.copy()
        free[own[own >= 0]] = False
        left, missed = np.flatnonzero((own < 0) & ~spared), np.flatnonzero(free)
        for rows, others in groups(found[left][:, :1], true[missed][:, :1]):
            if len(others):
                _take(found, true, left[rows], missed[others], overlap, own)
        taken = np.flatnonzero((own >= 0) & ~spared)
        free[own[taken]] = False
        self.pairs = taken, own[taken]
        self.extra = np.flatnonzero((own < 0) & ~spared)
        self.missed = np.flatnonzero(free)


def _take(found, true, rows, others, overlap, own):
    """Fill in `own` of boxes of one image; `others` are the true ones there that are free."""
    rows = rows[np.argsort(-found[rows, 2], kind="stable")]
    shares = iou(found[rows, 3:], true[others, 2:])
    for row, share in zip(rows, shares, strict=True):
        best = share.argmax()
        if share[best] >= overlap:
            own[row] = others[best]
            shares[:, best] = -1
