from numpy import float32 as single

from .base import register


@register(reads=("power",))
def poly(param, i, current_step):
    """base_lr * (1 - i / max_iter) ^ power"""
    rest = 1 - single(i) / single(param.max_iter)
    return single(param.base_lr) * rest ** single(param.power), current_step
