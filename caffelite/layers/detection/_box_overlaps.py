"""Overlaps that tell how far boxes are apart, too, and how Yolov3 takes their gradients.

Boxes are x, y, w, h along the first axis, as in `_yolo`.
"""

import numpy as np

from . import _yolo as yolo

ASPECT = 4 / np.pi**2


def giou(a, b):
    """IoU - (h - union) / h, with h the area of the smallest box around both.

    Rezatofighi et al. 2019, arXiv:1902.09630
    """
    (width, height), overlap = _around(a, b), yolo.iou(a, b)
    around = width * height
    union = _ratio(a[2] * a[3] + b[2] * b[3], 1 + overlap)
    return overlap - _ratio(around - union, around)


def diou(a, b):
    """IoU - (d^2 / c^2)^0.6, with d between the centers, c the diagonal of the box around both.

    Zheng et al. 2019, arXiv:1911.08287, whose code has this power.
    """
    return yolo.iou(a, b) - _distance(a, b) ** 0.6


def ciou(a, b):
    """IoU - d^2 / c^2 - alpha v, with v of the difference of angles, atan(w / h), of both.

    Zheng et al. 2019, arXiv:1911.08287
    """
    overlap = yolo.iou(a, b)
    v, alpha, _ = _aspect(a, b, overlap)
    return overlap - _distance(a, b) - alpha * v


COUNTED = {"IOU": diou, "GIOU": giou, "DIOU": diou, "CIOU": ciou}
"""The overlap that Yolov3 reports for each iou_loss; of IOU, too, it is DIoU."""


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros_like(a + b), where=b != 0)


def _around(a, b):
    """The sides of the smallest box around both."""
    a, b = yolo.corners(a), yolo.corners(b)
    low = [np.minimum(p, q) for p, q in zip(a[:2], b[:2], strict=True)]
    high = [np.maximum(p, q) for p, q in zip(a[2:], b[2:], strict=True)]
    return high[0] - low[0], high[1] - low[1]


def _distance(a, b):
    """d^2 / c^2"""
    width, height = _around(a, b)
    return _ratio((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2, width**2 + height**2)


def _aspect(a, b, overlap):
    """v, alpha, and the difference of angles that v is the square of."""
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.arctan(b[2] / b[3]) - np.arctan(a[2] / a[3])
    v = ASPECT * angle**2
    return v, v / (1 - overlap + v + 1e-6), angle


def pull(box, true, kind):
    """What Yolov3 takes for the derivatives of an overlap in x, y, w, h of `box`: (4, T).

    They are those of the edges, of which w and h get the sum, not the half that is theirs; alpha of
    CIOU is taken for a constant, and its v is without the factor 1 / (w^2 + h^2). Of boxes that
    share nothing, it is the part that tells how far they are apart.
    """
    left, top, right, bottom = yolo.corners(box)
    true_left, true_top, true_right, true_bottom = yolo.corners(true)
    width = np.minimum(right, true_right) - np.maximum(left, true_left)
    height = np.minimum(bottom, true_bottom) - np.maximum(top, true_top)
    apart = (width <= 0) | (height <= 0)
    shared = width * height
    union = (right - left) * (bottom - top) + true[2] * true[3] - shared
    around = _around(box, true)
    # Edges in the order left, top, right, bottom: how areas grow with each.
    w, h = right - left, bottom - top
    d_own = np.stack([-h, -w, h, w])
    inside = np.stack([left > true_left, top > true_top, right < true_right, bottom < true_bottom])
    d_shared = inside * np.stack([-height, -width, height, width])
    beyond = np.stack([left < true_left, top < true_top, right > true_right, bottom > true_bottom])
    d_union = d_own - d_shared
    edges = np.where(union > 0, _ratio(union * d_shared - shared * d_union, union**2), 0)
    if kind == "GIOU":
        area = around[0] * around[1]
        d_area = beyond * np.stack([-around[1], -around[0], around[1], around[0]])
        away = _ratio(area * d_union - union * d_area, area**2)
        edges = np.where(apart, away, edges + away)
    found = np.stack(
        [edges[0] + edges[2], edges[1] + edges[3], edges[2] - edges[0], edges[3] - edges[1]]
    )
    if kind in ("DIOU", "CIOU"):
        away = _nearer(box, true, around, beyond)
        if kind == "CIOU":
            _, alpha, angle = _aspect(box, true, _ratio(shared, union))
            away[2:] += 2 * ASPECT * alpha * angle * np.stack([box[3], -box[2]])
        found = np.where(apart, away, found + away)
    return found


def _nearer(box, true, around, beyond):
    """The derivatives of -d^2 / c^2, where that is what grows with w and h."""
    squared = around[0] ** 2 + around[1] ** 2
    moved = true[:2] - box[:2]
    sides = np.stack(around)
    low, high = beyond[:2].astype(box.dtype), beyond[2:].astype(box.dtype)
    d_center, d_size = sides * (high - low), sides * (high + low) / 2
    apart = (moved**2).sum(0)
    d_xy = _ratio(2 * moved * squared - 2 * d_center * apart, squared**2)
    d_wh = _ratio(2 * d_size * apart, squared**2)
    return np.concatenate([d_xy, d_wh])
