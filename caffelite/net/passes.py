"""Passes over a NetParameter before it is built: filter by state, insert splits."""

from ..errors import NetError, did_you_mean, place_of
from ..layers.utility.split import Split
from ..proto import caffe_pb2

_ENDING = "_split"


def _meets(rule, state):
    """Whether all parts set in a NetStateRule hold in a NetState."""
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and set(rule.stage) <= set(state.stage)
        and set(rule.not_stage).isdisjoint(state.stage)
    )


def filter_layers(net, file=""):
    """A copy of `net` with only the layers that belong to its own state."""
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise NetError(
                "has include and exclude rules; only one kind is possible", **place_of(layer, file)
            )
        if belongs(layer, net.state):
            kept.layer.add().CopyFrom(layer)
    return kept


def belongs(layer, state):
    """Whether a layer's include or exclude rules, if any, admit it to a NetState."""
    rules = layer.include or layer.exclude
    met = any(_meets(rule, state) for rule in rules)
    return not rules or met == bool(layer.include)


def insert_splits(net, file=""):
    """A copy of `net` in which every top that several bottoms read goes through a Split.

    A Split sums the gradients of its readers. A nonzero loss_weight counts as one more reader.
    """
    source, readers = _trace(net, file)
    split = caffe_pb2.NetParameter()
    split.CopyFrom(net)
    del split.layer[:]
    served = dict.fromkeys(readers, 0)
    for i, original in enumerate(net.layer):
        layer = split.layer.add()
        layer.CopyFrom(original)
        for j, name in enumerate(layer.bottom):
            producer = source[i, j]
            if readers[producer] > 1:
                owner = net.layer[producer[0]].name
                layer.bottom[j] = f"{_split_name(name, owner, producer[1])}_{served[producer]}"
                served[producer] += 1
        weights = list(layer.loss_weight)
        for k, name in enumerate(original.top):
            count = readers[i, k]
            if count > 1:
                added = split.layer.add(type=Split.type, bottom=[name])
                added.name = _split_name(name, layer.name, k)
                added.source_line = layer.source_line
                added.top.extend(f"{added.name}_{n}" for n in range(count))
                if k < len(weights) and weights[k]:
                    added.loss_weight.extend([weights[k]] + [0] * (count - 1))
                    layer.ClearField("loss_weight")
                    served[i, k] += 1
    return split


def is_inserted(layer):
    """Whether a layer is a Split that its net's file does not have."""
    return isinstance(layer, Split) and layer.name.endswith(_ENDING)


def _split_name(blob, layer, top_index):
    return f"{blob}_{layer}_{top_index}{_ENDING}"


def _trace(net, file):
    """Who wrote what each bottom reads, {(layer, bottom): (layer, top)}, and readers per top."""
    writer, source, readers = {}, {}, {}
    for i, layer in enumerate(net.layer):
        for j, name in enumerate(layer.bottom):
            if name not in writer:
                raise _unknown_bottom(net, i, j, file, writer)
            source[i, j] = writer[name]
            readers[writer[name]] += 1
        for k, name in enumerate(layer.top):
            writer[name] = (i, k)
            readers[i, k] = int(k < len(layer.loss_weight) and layer.loss_weight[k] != 0)
    return source, readers


def _unknown_bottom(net, i, j, file, writer):
    layer = net.layer[i]
    name = layer.bottom[j]
    text = f'bottom[{j}] "{name}": no layer before it produces this blob'
    later = next((other for other in net.layer[i:] if name in other.top), None)
    if later is not None:
        text += f'; layer "{later.name}" does, but comes too late: move it up'
    else:
        text += did_you_mean(name, writer)
    return NetError(text, **place_of(layer, file), blob=name)
