"""The nets that a SolverParameter names, to train and to test, and the weights to start from."""

import logging

from ..errors import SolverError
from ..glog import NOTICE
from ..net import weights
from ..proto import caffe_pb2
from ..proto.text import read_net

log = logging.getLogger("caffelite")

TRAIN_NETS = ("train_net_param", "train_net", "net_param", "net")


def train_net(param, file):
    """(file, NetParameter with its state) of the net to train; `file` is that of the solver."""
    given = [name for name in TRAIN_NETS if param.HasField(name)]
    if len(given) != 1:
        raise _error(
            file,
            "expected exactly one of train_net_param, train_net, net_param and net, "
            f"not {' and '.join(given) or 'none'}",
        )
    return _with_state(getattr(param, given[0]), file, caffe_pb2.TRAIN, param.train_state)


def test_nets(param, file):
    """(file, NetParameter with its state) of each net to test."""
    sources = [*param.test_net_param, *param.test_net]
    common = [getattr(param, n) for n in ("net_param", "net") if param.HasField(n)]
    more = len(param.test_iter) - len(sources)
    if more < 0 or (more > 0 and not common):
        raise _error(
            file,
            f"has {len(param.test_iter)} test_iter entries, expected one for each of the "
            f"{len(sources)} test nets",
        )
    sources += common * more
    if len(param.test_state) not in (0, len(sources)):
        raise _error(
            file,
            f"has {len(param.test_state)} test_state entries, expected none or one for each "
            f"of the {len(sources)} test nets",
        )
    if sources and param.test_interval <= 0:
        raise _error(
            file,
            f"has {len(sources)} test nets, so test_interval must be above 0, "
            f"not {param.test_interval}",
        )
    states = list(param.test_state) or [caffe_pb2.NetState()] * len(sources)
    return [
        _with_state(source, file, caffe_pb2.TEST, state)
        for source, state in zip(sources, states, strict=True)
    ]


def tell_of_missing_statistics(net):
    """Warn of layers that are to train with stored statistics, of which they have none."""
    empty = [layer for layer in net.layers if layer.lacks_statistics()]
    if empty:
        log.warning(
            "%s: normalizes by stored statistics (use_global_stats: true), and none are stored: it "
            "divides by the root of eps, %g, and values soon overflow%s. Give weights that have "
            "them, or leave use_global_stats out",
            empty[0].at,
            empty[0].eps ** 0.5,
            f"; so do {len(empty) - 1} more" if len(empty) > 1 else "",
        )


def tell_of_closed_layers(net):
    """Warn of layers whose weights are 0 and stay so, since no layer before them learns then.

    Such are the Deconvolutions of FCN's files, which its scripts fill before they train.
    """
    rates = {id(entry.blob): entry.lr_mult for entry in net.learnable}
    closed = [
        node.layer
        for node in net.nodes
        if any(node.propagate_down)
        and node.layer.blobs
        and hasattr(node.layer.options, "weight_filler")
        and rates[id(net.owner_of(node.layer.blobs[0]))] == 0
        and not node.layer.blobs[0].data.any()
    ]
    if closed:
        log.warning(
            "%s: its weights are all 0, and lr_mult: 0 keeps them so: no gradient comes through "
            "it, and what stands before it learns nothing%s. Give it weights, as caffelite "
            "transplant makes them, or write weight_filler { type: %s }",
            closed[0].at,
            f"; so it is with {len(closed) - 1} more" if len(closed) > 1 else "",
            '"xavier"' if closed[0].bilinear() is None else '"bilinear" diagonal: true',
        )


def load_weights(param, file, nets):
    """Load the files of `weights` into all nets, or none into any; returns the first's Transfer."""
    files = weights_files(param, file)
    for name in files:
        for _ in nets:
            log.info("Finetuning from %s", name)
    transfer = weights.load(nets, files, missing="report")[0]
    for line in transfer.lines():
        log.log(NOTICE, "%s", line)
    return transfer


def weights_files(param, file):
    """The files of `weights`, each of which is there and holds some."""
    files = []
    for text in param.weights:
        names = [name.strip() for name in text.split(",")]
        if not all(names):
            raise _error(file, f'weights: "{text}": expected names of files, separated by commas')
        files += names
    for name in files:
        weights.check_weights(name)
    return files


def _with_state(source, file, phase, state):
    """State = the phase, then what the net says, then what the solver says."""
    net = caffe_pb2.NetParameter()
    inline = isinstance(source, caffe_pb2.NetParameter)
    net.CopyFrom(source if inline else read_net(source))
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net.state)
    merged.MergeFrom(state)
    net.state.CopyFrom(merged)
    return (file if inline else source), net


def _error(file, text):
    return SolverError(f"{file}: {text}" if file else text)
