"""caffelite: train and run Caffe prototxts on a plain CPU.

The names below load what they need when first used, so that `import caffelite` is light.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from ._old_paths import find_old_paths

if TYPE_CHECKING:  # for type checkers alone: what is found below when it is first used
    from typing import Any

    from . import layers, net, proto, pycaffe, solver, testing
    from .blob import Blob
    from .errors import CaffeliteError
    from .layers.detection._rcnn_settings import rcnn_settings
    from .layers.utility.python import Layer
    from .net import Net
    from .own_code import allow_python
    from .predict.box_net import BoxFinder
    from .proto.caffe_pb2 import TEST, TRAIN
    from .proto.text import allow_unknown
    from .pycaffe import _caffe, classifier, coord_map, detector, draw, io, net_spec
    from .pycaffe._caffe import (
        NCCL,
        Timer,
        has_nccl,
        init_log,
        layer_type_list,
        log,
        set_device,
        set_mode_cpu,
        set_mode_gpu,
        set_multiprocess,
        set_phase_test,
        set_phase_train,
        set_solver_count,
        set_solver_rank,
        solver_count,
        solver_rank,
    )
    from .pycaffe.as_caffe import install_as_caffe
    from .pycaffe.classifier import Classifier
    from .pycaffe.detector import Detector
    from .pycaffe.net_spec import NetSpec, params, to_proto
    from .rng import set_random_seed
    from .solver import Solver, Together, get_solver
    from .solver.optimize import optimize

__version__ = "0.1.0"

_here = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_here, "models")):  # a checkout has models/ and solvers/ beside
    __path__.append(os.path.dirname(_here))

find_old_paths()

_HOMES = {
    "net": ["Net"],
    "blob": ["Blob"],
    "layers.utility.python": ["Layer"],
    "layers.detection._rcnn_settings": ["rcnn_settings"],
    "own_code": ["allow_python"],
    "errors": ["CaffeliteError"],
    "pycaffe.as_caffe": ["install_as_caffe"],
    "proto.caffe_pb2": ["TRAIN", "TEST"],
    "proto.text": ["allow_unknown"],
    "rng": ["set_random_seed"],
    "pycaffe.net_spec": ["NetSpec", "to_proto", "params"],
    "solver": ["Solver", "Together", "get_solver", "optimize"],
    "predict.box_net": ["BoxFinder"],
    "pycaffe.classifier": ["Classifier"],
    "pycaffe.detector": ["Detector"],
    "pycaffe._caffe": [
        *["set_mode_cpu", "set_mode_gpu", "set_device", "layer_type_list", "init_log", "log"],
        *["solver_count", "set_solver_count", "solver_rank", "set_solver_rank"],
        *["set_multiprocess", "has_nccl", "NCCL", "Timer", "set_phase_test", "set_phase_train"],
    ],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBMODULES = (
    *("proto", "layers", "net", "net_spec", "solver", "testing", "io", "classifier", "detector"),
    *("draw", "coord_map", "pycaffe", "_caffe"),
)


def _solver_classes() -> dict[str, type[Solver]]:
    """{name: class} of the solvers of each type, as pycaffe calls them."""
    return importlib.import_module(f"{__name__}.solver").CLASSES


def __getattr__(name: str) -> type[Solver]:
    """What is found when it is first used: to type checkers, what is left is a type of solvers."""
    return _find(name)


def _find(name: str) -> Any:
    if name == "__all__":
        return sorted({*_HOME_OF, *_solver_classes()})
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name.endswith("Solver") and name in _solver_classes():
        return _solver_classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_SUBMODULES, *_solver_classes()})
