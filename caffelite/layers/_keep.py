import numpy as np

from ..blob import Blob


def keep_bottom(layer, bottom, top):
    """The blob where backward will find bottom 0: a copy, if forward is about to overwrite it."""
    x = bottom[0]
    if top[0] is not x or not layer.needs_backward:
        return x
    if not hasattr(layer, "copy"):
        layer.copy = Blob(dtype=layer.dtype)
    layer.copy.reshape(*x.shape)
    np.copyto(layer.copy.data, x.data)
    return layer.copy
