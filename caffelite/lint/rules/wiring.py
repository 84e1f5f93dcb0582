"""Rules on the blobs between layers."""

from ...errors import did_you_mean
from ...layers.base import TEST
from ..filtered_net import loss_weights
from . import rule

MOST_COMPARED = 20  # names that are compared with all others, for one that was meant


@rule()
def unknown_bottom(net):
    """A bottom that no layer before produces."""
    compared = 0
    for i, layer in enumerate(net.layers):
        for j, name in enumerate(layer.bottom):
            if (i, j) in net.source:
                continue
            hint = ""
            later = next((at for at in net.producers.get(name, ()) if at > i), None)
            if later is not None:
                hint = f'; layer "{net.layers[later].name}" does, but comes too late'
            elif compared < MOST_COMPARED:
                compared += 1
                hint = did_you_mean(name, [top for ly in net.layers[:i] for top in ly.top])
            yield i, f'bottom "{name}": no layer before it produces this blob{hint}', "bottom", j


@rule()
def two_producers(net):
    """A top that another layer already produces, and that is not computed in place."""
    producer = {}
    for i, layer in enumerate(net.layers):
        for k, name in enumerate(layer.top):
            if name in producer and list(layer.bottom[k : k + 1]) != [name]:
                words = f'top "{name}" is already a top of layer "{producer[name].name}"'
                if not layer.bottom and not layer.include:
                    words += "; if each is for one phase, say so: include { phase: TRAIN }"
                yield i, words, "top", k
            producer.setdefault(name, layer)


@rule()
def in_place(net):
    """A top that is its layer's bottom, too, where the type cannot compute in place."""
    for i, layer in net.known_layers():
        for k, name in enumerate(layer.param.top):
            if name in layer.param.bottom and not layer.in_place:
                words = f'{layer.type} cannot compute in place with these options, but top "{name}"'
                yield i, f"{words} is its bottom, too; give the top a name of its own", "top", k


@rule()
def read_and_overwritten(net):
    """A blob that one layer changes in place and another, with the values of before, reads."""
    for i, layer in enumerate(net.layers):
        for j, name in enumerate(layer.bottom):
            if list(layer.top[j : j + 1]) != [name] or (i, j) not in net.source:
                continue
            others = [at for at, _ in net.readers[net.source[i, j]] if at != i]
            if others:
                other = net.layers[others[0]]
                words = f'changes "{name}" in place, which layer "{other.name}" reads as it was'
                yield i, f"{words} before; give the top a name of its own", "top", j


@rule()
def include_exclude(net):
    """Include and exclude rules in one layer."""
    for i, layer in enumerate(net.layers):
        if layer.include and layer.exclude:
            yield i, "has include and exclude rules; only one kind is possible", "exclude"


@rule()
def phase_of_layer(net):
    """`phase: TEST` outside of include, which leaves the layer in both phases."""
    for i, layer in enumerate(net.layers):
        if layer.HasField("phase") and not (layer.include or layer.exclude):
            words = "phase alone keeps the layer in both phases; write include { phase: ... }"
            yield i, words, "phase"


@rule()
def list_length(net):
    """loss_weight and propagate_down: none, or one for each top or bottom."""
    for i, layer in net.known_layers():
        for field, count, what in (
            ("loss_weight", layer.num_tops, "top"),
            ("propagate_down", len(layer.param.bottom), "bottom"),
        ):
            given = len(getattr(layer.param, field))
            if given not in (0, count):
                yield i, f"has {given} {field}, expected none or one per {what}, {count}", field


@rule()
def same_name(net):
    """Two layers of one name: weights and lookups find only one of them."""
    first = {}
    for i, layer in enumerate(net.layers):
        if layer.name in first:
            before = first[layer.name].source_line
            yield i, f"has the name of the layer on line {before}, which gets the weights", "name"
        first.setdefault(layer.name, layer)


@rule(in_every_state=True)
def unused_top(net):
    """A top that nothing reads, and that is no result."""
    for i, layer in enumerate(net.layers):
        for k, name in enumerate(layer.top):
            if not net.readers[i, k] and not _is_result(net, i, k):
                yield i, f'top "{name}": no layer reads it', "top", k


def _is_result(net, i, k):
    layer, made = net.layers[i], net.facts[i]
    if any(loss_weights(layer)) or made.role in ("loss", "measure", "result"):
        return True
    if layer.include and all(
        rule.HasField("phase") and rule.phase == TEST for rule in layer.include
    ):
        return bool(layer.bottom)  # in the net for tests alone: to be looked at
    if not layer.bottom:
        return made.role not in ("source", "dummy", "input")
    if any(net.readers[i, other] for other in range(len(layer.top))):
        return True  # Pooling's mask, the state of an LSTM
    if net.has_loss_in_any_state:
        return False
    return made.role not in ("activation", "middle") or i == len(net.layers) - 1
