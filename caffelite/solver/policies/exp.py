import numpy as np

from .base import register


@register(reads=("gamma",), factor="gamma", longer=lambda gamma, times: gamma ** (1 / times))
def exp(param, i, current_step):
    """base_lr * gamma ^ i"""
    return param.base_lr * np.power(param.gamma, i), current_step
