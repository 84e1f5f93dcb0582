"""Which label maps that a net names do not have its classes: no rule, since they are files."""

import os

from ..data.label_map import class_names
from ..errors import CaffeliteError, place
from ..layers.base import layer_class
from ._nets import net_at

BACKGROUND = 0  # a label that no box needs to have


def label_map_notes(path):
    """A line for each label map that is there, and has other classes than the net at `path`."""
    net = net_at(path)
    if net is None:
        return []
    found = ((layer, layer_class(layer.type)(layer).box_labels()) for layer in net.layer)
    asking, labels = next(((layer, set(own)) for layer, own in found if own), (None, set()))
    if asking is None:
        return []
    notes = {}
    for layer in net.layer:
        for file in _named(layer):
            if os.path.isfile(file):
                words = _compared(file, labels, f'{asking.type} "{asking.name}"')
                at = place(path, layer.source_line, layer=layer.name, layer_type=layer.type)
                notes.setdefault((file, words), f'{at}: note: label map "{file}" {words}')
    return [note for (_, words), note in notes.items() if words]


def _named(layer):
    """The label maps that a layer's options name."""
    for options in (
        layer.annotated_data_param,
        layer.detection_output_param.save_output_param,
        layer.yolo_detection_output_param,
    ):
        if options.label_map_file:
            yield options.label_map_file


def _compared(file, labels, who):
    """What is wrong with a label map, or ""."""
    try:
        there = set(class_names(file))
    except CaffeliteError as problem:
        return str(problem).removeprefix(f"{file}: ")
    if missing := sorted(labels - there):
        return f"lacks the class {missing[0]}, which {who} has"
    if extra := sorted(there - labels - {BACKGROUND}):
        return f"has the class {extra[0]}, which {who} has not"
    return ""
