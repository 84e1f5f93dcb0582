"""The contract of an answer, and the registry of their kinds."""

import numpy as np

from ...registry import Registry

ANSWERS = Registry()
register = ANSWERS.register


class Answer:
    """What a net says of one picture.

    One class is one kind of answer. A subclass is registered, says in `fits` which outputs are such
    answers, and in the other methods how one is told and shown.

    Parameters
    ----------
    values : what `values` made of the net's output, for this picture
    names : of the classes; of those beyond them, their numbers are
    """

    def __init__(self, values, names=()):
        self.given, self.names = values, names

    @classmethod
    def fits(cls, layer, shape):
        """Whether an output of that shape, the samples' axis included, made by `layer`, is one."""
        return False

    @classmethod
    def check(cls, layer):
        """Raise a NetError if no output that `layer` makes can be such an answer."""

    @classmethod
    def values(cls, outputs):
        """A row for each picture, of outputs: pictures x crops x the shape for one."""
        return outputs.mean(axis=1)

    def as_json(self):
        """The answer as JSON can say it, a dict."""
        raise NotImplementedError(f"{type(self).__name__}.as_json")

    def lines(self):
        """The answer as lines of text."""
        raise NotImplementedError(f"{type(self).__name__}.lines")

    def draw(self, picture):
        """A picture of the answer, on or beside `picture`: both height x width x 3, red first."""
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def name(self, label):
        """What a class is called."""
        return self.names[label] if label < len(self.names) else str(label)


def enlarged(planes, height, width):
    """Planes, height x width or more axes, each pixel as often as fits that size."""
    rows = np.arange(height) * len(planes) // height
    columns = np.arange(width) * planes.shape[1] // width
    return planes[rows][:, columns]
