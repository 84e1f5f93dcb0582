"""Train a net as a solver prototxt says.

    caffelite train --solver solver.prototxt
    caffelite train --solver solver.prototxt --snapshot lenet_iter_500.solverstate
    caffelite train --solver solver.prototxt --weights pretrained.caffemodel
    caffelite train --solver solver.prototxt --resume --keep 3

On a terminal a bar shows how far it is; elsewhere stderr gets the log lines that Caffe writes.
--log appends what happens to a file, for caffelite plot, parse_log and view; where it cannot be
written, training goes on, with a warning.

Ctrl-C ends training after the iteration at hand, with a snapshot; a second one ends it at once. So
does SIGTERM, which schedulers and containers send before they kill; the exit code is then 143, and
--snapshot goes on from there.
"""

import contextlib
import signal
import time

from ..glog import on_terminal, start_logging
from ..reading import utf8
from . import TERMINATED
from ._flags import UsageError, int32
from ._nets import (
    PHASES,
    add_device_flags,
    add_python_flag,
    add_state_flags,
    allow_python,
    running,
    stages,
    use_device,
)

AT_ONCE = 1.0  # seconds after which a second signal is one of its own

_EFFECTS = ("stop", "snapshot", "none")


def add_arguments(parser):
    flag = parser.add_argument
    flag("--solver", required=True, metavar="FILE", help="the solver's prototxt")
    flag("--snapshot", metavar="FILE", help="a .solverstate to go on from")
    flag(
        "--resume",
        action="store_true",
        help="go on from the latest whole snapshot at snapshot_prefix; if there is none, begin",
    )
    flag("--keep", type=int, metavar="N", help="keep but the N newest snapshots of this run [all]")
    flag(
        "--allow-other-weights",
        action="store_true",
        help="go on from a state though its model holds other weights than it was written with",
    )
    flag("--weights", metavar="A,B", help="weights to start from, instead of the solver's own")
    flag("--iterations", type=int32, metavar="N", help="train until iteration N, not max_iter")
    flag("--phase", type=str.upper, choices=PHASES, help="phase of the train net [TRAIN]")
    add_state_flags(parser)
    for name, default in (("sigint", "stop"), ("sigterm", "stop"), ("sighup", "snapshot")):
        flag(
            f"--{name}_effect",
            default=default,
            choices=_EFFECTS,
            help=f"what the signal {name.upper()} does [{default}]",
        )
    flag("--log", metavar="FILE", help="append events to this file, one JSON object a line")
    add_python_flag(parser)
    add_device_flags(parser)


def run(args):
    if args.snapshot and args.weights:
        raise UsageError(
            "--snapshot and --weights exclude each other: a snapshot brings its own weights"
        )
    if args.snapshot and args.resume:
        raise UsageError("--snapshot and --resume exclude each other: one names what to go on from")
    if args.allow_other_weights and not (args.snapshot or args.resume):
        raise UsageError(
            "--allow-other-weights says how to go on from a state: give --snapshot or --resume"
        )
    if args.keep is not None and args.keep < 1:
        raise UsageError(f"--keep: expected at least 1, not {args.keep}")
    quiet = on_terminal()
    log = start_logging(quiet)
    param = _solver_param(args, log)
    use_device(args)
    from ..solver import get_solver

    allow_python(args)
    _choose_weights(param, args)
    solver = get_solver(param, file=args.solver)
    solver.net.economize()
    for net in solver.test_nets:
        net.economize(forward_only=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(solver.net, *solver.test_nets))
        solver.keep = args.keep
        if args.resume:
            stack.enter_context(solver.holding_prefix())
            solver.resume(args.allow_other_weights)
        if args.snapshot:
            log.info("Resuming from %s", args.snapshot)
            solver.restore(args.snapshot, args.allow_other_weights)
        _listen(solver, args, quiet, stack)
        asked = stack.enter_context(_signals(solver, args))
        log.info("Starting Optimization")
        solver.solve()
        log.info("Optimization Done.")
    unfinished = solver.iter < solver.param.max_iter
    return TERMINATED if unfinished and ("SIGTERM", "stop") in asked else 0


def _solver_param(args, log):
    """The SolverParameter with the flags worked in."""
    from ..proto import caffe_pb2
    from ..proto.text import read_solver

    param = read_solver(args.solver)
    if param.HasField("solver_mode") and param.solver_mode == param.GPU and not args.gpu:
        log.warning(
            "%s: solver_mode: GPU: there is no GPU support here, running on the CPU", args.solver
        )
    if args.iterations is not None:
        param.max_iter = args.iterations
    if args.phase:
        param.train_state.phase = caffe_pb2.Phase.Value(args.phase)
    if param.train_state.level != args.level and param.train_state.HasField("level"):
        log.warning(
            "%s: level %d of train_state gives way to --level %d, as in Caffe",
            args.solver,
            param.train_state.level,
            args.level,
        )
    param.train_state.level = args.level
    param.train_state.stage.extend(stages(args))
    return param


def _choose_weights(param, args):
    """Those of --weights instead of the solver's own; none if a snapshot brings them."""
    from ..solver.prefix import states

    going_on = args.snapshot or (args.resume and states(param.snapshot_prefix))
    if args.weights or going_on:
        param.ClearField("weights")
    if args.weights and not going_on:
        param.weights.append(utf8(args.weights, "--weights"))


def _listen(solver, args, quiet, stack):
    """Let the bar and the event log hear the solver; the stack closes them."""
    if args.log:
        from ._events import EventLog

        events = EventLog(args.log)
        stack.callback(events.close)
        solver.add_listener(events)
    if quiet:
        from ._progress import TrainingBar

        bar = TrainingBar(solver)
        stack.callback(start_logging, quiet)
        stack.callback(bar.close)
        solver.add_listener(bar)
        start_logging(quiet, bar.write)


@contextlib.contextmanager
def _signals(solver, args):
    """Let signals ask the solver for what their flags say; the list of (signal, what was asked)."""
    wanted = {
        "SIGINT": args.sigint_effect,
        "SIGTERM": args.sigterm_effect,
        "SIGHUP": args.sighup_effect,
    }
    asked, before = [], {}
    for name, effect in wanted.items():
        if hasattr(signal, name):  # Windows has no SIGHUP
            number = getattr(signal, name)
            before[number] = signal.signal(number, _handler(solver, name, effect, asked))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handler(solver, name, effect, asked):
    """What a signal runs; a second one that stops, after AT_ONCE, does not wait for a snapshot.

    Before, it is the first one again: supervisors signal a process, and then its group.
    """
    first = []

    def handle(number, frame):
        first.append(time.monotonic())
        if (name, "stop") in asked:
            if first[-1] - first[0] < AT_ONCE:
                return
            raise SystemExit(TERMINATED) if name == "SIGTERM" else KeyboardInterrupt
        if effect != "none":
            asked.append((name, effect))
            solver.request(effect)

    return handle
