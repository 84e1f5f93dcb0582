"""Learning-rate schedules: rate(i) for iteration i.  A function each, named as in `lr_policy`.

Each takes the SolverParameter, i, and the solver's current_step, and returns (rate, current_step);
only `step` and `multistep` move the step. That of `plateau` is moved by the solver's tests.
Where Caffe computes in float32, so do they, to the last bit: with the C library's power, which is
that of NumPy's numbers but not of its arrays, and 1 + gamma * i rounded once.
"""

import numpy as np

from ..errors import SolverError, did_you_mean
from ..proto.given import given

single = np.float32
POLICIES = {}


def _register(*options):
    """Decorator: a policy of the function's name, which reads these options beside base_lr."""

    def add(policy):
        policy.reads = options
        POLICIES[policy.__name__] = policy
        return policy

    return add


def missing(param):
    """(option, words) of each option that the policy goes by and that is neither given nor has
    a default."""
    for name in POLICIES[param.lr_policy].reads:
        field = param.DESCRIPTOR.fields_by_name[name]
        value = getattr(param, name)
        several = hasattr(value, "extend")
        there = len(value) > 0 if several else param.HasField(name)
        if not there and not field.has_default_value:
            instead = "" if several else " and counts as 0"
            yield (
                name,
                f'lr_policy: "{param.lr_policy}" goes by {name}, which is not given{instead}',
            )


def unread(param):
    """(option, words) of each option given that is for other policies than this one."""
    own = POLICIES[param.lr_policy].reads if param.lr_policy in POLICIES else None
    others = {name for policy in POLICIES.values() for name in policy.reads}
    for option in given(param, only=others) if own is not None else ():
        if option.path[0] not in own:
            yield (
                option.path[0],
                f'lr_policy: "{param.lr_policy}" does not look at {option.path[0]}',
            )


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


@_register()
def fixed(param, i, current_step):
    """base_lr"""
    return param.base_lr, current_step


@_register("gamma", "stepsize")
def step(param, i, current_step):
    """base_lr * gamma ^ floor(i / stepsize)"""
    current_step = i // param.stepsize
    return param.base_lr * np.power(param.gamma, current_step), current_step


@_register("gamma")
def exp(param, i, current_step):
    """base_lr * gamma ^ i"""
    return param.base_lr * np.power(param.gamma, i), current_step


@_register("gamma", "power")
def inv(param, i, current_step):
    """base_lr * (1 + gamma * i) ^ -power"""
    growth = single(1 + param.gamma * i)
    return single(param.base_lr) * growth ** -single(param.power), current_step


@_register("gamma", "stepvalue")
def multistep(param, i, current_step):
    """base_lr * gamma ^ current_step; the step moves on by one where i reaches its stepvalue.

    At most one step an evaluation, as in Caffe.
    """
    if current_step < len(param.stepvalue) and i >= param.stepvalue[current_step]:
        current_step += 1
    return param.base_lr * np.power(param.gamma, current_step), current_step


@_register("power")
def poly(param, i, current_step):
    """base_lr * (1 - i / max_iter) ^ power"""
    rest = 1 - single(i) / single(param.max_iter)
    return single(param.base_lr) * rest ** single(param.power), current_step


@_register("gamma", "stepsize")
def sigmoid(param, i, current_step):
    """base_lr / (1 + e ^ (-gamma * (i - stepsize)))"""
    decay = np.exp(-single(param.gamma) * (single(i) - single(param.stepsize)))
    return single(param.base_lr) * (1 / (1 + decay)), current_step


@_register("gamma", "patience")
def plateau(param, i, current_step):
    """base_lr * gamma ^ current_step; a step after `patience` tests that did not improve."""
    return param.base_lr * np.power(param.gamma, current_step), current_step
