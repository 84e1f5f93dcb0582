from numpy import float32 as single

from .base import register


@register(reads=("power",))
def poly(param, i, current_step):
    """min_lr + (base_lr - min_lr) * (1 - i / max_iter) ^ power"""
    rest = 1 - single(i) / single(param.max_iter)
    least = single(param.min_lr)
    return least + (single(param.base_lr) - least) * rest ** single(param.power), current_step
