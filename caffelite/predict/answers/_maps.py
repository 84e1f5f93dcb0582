"""What answers with a value for each pixel share: how they are shown beside a picture."""

import numpy as np

from .base import Answer


class Map(Answer):
    """A value for each pixel of a picture. A subclass says how these are stored, colored, told.

    `probabilities` are those of all classes, classes x height x width, where they were asked for.
    """

    probabilities = None

    def encoded(self):
        """The bytes of a PNG of the values."""
        raise NotImplementedError(f"{type(self).__name__}.encoded")

    def colored(self):
        """The values in colors: height x width x 3, red first."""
        raise NotImplementedError(f"{type(self).__name__}.colored")

    def overlay(self, picture):
        """The picture with the values on it; both are height x width x 3, red first."""
        raise NotImplementedError(f"{type(self).__name__}.overlay")

    def legend(self, width):
        """What colors mean, as a picture of that width, which may have no rows."""
        return np.empty((0, width, 3), np.uint8)

    def side_by_side(self, picture):
        """The picture, its values in colors, and what the colors mean below."""
        both = np.concatenate([picture, self.colored()], axis=1)
        return np.concatenate([both, self.legend(both.shape[1])])
