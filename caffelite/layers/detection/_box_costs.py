"""What codes and scores of boxes cost, and the slopes of the costs."""

import numpy as np

from ..loss.softmax_with_loss import SMALLEST
from ..utility.softmax import softmax


def code_costs(d, squared):
    """(costs, slopes) of differences: d^2 / 2, or, not `squared`, |d| - 1 / 2 where |d| > 1."""
    costs, size = d * d / 2, abs(d)
    if squared:
        return costs, d
    return np.where(size < 1, costs, size - 0.5), d.clip(-1, 1)


def score_costs(x, target, exclusive):
    """(costs, slopes) of rows of scores: cross entropy of softmax, or, not `exclusive`, sigmoid.

    `target` is 1 at the right classes and 0 elsewhere; in a row for softmax at one alone.
    """
    p = np.empty_like(x)
    if exclusive:
        softmax(x, 1, out=p)
        likelihood = np.einsum("rk,rk->r", p, target)
        return -np.log(np.maximum(likelihood, SMALLEST)), p - target
    small = np.exp(-abs(x))
    costs = (np.maximum(x, 0) + np.log1p(small)).sum(axis=1) - np.einsum("rk,rk->r", x, target)
    return costs, np.where(x >= 0, 1, small) / (1 + small) - target
