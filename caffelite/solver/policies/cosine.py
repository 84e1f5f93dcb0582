import math

from ...errors import SolverError
from .base import register


def _start(param):
    return param.warmup_iter or param.rampup_interval


def _comes_down(param):
    if param.max_iter <= _start(param):
        name = "rampup_interval" if param.rampup_interval else "warmup_iter"
        raise SolverError(
            f'lr_policy "cosine" comes down from {name}, {_start(param)}, to max_iter, '
            f"which is {param.max_iter}: expected more"
        )


@register(check=_comes_down)
def cosine(param, i, current_step):
    """min_lr + (base_lr - min_lr) * (1 + cos(pi * t)) / 2, with t = (i - warmup_iter) / (max_iter -
    warmup_iter), which goes from 0 to 1.  Loshchilov, Hutter 2017, arXiv:1608.03983"""
    start = _start(param)
    t = min((i - start) / (param.max_iter - start), 1)
    fall = param.base_lr - param.min_lr
    return param.min_lr + fall * (1 + math.cos(math.pi * t)) / 2, current_step
