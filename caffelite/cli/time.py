"""Time each layer of a net, forward and backward.

    caffelite time --model deploy.prototxt --iterations 10

stdout gets a table of the averages, or JSON; stderr the log lines that Caffe writes, or on a
terminal a bar. Backward is timed for
every layer, those too that training would skip.
"""

import contextlib
import json
import time

from ..glog import on_terminal, start_logging
from ._flags import UsageError, int32
from ._nets import PHASES, add_device_flags, add_net_flags, open_net, use_device
from ._table import table


def add_arguments(parser):
    add_net_flags(parser)
    flag = parser.add_argument
    flag("--iterations", type=int32, default=50, metavar="N", help="times to run the net [50]")
    flag("--phase", default="TRAIN", type=str.upper, choices=PHASES, help="[TRAIN]")
    flag("--json", action="store_true", help="print JSON")
    add_device_flags(parser)


def run(args):
    if args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}")
    from ._progress import make_bar

    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_net(args.model, args.phase, args)
    with contextlib.ExitStack() as stack:
        stack.callback(net.close)
        bar = stack.enter_context(make_bar(args.iterations, what="timing")) if quiet else None
        _warm_up(net, log)
        log.info("*** Benchmark begins ***")
        log.info("Testing for %d iterations.", args.iterations)
        forward, backward, total = _measure(net, args.iterations, log, bar)
    _log_averages(net, forward, backward, total, args.iterations, log)
    if args.json:
        print(json.dumps(_report(net, forward, backward, args)))
    else:
        print("\n".join(_table(net, forward, backward)))
    return 0


def _warm_up(net, log):
    """Once through the net, so that compiling and allocating are not measured."""
    last = len(net.layers) - 1
    log.info("Performing Forward")
    log.info("Initial loss: %g", net._forward(0, last))
    log.info("Performing Backward")
    for layer in reversed(net.layers):
        _backward(layer)


def _backward(layer):
    layer.backward(layer.top_blobs, layer.propagate_down, layer.bottom_blobs)


def _measure(net, iterations, log, bar):
    """Mean milliseconds per layer, forward and backward, and the milliseconds of it all."""
    count = len(net.layers)
    forward, backward = [0.0] * count, [0.0] * count
    start = time.perf_counter()
    for iteration in range(iterations):
        before = time.perf_counter()
        for i in range(count):
            forward[i] += _milliseconds(net._forward, i, i) / iterations
        for i in reversed(range(count)):
            backward[i] += _milliseconds(_backward, net.layers[i]) / iterations
        took = (time.perf_counter() - before) * 1e3
        log.info("Iteration: %d forward-backward time: %g ms.", iteration + 1, took)
        if bar:
            bar.update()
    return forward, backward, (time.perf_counter() - start) * 1e3


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
