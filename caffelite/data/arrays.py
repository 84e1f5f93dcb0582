"""Arrays in memory as a source: the samples are their rows."""

import numpy as np

from .source import RowSource


class ArraySource(RowSource):
    """The rows of arrays, all with as many rows; a sample is a list with a row of each.

    Arrays are not copied: what is written into them later is what is read then.
    """

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0])

    def rows(self, numbers):
        """The rows with these numbers, of each array; a view of it unless they wrap around."""
        first = numbers.start % len(self)
        end = first + numbers.step * (len(numbers) - 1) + 1
        if end <= len(self):
            return [array[first : end : numbers.step] for array in self.arrays]
        places = np.arange(numbers.start, numbers.stop, numbers.step) % len(self)
        return [array[places] for array in self.arrays]

    def name(self, number):
        return f"row {number % len(self)}"
