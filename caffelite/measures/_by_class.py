"""Precision, recall and F1 of classes, from how often which is taken for which."""

import numpy as np

OF_A_CLASS = ("precision", "recall", "f1")
KINDS_OF_MEANS = ("macro", "weighted")


def by_class(labelled, answered, right):
    """{"precision", "recall", "f1"}: a number for each class, None where there is nothing to count.

    precision = right / answered, recall = right / labelled, and F1 = 2 right / (labelled +
    answered), their harmonic mean.
    """
    return {
        "precision": _shares(right, answered),
        "recall": _shares(right, labelled),
        "f1": _shares(2 * np.asarray(right), np.add(labelled, answered)),
    }


def averages(labelled, answered, shares):
    """{"macro": ..., "weighted": ...} of what `by_class` gives; None counts as 0.

    macro is the mean over the classes that occur, as labels or answers; in weighted, classes count
    by their labels.
    """
    occurs = np.add(labelled, answered) > 0
    values = {name: np.array([one or 0 for one in each]) for name, each in shares.items()}
    weights = {"macro": occurs, "weighted": np.asarray(labelled)}
    return {
        kind: {name: _mean(each, weight) for name, each in values.items()}
        for kind, weight in weights.items()
    }


def _shares(parts, wholes):
    return [p / w if w else None for p, w in zip(np.asarray(parts).tolist(), wholes, strict=True)]


def _mean(values, weights):
    return float(values @ weights / weights.sum()) if weights.sum() else None
