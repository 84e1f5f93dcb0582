"""caffelite: train and run Caffe prototxts on a plain CPU.

The names below load what they need when first used, so that `import caffelite` is light.
"""

import importlib
import os

from ._old_paths import find_old_paths

__version__ = "0.1.0"

_here = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_here, "models")):  # a checkout has models/ and solvers/ beside
    __path__.append(os.path.dirname(_here))

find_old_paths()

_HOMES = {
    "net": ["Net"],
    "blob": ["Blob"],
    "layers.utility.python": ["Layer", "allow_python"],
    "errors": ["CaffeliteError"],
    "pycaffe.as_caffe": ["install_as_caffe"],
    "proto.caffe_pb2": ["TRAIN", "TEST"],
    "rng": ["set_random_seed"],
    "pycaffe.net_spec": ["NetSpec", "to_proto", "params"],
    "solver": ["Solver", "Together", "get_solver", "optimize"],
    "pycaffe.classifier": ["Classifier"],
    "pycaffe.detector": ["Detector"],
    "pycaffe._caffe": [
        *["set_mode_cpu", "set_mode_gpu", "set_device", "layer_type_list", "init_log", "log"],
        *["solver_count", "set_solver_count", "solver_rank", "set_solver_rank"],
        *["set_multiprocess", "has_nccl", "NCCL", "Timer"],
    ],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBMODULES = (
    *("proto", "layers", "net", "net_spec", "solver", "testing", "io", "classifier", "detector"),
    *("draw", "coord_map", "pycaffe", "_caffe"),
)


def _solver_classes():
    """{name: class} of the solvers of each type, as pycaffe calls them."""
    return importlib.import_module(f"{__name__}.solver").CLASSES


def __getattr__(name):
    if name == "__all__":
        return sorted({*_HOME_OF, *_solver_classes()})
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name.endswith("Solver") and name in _solver_classes():
        return _solver_classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOME_OF, *_SUBMODULES, *_solver_classes()})
