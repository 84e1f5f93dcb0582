"""One update of what is learned: clipping, the mean over iter_size, decay, the rule, bounds."""

from typing import NamedTuple

import numpy as np

from . import gradual, larc, regularize

PIECE = 1 << 16  # values of a blob that are updated at a time


class Update:
    """Moves learnable blobs by their gradients, as a SolverParameter and an update rule say.

    `learnable` is a list of entries with a `blob`, its `lr_mult` and `decay_mult`; `history` holds
    for each of them a dict of the arrays that the rule names in `history_names`.
    """

    def __init__(self, param, rule, learnable, dtype):
        self.param, self.rule, self.learnable = param, rule, learnable
        if param.momentum_policy != "fixed":  # the rule sees the momentum of each update
            rule.param = type(param).FromString(param.SerializeToString())
        self.history = [
            {name: np.zeros(entry.blob.shape, dtype) for name in rule.history_names}
            for entry in learnable
        ]

    def apply(self, rate, t):
        """Move the blobs by their diffs, at this learning rate; `t` counts from 1."""
        param, rule = self.param, self.rule
        # A frozen blob whose gradient was never computed has no diff, and stays as it is.
        moving = [
            (entry, history)
            for entry, history in zip(self.learnable, self.history, strict=True)
            if entry.lr_mult or entry.blob.diff_allocated
        ]
        if rule.param is not param:
            rule.param.momentum = gradual.momentum_at(param, t - 1, rate)
        weight_decay = gradual.weight_decay_at(param, t - 1)
        regularize.clip([entry.blob.diff for entry, _ in moving], param.clip_gradients)
        for entry, history in moving:
            decay, own_rate = weight_decay * entry.decay_mult, larc.rate_of(param, rate, entry)
            for piece, past in _pieces(entry.blob, history):
                regularize.average(piece.diff, param.iter_size)
                rule.decay(piece, decay, own_rate)
                rule.update(piece, past, own_rate, t)
                np.subtract(piece.data, piece.diff, out=piece.data)
                regularize.clip_weights(piece.data, param.clip_weights)


class _Piece(NamedTuple):
    """A part of a blob, as an update rule sees it."""

    data: np.ndarray
    diff: np.ndarray


def _pieces(blob, history):
    """A blob and its history in parts that stay in cache from one operation to the next."""
    arrays = [array.reshape(-1) for array in (blob.data, blob.diff, *history.values())]
    for start in range(0, blob.count, PIECE):
        data, diff, *past = (array[start : start + PIECE] for array in arrays)
        yield _Piece(data, diff), dict(zip(history, past, strict=True))
