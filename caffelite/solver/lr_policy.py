"""The learning rate at an iteration, by the policy that `lr_policy` names."""

import math

import numpy as np

from ..errors import SolverError
from .policies import POLICIES

FLOAT32 = 1e-6  # how far apart, relatively, what floats of 32 bits give may be that is meant alike

# Of options, where a policy reads them: the least that works, and how messages say it.
LEAST = {
    "stepsize": (1, "a stepsize above 0"),
    "gamma": (0, "a gamma of at least 0"),
    "patience": (1, "patience above 0"),
    "stepearly": (1, "a stepearly above 0"),
}

_NOT_NEGATIVE = ("warmup_iter", "warmup_start_lr", "min_lr", "rampup_interval", "rampup_lr")


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
    policy = POLICIES[param.lr_policy] if param.lr_policy in POLICIES else None
    if param.plateau_winsize and not (policy and policy.by_losses):
        words = f'lr_policy: "{param.lr_policy}" does not look at plateau_winsize'
        yield "plateau_winsize", words
    elif windows(param) and param.HasField(policy.patience):
        words = f"{policy.patience} does nothing beside {policy.by_losses}: no tests are gone by"
        yield policy.patience, words
    for name in POLICIES.unread(param.lr_policy, param):
        yield name, f'lr_policy: "{param.lr_policy}" does not look at {name}'


def unreached(param):
    """(words, option, its place if it repeats) of each step that comes after the end."""
    reads = POLICIES[param.lr_policy].reads if param.lr_policy in POLICIES else ()
    end = f"max_iter is {param.max_iter}"
    for k, value in enumerate(param.stepvalue):
        if value >= param.max_iter > 0:
            yield f"stepvalue {value} is never reached: {end}", "stepvalue", k
    if "stepsize" in reads and param.stepsize >= param.max_iter > 0:
        yield f"stepsize {param.stepsize} is never reached: {end}", "stepsize"


def goes_by_tests(param):
    """Whether what the tests give moves the learning rate."""
    return param.lr_policy in POLICIES and POLICIES[param.lr_policy].by_tests and not windows(param)


def windows(param):
    """For each step of a policy that goes by losses, how many iterations may bring no lower one."""
    policy = POLICIES[param.lr_policy] if param.lr_policy in POLICIES else None
    return list(getattr(param, policy.by_losses)) if policy and policy.by_losses else []


def patience(param):
    """How many tests that are no better move the step of the policy on."""
    return getattr(param, POLICIES[param.lr_policy].patience)


def goes_by_what_rises(param):
    """Whether it goes by the first output of the tests that is no loss, if `monitor` is silent."""
    return goes_by_tests(param) and POLICIES[param.lr_policy].rising


def those_by_tests():
    """How messages name the policies that go by tests."""
    names = sorted(name for name, policy in POLICIES.items() if policy.by_tests)
    return " or ".join(f'lr_policy: "{name}"' for name in names)


def check(param):
    """Raise a SolverError if the options of the schedule are unusable."""
    name = param.lr_policy
    if not name:
        raise SolverError(f"lr_policy is not set; expected one of {', '.join(sorted(POLICIES))}")
    if name not in POLICIES:
        raise SolverError(f'lr_policy: unknown "{name}"{POLICIES.instead_of(name)}')
    policy = POLICIES[name]
    for option in policy.reads:
        value, (least, words) = getattr(param, option), LEAST.get(option, (None, ""))
        if least is not None and value < least:
            raise SolverError(f'lr_policy "{name}" needs {words}, not {value:g}')
    for option in _NOT_NEGATIVE:
        value = getattr(param, option)
        if not 0 <= value < math.inf:
            raise SolverError(f"{option} must be a number of at least 0, not {value:g}")
    if param.HasField("min_lr") and param.min_lr > param.base_lr:
        raise SolverError(f"min_lr, {param.min_lr:g}, is above base_lr, {param.base_lr:g}")
    if param.warmup_iter and param.rampup_interval:
        raise SolverError(
            "warmup_iter, for a line, and rampup_interval, for a parabola, are both given; keep one"
        )
    if policy.check:
        policy.check(param)


def rate_at(param, i, current_step):
    """(rate, current_step) at iteration i by the schedule of `param`.

    For the first warmup_iter iterations the rate rises from warmup_start_lr to base_lr in a line,
    or for the first rampup_interval ones from rampup_lr in a parabola, whatever the policy, which
    then goes on as if it had gone by from the start. It does not fall below min_lr, where that is
    given.
    """
    check(param)
    with np.errstate(all="ignore"):
        if i < param.warmup_iter:
            done = i / param.warmup_iter
            rate = param.warmup_start_lr * (1 - done) + param.base_lr * done
        elif i < param.rampup_interval:
            done = i / param.rampup_interval
            rate = param.rampup_lr + (param.base_lr - param.rampup_lr) * done**2
        else:
            rate, current_step = POLICIES[param.lr_policy](param, i, current_step)
    if not np.isfinite(rate):
        raise SolverError(
            f'lr_policy "{param.lr_policy}" gives the rate {rate:g} at iteration {i}; '
            "expected a number, so look at base_lr, gamma, power and max_iter"
        )
    least = param.min_lr if param.HasField("min_lr") else -math.inf
    return max(float(rate), least), current_step


def is_at_floor(param, i, current_step):
    """Whether the rate of the policy is down at min_lr, so that no further step lowers it."""
    if not param.HasField("min_lr"):
        return False
    rate, _ = POLICIES[param.lr_policy](param, i, current_step)
    return rate < param.min_lr or math.isclose(rate, param.min_lr, rel_tol=FLOAT32)
