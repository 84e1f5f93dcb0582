"""Rules on types, and on how many bottoms and tops they have."""

from ...layers.base import is_known, unknown
from ...net.wiring import count_problem
from . import rule


@rule()
def unknown_type(net):
    """A type that no layer has."""
    for i, layer in enumerate(net.layers):
        if not is_known(layer.type):
            yield i, unknown(layer.type) if layer.type else "has no type", "type"


@rule()
def bottom_count(net):
    """More or fewer bottoms than the type takes."""
    for i, layer in net.known_layers():
        if words := count_problem("bottom", layer.bottoms, len(layer.param.bottom)):
            yield i, words, "bottom"


@rule()
def top_count(net):
    """More or fewer tops than the type gives."""
    for i, layer in net.known_layers():
        if words := count_problem("top", layer.tops, layer.num_tops):
            yield i, words, "top"
