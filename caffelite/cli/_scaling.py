"""`caffelite time --ranks`: the flags, what is measured for them, and what is printed."""

import argparse
import re
import statistics
import time

from ..parallel.cost import EXCHANGES, FASTEST, MB, NETWORKS, Network, Profile, bucket_of, step
from ..reading import integer, number
from ..table import table
from ._flags import UsageError, megabytes

_ADDED = 1 << 22  # bytes that are added to see how long that takes
MOST_RANKS = 1 << 20


def add_flags(parser):
    flag = parser.add_argument_group("scaling, predicted").add_argument
    words = "predict the speed of so many processes, as 2,4,8 or 8,16,...,128"
    flag("--ranks", type=_ranks, metavar="N,...", help=words)
    words = (
        f"between them: {', '.join(NETWORKS)}, MICROSECONDS,GB/S, or measured [each of the first]"
    )
    flag("--network", type=_network, metavar="NAME", help=words)
    words = "how gradients are summed [auto: the fastest]"
    flag("--exchange", choices=(FASTEST, *EXCHANGES), default=FASTEST, help=words)
    words = "standard deviation of the time of a step [as measured]"
    flag("--spread", type=_percent, metavar="PERCENT", help=words)
    words = "gradients set out together [as caffelite train does, 4 up to 32 processes]"
    flag("--bucket", type=megabytes, metavar="MB", help=words)


def check_flags(args):
    """Raise a UsageError for flags that say how, where --ranks does not say that."""
    given = {"network": None, "spread": None, "exchange": FASTEST, "bucket": None}
    for name, default in given.items():
        if args.ranks is None and getattr(args, name) != default:
            raise UsageError(f"--{name} is for --ranks: give that, too")


def _ranks(text):
    """[8, 16, 32, 64, 128] of "8,16,...,128"; the step is a factor, or else a difference."""
    error = argparse.ArgumentTypeError
    words = [word.strip() for word in text.split(",")]
    if "..." not in words:
        return [_count(word) for word in words]
    if len(words) < 4 or words.index("...") != len(words) - 2:
        raise error(f'expected numbers, and "..." before the last one alone, not "{text}"')
    *first, last = (_count(word) for word in words if word != "...")
    before, step = first[-2:]
    if step <= before or last < step:
        raise error(f'expected numbers that grow, not "{text}"')
    if step % before == 0:
        series = [before]
        while series[-1] < last:
            series.append(series[-1] * (step // before))
        if series[-1] == last:
            return [*first[:-2], *series]
    if (last - before) % (step - before) or (last - before) // (step - before) > 1000:
        raise error(f"no steps lead from {before} and {step} to {last}")
    return [*first[:-2], *range(before, last + 1, step - before)]


def _count(word):
    return integer(word, "", least=1, most=MOST_RANKS, error=argparse.ArgumentTypeError)


def _percent(text):
    value = number(text, "", error=argparse.ArgumentTypeError)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected 0 to 100, not {text!r}")
    return value / 100


def _network(text):
    """(name, Network)."""
    if text.lower() in NETWORKS:
        return text.lower(), NETWORKS[text.lower()]
    if text.lower() == "measured":
        from ..parallel import links

        return "measured", links.measured()
    error = argparse.ArgumentTypeError
    words = text.split(",")
    if len(words) != 2 or not re.match(r"\s*[\d.]", text):
        raise error(
            f"expected {', '.join(NETWORKS)}, measured, or MICROSECONDS,GB/S as 2.5,12, "
            f"not {text!r}"
        )
    alpha, speed = (number(word, "", error=error) for word in words)
    if not (0 <= alpha <= 1e6 and 1e-6 <= speed <= 1e6):
        raise error(f"expected 0 to 1e6 microseconds, and 1e-6 to 1e6 GB/s, not {text!r}")
    return text, Network(alpha * 1e-6, 1e-9 / speed)


def gradient_bytes(net):
    """How many bytes of gradients are final when each layer of a net has run backward."""
    from ..net.plan import plan_gradients

    ready = plan_gradients(net.nodes, net.owner_of)
    return [sum(blob.data.nbytes for blob in ready.get(i, ())) for i in range(len(net.nodes))]


def profile(net, learning, forward, backward, steps, args):
    """The Profile of a net whose layers took so many ms; `steps` are those of each iteration."""
    sizes = gradient_bytes(learning)
    layers = [(ms / 1e3, size) for ms, size in zip(backward, sizes, strict=True)]
    return Profile(
        sum(forward) / 1e3,
        tuple(reversed(layers)),
        next(iter(net.blobs.values())).shape[0],
        _spread(steps) if args.spread is None else args.spread,
        _seconds_to_add(),
    )


def _spread(steps):
    """The standard deviation, as a share, by that which half of the steps are within.

    A few that were disturbed do not count in it.
    """
    middle = statistics.median(steps)
    half = statistics.median(abs(ms - middle) for ms in steps)
    return half / middle / statistics.NormalDist().inv_cdf(0.75)


def _seconds_to_add():
    """Seconds a byte."""
    import numpy as np

    own, came = np.ones((2, _ADDED // 4), np.float32)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        np.add(own, came, out=own)
        took.append(time.perf_counter() - start)
    return statistics.median(took) / _ADDED


def predict(made, args):
    """{network: [Step of each number of ranks]}."""
    networks = NETWORKS if args.network is None else dict([args.network])
    return {
        name: [step(made, ranks, network, args.exchange, args.bucket) for ranks in args.ranks]
        for name, network in networks.items()
    }


def with_report(report, made, found, args):
    """The report of the layers' times with all of it, for JSON."""
    own = reversed(made.backward)
    layers = [
        layer | {"gradient_bytes": size}
        for layer, (_, size) in zip(report["layers"], own, strict=True)
    ]
    return report | {"layers": layers, "scaling": _report(made, found, args)}


def _report(made, found, args):
    return {
        "images": made.images,
        "spread": made.spread,
        "seconds_to_add_a_byte": made.gamma,
        "gradient_bytes": made.bytes,
        "networks": {
            name: [
                {
                    "ranks": step.ranks,
                    "bucket_mb": (args.bucket or bucket_of(step.ranks)) / MB,
                    "step_ms": 1e3 * step.seconds,
                    "exchange_ms": 1e3 * step.exchange,
                    "exposed_ms": 1e3 * step.exposed,
                    "images_per_second": step.images_per_second,
                    "of_linear": step.of_linear,
                    "by": step.by,
                }
                for step in of_network
            ]
            for name, of_network in found.items()
        },
    }


def lines(made, found, args):
    """What is printed below the times of layers."""
    yield ""
    yield (
        f"Predicted: {made.images} images a process, {1e3 * made.seconds:.4g} ms, which vary by "
        f"{100 * made.spread:.2g} %; {made.bytes / 1e6:.4g} MB of gradients"
    )
    if len(found) > 1:
        header = ("processes", *(f"{name} %" for name in found))
        rows = [
            (str(steps[0].ranks), *(f"{100 * step.of_linear:.1f}" for step in steps))
            for steps in zip(*found.values(), strict=True)
        ]
        yield "Of linear, by network; --network NAME tells more:"
        yield from table(header, rows, left=0)
        return
    ((name, steps),) = found.items()
    yield f"By {name}:"
    header = ("processes", "step ms", "images/s", "of linear %", "exchange ms", "hidden %", "by")
    rows = [
        (
            str(step.ranks),
            f"{1e3 * step.seconds:.4g}",
            f"{step.images_per_second:.4g}",
            f"{100 * step.of_linear:.1f}",
            f"{1e3 * step.exchange:.4g}",
            f"{100 * (1 - step.exposed / step.exchange):.0f}" if step.exchange else "",
            ", ".join(step.by),
        )
        for step in steps
    ]
    yield from table(header, rows, left=0)
