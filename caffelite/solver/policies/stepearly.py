import numpy as np

from .base import register


@register(
    reads=("gamma", "stepearly"), factor="gamma", by_tests=True, patience="stepearly", rising=True
)
def stepearly(param, i, current_step):
    """base_lr * gamma ^ current_step; a step after `stepearly` tests that did not improve the
    accuracy, the first output that is no loss, or what `monitor` names.
    """
    return param.base_lr * np.power(param.gamma, current_step), current_step
