"""Rules on detectors: what their layers have to agree on, and no layer sees by itself."""

import itertools

from ...layers.base import layer_class
from . import rule

MOST_LABELS = 100_000  # that are compared


@rule()
def box_heads(net):
    """A convolution whose channels do not fit the boxes that a detector's PriorBox makes."""
    for i, facts in enumerate(net.facts):
        numbers = facts.numbers_of_prior()
        if numbers is None:
            continue
        *heads, priors = (_parts(net, i, j) for j in range(len(numbers) + 1))
        for parts, each in zip(heads, numbers, strict=True):
            if len(parts) != len(priors):
                continue
            for head, prior in zip(parts, priors, strict=True):
                made, read = net.facts[prior], net.facts[head]
                count = made.boxes_per_place
                if not (count and read.learns) or read.options.num_output == each * count:
                    continue
                words = (
                    f'"{made.name}" makes {count} boxes a place, and of each {each} numbers are '
                )
                words += f"read: expected num_output: {each * count}, not {read.options.num_output}"
                yield head, words, read.options_field, "num_output"


@rule()
def box_classes(net):
    """Layers of a detector that do not have the same classes, or the same background."""
    first = None
    for layer in net.param.layer:
        labels = _labels(layer)
        if not labels:
            continue
        if first is None:
            first = layer, labels
        elif labels != first[1] and any(layer is own for own in net.layers):
            words = f'has {_told(labels)}, but {first[0].type} "{first[0].name}" has'
            yield _place(net, layer), f"{words} {_told(first[1])}"


@rule()
def box_codes(net):
    """Layers of a detector that have other anchors, or read numbers of boxes another way."""
    first = {}
    for layer in net.param.layer:
        facts = layer_class(layer.type)(layer)
        for what, value in facts.box_code().items():
            if what not in first:
                first[what] = layer, value
            elif value != first[what][1] and any(layer is own for own in net.layers):
                other = first[what][0]
                words = f'{what}: {value}, but {other.type} "{other.name}" has {first[what][1]}'
                yield _place(net, layer), words


def _place(net, layer):
    return next(i for i, own in enumerate(net.layers) if own is layer)


def _labels(layer):
    return list(itertools.islice(layer_class(layer.type)(layer).box_labels(), MOST_LABELS))


def _told(labels):
    return f"{len(labels)} classes, {labels[0]} to {labels[-1]}"


def _parts(net, i, j):
    """The places of the layers that make what a bottom has side by side: heads, or priors."""
    if (i, j) not in net.source:
        return []
    at = net.source[i, j][0]
    if net.facts[at].learns or net.facts[at].boxes_per_place:
        return [at]
    return [part for k in range(len(net.layers[at].bottom)) for part in _parts(net, at, k)]
