"""Every layer type: importing this package imports all modules below it, which register."""

import importlib
import pkgutil

from .base import Layer, create_layer, layer_types, register

for _module in pkgutil.walk_packages(__path__, __name__ + "."):
    importlib.import_module(_module.name)
