import numpy as np

from ...errors import SolverError
from .base import register


def _goes_by_tests(param):
    if param.plateau_winsize:
        raise SolverError(
            "plateau_winsize counts iterations of training, but plateau goes by test passes here; "
            "write patience, how many of these may bring nothing better"
        )


@register(reads=("gamma", "patience"), factor="gamma", by_tests=True, check=_goes_by_tests)
def plateau(param, i, current_step):
    """base_lr * gamma ^ current_step; a step after `patience` tests that did not improve.

    As with any policy, min_lr is the least: with gamma 0.1 and 0.001 of base_lr, three steps count.
    """
    return param.base_lr * np.power(param.gamma, current_step), current_step
