"""Train LeNet on real digits, test it and draw it, in a new folder, showing each command.

    caffelite demo
    caffelite demo DIR

DIR is a new folder, by default lenet, and all that is made is in it. Each command is printed as one
types it, before it runs, so that one can go on from there by hand. The digits need the extra
[demo], the drawing needs Graphviz or the extra [draw]. Training takes about a minute. A command
that fails ends the demo with its exit code.
"""

import contextlib
import io
import os
import re
import shlex

from . import INTERRUPTED
from ._flags import UsageError, int32

_TRAINED = "snapshots/lenet_iter_{iterations}.caffemodel"
_STEPS = (  # once the net has been copied to the folder, which these run in
    "caffelite dataset mnist-5k --out data",
    "caffelite draw train_val.prototxt lenet.png",
    "caffelite train solver.prototxt{until}",
    f"caffelite test train_val.prototxt --weights {_TRAINED}",
)
_NEXT = """\
What to do next:
  cd {folder}
  caffelite view train_val.prototxt --weights {weights}
  caffelite test train_val.prototxt --weights {weights} --report
  caffelite models              (other nets; "caffelite init NAME" copies one)
  caffelite dataset --help      (data sets of your own pictures, for such nets)"""
_ALL = 1000  # what solver.prototxt has as max_iter


def add_arguments(parser):
    flag = parser.add_argument
    flag("folder", nargs="?", default="lenet", metavar="DIR", help="where to [lenet]")
    flag("--iterations", type=int32, default=_ALL, metavar="N", help=f"to train for [{_ALL}]")


def run(args):
    from ..errors import DataError

    if args.iterations < 1:
        raise UsageError(f"--iterations: expected at least 1, not {args.iterations}")
    folder = args.folder
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise DataError(
            f"{folder}: is there already, and is not overwritten; caffelite demo DIR takes another"
        )
    how_much = ["-q"] * args.quiet + ["-v"] * args.verbose
    code = _step(shlex.join(["caffelite", "init", "lenet", folder]), ["-q"])[0]  # goes on itself
    if code:
        return code
    print(f"$ {shlex.join(['cd', folder])}")
    before = os.getcwd()
    os.chdir(folder)
    try:
        return _inside(folder, args.iterations, how_much)
    finally:
        os.chdir(before)


def _inside(folder, iterations, how_much):
    """Run the steps in the folder, which is the current one."""
    trained = _TRAINED.format(iterations=iterations)
    until = "" if iterations == _ALL else f" --iterations {iterations}"
    for step in _STEPS:
        command = step.format(until=until, iterations=iterations)
        code, printed = _step(command, how_much)
        if code == INTERRUPTED and " train " in command:
            print("Training was stopped; in this folder, this goes on:")
            print("$ caffelite train solver.prototxt --resume")
        if code:
            print(f"The demo ends here; {folder} holds what was made.")
            return code
    made = ", ".join(sorted(os.listdir(".")))
    accuracy = re.search(r"^accuracy = (\S+)$", printed, re.M)[1]
    print(f"{folder} now holds {made}.")
    print(f"Of the 1,000 digits for testing, LeNet tells this share right: {accuracy}")
    print(_NEXT.format(folder=shlex.quote(folder), weights=trained))
    return 0


def _step(command, how_much):
    """(exit code, what it printed) of a command, which is shown, then run."""
    from . import main

    print(f"$ {command}", flush=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([*shlex.split(command)[1:], *how_much])
    print(printed.getvalue(), end="", flush=True)
    return code, printed.getvalue()
