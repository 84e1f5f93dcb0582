import math

from ...errors import SolverError
from .base import register


def _comes_down(param):
    if param.max_iter <= param.warmup_iter:
        raise SolverError(
            f'lr_policy "cosine" comes down from warmup_iter, {param.warmup_iter}, to max_iter, '
            f"which is {param.max_iter}: expected more"
        )


@register(check=_comes_down)
def cosine(param, i, current_step):
    """min_lr + (base_lr - min_lr) * (1 + cos(pi * t)) / 2, with t = (i - warmup_iter) / (max_iter -
    warmup_iter), which goes from 0 to 1.  Loshchilov, Hutter 2017, arXiv:1608.03983"""
    t = min((i - param.warmup_iter) / (param.max_iter - param.warmup_iter), 1)
    fall = param.base_lr - param.min_lr
    return param.min_lr + fall * (1 + math.cos(math.pi * t)) / 2, current_step
