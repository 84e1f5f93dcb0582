"""The order in which samples of a source come: in turn, shuffled, shuffled by label, balanced."""

import math
from functools import cached_property

import numpy as np

from .. import rng
from ..errors import DataError

MOST_PLACES = 50_000_000  # of a pass by label: an order of that many takes 400 MB
# The options that say which; of several, the last counts.
ORDERS = "shuffle", "label_shuffle", "balanced_batches"


class Order:
    """Which of a source's samples has which number, counted through all passes.

    In turn, over and over; or with `shuffle`, each pass in an order of its own, which follows from
    the seed and the number of the pass alone.
    """

    def __init__(self, shuffle=False):
        self.shuffle = shuffle
        self._pass = self._order = None

    def pass_size(self, count):
        """How many places a pass through `count` samples has."""
        return count

    def index(self, number, count, seed):
        """Which of `count` samples comes as the one with this number."""
        of_pass, place = divmod(number, self.pass_size(count))
        if not self.shuffle:
            return place
        if self._pass != (seed, of_pass, count):
            self._order = self._draw(count, rng.generator(seed, 2, of_pass))
            self._pass = seed, of_pass, count
        return int(self._order[place])

    def _draw(self, count, random):
        return random.permutation(count)


def order(labels, name, shuffle=False, label_shuffle=False, balanced_batches=False):
    """The Order that these options ask for; `labels` and `name` are those of a LabelOrder."""
    if balanced_batches:
        return BalancedOrder(labels, name)
    return LabelOrder(labels, name) if label_shuffle else Order(shuffle)


class LabelOrder(Order):
    """Label shuffle: in each pass, every class comes as often as the largest one.

    The samples of a class form a list, in an order drawn for the pass, which is repeated from its
    start until it is as long as the largest list is; then all lists are shuffled together. So of a
    class of n samples, where the largest has m, each comes m / n times, rounded down or up, and
    which ones come once more is another matter of chance in each pass. Classes are the labels that
    occur; a pass has m places for each. As used by Hikvision in ILSVRC 2016.

    Parameters
    ----------
    labels
        a function that gives the labels of all samples, called when they are first needed
    name
        what the samples are from, for messages
    """

    option = "label_shuffle"  # which asks for it

    def __init__(self, labels, name):
        super().__init__(shuffle=True)
        self._labels, self._name = labels, name

    @cached_property
    def _classes(self):
        """The indices of the samples of each class."""
        labels = np.asarray(self._labels())
        by_label = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[by_label])) + 1
        return np.split(by_label, starts)

    @cached_property
    def _shape(self):
        """How many classes there are, and how many samples of the largest."""
        shape = len(self._classes), max(map(len, self._classes))
        if math.prod(shape) > MOST_PLACES:
            raise DataError(
                f"{self._name}: {self.option}: {shape[0]} classes with up to {shape[1]} samples "
                f"would make a pass of {math.prod(shape)}, expected up to {MOST_PLACES}; "
                "write shuffle instead, or take samples out of the largest class"
            )
        return shape

    def pass_size(self, count):
        return math.prod(self._shape)

    def _draw(self, count, random):
        order = self._lists(random)
        random.shuffle(order.reshape(-1))
        return order.reshape(-1)

    def _lists(self, random):
        """classes x samples of the largest: the list of each class."""
        lists = np.empty(self._shape, np.int64)
        for row, members in zip(lists, self._classes, strict=True):
            row[...] = np.resize(random.permutation(members), len(row))
        return lists


class BalancedOrder(LabelOrder):
    """Label shuffle in rounds: one sample of each class, in an order drawn for the round.

    So a batch of as many samples as there are classes, or of a multiple of that, has each of them
    equally often, and any other one at most once more or less.
    """

    option = "balanced_batches"

    def _draw(self, count, random):
        return random.permuted(self._lists(random), axis=0).T.reshape(-1)
