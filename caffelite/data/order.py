"""In which order the samples of a source come."""

from .. import rng


class Order:
    """Which of a source's samples comes k-th, counted through all passes.

    In turn, over and over; or with `shuffle`, each pass in an order of its own, which follows from
    the seed and the number of the pass alone.
    """

    def __init__(self, shuffle=False):
        self.shuffle = shuffle
        self._pass = self._order = None

    def place(self, index, length, seed):
        """The place of the sample among `length`."""
        number, place = divmod(index, length)
        if not self.shuffle:
            return place
        if self._pass != (seed, number, length):
            self._order = rng.generator(seed, 2, number).permutation(length)
            self._pass = seed, number, length
        return int(self._order[place])
