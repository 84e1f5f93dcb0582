import numpy as np

from ...errors import SolverError
from .base import register


def _check_windows(param):
    if min(param.plateau_winsize, default=1) < 1:
        raise SolverError(
            f"plateau_winsize: {min(param.plateau_winsize)}, expected iterations, at least 1"
        )


@register(
    reads=("gamma", "patience"),
    factor="gamma",
    by_tests=True,
    by_losses="plateau_winsize",
    check=_check_windows,
)
def plateau(param, i, current_step):
    """base_lr * gamma ^ current_step; a step after `patience` tests that did not improve.

    With plateau_winsize, as in SSD's Caffe, it goes by the losses of training instead: step k comes
    where the k-th plateau_winsize of iterations has brought no lower one, each given once.

    As with any policy, min_lr is the least: with gamma 0.1 and 0.001 of base_lr, three steps count.
    """
    return param.base_lr * np.power(param.gamma, current_step), current_step
