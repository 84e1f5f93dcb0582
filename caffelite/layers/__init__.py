"""Every layer type: importing this package imports all modules below it, which register.

A type is a class in a file of its name, in the folder of its heading in Caffe's catalogue. What a
layer has to say and to do stands in base.py; docs/pages/extending.md adds one step by step.
"""

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
