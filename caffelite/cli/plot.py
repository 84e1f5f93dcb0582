"""Plot the curves of training runs: loss, accuracy and other outputs, learning rate.

    caffelite plot train.log
    caffelite plot a.jsonl b.jsonl --out curves.svg

A LOG holds Caffe's log lines, or the JSON lines of caffelite train --log. Several are drawn into
one picture, whose ending says its kind: .svg, .png or .pdf (this needs the extra [plot]). Without
--out, the curves are drawn as text and, of several runs, compared: the best of each curve, and the
settings that differ. --y images/s shows how fast training was. What a run logged beyond a snapshot
from which it went on later is left out.
"""

import os
import shutil

from ..errors import short
from ..json_text import json_text
from ._flags import UsageError, int32

MOST_WORDS = 30  # characters of a setting
_PICTURES = (".svg", ".png", ".pdf")


def add_arguments(parser):
    flag = parser.add_argument
    flag("logs", nargs="+", metavar="LOG", help="the log of a training run")
    flag("--out", metavar="FILE", help="the picture to make, .svg, .png or .pdf")
    flag("--x", default="iteration", choices=("iteration", "seconds"), help="[iteration]")
    flag("--y", default="", metavar="A,B", help='what to show: "loss,accuracy" [all there is]')
    flag("--smooth", type=int32, default=1, metavar="N", help="show means of N training values [1]")
    flag("--log-y", action="store_true", help="logarithmic axes for losses")
    flag("--json", action="store_true", help="print the curves as JSON")


def run(args):
    kind = os.path.splitext(args.out or "")[1].lower()
    if args.out and kind not in _PICTURES:
        raise UsageError(f"{args.out}: expected an ending of {', '.join(_PICTURES)}")
    if args.smooth < 1:
        raise UsageError(f"--smooth must be at least 1, not {args.smooth}")
    from ..pictures.curves import labels, panels
    from ..run_log.reader import read_log

    runs = dict(zip(labels(args.logs), map(read_log, args.logs), strict=True))
    wanted = [name for name in args.y.split(",") if name]
    found = panels(runs, args.x, args.smooth, wanted)
    if args.out:
        from ..atomic import write_atomically
        from ..pictures.plot import picture

        write_atomically(args.out, picture(found, args.x, args.log_y, kind[1:]))
    if args.json:
        print(json_text({name: [vars(curve) for curve in found[name]] for name in found}))
    elif args.out:
        print(args.out)
    else:
        _print_as_text(found, args.log_y)
        if len(runs) > 1:
            print("\n" + "\n".join(_comparison(runs)))
    return 0


def _print_as_text(found, log):
    from ..pictures.curves import is_loss
    from ._text_plot import lines

    width = shutil.get_terminal_size().columns
    texts = [
        "\n".join(lines(name, curves, width, log=log and is_loss(name)))
        for name, curves in found.items()
    ]
    print("\n\n".join(texts))


def _comparison(runs):
    """Lines of tables: the best of each curve in each run, and the settings that differ."""
    from ..pictures.curves import columns_of
    from ..run_log.compare import best_of_run, differences
    from ..table import table

    best = [best_of_run(columns_of(run)) for run in runs.values()]
    told = {key: None for one in best for key, value in one.items() if value.best is not None}
    rows = [
        [f"{phase} {name}", *(_best(one.get((phase, name))) for one in best)]
        for phase, name in told
    ]
    yield from table(["best", *runs], rows, left=1)
    settings = differences([run.starts[-1] if run.starts else None for run in runs.values()])
    if settings:
        yield ""
        rows = [
            [name, *("-" if one is None else short(one, MOST_WORDS) for one in values)]
            for name, values in settings.items()
        ]
        yield from table(["setting", *runs], rows, left=1 + len(runs))


def _best(one):
    return "-" if one is None or one.best is None else f"{one.best:.6g} at {one.iteration}"
