"""What a Net may be called with: its own arguments, and those of old pycaffe."""

import os

from ..layers.base import TEST, TRAIN
from ..proto import caffe_pb2
from ..proto.text import read_net
from ..proto.upgrade import upgrade_net
from . import old_calls


def sort_arguments(args, phase, level, stages, weights):
    """Tell Net(file, phase, level, stages, weights) from the old Net(file, weights, phase).

    In the oldest form there is no phase either: it was the whole program's.
    """
    if args and isinstance(args[0], (str, os.PathLike)):
        old, weights = "Net(file, weights)", args[0]
        args = args[1:]
        if args:
            old = "Net(file, weights, phase)"
        old_calls.warn(old, "use Net(file, phase, weights=weights)", depth=2)
    elif not args and phase is None:
        old_calls.warn("Net(file)", "use Net(file, phase)", depth=2)
    given = dict(zip(("phase", "level", "stages", "weights"), args, strict=False))
    phase = given.get("phase", phase)
    level = given.get("level", level)
    stages = given.get("stages", stages)
    weights = given.get("weights", weights)
    if phase is None:
        phase = old_calls.default_phase()
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
