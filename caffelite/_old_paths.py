"""`import caffelite.NAME` finds `caffelite.pycaffe.NAME`, as pycaffe's scripts have it.

Both names are one module: what is set in one shows in the other.
"""

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

_PACKAGE = __name__.rpartition(".")[0]


class OldPaths(MetaPathFinder):
    """Finds a module of the room `pycaffe` by its name below the package itself."""

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.rpartition(".")
        if package != _PACKAGE or name == "pycaffe":
            return None
        home = f"{_PACKAGE}.pycaffe.{name}"
        return ModuleSpec(fullname, _SameModule(home)) if importlib.util.find_spec(home) else None


class _SameModule(Loader):
    def __init__(self, home):
        self.home = home

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # what stands in sys.modules when this returns is what was imported
        sys.modules[module.__name__] = importlib.import_module(self.home)


def find_old_paths():
    """Look for modules there after everywhere else."""
    sys.meta_path.append(OldPaths())
