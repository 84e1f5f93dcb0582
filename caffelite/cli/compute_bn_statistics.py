"""Compute the statistics of batch normalization over the whole training set, for a net in use.

    caffelite compute_bn_statistics segnet_train.prototxt segnet_iter_10000.caffemodel inference/
    caffelite compute_bn_statistics train_val.prototxt net.caffemodel net_bn.caffemodel

The net runs once over the data of its TRAIN phase (a last batch that is not full goes on at the
start), with layers such as Dropout off, and normalizes each batch by its own statistics. Their
means over all batches, with the unbiased variance, are written instead of running averages, which
are of the last batches alone and of weights that have changed since: into the blobs of BatchNorm
and of BN with momentum; of SegNet's and ENet's BN, which keeps none, into scale and shift, for a
net with bn_mode: INFERENCE, as SegNet's script of this name does. OUT is a .caffemodel, or a
folder, in which test_weights.caffemodel is made then.
"""

import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import add_device_flags, add_set_flag, add_state_flags, open_net, running, use_device

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("model", metavar="MODEL", help="the net's prototxt, with data layers")
    flag("weights", metavar="WEIGHTS", help="the weights, .caffemodel or HDF5")
    flag("out", metavar="OUT", help="the .caffemodel to make, or a folder for it")
    flag("--iterations", type=int32, metavar="N", help="batches to run [one pass]")
    flag("--json", action="store_true", help="print JSON")
    add_set_flag(parser, "layer[data].data_param.batch_size=16")
    add_state_flags(parser)
    add_device_flags(parser)


def run(args):
    from ..errors import NetError
    from ..layers.base import TEST

    out = _place(args)
    quiet, args.allow_missing = on_terminal(), False
    log = start_logging(quiet)
    use_device(args)
    net = open_net(args.model, "TRAIN", args, weights=args.weights)
    with running(net):
        layers = [one for one in net.layers if one.statistics and not one.is_fixed]
        if not layers:
            raise NetError(
                f"{args.model}: in phase TRAIN, no BatchNorm or BN layer normalizes by the "
                "statistics of batches"
            )
        for layer in net.layers:
            if layer not in layers and layer.role != "source":
                layer.phase = TEST
        batches = _batches(net, args)
        log.info("Running for %d iterations.", batches)
        _take_statistics(net, layers, batches, quiet)
        net.save(out)
    names = [layer.name for layer in layers]
    if args.json:
        print(json_text({"weights": out, "batches": batches, "layers": names}))
    else:
        print(f"{out}: statistics of {len(names)} layers, over {batches} batches")
    return 0


def _place(args):
    if args.iterations is not None and args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}")
    out = args.out
    if not out.endswith((".caffemodel", ".h5")):
        os.makedirs(out, exist_ok=True)
        out = os.path.join(out, "test_weights.caffemodel")
    folder = os.path.dirname(out)
    if folder and not os.path.isdir(folder):
        raise UsageError(f"OUT: {folder} is no folder")
    if os.path.exists(out) and os.path.samefile(out, args.weights):
        raise UsageError(
            f"OUT: {out} is WEIGHTS, which the next training goes on from; name another"
        )
    return out


def _batches(net, args):
    from ..net.batches import data_set

    if args.iterations is not None:
        return args.iterations
    known = data_set(net)
    if known is None:
        raise UsageError("how many samples the net's data have is not known: give --iterations")
    return -(-known[0] // known[1])


def _take_statistics(net, layers, batches, quiet):
    """Run the net, and let each layer keep the means of what its batches had."""
    import numpy as np

    from ._progress import make_bar

    sums = [np.zeros((2, layer.channels)) for layer in layers]
    bar = make_bar(batches, what=net.name or "net") if quiet else None
    for _ in range(batches):
        net.forward()
        for total, layer in zip(sums, layers, strict=True):
            count = layer.x.count // layer.channels
            total += np.stack([layer.mean, layer.variance * count / max(1, count - 1)])
        if bar:
            bar.update()
    if bar:
        bar.close()
    for total, layer in zip(sums, layers, strict=True):
        layer.keep_statistics(*(total / batches))
