"""Momentum and weight decay that change over the iterations, as NVCaffe has them."""

import math

from ..errors import SolverError, did_you_mean

_KNOWN = {"momentum_policy": ("fixed", "poly", "opt"), "weight_decay_policy": ("fixed", "poly")}


def check(param):
    """Raise a SolverError for options that cannot work."""
    for option, known in _KNOWN.items():
        word = getattr(param, option)
        if word not in known:
            hint = did_you_mean(word, known) or f"; known are {', '.join(known)}"
            raise SolverError(f'{option}: unknown "{word}"{hint}')
        if word == "poly" and param.max_iter < 1 and not param.max_epoch:
            raise SolverError(f'{option}: "poly" goes by max_iter, which is {param.max_iter}')
    if param.weight_decay_policy == "poly" and not param.HasField("weight_decay_power"):
        raise SolverError('weight_decay_policy: "poly" goes by weight_decay_power: give it')


def momentum_at(param, i, rate):
    """The momentum at iteration i and this learning rate.

    fixed: momentum.  poly: momentum + (max_momentum - momentum) (i / max_iter) ^ momentum_power.
    opt: (1 - sqrt(rate) / 2)^2, and no more than max_momentum where that is given.
    """
    if param.momentum_policy == "poly":
        rise = (i / param.max_iter) ** param.momentum_power
        return param.momentum + (param.max_momentum - param.momentum) * rise
    if param.momentum_policy == "opt":
        best = (1 - math.sqrt(rate) / 2) ** 2
        return min(best, param.max_momentum) if param.HasField("max_momentum") else best
    return param.momentum


def weight_decay_at(param, i):
    """The weight decay at iteration i.  poly: weight_decay (i / max_iter) ^ weight_decay_power."""
    if param.weight_decay_policy == "poly":
        return param.weight_decay * (i / param.max_iter) ** param.weight_decay_power
    return param.weight_decay
