"""Train a net as a solver prototxt says.

    caffelite train solver.prototxt
    caffelite train solver.prototxt --epochs 10 --set base_lr=0.01
    caffelite train solver.prototxt --set net.layer[conv1].param[0].lr_mult=0
    caffelite train solver.prototxt --snapshot lenet_iter_500.solverstate
    caffelite train solver.prototxt --weights pretrained.caffemodel
    caffelite train solver.prototxt --resume --keep 3
    caffelite train first.prototxt,second.prototxt --resume

On a terminal a bar shows how far it is; elsewhere stderr gets the log lines that Caffe writes.
--log appends what happens to a file, for caffelite plot, parse_log and view, and first the solver,
the nets, the seed and the versions; where it cannot be written, training goes on, with a warning.

Several solvers, separated by commas, are stages: each starts, by names of layers, from the weights
that the one before ended with (with early_stop: from its best), unless its prototxt has `weights`.
With --resume, stages that are done are not run again.

--iterations and --epochs say when training ends, and stand for max_iter; an epoch is as many
iterations as the source of the train net has samples for. Schedules that go by max_iter ("poly",
"cosine") come to their end with it; steps stay at the iterations that the solver names.

--set sets a field of the solver, or behind "net." of its nets: the value is written as there. Or
TRAIN.NAME=VALUE, one of the settings of py-faster-rcnn and R-FCN, which --cfg reads from their
files; TRAIN.SOURCE is the database of pictures with boxes.

Ctrl-C ends training after the iteration at hand, with a snapshot; a second one ends it at once. So
does SIGTERM, which schedulers and containers send before they kill. The exit code is then 130 or
143, and the same command with --resume goes on from there.

    mpiexec -n 4 caffelite train solver.prototxt

trains in 4 processes, the ranks, on one machine or many; the extra [mpi] is needed. batch_size is
that of a rank, so that an iteration has 4 times as many samples; the first rank logs and writes.
Each takes its part of the cores, or --threads.
"""

import contextlib
import logging
import os
import signal
import time

from ..glog import NOTICE, on_terminal, start_logging
from ..reading import utf8
from . import FATAL
from ._flags import UsageError, finite, int32
from ._nets import (
    PHASES,
    add_device_flags,
    add_python_flag,
    add_settings_flags,
    running,
    tell_other_classes,
    use_device,
)
from ._ranks import (
    add_rank_flags,
    alike,
    asked_of_any,
    is_first,
    join,
    only_errors,
    ranks_of,
    share_start,
)
from ._solvers import add_solver_flags, net_changes, read, solver_of

AT_ONCE = 1.0  # seconds after which a second signal is one of its own

_EFFECTS = ("stop", "snapshot", "none")

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    add_solver_flags(parser, "; A,B: stages")
    flag("--snapshot", metavar="FILE", help="a .solverstate to go on from; auto: as --resume")
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
    flag("--epochs", type=finite, metavar="N", help="train for N passes over the samples instead")
    flag("--phase", type=str.upper, choices=PHASES, help="phase of the train net [TRAIN]")
    for name, default in (("sigint", "stop"), ("sigterm", "stop"), ("sighup", "snapshot")):
        flag(
            f"--{name}_effect",
            default=default,
            choices=_EFFECTS,
            help=f"what the signal {name.upper()} does [{default}]",
        )
    flag("--log", metavar="FILE", help="append what happens to this file, one JSON object a line")
    for what, of in (("histograms", "weights and gradients"), ("pictures", "filters and samples")):
        flag(
            f"--{what}",
            f"--log-{what}",
            dest=f"log_{what}",
            type=int32,
            metavar="N",
            help=f"log {what} of {of} every N iterations, later less often [never]",
        )
    add_rank_flags(parser)
    add_python_flag(parser)
    add_settings_flags(parser)
    add_device_flags(parser)


def run(args):
    _check_flags(args)
    with ranks_of(args) as ranks:
        return _run(args, ranks)


def _run(args, ranks):
    from ..solver import stages

    quiet = on_terminal() and is_first(ranks)
    log = start_logging(quiet)
    only_errors(ranks)
    files = stages.files_of(args.solver)
    if len(files) > 1 and args.snapshot:
        raise UsageError("--snapshot is of one solver; --resume finds where stages are to go on")
    with alike(ranks):
        params = [_solver_param(file, args, log) for file in files]
        stages.check(params, files)
    use_device(args)
    if quiet:
        _tell_threads(log)
    weights, trained = args.weights, False
    for file, param in zip(files, params, strict=True):
        if file != files[0]:
            log.log(NOTICE, "Stage %s, after %s", file, weights)
            weights = "" if param.weights else weights
        resume = args.resume and not trained  # later stages are to start from what is new
        if resume and weights and file != files[0]:
            stages.warn_if_older(param, file, weights)
        _choose_weights(param, args.snapshot, resume, weights)
        share_start(ranks, param, args)
        skips = file != files[-1]
        solver, asked, ran = _train(file, param, args, ranks, resume, skips, quiet)
        unfinished = solver.iter < solver.param.max_iter
        if any(effect == "stop" for _, effect in asked):
            left = unfinished or file != files[-1]
            return _code(asked, log) if left else 0
        weights, trained = stages.model_after(solver), trained or ran
    return 0


def _tell_threads(log):
    """Say on how many threads kernels run, and when fewer may be faster."""
    import numba

    threads, cores = numba.config.NUMBA_NUM_THREADS, os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows has none
    if threads > 1 and load >= cores:
        log.log(
            NOTICE,
            "%d threads, on a machine that is busy (load %.1f on %d cores): --threads 1 may be "
            "faster, since threads wait for each other",
            *(threads, load, cores),
        )
    else:
        log.log(NOTICE, "%d threads; --threads N says otherwise", threads)


def _code(asked, log):
    """The exit code of a training that signals have stopped."""
    if on_terminal():  # elsewhere the log ends as Caffe's does
        log.log(NOTICE, "Stopped; the same command with --resume goes on from here.")
    return FATAL + max(getattr(signal, name) for name, effect in asked if effect == "stop")


def _check_flags(args):
    args.solver = solver_of(args)
    if args.iterations is not None and args.epochs is not None:
        raise UsageError("--iterations and --epochs exclude each other: both say when to end")
    if args.epochs is not None and args.epochs <= 0:
        raise UsageError(f"--epochs: expected more than 0, not {args.epochs:g}")
    if args.snapshot == "auto":
        args.snapshot, args.resume = None, True
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
    for flag in ("log_histograms", "log_pictures"):
        every, words = getattr(args, flag), f"--{flag.replace('_', '-')}"
        if every is not None and every < 1:
            raise UsageError(f"{words}: expected at least 1, not {every}")
        if every is not None and not args.log:
            raise UsageError(f"{words} needs --log, the file to log to")
    if args.keep is not None and args.keep < 1:
        raise UsageError(f"--keep: expected at least 1, not {args.keep}")


def _train(file, param, args, ranks, resume, skips, quiet):
    """Train one solver; returns it, what signals asked for, and whether that moved its weights.

    It does not if, `resume`, it goes on from its end, which early_stop may have told; where others
    come after it, `skips`, that end is not run again.
    """
    from ..measures import of_tests, read_by
    from ..net import ahead
    from ..solver import get_solver, lr_policy, stages
    from ..solver.epochs import iterations_of
    from ..solver.state_file import check_state

    log = logging.getLogger("caffelite")
    with alike(ranks):
        if args.snapshot and is_first(ranks):
            check_state(args.snapshot)
        solver = get_solver(param, file, net_changes(args))
    after = join(ranks, solver, args)
    nets = [player.net for player in solver.players]
    tell_other_classes(solver.net, log)
    if args.epochs is not None:
        solver.param.max_iter = iterations_of(solver, args.epochs)
        log.log(NOTICE, "%g epochs are %d iterations.", args.epochs, solver.param.max_iter)
    if args.epochs is not None or args.iterations is not None:
        for words, *_ in lr_policy.unreached(solver.param):
            log.log(NOTICE, "%s: %s", file, words)
    for net in nets:
        net.economize()
    if ranks is None:  # several have a core each
        ahead.watch(solver.net)
    for net in solver.test_nets:
        net.economize(forward_only=True, keep=read_by(of_tests(net, solver.param)))
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(*nets, *solver.test_nets))
        solver.keep = args.keep
        if resume:
            stack.enter_context(solver.holding_prefix())
            solver.resume(args.allow_other_weights)
            if skips and stages.is_done(solver):
                log.log(NOTICE, "%s: done, at iteration %d", file, solver.iter)
                return solver, [], False
        if args.snapshot:
            log.info("Resuming from %s", args.snapshot)
            solver.restore(args.snapshot, args.allow_other_weights)
        if is_first(ranks):
            _listen(solver, args, quiet, stack)
        asked = stack.enter_context(_signals(solver, args))
        begun = solver.iter
        log.info("Starting Optimization")
        solver.solve()
        after()
        asked = asked_of_any(ranks, asked)
        log.info("Optimization Done.")
    return solver, asked, solver.iter > begun


def _solver_param(file, args, log):
    """The SolverParameter with the flags worked in."""
    from ..proto import caffe_pb2
    from ..solver.epochs import MOST_ITERATIONS

    param = read(file, args, log)
    if args.iterations is not None:
        param.max_iter = args.iterations
    if args.epochs is not None and not param.max_iter:
        param.max_iter = MOST_ITERATIONS  # until the net tells how long an epoch is
    if args.epochs is not None or args.iterations is not None:
        param.ClearField("max_epoch")
    if args.phase:
        param.train_state.phase = caffe_pb2.Phase.Value(args.phase)
    return param


def _choose_weights(param, snapshot, resume, weights):
    """These instead of the solver's own, if there are any; none if a snapshot brings them."""
    from ..solver.prefix import states

    going_on = snapshot or (resume and states(param.snapshot_prefix))
    if weights or going_on:
        param.ClearField("weights")
    if weights and not going_on:
        param.weights.append(utf8(weights, "--weights"))


def _listen(solver, args, quiet, stack):
    """Let the bar and the event log hear the solver; the stack closes them."""
    if args.log:
        from ..run_log.start import start_of
        from ..run_log.watch import Watch
        from ..run_log.writer import RunLog

        events = RunLog(args.log)
        stack.callback(events.close)
        events.write(start_of(solver, args.command))
        solver.add_listener(events)
        Watch(solver, events.write, args.log_histograms or 0, args.log_pictures or 0)
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
            raise SystemExit(FATAL + number) if name == "SIGTERM" else KeyboardInterrupt
        if effect != "none":
            asked.append((name, effect))
            solver.request(effect)

    return handle
