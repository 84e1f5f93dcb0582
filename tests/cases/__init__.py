"""The table of layer tests; files mirror the folders of caffelite/layers.

Importing the package imports every file below, so that `caffelite.testing.cases` holds all rows.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, __name__ + "."):
    importlib.import_module(_module.name)
