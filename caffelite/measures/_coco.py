"""COCO's average precision and recall of boxes, as pycocotools counts them."""

from typing import NamedTuple

import numpy as np

from ..kernels.boxes import coverage, iou
from ._average_precision import coco, precision_recall
from ._matching import groups

OVERLAPS = np.linspace(0.5, 0.95, 10)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST_FOUND = 100  # boxes that count in each image, of each class


class Counted(NamedTuple):
    """What COCO counts of one class: scores, and for each threshold which boxes are right or wrong.

    `right` and `wrong` are thresholds x boxes; `positives` is how many boxes were to be found.
    """

    scores: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    positives: int

    def average_precision(self):
        """That at each threshold."""
        curves = (
            precision_recall(self.scores, *pair, self.positives)
            for pair in zip(self.right, self.wrong, strict=True)
        )
        return np.array([coco(*curve) for curve in curves])

    def recall(self):
        """That of all boxes found, at each threshold."""
        return self.right.sum(axis=1) / self.positives


def count(found, true, crowd=None, area=None, within=AREAS["all"], most=MOST_FOUND):
    """{class: Counted} of the classes that have true boxes which count.

    Each box found takes, the best score first, that of the free true boxes of its image and class
    which it overlaps most, if that reaches the threshold; of the same overlap, the last. What does
    not count is taken only where nothing else can be, and makes neither right nor wrong.

    Parameters
    ----------
    found : image, class, score, box
    true : image, class, box
    crowd : whether each true box is of a crowd, which any number of boxes may be part of
    area : of each true box, in the unit of the boxes, say that of an outline [that of the box]
    within : the least and the largest area that counts
    most : boxes that count in each image, of each class
    """
    crowd = np.zeros(len(true), bool) if crowd is None else np.asarray(crowd, bool)
    area = np.prod(true[:, 4:] - true[:, 2:4], axis=1) if area is None else area
    ignored = crowd | (area < within[0]) | (area > within[1])
    areas = np.prod(found[:, 5:] - found[:, 3:5], axis=1)
    outside = (areas < within[0]) | (areas > within[1])
    kept = np.zeros(len(found), bool)
    right, ignoring = np.zeros((2, len(OVERLAPS), len(found)), bool)
    for rows, theirs in groups(found[:, :2], true[:, :2]):
        if len(theirs) or len(rows) > most:
            rows = rows[np.argsort(-found[rows, 2], kind="stable")][:most]
        kept[rows] = True
        if len(theirs):
            theirs = theirs[np.argsort(ignored[theirs], kind="stable")]
            boxes, others = found[rows, 3:], true[theirs, 2:]
            shares = iou(boxes, others)
            if crowd[theirs].any():
                shares = np.where(crowd[theirs], coverage(boxes, others), shares)
            right[:, rows], ignoring[:, rows] = _take(shares, ignored[theirs], crowd[theirs])
    ignoring |= ~right & outside
    counted = {}
    for one in np.unique(true[~ignored, 1]).tolist():
        own = np.flatnonzero(kept & (found[:, 1] == one))
        own = own[np.lexsort((-found[own, 2], found[own, 0]))]  # of equal scores, by image
        hits, wrong = right[:, own], ~(right | ignoring)[:, own]
        positives = int((true[~ignored, 1] == one).sum())
        counted[int(one)] = Counted(found[own, 2], hits, wrong, positives)
    return counted


def _take(shares, ignored, crowd):
    """(right, neither), thresholds x boxes found, of the overlaps of found with true boxes."""
    shape = len(OVERLAPS), len(shares)
    right, neither = np.zeros((2, *shape), bool)
    free = np.ones((len(OVERLAPS), shares.shape[1]), bool)
    least = np.minimum(OVERLAPS, 1 - 1e-10)[:, None]
    for k in np.flatnonzero((shares >= OVERLAPS[0]).any(axis=1)):
        possible = (shares[k] >= least) & (free | crowd)
        counts = possible & ~ignored
        hit = counts.any(axis=1)
        neither[:, k] = possible.any(axis=1) & ~hit
        possible[hit] = counts[hit]
        last = shares.shape[1] - 1 - np.where(possible, shares[k], -1)[:, ::-1].argmax(axis=1)
        right[:, k] = hit
        taking = np.flatnonzero(right[:, k] | neither[:, k])
        free[taking, last[taking]] = False
    return right, neither


def coco_eval(found, true, crowd=None, area=None):
    """The twelve numbers of pycocotools' COCOeval, and the AP of each class.

    {"AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100", "AR_small",
    "AR_medium", "AR_large"}: means over the classes that have such true boxes, None without any;
    "per_class": {class: AP}. Boxes are in pixels.

    Parameters
    ----------
    found : rows of image, class, score, xmin, ymin, xmax, ymax
    true : rows of image, class, xmin, ymin, xmax, ymax
    crowd : whether each true box is of a crowd, which any number of boxes may be part of [none]
    area : of each true box, such as that of an outline [that of the box]
    """
    found, true = (np.asarray(rows, np.float64) for rows in (found, true))
    every = {name: count(found, true, crowd, area, within) for name, within in AREAS.items()}
    counted = every["all"]
    precision = {one: of.average_precision() for one, of in counted.items()}
    result = {"AP": _mean(precision.values())}
    result["AP50"] = _mean(one[0] for one in precision.values())
    result["AP75"] = _mean(one[5] for one in precision.values())
    parts = [name for name in AREAS if name != "all"]
    for name in parts:
        result[f"AP_{name}"] = _mean(of.average_precision() for of in every[name].values())
    for most in (1, 10):
        fewer = count(found, true, crowd, area, most=most)
        result[f"AR{most}"] = _mean(of.recall() for of in fewer.values())
    result["AR100"] = _mean(of.recall() for of in counted.values())
    for name in parts:
        result[f"AR_{name}"] = _mean(of.recall() for of in every[name].values())
    return result | {"per_class": {one: float(of.mean()) for one, of in precision.items()}}


def _mean(values):
    values = list(values)
    return float(np.mean(values)) if values else None
