"""Rules on types, and on how many bottoms and tops they have."""

from ..errors import did_you_mean
from ..layers import layer_types


def unknown_type(view):
    """A type that no layer has."""
    known = layer_types()
    for i, layer in enumerate(view.layers):
        if layer.type not in known:
            words = f'unknown type "{layer.type}"{did_you_mean(layer.type, known)}'
            yield i, words if layer.type else "has no type", "type"


def bottom_count(view):
    """More or fewer bottoms than the type takes."""
    for i, layer in created(view):
        least, most = _range(layer.bottoms)
        if not _fits(len(layer.param.bottom), least, most):
            expected = _expected(least, most)
            yield i, f"has {len(layer.param.bottom)} bottoms, expected {expected}", "bottom"


def top_count(view):
    """More or fewer tops than the type gives."""
    for i, layer in created(view):
        least, most = _range(layer.tops)
        if not _fits(layer.num_tops, least, most):
            yield i, f"has {layer.num_tops} tops, expected {_expected(least, most)}", "top"


def created(view):
    """The layers of known types, with the facts that depend on options."""
    known = layer_types()
    for i, layer in enumerate(view.made):
        if layer.type in known:
            yield i, layer


def _range(allowed):
    return (allowed, allowed) if isinstance(allowed, int) else allowed


def _fits(count, least, most):
    return count >= least and (most is None or count <= most)


def _expected(least, most):
    if least == most:
        return str(least)
    return f"at least {least}" if most is None else f"{least} to {most}"
