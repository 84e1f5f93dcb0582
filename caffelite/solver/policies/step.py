import numpy as np

from .base import register


@register(reads=("gamma", "stepsize"), factor="gamma")
def step(param, i, current_step):
    """base_lr * gamma ^ floor(i / stepsize)"""
    current_step = i // param.stepsize
    return param.base_lr * np.power(param.gamma, current_step), current_step
