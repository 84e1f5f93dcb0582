"""Average precision: what is told of a ranked list of findings of which some are right.

Each rule is a function of precision and recall at every rank, the best score first. `RULES` are
those of SSD, in float32 as there, by the names that `ap_version` of a solver has; `voc2007` and
`voc2012` are those of py-faster-rcnn in double precision, `coco` is that of pycocotools.
"""

import numpy as np

LEAST_STEP = 1e-6  # of recall, which SSD adds up
COCO_POINTS = np.linspace(0, 1, 101)


def precision_recall(scores, right, wrong, positives, dtype=np.float64):
    """(precision, recall) at each rank of findings; equal scores keep their order.

    precision = right / (right + wrong), recall = right / positives. A finding that is neither right
    nor wrong counts in neither; recall of no positives is 0.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    right = np.cumsum(np.asarray(right)[order], dtype=np.int64)
    wrong = np.cumsum(np.asarray(wrong)[order], dtype=np.int64)
    precision = right.astype(dtype) / np.maximum(right + wrong, 1).astype(dtype)
    return precision, right.astype(dtype) / dtype(max(positives, 1))


def voc2007(precision, recall):
    """The mean over 11 recalls of the best precision at that recall or a higher one.

    The steps are those of numpy.arange(0, 1.1, 0.1), whose fourth is 0.30000000000000004: a recall
    of 0.3 does not reach it.
    """
    return float(sum(_best(precision, recall, t) / 11 for t in np.arange(0, 1.1, 0.1)))


def voc2012(precision, recall):
    """The area below the best precision at each recall or a higher one."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(recall, prepend=0) @ best)


def coco(precision, recall):
    """The mean over 101 recalls of the best precision at the first rank that reaches each."""
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    return float(best[np.searchsorted(recall, COCO_POINTS)].mean())


def eleven_points(precision, recall):
    """VOC2007 as in SSD: float32 recalls against 0, 0.1, ..., 1, of which 0.7 misses the eighth."""
    return _points(precision, recall, 10)


def hundred_and_one_points(precision, recall):
    """The same with 101 recalls."""
    return _points(precision, recall, 100)


def max_integral(precision, recall):
    """VOC2012 as in SSD."""
    best = np.maximum.accumulate(precision[::-1])
    steps = np.diff(recall, prepend=np.float32(0))[::-1]
    return _sum(best * np.where(steps > LEAST_STEP, steps, 0))


def integral(precision, recall):
    """The sum of the precision at each rank times what it adds to the recall: SSD's default."""
    steps = np.diff(recall, prepend=np.float32(0))
    return _sum(precision * np.where(steps > LEAST_STEP, steps, 0))


RULES = {
    "11point": eleven_points,
    "MaxIntegral": max_integral,
    "Integral": integral,
    "101point": hundred_and_one_points,
}


def average_precision(scores, right, positives, rule="Integral"):
    """The average precision of findings by a rule of SSD; 0 where nothing is there to be found.

    Parameters
    ----------
    scores : of the findings
    right : whether each is right
    positives : how much there is to be found
    rule : "Integral", "11point" (VOC2007), "MaxIntegral" (VOC2012) or "101point"
    """
    right = np.asarray(right).astype(bool)
    if not (positives and len(right)):
        return 0.0
    return RULES[rule](*precision_recall(scores, right, ~right, positives, np.float32))


def _best(precision, recall, least):
    return precision[recall >= least].max(initial=0)


def _points(precision, recall, steps):
    recall = recall.astype(np.float64)
    best = [_best(precision, recall, j / steps) for j in reversed(range(steps + 1))]
    return _sum(np.array(best, np.float32) / np.float32(steps + 1))


def _sum(terms):
    """Their sum one after the other in float32, as a loop adds them up."""
    return float(np.add.accumulate(terms, dtype=np.float32)[-1]) if len(terms) else 0.0
