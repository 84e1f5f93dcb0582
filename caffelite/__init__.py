"""caffelite: train and run Caffe prototxts on a plain CPU.

The names below load what they need when first used, so that `import caffelite` is light.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "Net": "net",
    "Blob": "blob",
    "Layer": "layers.utility.python",
    "allow_python": "layers.utility.python",
    "CaffeliteError": "errors",
    "TRAIN": "proto.caffe_pb2",
    "TEST": "proto.caffe_pb2",
    "set_random_seed": "rng",
    "NetSpec": "net_spec",
    "to_proto": "net_spec",
    "params": "net_spec",
    "Solver": "solver",
    "get_solver": "solver",
    "SGDSolver": "solver",
    "NesterovSolver": "solver",
    "AdaGradSolver": "solver",
    "RMSPropSolver": "solver",
    "AdaDeltaSolver": "solver",
    "AdamSolver": "solver",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in ("proto", "layers", "net", "net_spec", "solver", "testing", "draw"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOMES])
