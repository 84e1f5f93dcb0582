from numpy import float32 as single

from .base import register


@register(reads=("gamma", "power"), longer=lambda gamma, times: gamma / times)
def inv(param, i, current_step):
    """base_lr * (1 + gamma * i) ^ -power"""
    growth = single(1 + param.gamma * i)
    return single(param.base_lr) * growth ** -single(param.power), current_step
