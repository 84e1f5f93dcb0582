import numpy as np
from numpy import float32 as single

from .base import register


@register(reads=("gamma", "stepsize"), longer=lambda gamma, times: gamma / times)
def sigmoid(param, i, current_step):
    """base_lr / (1 + e ^ (-gamma * (i - stepsize)))"""
    decay = np.exp(-single(param.gamma) * (single(i) - single(param.stepsize)))
    return single(param.base_lr) * (1 / (1 + decay)), current_step
