"""Which label maps that a net names do not have its classes: no rule, since they are files."""

import os

from ..data.label_map import class_names
from ..errors import CaffeliteError, place
from ..layers.base import layer_class
from ..proto import caffe_pb2
from ..proto.scan import Mistake
from ..proto.text import likely_class, parse_or_mistake, read_text, with_plain_newlines
from ..proto.upgrade import upgrade_net

BACKGROUND = 0  # a label that no box needs to have


def label_map_notes(path):
    """A line for each label map that is there, and has other classes than the net at `path`."""
    text = with_plain_newlines(read_text(path, caffe_pb2.NetParameter))
    kind = likely_class(text)
    if kind is not caffe_pb2.NetParameter:
        return []
    try:
        net = upgrade_net(parse_or_mistake(text, kind, str(path)))
    except (Mistake, CaffeliteError):  # which the rules tell
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
