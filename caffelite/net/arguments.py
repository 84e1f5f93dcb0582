"""What a Net may be called with: its own arguments, and those of old pycaffe."""

import os
import warnings

from ..layers.base import TEST, TRAIN
from ..proto import caffe_pb2
from ..proto.text import read_net
from ..proto.upgrade import upgrade_net


def sort_arguments(args, phase, level, stages, weights):
    """Tell Net(file, phase, level, stages, weights) from the old Net(file, weights, phase)."""
    if len(args) == 2 and isinstance(args[0], (str, os.PathLike)):
        warnings.warn(
            "Net(file, weights, phase) is the old form; use Net(file, phase, weights=weights)",
            DeprecationWarning,
            stacklevel=3,
        )
        weights, phase = args
    else:
        given = dict(zip(("phase", "level", "stages", "weights"), args, strict=False))
        phase = given.get("phase", phase)
        level = given.get("level", level)
        stages = given.get("stages", stages)
        weights = given.get("weights", weights)
    if phase not in (TRAIN, TEST):
        raise TypeError(f"phase must be caffelite.TRAIN or caffelite.TEST, not {phase!r}")
    if isinstance(stages, str):
        raise TypeError(f"stages must be a list of names, [{stages!r}], not {stages!r}")
    return phase, level, stages, weights


def read_network(network):
    """(file or "", NetParameter) of what a Net is made from: a path, or a NetParameter."""
    if isinstance(network, caffe_pb2.NetParameter):
        param = caffe_pb2.NetParameter()
        param.CopyFrom(network)
        return "", upgrade_net(param)
    return os.fspath(network), read_net(network)
