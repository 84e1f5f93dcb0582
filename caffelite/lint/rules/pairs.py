"""Rules on pictures whose labels, of pixels or not, come from a layer of their own."""

from ...data.order import ORDERS
from . import rule

_MOVES = (
    *("mirror", "mirror_vertical", "crop_size", "crop_h", "random_resize_param"),
    *("random_aspect_ratio_param", "warp_param", "expand_param"),
)
_IN_BOTH_PHASES = "mirror", "random_resize_param", "expand_param"


@rule()
def labels_left_behind(net):
    """Pictures that are moved or shuffled at random, while their labels come from another layer."""
    labels = _of_labels(net)
    for own, are_of_pixels in sorted(labels.items()):
        for i, facts in enumerate(net.facts):
            if facts.role != "source" or i in labels:
                continue
            found = [(facts.options_field, name) for name in ORDERS if _has(facts.options, name)]
            found += _moves(net, i) if are_of_pixels else []
            for field, name in found:
                words = f'{name} is drawn at random, and labels come from "{net.layers[own].name}"'
                words += ", which draws nothing, or something else; let one layer bring both, as "
                words += "Data does with label_source, or leave it out"
                yield i, words, field, name


def _of_labels(net):
    """{place of a layer that brings samples, whose first top is read as labels: of pixels?}"""
    found = {}
    for (i, j), (place, top) in net.source.items():
        if top == 0 and j in net.facts[i].labels and net.facts[place].role == "source":
            shape = (*net.built[i].bottoms, ())[0]
            of_pixels = len(shape) == 4 and shape[2] * shape[3] > 1
            found[place] = of_pixels or found.get(place, False)
    return found


def _moves(net, i):
    """(field, option) of what a layer does at random to places of pixels."""
    layer = net.layers[i]
    for name in _MOVES:
        if _has(layer.transform_param, name) and (net.phase == "TRAIN" or name in _IN_BOTH_PHASES):
            yield "transform_param", name
    if layer.annotated_data_param.batch_sampler:
        yield "annotated_data_param", "batch_sampler"


def _has(options, name):
    """Whether an option is there, and not switched off."""
    known = name in options.DESCRIPTOR.fields_by_name
    return bool(known and options.HasField(name) and getattr(options, name))
