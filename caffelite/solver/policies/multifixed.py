from ...errors import SolverError
from .base import register


def _pairs(param):
    rates, ends = len(param.stagelr), len(param.stageiter)
    if rates != ends or not rates:
        raise SolverError(
            f'lr_policy "multifixed" has {rates} of stagelr and {ends} of stageiter; expected as '
            "many of one as of the other, and at least one"
        )


@register(reads=("stagelr", "stageiter"), check=_pairs)
def multifixed(param, i, current_step):
    """The stagelr of the first stage that i is not beyond, which is while i <= its stageiter; after
    all of them, that of the last. base_lr is for warm-ups alone.
    """
    stages = zip(param.stagelr, param.stageiter, strict=True)
    return next((rate for rate, end in stages if i <= end), param.stagelr[-1]), current_step
