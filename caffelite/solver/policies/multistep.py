import logging

import numpy as np

from .base import register

log = logging.getLogger("caffelite")


@register(reads=("gamma", "stepvalue"), factor="gamma")
def multistep(param, i, current_step):
    """base_lr * gamma ^ current_step; the step moves on by one where i reaches its stepvalue.

    At most one step an evaluation, as in Caffe.
    """
    if current_step < len(param.stepvalue) and i >= param.stepvalue[current_step]:
        current_step += 1
        log.info("MultiStep Status: Iteration %d, step = %d", i, current_step)
    return param.base_lr * np.power(param.gamma, current_step), current_step
