"""Which files that a net or solver names are not there: no rule, since it is not of the text."""

import os

from ..data import shards
from ..errors import CaffeliteError, place
from ..layers.base import layer_class
from ..proto import caffe_pb2
from ..proto.scan import Mistake
from ..proto.text import likely_class, parse_or_mistake, read_text, with_plain_newlines
from ..proto.upgrade import upgrade_net

_OF_SOLVERS = ("net", "train_net", "test_net")


def missing_files(path):
    """A line for each file that the prototxt at `path` names and that is not there."""
    text = with_plain_newlines(read_text(path, caffe_pb2.NetParameter))
    kind = likely_class(text)
    try:
        message = parse_or_mistake(text, kind, str(path))
        is_net = kind is caffe_pb2.NetParameter
        named = _of_net(upgrade_net(message)) if is_net else _of_solver(message)
        found = {at: file for at, file in named if file and not shards.is_there(file)}
    except (Mistake, CaffeliteError):  # which the rules tell
        return []
    return [_words(path, *at, file) for at, file in found.items()]


def _of_net(net):
    """((line, layer's name, type, option), file) of each option that names a file."""
    for layer in net.layer:
        facts = layer_class(layer.type)
        named = [("mean_file", layer.transform_param.mean_file)]
        options = getattr(layer, facts.options_field or "", None)
        # what Python layers name is no file
        named += [(name, getattr(options, name)) for name in facts.files if name != "module"]
        for name, file in named:
            yield (layer.source_line, layer.name, layer.type, name), file


def _of_solver(solver):
    for name in _OF_SOLVERS:
        value = getattr(solver, name)
        for file in [value] if isinstance(value, str) else value:
            yield (0, None, "", name), file


def _words(path, line, layer, kind, option, file):
    at = place(path, line, layer=layer, layer_type=kind)
    folder = os.path.dirname(path)
    if os.path.exists(os.path.join(folder, file)):
        hint = f"it is from {folder} on, where the command would have to run"
    else:
        hint = "paths start where the command runs"
    return f'{at}: note: {option} "{file}" is not there; {hint}'
