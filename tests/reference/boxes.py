"""Slow, obvious twins of caffelite/kernels/boxes.py: one box at a time, in float64."""

import math

import numpy as np


def side(low, high, pixels=False):
    return high - low + (1 if pixels else 0)


def area(box, pixels=False):
    left, top, right, bottom = map(float, box)
    if right < left or bottom < top:
        return 0
    return side(left, right, pixels) * side(top, bottom, pixels)


def clip(boxes, width=1, height=1):
    limits = (width, height) * 2
    return np.array([[min(max(box[k], 0), limits[k]) for k in range(4)] for box in boxes])


def leaves(boxes, width=1, height=1):
    return [bool(box[0] < 0 or box[1] < 0 or box[2] < 0 or box[3] < 0 or box[0] > width
            or box[2] > width or box[1] > height or box[3] > height) for box in boxes]  # fmt: skip


def encode(boxes, priors, code="CORNER", variances=None):
    result = []
    for i, (box, prior) in enumerate(zip(np.float64(boxes), np.float64(priors), strict=True)):
        plus = code == "RCNN"
        w, h = side(prior[0], prior[2], plus), side(prior[1], prior[3], plus)
        if code == "CORNER":
            numbers = [box[k] - prior[k] for k in range(4)]
        elif code == "CORNER_SIZE":
            numbers = [(box[k] - prior[k]) / (w, h)[k % 2] for k in range(4)]
        else:
            own_w, own_h = side(box[0], box[2], plus), side(box[1], box[3], plus)
            x, y = box[0] + own_w / 2, box[1] + own_h / 2
            numbers = [(x - (prior[0] + w / 2)) / w, (y - (prior[1] + h / 2)) / h]
            numbers += [math.log(own_w / w), math.log(own_h / h)]
        v = (1,) * 4 if variances is None else variances[i]
        result.append([numbers[k] / v[k] for k in range(4)])
    return np.array(result)


def decode(codes, priors, code="CORNER", variances=None):
    result = []
    for i, (numbers, prior) in enumerate(zip(np.float64(codes), np.float64(priors), strict=True)):
        v = (1,) * 4 if variances is None else variances[i]
        a, b, c, d = (numbers[k] * v[k] for k in range(4))
        plus = code == "RCNN"
        w, h = side(prior[0], prior[2], plus), side(prior[1], prior[3], plus)
        left, top, right, bottom = prior
        if code == "CORNER":
            box = [left + a, top + b, right + c, bottom + d]
        elif code == "CORNER_SIZE":
            box = [left + a * w, top + b * h, right + c * w, bottom + d * h]
        else:
            x, y = left + w / 2 + a * w, top + h / 2 + b * h
            w, h = w * math.exp(c), h * math.exp(d)
            box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        result.append(box)
    return np.array(result)


def shared(a, b, pixels=False):
    width = side(max(a[0], b[0]), min(a[2], b[2]), pixels)
    height = side(max(a[1], b[1]), min(a[3], b[3]), pixels)
    return float(width) * float(height) if width > 0 and height > 0 else 0


def iou_of(a, b, plus=0):
    both = shared(a, b, plus)
    return both / (area(a, plus) + area(b, plus) - both) if both else 0


def iou(a, b, pixels=False):
    return np.array([[iou_of(p, q, pixels) for q in np.float64(b)] for p in np.float64(a)])


def iou_in_ssd_pixels(a, b, area_a, area_b):
    rows = []
    for p, area_p in zip(np.float64(a), area_a, strict=True):
        row = []
        for q, area_q in zip(np.float64(b), area_b, strict=True):
            touch = q[0] <= p[2] and p[0] <= q[2] and q[1] <= p[3] and p[1] <= q[3]
            both = shared(p, q, True) if touch else 1
            row.append(both / (area_p + area_q - both))
        rows.append(row)
    return np.array(rows)


def coverage(a, b):
    return np.array([[shared(p, q) / area(p) if shared(p, q) else 0 for q in np.float64(b)]
                     for p in np.float64(a)])  # fmt: skip


def match(priors, boxes, threshold=None, inside=False):
    """All pairs that overlap, best first; a pair is made where both are still free."""
    ignored = [inside and gone for gone in leaves(priors)]
    pairs = {(p, b): iou_of(prior, box) for p, prior in enumerate(np.float64(priors))
             for b, box in enumerate(np.float64(boxes)) if not ignored[p]}  # fmt: skip
    pairs = {pair: value for pair, value in pairs.items() if value > 1e-6}
    index = [-2 if gone else -1 for gone in ignored]
    overlap = [max([v for (p, _), v in pairs.items() if p == q], default=0)
               for q in range(len(index))]  # fmt: skip
    for (p, b), value in sorted(pairs.items(), key=lambda item: -item[1]):
        if index[p] == -1 and b not in index:
            index[p], overlap[p] = b, value
    for (p, b), value in sorted(pairs.items(), key=lambda item: -item[1]):
        if threshold is not None and index[p] == -1 and value >= threshold:
            index[p] = b
    return index, overlap


def best_first(scores, above=-math.inf, top_k=-1):
    chosen = sorted((-s, i) for i, s in enumerate(scores) if s > above)
    return [i for _, i in chosen[: top_k if top_k >= 0 else None]]


def nms(boxes, scores, threshold, *, above=-math.inf, top_k=-1, eta=1, inclusive=False,
        pixels=False, least=0, most=-1):  # fmt: skip
    kept = []
    for i in best_first(scores, above, top_k):
        if area(boxes[i], pixels) < least:
            continue
        overlaps = [iou_of(np.float64(boxes[i]), np.float64(boxes[k]), pixels) for k in kept]
        if any(o > threshold or (inclusive and o == threshold) for o in overlaps):
            continue
        kept.append(i)
        threshold *= eta if threshold > 0.5 else 1
    return kept if most < 0 else kept[:most]
