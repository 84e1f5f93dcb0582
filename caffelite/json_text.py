"""JSON as its standard has it; what Python writes may hold NaN, which other programs refuse."""

import json
import math


def json_text(value, **layout):
    """`value` as JSON: arrays as lists, scalars as numbers, what is not finite as null."""
    return json.dumps(_plain(value), allow_nan=False, **layout)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if hasattr(value, "tolist"):  # an array, or a scalar of numpy
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
