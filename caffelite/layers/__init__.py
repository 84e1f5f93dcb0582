"""Every layer type: importing this package imports all modules below it, which register."""

import importlib
import pkgutil
from typing import Any

from .base import Layer, create_layer, layer_class, layer_types, register

for _module in pkgutil.walk_packages(__path__, __name__ + "."):
    importlib.import_module(_module.name)


def __getattr__(name: str) -> Any:
    """`caffelite.layers.TYPE(...)` describes a layer in Python, as `caffe.layers` does."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..pycaffe.net_spec import layers

    return getattr(layers, name)
