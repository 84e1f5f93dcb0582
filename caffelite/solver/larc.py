"""Layer-wise adaptive rate control: a learning rate for each blob, by the norms of what it holds.

You, Gitman, Ginsburg 2017, arXiv:1708.03888; options and formulas are those of NVCaffe.
"""

import math

import numpy as np

from ..errors import SolverError, did_you_mean

POLICIES = ("scale", "clip")


def check(param):
    """Raise a SolverError for options that cannot work."""
    if param.larc and param.local_lr_auto:
        raise SolverError("larc and local_lr_auto, its older form, are both given; keep larc")
    if param.larc and param.larc_policy not in POLICIES:
        word = param.larc_policy
        hint = did_you_mean(word, POLICIES) or f"; known are {', '.join(POLICIES)}"
        raise SolverError(f'larc_policy: unknown "{word}"{hint}')
    for name in ("larc_eta", "local_gw_ratio"):
        value = getattr(param, name)
        if not 0 < value < math.inf:
            raise SolverError(f"{name} must be a number above 0, not {value:g}")


def rate_of(param, rate, entry):
    """The learning rate of a learnable blob, where `rate` is that of the solver.

    Without larc it is lr_mult rate. With it, a blob that learns at all has the ratio
    r = larc_eta |w| / |g|, of which larc_policy makes r rate ("scale"), or min(r, rate) ("clip").
    local_lr_auto scales with r = local_gw_ratio |w| / (|g| + weight_decay |w|). In both, g is the
    gradient without weight_decay, and r is 1 where w or g is 0.
    """
    if not (param.larc or param.local_lr_auto):
        return rate * entry.lr_mult
    if entry.lr_mult <= 0:
        return 0.0
    w, g = _norm(entry.blob.data), _norm(entry.blob.diff) / param.iter_size
    if not (w > 0 and g > 0):
        ratio = 1.0
    elif param.larc:
        ratio = param.larc_eta * w / g
    else:
        ratio = param.local_gw_ratio * w / (g + param.weight_decay * w)
    return min(ratio, rate) if param.larc and param.larc_policy == "clip" else ratio * rate


def _norm(array):
    return math.sqrt(float(np.vdot(array, array)))
