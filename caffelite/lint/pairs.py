"""Databases that a net reads side by side and that do not fit: no rule, since they are files.

Only a few records are read: the first ones, and the last one.
"""

import os
import re
from fractions import Fraction

from ..data.shards import is_there
from ..errors import CaffeliteError, place
from ..layers.base import create_layer, layer_class, layer_facts
from ._nets import net_at

FEW = 10  # label pictures that are looked at


def pair_notes(path):
    """A line for each thing that does not fit in the pairs of databases of the net at `path`."""
    net = net_at(path)
    notes = []
    for layer in net.layer if net else ():
        data = layer.data_param
        if data.label_source and all(map(is_there, (data.source, data.label_source))):
            at = place(path, layer.source_line, layer=layer.name, layer_type=layer.type)
            notes += [f"{at}: note: {words}" for words in _faults(layer, net)]
    return [*dict.fromkeys(notes), *_uneven(net.layer if net else (), path)]


def _uneven(layers, path):
    """A line for each layer whose pass has another length than that of the one it stands beside."""
    first = {}  # by the states of nets that they are for: (layer, records)
    for layer in layers:
        data = layer.data_param
        if not (data.source and data.batch_size and is_there(data.source)):
            continue
        try:
            source = create_layer(layer).open_source()
        except CaffeliteError:  # which training tells
            continue
        records = len(source)
        source.close()
        states = tuple(rule.SerializeToString() for rule in (*layer.include, *layer.exclude))
        other, others = first.setdefault(states, (layer, records))
        passes = Fraction(records, data.batch_size), Fraction(others, other.data_param.batch_size)
        if passes[0] != passes[1]:
            at = place(path, layer.source_line, layer=layer.name, layer_type=layer.type)
            yield (
                f"{at}: note: a pass is {records} records in batches of {data.batch_size}, but "
                f'that of "{other.name}", for the same states, {others} in batches of '
                f"{other.data_param.batch_size}: what belongs together does not stay so"
            )


def _faults(layer, net):
    """What is wrong with a pair, in sentences."""
    try:
        source = create_layer(layer).open_source()
    except CaffeliteError as problem:
        yield problem.words
        return
    try:
        labels = source.labels
        for number in {0, len(labels.records) - 1}:
            keys = [of.records.sample(number)[0] for of in (source.pictures, labels)]
            if _stem(keys[0]) != _stem(keys[1]):
                told = [key.decode("utf-8", "backslashreplace") for key in keys]
                yield (
                    f'record {number} is "{told[0]}" in {layer.data_param.source}, but "{told[1]}" '
                    f"in {layer.data_param.label_source}: pairs have the same names"
                )
        readers = _readers(layer, net)
        most = dict.fromkeys(readers, -1)
        for number in range(min(FEW, len(source))):
            found = set(source.sample(number)[1][1].astype(int).flat)
            for name, (_, ignored) in readers.items():
                most[name] = max(most[name], *(found - ignored), -1)
        for name, (classes, _) in readers.items():
            if most[name] >= classes:
                yield (
                    f"{layer.data_param.label_source}: has the label {most[name]}, but "
                    f'"{name}" compares with {classes} outputs, for labels 0 to {classes - 1}'
                )
    except CaffeliteError as problem:
        yield problem.words
    finally:
        source.close()


def _stem(key):
    """What a key calls its sample: without its number, folders, and ending."""
    name = os.path.basename(re.sub(rb"^\d{8}_", b"", key))
    return os.path.splitext(name)[0]


def _readers(layer, net):
    """{name of a layer that takes the labels: (how many classes it has, labels it ignores)}."""
    found = {}
    for other in net.layer:
        facts = layer_facts(other)
        if len(layer.top) < 2 or not any(
            layer.top[1] in other.bottom[place : place + 1] for place in facts.labels
        ):
            continue
        classes = _outputs(other.bottom[0], net)
        if classes:
            found[other.name] = classes, set(facts.ignored_labels or ())
    return found


def _outputs(blob, net):
    """num_output of the layer that makes a blob, or what it is made of; 0 if none has it."""
    for layer in reversed(net.layer):
        if blob in layer.top and layer.bottom:
            options = getattr(layer, layer_class(layer.type).options_field or "", None)
            if getattr(options, "num_output", 0):
                return options.num_output
            if layer.bottom[0] not in layer.top:
                return _outputs(layer.bottom[0], net)
    return 0
