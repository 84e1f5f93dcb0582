"""The order in which the samples of a source come: in turn, or shuffled anew in each pass."""

from .. import rng


class Order:
    """Which of a source's samples has which number, counted through all passes.

    In turn, over and over; or with `shuffle`, each pass in an order of its own, which follows from
    the seed and the number of the pass alone.
    """

    def __init__(self, shuffle=False):
        self.shuffle = shuffle
        self._pass = self._order = None

    def index(self, number, length, seed):
        """Which of `length` samples comes as the one with this number."""
        of_pass, index = divmod(number, length)
        if not self.shuffle:
            return index
        if self._pass != (seed, of_pass, length):
            self._order = rng.generator(seed, 2, of_pass).permutation(length)
            self._pass = seed, of_pass, length
        return int(self._order[index])
