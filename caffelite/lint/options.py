"""Rules on options that do nothing."""

import inspect
import re
from functools import cache

from ..layers import layer_types


def foreign_options(view):
    """The options of another type."""
    for i, layer in enumerate(view.layers):
        own = _options_of(layer.type)
        if own is None:
            continue
        for field, _ in layer.ListFields():
            if field.name.endswith("_param") and field.name not in own:
                yield i, f"a layer of type {layer.type} does not read {field.name}", field.name


@cache
def _options_of(type_name):
    """The option fields that a type reads: its own, and those its docstring tells of."""
    layer = layer_types().get(type_name)
    if layer is None:
        return None
    told = re.findall(r"^Options \((\w+)\)$", inspect.getdoc(layer) or "", re.MULTILINE)
    return {layer.options_field, *told}


def ignored_option(view):
    """An option that Caffe reads no more, or that says nothing."""
    known = layer_types()
    for i, layer in enumerate(view.layers):
        kind = known.get(layer.type)
        for option, instead in getattr(kind, "ignored_options", {}).items():
            if getattr(layer, kind.options_field).HasField(option):
                yield i, f"{option} does nothing here; {instead}", kind.options_field, option


def param_on_nothing(view):
    """More `param` entries than there are learnable blobs: lr_mult on nothing."""
    for i, layer in enumerate(view.layers):
        built = view.built[i].layer
        if built is None or len(layer.param) <= len(built.blobs):
            continue
        count = len(built.blobs)
        has = f"only {count} learnable blobs" if count > 1 else "no learnable blobs"
        if count == 1:
            has = f"only one learnable blob, {built.blob_names[0]}"
        yield i, f"has {len(layer.param)} param entries, but {has}", "param", count
