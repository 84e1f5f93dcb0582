"""Which regions of a picture a detector in two stages learns from, and what it is to say."""

import logging

import numpy as np

from ...kernels import boxes as geometry
from ._regions import chosen, threshold

log = logging.getLogger("caffelite")


def matched(regions, truth):
    """(overlap with it, (R, 5)) of the true box that each region overlaps most.

    Regions are (R, 4) in pixels, true boxes (G, 5), with their classes.
    """
    overlaps = geometry.iou(regions.astype(np.float64), truth[:, :4], pixels=True)
    return overlaps.max(axis=1), truth[overlaps.argmax(axis=1)]


def taken(overlaps, options, batch_size, draw):
    """(indices of the regions that are taken, how many of them are objects, which come first)

    Of so many overlaps, by fg_fraction, fg_thresh, bg_thresh_hi and bg_thresh_lo of the options, as
    ProposalTarget has them; a batch_size below 0 takes all. `draw` is a numpy Generator.
    """
    (objects,) = np.nonzero(overlaps >= threshold(options.fg_thresh))
    background = overlaps < threshold(options.bg_thresh_hi)
    background &= overlaps >= threshold(options.bg_thresh_lo)
    most, objects_most = len(overlaps), len(overlaps)
    if batch_size > 0:
        most, objects_most = batch_size, round(options.fg_fraction * batch_size)
    objects = chosen(objects, objects_most, draw)
    background = chosen(np.flatnonzero(background), most - len(objects), draw)
    return np.concatenate([objects, background]), len(objects)


def tell_of_none(layer, index, overlaps):
    """Warn once that no region of a picture is taken; `layer.told_of_none` notes it."""
    if not len(index) and not layer.told_of_none:
        layer.told_of_none = True
        log.warning(
            "%s: takes none of the %d regions of a picture, true boxes included, which overlap one "
            "by %g to %g: nothing is learnt of it; see batch_size, fg_fraction, fg_thresh, "
            "bg_thresh_hi and bg_thresh_lo; other pictures are not told",
            *(layer.at, len(overlaps), overlaps.min(), overlaps.max()),
        )


def codes_of_classes(regions, boxes, tells, classes):
    """(codes (S, K, 4) from which regions become boxes, of which class each is (S, K)).

    All is 0, and false, but for the class of the true box (S, 5) of a region that `tells` its box.
    Where there are more classes than K, those are the last, of any object.
    """
    told = np.zeros((len(regions), classes), bool)
    told[tells, np.minimum(boxes[tells, 4].astype(int), classes - 1)] = True
    codes = np.zeros((len(regions), classes, 4))
    codes[told] = geometry.encode(boxes[tells, :4], regions[tells].astype(np.float64), "RCNN")
    return codes, told
