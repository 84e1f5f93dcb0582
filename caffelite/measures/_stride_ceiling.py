"""How well any net could do whose scores have a stride: the best scores there are, upsampled."""

import math

import numpy as np

from .segmentation import measures

CHUNK = 1 << 22  # numbers, of the scores of pictures that are worked on together
_EARLY = 1e-3  # shares of cells count as at least this when scores start


class StrideCeiling:
    """Scores of cells of stride x stride pixels, free to be any, that tell labels best.

    Scores stand for the middles of their cells and are interpolated bilinearly between them, as
    Deconvolution with a kernel of 2 stride and a bilinear filler does. `fit` lowers the cross
    entropy of all pixels first, which is convex, so that this is what a net is trained towards;
    then it raises the mean of the intersections over unions of the classes' probabilities, which
    scores with a low cross entropy do not have for the asking.

    Parameters
    ----------
    pictures : arrays of labels, height x width
    stride : of the scores
    void : the label that does not count
    """

    def __init__(self, pictures, stride, void):
        self.parts = [
            _Part(np.stack(group[first : first + most]), stride, void)
            for group in _alike(pictures, void).values()
            for most in (max(1, CHUNK // (group[0].size * _count(group[0], void))),)
            for first in range(0, len(group), most)
        ]
        self.classes = 1 + max(int(part.known.max()) for part in self.parts)
        self.labelled = self._sums((part.known, part.labelled) for part in self.parts)[0]

    def _sums(self, counts):
        """Of each class, the sums of what the parts count: (classes, numbers, ...) each."""
        totals = None
        for classes, *numbers in counts:
            if totals is None:
                totals = np.zeros((len(numbers), self.classes))
            for total, each in zip(totals, numbers, strict=True):
                np.add.at(total, classes, each)
        return totals

    def fit(self, by_entropy, by_overlap, progress=iter):
        """Mean IU behind steps by cross entropy, and behind those by overlap.

        There are so many of each; `progress` wraps their numbers.
        """
        found, sums = [], None
        for number in progress(range(by_entropy + by_overlap)):
            if number < by_entropy:
                for part in self.parts:
                    part.step(part.entropy_gradient(), 0.5, number + 1)
                continue
            if sums is None:
                sums = self._answers()
                found.append(self._mean_iu(sums))
            sums = self._step_by_overlap(*sums, number - by_entropy + 1)
        return [*found, self._mean_iu(self._answers())]

    def _step_by_overlap(self, inside, answered, number):
        """Up the gradient of the sum over classes of I / U, of probabilities instead of answers.

        I and U are those of the step before; returns those of this one, as `inside` and `answered`.
        """
        union = np.maximum(1, self.labelled + answered - inside)
        size = self.labelled[self.labelled > 0].mean()
        gain, loss = size * (1 / union + inside / union**2), size * inside / union**2
        return self._sums(part.step_by_overlap(gain, loss, 0.3, number) for part in self.parts)

    def _answers(self):
        return self._sums(part.answers() for part in self.parts)

    def _mean_iu(self, sums):
        right, answered = sums
        return measures(self.labelled, answered, right)["mean_iu"]


def _count(labels, void):
    return max(1, len(np.setdiff1d(labels, [void])))


def _alike(pictures, void):
    """{(shape, number of classes): pictures}"""
    found = {}
    for labels in pictures:
        found.setdefault((labels.shape, _count(labels, void)), []).append(labels)
    return found


class _Part:
    """Pictures of one size with as many classes; only the classes of a picture have scores."""

    def __init__(self, labels, stride, void):
        self.known = np.array([_known(each, void) for each in labels])  # n x k
        self.is_own = (labels[:, None] == self.known[:, :, None, None]).astype(np.float32)
        self.counts = self.is_own.sum(axis=1, keepdims=True)
        self.labelled = self.is_own.sum(axis=(2, 3), dtype=np.float64)
        self.rows, self.columns = (_bilinear(side, stride) for side in labels.shape[1:])
        share = self._down(self.is_own) / np.maximum(self._down(self.counts), 1e-6)
        self.scores = np.log(share + np.float32(_EARLY))
        self.cell = stride * stride
        self._restart()

    def _up(self, scores):
        return self.rows @ scores @ self.columns.T

    def _down(self, x):
        return self.rows.T @ x @ self.columns

    def _restart(self):
        self.mean, self.square = np.zeros_like(self.scores), np.zeros_like(self.scores)

    def probabilities(self):
        x = self._up(self.scores)
        x -= x.max(axis=1, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis=1, keepdims=True)
        x *= self.counts
        return x

    def entropy_gradient(self):
        return self._down(self.probabilities() - self.is_own) / self.cell

    def step_by_overlap(self, gain, loss, rate, number):
        """Step by what a probability gains on its own pixels, and costs elsewhere, of each class.

        Returns (classes, sums of the probabilities on their own pixels, and on all that count).
        """
        p = self.probabilities()
        sums = ((p * self.is_own), p)
        sums = [each.sum(axis=(2, 3), dtype=np.float64) for each in sums]
        at = self.known[:, :, None, None]
        slope = np.float32(loss)[at] - self.is_own * np.float32(gain)[at]
        slope -= (p * slope).sum(axis=1, keepdims=True)
        self.step(self._down(p * slope), rate, number)
        return self.known, *sums

    def step(self, g, rate, number):
        """w -= rate m / sqrt(v), of running means m and v of g and g^2.  Kingma, Ba 2014 (Adam)"""
        if number == 1:
            self._restart()
        self.mean += np.float32(0.1) * (g - self.mean)
        self.square += np.float32(0.01) * (g * g - self.square)
        size = np.sqrt(self.square / np.float32(1 - 0.99**number)) + np.float32(1e-5)
        self.scores -= np.float32(rate / (1 - 0.9**number)) * self.mean / size

    def answers(self):
        """(classes, pixels that are answered with each rightly, and all)."""
        best = self._up(self.scores).argmax(axis=1)[:, None]
        answered = (best == np.arange(self.known.shape[1])[:, None, None]) & (self.counts > 0)
        right = answered & (self.is_own > 0)
        return self.known, right.sum(axis=(2, 3)), answered.sum(axis=(2, 3))


def _known(labels, void):
    found = np.setdiff1d(labels, [void])
    return found if len(found) else np.zeros(1, int)


def _bilinear(size, stride):
    """size x cells: what a pixel has of each cell, along one axis."""
    cells = math.ceil(size / stride)
    at = ((np.arange(size) + 0.5) / stride - 0.5).clip(0, cells - 1)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(cells))).astype(np.float32)
