"""The order in which samples of a source come: in turn, shuffled, shuffled by label, balanced.

Those of several shards come round the shards.
"""

import bisect
import math
from functools import cached_property
from itertools import accumulate

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

    @property
    def in_turn(self):
        """Whether sample n is the one with the number n."""
        return not self.shuffle

    def pass_size(self, count):
        """How many places a pass through `count` samples has."""
        return count

    def layout(self):
        """What the order follows from beside the number of samples and the seed, as bytes."""
        return b""

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


def order(
    labels, name, shuffle=False, label_shuffle=False, balanced_batches=False, sizes=(), buffer=0
):
    """The Order that these options ask for.

    `labels` and `name` are those of a LabelOrder, `sizes` and `buffer` of a ShardOrder, which is
    for several sizes, or a buffer.
    """
    if balanced_batches:
        return BalancedOrder(labels, name)
    if label_shuffle:
        return LabelOrder(labels, name)
    return ShardOrder(sizes, shuffle, buffer) if sizes else Order(shuffle)


class ShardOrder(Order):
    """Round the shards: the first record of each, then the second of each, and so on.

    For that, the records of all shards, which lie one shard behind the other, are cut into as many
    runs of equal length, up to one record, as there are shards: number k of a pass is place k // S
    in run k mod S, of S runs. Shards of equal size are a run each. So the samples of process `rank`
    among `size`, those with the numbers rank, rank + size, ..., come of shards of its own where
    `size` divides S, and else of all. Which sample comes at which number is the same however many
    processes there are.

    With `shuffle`, the shards lie in another order in each pass, and the records of each run come
    in an order of its own, mixed as in a buffer: the run is cut into blocks of buffer / S records,
    rounded up, and each is shuffled in itself. So of `buffer` samples in a row, records lie near
    each other in their shards. Without a buffer, 0, a run is one block. All of it follows from the
    seed, and the numbers of pass, run and block.

    Parameters
    ----------
    sizes
        how many records each shard has
    """

    in_turn = False

    def __init__(self, sizes, shuffle=False, buffer=0):
        super().__init__(shuffle)
        self._sizes = np.array(sizes, np.int64)
        self._starts = [0, *accumulate(sizes)]
        whole, more = divmod(self._starts[-1], len(sizes))
        self._runs = [run * whole + min(run, more) for run in range(len(sizes) + 1)]
        self._block = -(-buffer // len(sizes)) or self._starts[-1]

    def layout(self):
        return np.array([*self._sizes, self._block], "<i8").tobytes()

    def index(self, number, count, seed):
        of_pass, place = divmod(number, count)
        if self._pass != (seed, of_pass):
            self._pass = seed, of_pass
            self._lay(rng.generator(seed, 2, of_pass))
        place, run = divmod(place, len(self._sizes))
        place = self._runs[run] + self._mixed(place, run)
        shard = bisect.bisect_right(self._ends, place)
        return place - self._ends[shard] + self._starts[self._shards[shard] + 1]

    def _lay(self, random):
        """Lay the shards one behind the other."""
        shards = random.permutation(len(self._sizes)) if self.shuffle else range(len(self._sizes))
        if np.ptp(self._sizes) == 1:  # longer ones first, as runs are: each is a shard
            shards = sorted(shards, key=lambda shard: -self._sizes[shard])
        self._shards = [int(shard) for shard in shards]
        self._ends = list(accumulate(self._sizes[self._shards].tolist()))
        self._mixes = {}

    def _mixed(self, place, run):
        """The place in a run of what comes there as the one with this place."""
        if not self.shuffle:
            return place
        block, rest = divmod(place, self._block)
        if self._mixes.get(run, (None,))[0] != block:
            first = block * self._block
            count = min(self._block, self._runs[run + 1] - self._runs[run] - first)
            random = rng.generator(*self._pass[:1], 3, self._pass[1], run, block)
            self._mixes[run] = block, first + random.permutation(count)
        return int(self._mixes[run][1][rest])


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
