"""Random windows of a picture that are judged by the boxes in it, for SSD's batch_sampler."""

import numpy as np

from ._jit import kernel
from .boxes import iou_of

JACCARD, SAMPLE, OBJECT = 4, 6, 8
"""Where the least and the most of each share stand in a row of limits, NaN for none; before them
are the least and the most of scale and aspect ratio."""
COLUMNS = 10


@kernel
def draw(draws, limits, trials, most, boxes, windows):
    """Fill windows with those of each sampler that count, behind one another; returns how many.

    Sampler k has limits[k], and makes up to trials[k] trials of the rows of draws[k] (four numbers
    from 0 to 1, for scale, aspect ratio and place) until most[k] windows count. Windows and boxes
    are xmin, ymin, xmax, ymax, float32.
    """
    found = 0
    for k in range(len(limits)):
        own, before = limits[k], found
        for trial in range(trials[k]):
            if found - before >= most[k]:
                break
            u = draws[k, trial]
            scale = own[0] + u[0] * (own[1] - own[0])
            aspect = own[2] + u[1] * (own[3] - own[2])
            aspect = min(max(aspect, scale * scale), 1 / (scale * scale))
            width, height = min(scale * np.sqrt(aspect), 1.0), min(scale / np.sqrt(aspect), 1.0)
            x, y = u[2] * (1 - width), u[3] * (1 - height)
            window = windows[found]
            window[0], window[1], window[2], window[3] = x, y, x + width, y + height
            if meets(window, boxes, own):
                found += 1
    return found


@kernel
def meets(window, boxes, limits):
    """Whether a window meets all limits for some box; without limits, it always does."""
    free = True
    for k in range(JACCARD, COLUMNS):
        free &= np.isnan(limits[k])
    if free:
        return True
    area = (window[2] - window[0]) * (window[3] - window[1])
    for box in boxes:
        width = max(min(window[2], box[2]) - max(window[0], box[0]), np.float32(0))
        height = max(min(window[3], box[3]) - max(window[1], box[1]), np.float32(0))
        shared, own = width * height, (box[2] - box[0]) * (box[3] - box[1])
        if (
            _within(iou_of(window, box, np.float32(0)), limits, JACCARD)
            and _within(shared / area, limits, SAMPLE)
            and _within(shared / own, limits, OBJECT)
        ):
            return True
    return False


@kernel
def _within(share, limits, at):
    """Whether a share, as float32, is not below the least or above the most; NaN limits nothing."""
    return not (share < np.float32(limits[at]) or share > np.float32(limits[at + 1]))
