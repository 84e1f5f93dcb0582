"""Samples whose label is suspicious: a net that was trained on labels is sure of another class."""

import numpy as np

from ._exact import ExactSum
from ._worst import MOST_NAMED


class Suspicious:
    """The samples that score highest in a class k other than their label, with p[k] >= t[k].

    t[k] is the mean of p[k] over all samples whose label is k: as sure as the net is of these, on
    the whole, it is of that one.  Northcutt, Jiang, Chuang 2021, Confident learning
    """

    def __init__(self):
        self._own, self._labelled = ExactSum(), 0
        self._others = []  # of samples that score highest elsewhere: number, label, answer, p, p

    def add(self, numbers, labels, answers, of_label, of_answer, classes):
        """Take in arrays with a value for each sample; the last two are probabilities."""
        own = np.zeros((len(labels), classes))
        own[np.arange(len(labels)), labels] = of_label
        self._own.add(own)
        self._labelled = self._labelled + np.bincount(labels, minlength=classes)
        other = labels != answers
        columns = numbers, labels, answers, of_label, of_answer
        self._others.append(np.stack([column[other] for column in columns], axis=1))

    def merge(self, other):
        if other._others:
            self._own.merge(other._own)
            self._labelled = self._labelled + other._labelled
            self._others += other._others

    def rows(self):
        """[(number, label, answer, p of the label, p of the answer)], and how many more there are.

        The largest difference of the two comes first.
        """
        if not self._others:
            return [], 0
        threshold = self._own.value / np.where(self._labelled, self._labelled, np.nan)
        found = np.concatenate(self._others)
        found = found[found[:, 4] >= threshold[found[:, 2].astype(int)]]
        order = np.lexsort((found[:, 0], found[:, 3] - found[:, 4]))[:MOST_NAMED]
        rows = [(*map(int, row[:3]), *row[3:]) for row in found[order].tolist()]
        return rows, len(found) - len(rows)
