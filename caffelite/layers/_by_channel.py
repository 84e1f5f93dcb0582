import math


def by_channel(array):
    """An (N, C, ...) array as (N, C, S)."""
    return array.reshape(*array.shape[:2], math.prod(array.shape[2:]))
