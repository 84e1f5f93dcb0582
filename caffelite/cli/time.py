"""Time each layer of a net, forward and backward; predict how fast many processes train it.

    caffelite time deploy.prototxt --iterations 10
    caffelite time train_val.prototxt --ranks 8,16,...,128
    caffelite time train_val.prototxt --ranks 2,4,8 --network 10gbe --exchange tree

stdout gets a table of the averages, or JSON; stderr the log lines that Caffe writes, or on a
terminal a bar. Backward is timed where training would run it; in a net that has nothing to learn
towards, such as one for deployment, everywhere, as with force_backward.

--ranks predicts a training in so many processes, each on a machine as this one, with the batch of
this net: a step takes what it took here, and what of the exchange of gradients backward over lower
layers does not hide. A message of n bytes takes alpha + n beta, by the network. ring is the slices
of each, doubling is recursive doubling, tree goes up and down level by level. --network gives alpha
and beta by name, orders of size for Ethernet and InfiniBand, or as measured: 2.5,12 is 2.5 us and
12 GB/s, measured is what `mpiexec -n 2 caffelite doctor` found last. All wait for the slowest, by
how much iterations here vary. Updates and data are left out.
"""

import contextlib
import time

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..table import table
from . import _scaling
from ._flags import UsageError, int32
from ._nets import (
    PHASES,
    add_device_flags,
    add_net_flags,
    add_set_flag,
    model_of,
    open_net,
    use_device,
)

READS_NETS = True


def add_arguments(parser):
    add_net_flags(parser)
    add_set_flag(parser, "layer[data].data_param.batch_size=1")
    flag = parser.add_argument
    flag("--iterations", type=int32, default=50, metavar="N", help="times to run the net [50]")
    flag("--phase", default="TRAIN", type=str.upper, choices=PHASES, help="[TRAIN]")
    flag("--json", action="store_true", help="print JSON")
    add_device_flags(parser)
    _scaling.add_flags(parser)


def run(args):
    args.model = model_of(args)
    _scaling.check_flags(args)
    if args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}")
    from ..net.given_values import set_pictures
    from ._progress import make_bar

    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_net(args.model, args.phase, args)
    with contextlib.ExitStack() as stack:
        stack.callback(net.close)
        learning = _with_backward(net, args, log)
        for one in {net, learning}:
            set_pictures(one)
        stack.callback(learning.close)
        bar = stack.enter_context(make_bar(args.iterations, what="timing")) if quiet else None
        _warm_up(net, learning, log)
        log.info("*** Benchmark begins ***")
        log.info("Testing for %d iterations.", args.iterations)
        forward, backward, took = _measure(net, learning, args.iterations, log, bar)
        made = args.ranks and _scaling.profile(net, learning, forward, backward, took, args)
    _log_averages(net, forward, backward, sum(took), args.iterations, log)
    found = made and _scaling.predict(made, args)
    if args.json:
        report = _report(net, forward, backward, args)
        print(json_text(_scaling.with_report(report, made, found, args) if made else report))
    else:
        print("\n".join(_table(net, forward, backward)))
        if made:
            print("\n".join(_scaling.lines(made, found, args)))
    return 0


def _with_backward(net, args, log):
    """The net whose backward is timed: `net` itself, unless none of its layers would run it.

    Forward of `net` is timed as it is: what only backward reads is not kept for it.
    """
    if any(node.needs_backward for node in net.nodes):
        return net
    log.info("No layer needs backward computation: timing it as with force_backward.")
    forced = open_net(args.model, args.phase, args, force_backward=True)
    forced.share_with(net)
    return forced


def _warm_up(net, learning, log):
    """Once through the net, so that compiling and allocating are not measured."""
    log.info("Performing Forward")
    log.info("Initial loss: %g", net._forward(0, len(net.layers) - 1))
    log.info("Performing Backward")
    learning.forward_backward()


def _measure(net, learning, iterations, log, bar):
    """Mean milliseconds per layer, forward and backward, and those of each iteration."""
    count = len(net.layers)
    forward, backward = [0.0] * count, [0.0] * count
    totals = []
    for iteration in range(iterations):
        there = [_milliseconds(net._forward, i, i) for i in range(count)]
        if learning is not net:
            learning._forward(0, count - 1)
        back = [_milliseconds(learning._backward, i, i) for i in reversed(range(count))]
        for times, once in (forward, there), (backward, reversed(back)):
            times[:] = (mean + took / iterations for mean, took in zip(times, once, strict=True))
        took = sum(there) + sum(back)
        totals.append(took)
        log.info("Iteration: %d forward-backward time: %g ms.", iteration + 1, took)
        if bar:
            bar.update()
    return forward, backward, totals


def _milliseconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1e3


def _log_averages(net, forward, backward, total, iterations, log):
    log.info("Average time per layer: ")
    for layer, there, back in zip(net.layers, forward, backward, strict=True):
        log.info("%10s\tforward: %g ms.", layer.name, there)
        log.info("%10s\tbackward: %g ms.", layer.name, back)
    log.info("Average Forward pass: %g ms.", sum(forward))
    log.info("Average Backward pass: %g ms.", sum(backward))
    log.info("Average Forward-Backward: %g ms.", total / iterations)
    log.info("Total Time: %g ms.", total)
    log.info("*** Benchmark ends ***")


def _report(net, forward, backward, args):
    layers = [
        {"name": layer.name, "type": layer.type, "forward_ms": there, "backward_ms": back}
        for layer, there, back in zip(net.layers, forward, backward, strict=True)
    ]
    facts = {"net": net.name, "phase": args.phase, "iterations": args.iterations}
    return facts | {"forward_ms": sum(forward), "backward_ms": sum(backward), "layers": layers}


def _table(net, forward, backward):
    header = ("layer", "type", "forward ms", "backward ms")
    rows = [
        (layer.name, layer.type, f"{there:.3f}", f"{back:.3f}")
        for layer, there, back in zip(net.layers, forward, backward, strict=True)
    ]
    total = (f"{len(rows)} layers", "", f"{sum(forward):.3f}", f"{sum(backward):.3f}")
    return table(header, rows, left=2, total=total)
