"""What happens beside an update rule: clipping, averaging and decay before, bounds behind."""

import logging
import math

import numpy as np

from ..errors import SolverError, did_you_mean
from ..kernels.axpy import axpy

log = logging.getLogger("caffelite")

TYPES = ("L2", "L1")


def check(param):
    """Raise a SolverError for a regularization_type that does not exist."""
    if param.weight_decay and param.regularization_type not in TYPES:
        hint = did_you_mean(param.regularization_type, TYPES) or f"; known are {', '.join(TYPES)}"
        raise SolverError(f'regularization_type: unknown "{param.regularization_type}"{hint}')


def clip(diffs, limit):
    """Scale all diffs by limit / norm where their common L2 norm exceeds `limit` (< 0: never).

    Comes first: the norm is that of the sum over iter_size passes, without decay.
    """
    if limit < 0:
        return
    norm = math.sqrt(sum(float(np.vdot(diff, diff)) for diff in diffs))
    if norm > limit:
        scale = limit / norm
        log.info(
            "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g",
            norm,
            limit,
            scale,
        )
        for diff in diffs:
            diff *= scale


def clip_weights(data, limit):
    """Keep values within -limit and limit (< 0: no matter which).

    So the critic of a Wasserstein GAN is kept smooth: Arjovsky, Chintala, Bottou 2017,
    arXiv:1701.07875, algorithm 1.
    """
    if limit >= 0:
        np.clip(data, -limit, limit, out=data)


def average(diff, iter_size):
    """diff / iter_size"""
    if iter_size > 1:
        diff *= 1 / iter_size


def decay(diff, data, rate, kind):
    """L2: diff + rate * data.  L1: diff + rate * sign(data)."""
    if rate:
        axpy(rate, data if kind == "L2" else np.sign(data), diff)
