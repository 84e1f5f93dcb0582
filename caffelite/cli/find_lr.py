"""Find a learning rate: train a little with rates that grow, and show how the loss takes it.

    caffelite find-lr solver.prototxt
    caffelite find-lr solver.prototxt --least 1e-5 --most 1 --iterations 300 --out rates.svg

The rate grows by the same factor in each iteration. Low rates change little, then the loss falls,
and at last it grows: the sweep ends there. Suggested is a tenth of the rate with the lowest loss,
for the solver as it is, with its update rule, momentum, batch size and weights to start from.

stdout gets the curve of the smoothed loss as text, or JSON. No weights are kept, and nothing is
written but what --out names; the same command gives the same numbers.
"""

import math
import os
import shlex
import shutil

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import utf8
from ._flags import UsageError, finite, int32
from ._nets import add_device_flags, add_python_flag, use_device
from ._solvers import add_solver_flags, net_changes, read, solver_of

_PICTURES = (".svg", ".png", ".pdf")
_PANEL = "loss, smoothed"

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    add_solver_flags(parser)
    flag("--weights", metavar="A,B", help="weights to start from, instead of the solver's own")
    flag("--least", type=finite, default=1e-6, metavar="RATE", help="to begin with [1e-6]")
    flag("--most", type=finite, default=10.0, metavar="RATE", help="to end with [10]")
    flag("--iterations", type=int32, default=200, metavar="N", help="from one to the other [200]")
    flag("--out", metavar="FILE", help="make a picture of it: .svg, .png or .pdf")
    flag("--json", action="store_true", help="print JSON")
    add_python_flag(parser)
    add_device_flags(parser)


def run(args):
    file = solver_of(args)
    kind = os.path.splitext(args.out or "")[1].lower()
    if args.out and kind not in _PICTURES:
        raise UsageError(f"{args.out}: expected an ending of {', '.join(_PICTURES)}")
    if not 0 < args.least < args.most:
        raise UsageError(f"expected 0 < --least < --most, not {args.least:g} and {args.most:g}")
    if args.iterations < 20:
        raise UsageError(f"--iterations: expected at least 20, not {args.iterations}")
    from ..solver.rate_sweep import sweep

    log = start_logging(quiet=on_terminal())
    use_device(args)
    param = read(file, args, log)
    if args.weights:
        param.ClearField("weights")
        param.weights.append(utf8(args.weights, "--weights"))
    found = sweep(param, file, args.least, args.most, args.iterations, net_changes(args))
    if args.out:
        _draw(found, args.out, kind)
    if args.json:
        print(json_text({**found._asdict(), "suggested": found.suggested}))
    else:
        print("\n".join(_lines(found, param.base_lr, file, args)))
    return 0


def _draw(found, path, kind):
    from ..atomic import write_atomically
    from ..pictures.plot import picture

    x = "learning rate, as a power of 10"
    write_atomically(path, picture({_PANEL: [_curve(found)]}, x, log=False, kind=kind[1:]))


def _curve(found):
    """The smoothed loss over the logarithm of the rate, as far as that is worth a look."""
    from ..pictures.curves import Curve

    worth = [
        (math.log10(rate), loss)
        for rate, loss in zip(found.rates, found.smoothed, strict=True)
        if loss <= 2 * found.smoothed[0] - found.smoothed[found.best]
    ]
    return Curve("loss", "smoothed", *map(list, zip(*worth, strict=True)))


def _lines(found, base_lr, file, args):
    from ._text_plot import lines

    title = f"{_PANEL}, over the power of 10 of the learning rate"
    yield from lines(title, [_curve(found)], shutil.get_terminal_size().columns)
    best = found.best
    yield ""
    if found.suggested is None:
        yield f"The loss falls at no rate from {args.least:g} on; a lower --least may show more."
        return
    yield f"lowest loss: {found.smoothed[best]:.4g}, at the rate {found.rates[best]:.2g}"
    if not found.diverged and best == len(found.rates) - 1:
        yield f"It still falls at {args.most:g}; a higher --most may show more."
    yield f"suggested: {found.suggested:g}; {file} has base_lr: {base_lr:g}"
    yield shlex.join(
        ["caffelite", "train", file, *_same(args), "--set", f"base_lr={found.suggested:g}"]
    )


def _same(args):
    """The flags that a training needs to be of the solver and the net that the sweep was of."""
    given = [("--set", words) for words in args.set] + [("--import", name) for name in args.own]
    given += [("--allow-python", name) for name in args.allow_python]
    for name in ("weights", "level", "stage"):
        value = getattr(args, name)
        given += [(f"--{name}", str(value))] if value else []
    return [word for pair in given for word in pair]
