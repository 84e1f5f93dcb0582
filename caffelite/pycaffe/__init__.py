"""pycaffe's surface: what scripts know as `caffe.NAME` is a module of this room.

Each is found as `caffelite.NAME`, too (see `caffelite._old_paths`), and as `caffe.NAME` after
`caffelite.install_as_caffe()`. The package itself is `caffe.pycaffe`: nets and solvers, loaded when
first used.
"""

import importlib
from typing import Any

_HOMES = {"..net": ["Net"], "..layers.utility.python": ["Layer"], "..solver": ["get_solver"]}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def _solver_classes() -> dict[str, Any]:
    """{name: class} of the solvers of each type."""
    return importlib.import_module("..solver", __name__).CLASSES


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted({*_HOME_OF, *_solver_classes()})
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name], __name__), name)
    if name.endswith("Solver") and name in _solver_classes():
        return _solver_classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_solver_classes()})
