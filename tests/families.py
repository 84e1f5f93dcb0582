"""Nets of the zoo, one of each family at a time."""

import pytest


def one_of_each(names):
    """The names as parameters; all but the first of a family, `resnet` of `resnet-50`, are slow."""
    families = [name.partition("-")[0] for name in names]
    return [
        pytest.param(name, marks=[pytest.mark.slow] if family in families[:place] else [])
        for place, (name, family) in enumerate(zip(names, families, strict=True))
    ]
