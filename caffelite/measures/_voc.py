"""Which boxes count as right and as wrong by the rules of VOC and of SSD."""

import numpy as np

from ..kernels.boxes import iou
from ._average_precision import precision_recall, voc2007, voc2012
from ._matching import groups


def taken_boxes(found, true, overlap=0.5, *, reaches=False, pixels=False):
    """(row of the true box, whether it is the first there) for each box found; -1 without one.

    Each box found takes that of the true boxes of its image and class which it overlaps most, if
    the overlap is above the threshold. The best score comes first, of equals the first in order.

    Parameters
    ----------
    found : image, class, score, box
    true : image, class, box
    overlap : the threshold
    reaches : whether to reach the threshold is enough, as in SSD
    pixels : whether boxes include their last pixel
    """
    own, first = np.full(len(found), -1), np.zeros(len(found), bool)
    above = np.greater_equal if reaches else np.greater
    for rows, theirs in groups(found[:, :2], true[:, :2]):
        if not len(theirs):
            continue
        rows = rows[np.argsort(-found[rows, 2], kind="stable")]
        shares = iou(found[rows, 3:], true[theirs, 2:], pixels)
        best = shares.argmax(axis=1)
        hits = above(shares[np.arange(len(rows)), best], overlap)
        rows, best = rows[hits], best[hits]
        own[rows] = theirs[best]
        first[rows[np.unique(best, return_index=True)[1]]] = True
    return own, first


def right_and_wrong(found, true, difficult, overlap=0.5, *, reaches=False, pixels=False):
    """(right, wrong) for each box found: the first on a true box is right, the others are wrong.

    On a difficult box they are neither. The parameters are those of `taken_boxes`; `difficult` says
    which of the true boxes are.
    """
    own, first = taken_boxes(found, true, overlap, reaches=reaches, pixels=pixels)
    spared = (own >= 0) & np.append(difficult, False)[own]
    return first & ~spared, ~(first | spared)


def voc_eval(found, true, difficult=None, overlap=0.5, use_07_metric=False):
    """{class: (recall, precision, average precision)}, as py-faster-rcnn's voc_eval tells it.

    Boxes are in pixels and include their last one; an overlap has to be above the threshold. The
    classes are those of true boxes that are not difficult.

    Parameters
    ----------
    found : rows of image, class, score, xmin, ymin, xmax, ymax
    true : rows of image, class, xmin, ymin, xmax, ymax
    difficult : whether each true box is [none]
    overlap : the threshold
    use_07_metric : whether the average is that of VOC2007's 11 points
    """
    found, true = (np.asarray(rows, np.float64) for rows in (found, true))
    difficult = np.zeros(len(true), bool) if difficult is None else np.asarray(difficult, bool)
    right, wrong = right_and_wrong(found, true, difficult, overlap, pixels=True)
    classes, positives = np.unique(true[~difficult, 1], return_counts=True)
    average = voc2007 if use_07_metric else voc2012
    result = {}
    for one, count in zip(classes.tolist(), positives.tolist(), strict=True):
        own = found[:, 1] == one
        curve = precision_recall(found[own, 2], right[own], wrong[own], count)
        result[int(one)] = (*curve[::-1], average(*curve))
    return result
