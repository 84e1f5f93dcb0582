"""Learning-rate schedules: rate(i) for iteration i.  A function each, named as in `lr_policy`.

Each takes the SolverParameter, i, and the solver's current_step, and returns (rate, current_step);
only `step` and `multistep` move the step. That of `plateau` is moved by the solver's tests.
Where Caffe computes in float32, so do they, to the last bit: with the C library's power, which is
that of NumPy's numbers but not of its arrays, and 1 + gamma * i rounded once.
"""

import numpy as np

from ..errors import SolverError, did_you_mean

single = np.float32
POLICIES = {}


def _register(policy):
    POLICIES[policy.__name__] = policy
    return policy


def check(param):
    """Raise a SolverError if the options of the schedule are unusable."""
    if not param.lr_policy:
        raise SolverError(f"lr_policy is not set; expected one of {', '.join(POLICIES)}")
    if param.lr_policy not in POLICIES:
        hint = did_you_mean(param.lr_policy, POLICIES) or f"; known are {', '.join(POLICIES)}"
        raise SolverError(f'lr_policy: unknown "{param.lr_policy}"{hint}')
    if param.lr_policy in ("step", "sigmoid") and param.stepsize <= 0:
        raise SolverError(
            f'lr_policy "{param.lr_policy}" needs a stepsize above 0, not {param.stepsize}'
        )
    if param.lr_policy not in ("fixed", "poly") and param.gamma < 0:
        raise SolverError(
            f'lr_policy "{param.lr_policy}" needs a gamma of at least 0, not {param.gamma:g}'
        )
    if param.lr_policy == "plateau" and param.plateau_winsize:
        raise SolverError(
            "plateau_winsize counts iterations of training, but plateau goes by test passes here; "
            "write patience, how many of these may bring nothing better"
        )
    if param.lr_policy == "plateau" and param.patience < 1:
        raise SolverError(f'lr_policy "plateau" needs patience above 0, not {param.patience}')


def rate_at(param, i, current_step):
    """(rate, current_step) at iteration i by the schedule of `param`."""
    check(param)
    with np.errstate(all="ignore"):
        rate, current_step = POLICIES[param.lr_policy](param, i, current_step)
    if not np.isfinite(rate):
        raise SolverError(
            f'lr_policy "{param.lr_policy}" gives the rate {rate:g} at iteration {i}; '
            "expected a number, so look at base_lr, gamma, power and max_iter"
        )
    return float(rate), current_step


@_register
def fixed(param, i, current_step):
    """base_lr"""
    return param.base_lr, current_step


@_register
def step(param, i, current_step):
    """base_lr * gamma ^ floor(i / stepsize)"""
    current_step = i // param.stepsize
    return param.base_lr * np.power(param.gamma, current_step), current_step


@_register
def exp(param, i, current_step):
    """base_lr * gamma ^ i"""
    return param.base_lr * np.power(param.gamma, i), current_step


@_register
def inv(param, i, current_step):
    """base_lr * (1 + gamma * i) ^ -power"""
    growth = single(1 + param.gamma * i)
    return single(param.base_lr) * growth ** -single(param.power), current_step


@_register
def multistep(param, i, current_step):
    """base_lr * gamma ^ current_step; the step moves on by one where i reaches its stepvalue.

    At most one step an evaluation, as in Caffe.
    """
    if current_step < len(param.stepvalue) and i >= param.stepvalue[current_step]:
        current_step += 1
    return param.base_lr * np.power(param.gamma, current_step), current_step


@_register
def poly(param, i, current_step):
    """base_lr * (1 - i / max_iter) ^ power"""
    rest = 1 - single(i) / single(param.max_iter)
    return single(param.base_lr) * rest ** single(param.power), current_step


@_register
def sigmoid(param, i, current_step):
    """base_lr / (1 + e ^ (-gamma * (i - stepsize)))"""
    decay = np.exp(-single(param.gamma) * (single(i) - single(param.stepsize)))
    return single(param.base_lr) * (1 / (1 + decay)), current_step


@_register
def plateau(param, i, current_step):
    """base_lr * gamma ^ current_step; a step after `patience` tests that did not improve."""
    return param.base_lr * np.power(param.gamma, current_step), current_step
