"""Geometry of boxes: codes, overlaps, clipping, matching, suppression; for every layer and measure.

A box is a row (xmin, ymin, xmax, ymax), boxes are n rows. Two conventions say how long a side is:
xmax - xmin, or, where `pixels` is true, one more: the last pixel belongs to the box, as in PASCAL
VOC and R-CNN. Results have the type of the boxes, float32 or float64; so has all arithmetic.
"""

import numpy as np

from ._jit import kernel

OVERLAP = 1e-6
"""Boxes that overlap by no more do not match, however few there are."""
BLOCK = 32
"""Boxes that one is compared with at a time before it is seen whether it is suppressed."""
NO_MATCH, IGNORED = -1, -2


def _as_boxes(*arrays):
    """The arrays as boxes of one type, float32 or float64, their rows beside each other."""
    arrays = [np.asarray(a) for a in arrays]
    dtype = np.result_type(*arrays, np.float32)
    return [np.ascontiguousarray(a, dtype).reshape(-1, 4) for a in arrays]


def area(boxes, pixels=False):
    """Of each box; 0 where xmax < xmin or ymax < ymin. The last axis has the four numbers."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width < 0) | (height < 0), 0, (width + pixels) * (height + pixels))


def clip(boxes, width=1, height=1):
    """The boxes, cut off at the borders of a picture: x from 0 to `width`, y from 0 to `height`."""
    return np.clip(boxes, 0, np.asarray([width, height, width, height], boxes.dtype))


def leaves(boxes, width=1, height=1):
    """Of each box, whether a part of it lies outside the picture; that of NaN does not."""
    size = np.asarray([width, height, width, height], boxes.dtype)
    return ((boxes < 0) | (boxes > size)).any(axis=-1)


# Codes: a box as four numbers relative to another one, the prior (anchor, default box)


def encode(boxes, priors, code="CORNER", variances=None):
    """The numbers from which `decode` makes the boxes; the last axis of all arrays has four.

    With w, h and the center (x, y) of the prior, W, H, (X, Y) of the box, and v, the variances, if
    they are given:

    - CORNER: (box - prior) / v, corner by corner
    - CORNER_SIZE: the same, in units of w and h
    - CENTER_SIZE: ((X - x) / w, (Y - y) / h, log(W / w), log(H / h)) / v
    - RCNN: CENTER_SIZE in pixels, where a side counts its last one
    """
    low, high, size, plus = _low_high_size(priors, code)
    if code == "CORNER":
        codes = boxes - priors
    elif code == "CORNER_SIZE":
        codes = (boxes - priors) / np.concatenate([size, size], axis=-1)
    else:
        box_size = boxes[..., 2:] - boxes[..., :2] + plus
        moved = _center(boxes[..., :2], boxes[..., 2:], plus) - _center(low, high, plus)
        codes = np.concatenate([moved / size, np.log(box_size / size)], axis=-1)
    return codes if variances is None else codes / variances


def decode(codes, priors, code="CORNER", variances=None):
    """The boxes that `encode` made the codes of.

    Those of RCNN end one pixel further on than the boxes did, as in Girshick's code.
    """
    if variances is not None:
        codes = variances * codes
    low, high, size, plus = _low_high_size(priors, code)
    if code == "CORNER":
        return priors + codes
    if code == "CORNER_SIZE":
        return priors + codes * np.concatenate([size, size], axis=-1)
    center = codes[..., :2] * size + _center(low, high, plus)
    with np.errstate(over="ignore"):  # sides of boxes without end
        half = np.exp(codes[..., 2:]) * size / 2
    return np.concatenate([center - half, center + half], axis=-1)


def _low_high_size(priors, code):
    if code not in ("CORNER", "CENTER_SIZE", "CORNER_SIZE", "RCNN"):
        raise ValueError(f"no code of boxes is called {code}")
    plus = int(code == "RCNN")
    low, high = priors[..., :2], priors[..., 2:]
    return low, high, high - low + plus, plus


def _center(low, high, plus):
    return (low + high + plus) / 2


# Overlaps


@kernel
def iou_of(a, b, plus):
    """Intersection over union of two boxes; `plus`, of their type, is what sides have more."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + plus
    height = min(a[3], b[3]) - max(a[1], b[1]) + plus
    if width > 0 and height > 0:
        shared = width * height
        area_a = (a[2] - a[0] + plus) * (a[3] - a[1] + plus)
        area_b = (b[2] - b[0] + plus) * (b[3] - b[1] + plus)
        return shared / (area_a + area_b - shared)
    return plus - plus  # 0 of their type


@kernel
def _all_iou(a, b, plus, overlaps):
    for i in range(len(a)):
        for j in range(len(b)):
            overlaps[i, j] = iou_of(a[i], b[j], plus)


def iou(a, b, pixels=False):
    """The intersection over the union of each box of `a` with each of `b`, len(a) x len(b).

    Boxes that share no area have 0, those of no area included.
    """
    a, b = _as_boxes(a, b)
    overlaps = np.empty((len(a), len(b)), a.dtype)
    _all_iou(a, b, a.dtype.type(pixels), overlaps)
    return overlaps


def iou_in_ssd_pixels(a, b, area_a, area_b):
    """As `iou`, with the areas given, as SSD's Caffe counts in pixels.

    What two boxes share has a last pixel in either direction, and where they do not even touch,
    it is that one pixel.
    """
    a, b = a[:, None], b[None]
    apart = ((b[..., :2] > a[..., 2:]) | (b[..., 2:] < a[..., :2])).any(axis=-1)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    sides = np.where(apart[..., None], 0, high - low) + 1
    shared = sides.clip(0).prod(axis=-1)
    return shared / (area_a[:, None] + area_b[None, :] - shared)


def coverage(a, b):
    """What part of each box of `a` each of `b` covers, len(a) x len(b); 0 of a box of no area."""
    a, b = _as_boxes(a, b)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    return np.divide(shared, area(a)[:, None], out=np.zeros_like(shared), where=shared > 0)


# Matching


def match(priors, boxes, threshold=None, inside=False):
    """Which of the boxes each prior is for, as SSD matches them: (index, overlap), one a prior.

    First the prior and the box that overlap most find each other, then those that overlap most of
    the rest, until each box has a prior that it overlaps, by more than OVERLAP, or there is none
    left. Of equals the first prior wins, then the first box. After that, each prior without a box
    takes the one that it overlaps most, if that is by `threshold` or more; with None that is left
    out (bipartite matching). `index` is NO_MATCH where there is no box; with `inside`, a prior that
    leaves the picture is IGNORED. `overlap` is that with the box found, or the largest with any.
    """
    priors, boxes = _as_boxes(priors, boxes)
    index = np.full(len(priors), NO_MATCH)
    if inside:
        index[leaves(priors)] = IGNORED
    overlap = np.zeros(len(priors), priors.dtype)
    threshold = np.inf if threshold is None else max(threshold, OVERLAP)
    _match(iou(boxes, priors), priors.dtype.type(threshold), index, overlap)
    return index, overlap


@kernel
def _match(overlaps, threshold, index, overlap):
    best = np.empty(len(overlaps), np.int64)  # prior for each box, NO_MATCH if none is free
    for box in range(len(overlaps)):
        best[box] = _best_free(overlaps[box], index)
    favorite = np.full(len(index), NO_MATCH)
    for box in range(len(overlaps)):
        for prior in range(len(index)):
            value = overlaps[box, prior]
            if value > OVERLAP and value > overlap[prior] and index[prior] != IGNORED:
                overlap[prior], favorite[prior] = value, box
    for _ in range(len(overlaps)):
        first = NO_MATCH
        for box in range(len(overlaps)):
            if best[box] != NO_MATCH and (first == NO_MATCH or _before(overlaps, best, box, first)):
                first = box
        if first == NO_MATCH:
            break
        prior = best[first]
        index[prior], overlap[prior], best[first] = first, overlaps[first, prior], NO_MATCH
        for box in range(len(overlaps)):
            if best[box] == prior:
                best[box] = _best_free(overlaps[box], index)
    for prior in range(len(index)):
        if index[prior] == NO_MATCH and overlap[prior] >= threshold:
            index[prior] = favorite[prior]


@kernel
def _best_free(overlaps, index):
    """The first of the free priors that overlap a box most."""
    best, largest = NO_MATCH, OVERLAP
    for prior in range(len(index)):
        if overlaps[prior] > largest and index[prior] == NO_MATCH:
            best, largest = prior, np.float64(overlaps[prior])
    return best


@kernel
def _before(overlaps, best, box, other):
    """Whether a box finds its best prior before another one does."""
    mine, its = overlaps[box, best[box]], overlaps[other, best[other]]
    return mine > its or (mine == its and best[box] < best[other])


# Suppression


def best_first(scores, above=-np.inf, top_k=-1):
    """Indices of the scores above `above`, best first, of equals the first one first.

    With `top_k` from 0 on, no more than so many.
    """
    able = scores > above  # not NaN
    if 0 <= top_k < np.count_nonzero(able):
        last = np.partition(scores[able], -top_k)[-top_k] if top_k else np.inf
        able &= scores >= last
        if surplus := np.count_nonzero(able) - top_k:
            able[np.flatnonzero(scores == last)[-surplus:]] = False
    chosen = np.flatnonzero(able)
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def nms(
    boxes,
    scores,
    threshold,
    *,
    above=-np.inf,
    top_k=-1,
    eta=1,
    inclusive=False,
    pixels=False,
    least=0,
    most=-1,
):
    """Indices of the boxes that greedy suppression keeps, best first.

    A box goes if it overlaps one that was kept by more than `threshold`; with `inclusive`, by as
    much or more (Girshick's compiled code, YOLO in Caffe). Overlaps are those of `iou`.

    Parameters
    ----------
    boxes, scores : arrays
        n boxes and n scores. Of equal scores the first is better.
    above, top_k : numbers
        Only scores above this take part, and only so many of the best ones; -1: all.
    eta : float
        With a number below 1, `threshold` is multiplied by it after each box that is kept, for as
        long as it is above 0.5 (SSD's adaptive suppression).
    least : float
        Boxes of a smaller area are left out.
    most : int
        So many are kept, and what comes after them is not looked at; -1: all.
    """
    (boxes,) = _as_boxes(boxes)
    order = best_first(np.asarray(scores), above, top_k)
    if least > 0:
        order = order[area(boxes[order], pixels) >= least]
    number = boxes.dtype.type
    kept = np.empty((5, len(order) if most < 0 else min(len(order), most)), boxes.dtype)
    with np.errstate(invalid="ignore"):  # of two boxes of no area; compiled code tells nothing
        found = _nms(boxes, order, number(threshold), number(eta), inclusive, number(pixels), kept)
    return order[:found]


@kernel
def _nms(boxes, order, threshold, eta, inclusive, plus, kept):
    """Move what is kept of `order` to its front; returns how much that is.

    `kept` has room for five lines of numbers: sides and areas, beside each other for vectors. Where
    it is full, what is left is not looked at.
    """
    found, zero = 0, plus - plus  # of the boxes' type
    for i in order:
        if found == kept.shape[1]:
            break
        left, top, right, bottom = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        own = (right - left + plus) * (bottom - top + plus)
        hits = 0
        for start in range(0, found, BLOCK):
            for k in range(start, min(start + BLOCK, found)):
                width = min(right, kept[2, k]) - max(left, kept[0, k]) + plus
                height = min(bottom, kept[3, k]) - max(top, kept[1, k]) + plus
                shared = max(width, zero) * max(height, zero)
                overlap = shared / (own + kept[4, k] - shared)
                hits += (overlap > threshold) | (inclusive & (overlap == threshold))
            if hits:
                break
        if not hits:
            kept[0, found], kept[1, found], kept[2, found] = left, top, right
            kept[3, found], kept[4, found] = bottom, own
            order[found] = i
            found += 1
            if eta < 1 and threshold > 0.5:
                threshold *= eta
    return found
