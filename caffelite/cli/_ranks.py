"""What commands do where mpiexec has started several of them, to train together."""

import argparse
import contextlib
import logging

from ..glog import NOTICE
from ..reading import number
from ._flags import UsageError, int32, megabytes


def add_rank_flags(parser):
    """Flags of a training in several processes; of a single one, they change nothing."""
    flag = parser.add_argument_group("in several processes, see above").add_argument
    flag(
        "--global-batch",
        action="store_true",
        help="batch_size is that of all ranks together, and divided by their number",
    )
    flag(
        "--exchange",
        choices=("auto", "ring", "tree"),
        default="auto",
        help="how gradients are: in slices, round a ring, or up and down a tree [auto]",
    )
    flag(
        "--bucket",
        type=megabytes,
        metavar="MB",
        help="gradients that set out together [4; of more than 32 ranks, 1/8 for each, up to 64]",
    )
    flag(
        "--timeout",
        type=_seconds,
        default=1800.0,
        metavar="SECONDS",
        help="a rank that stands still for so long ends all of them [1800]",
    )
    flag("--float16", action="store_true", help="send gradients as float16; --log tells the error")
    flag(
        "--trace", metavar="FILE", help="write when layers and exchanges run, for chrome://tracing"
    )
    flag(
        "--sync-bn",
        action="store_true",
        help="BatchNorm takes statistics of the whole batch [of each rank's part]",
    )
    flag(
        "--scale-lr",
        choices=("linear", "sqrt"),
        help="multiply base_lr by the number of ranks, or by its root [neither]",
    )
    flag(
        "--warmup",
        type=int32,
        metavar="N",
        help="let the rate rise in N iterations from what --scale-lr was given, or a rank's share",
    )


def _seconds(text):
    value = number(text, "", error=argparse.ArgumentTypeError)
    if not 1 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"expected 1 to 1e6 seconds, not {text!r}")
    return value


@contextlib.contextmanager
def ranks_of(args):
    """The Ranks that mpiexec has started, or None of a single process.

    Each gets a part of the cores. What ends the block on one of them ends all.
    """
    from ..parallel.launch import world

    comm = world()
    if comm is None:
        if args.trace:
            raise UsageError("--trace is of several processes: mpiexec -n 2 caffelite train ...")
        yield None
        return
    from ..parallel.cores import share_out
    from ..parallel.faults import alike, ending_all
    from ..parallel.ranks import Ranks
    from ._nets import set_threads

    with ending_all(comm):
        if args.threads is None:
            set_threads(share_out(comm))
        with alike(comm):
            ranks = Ranks(
                *(comm, args.sync_bn, args.global_batch, args.exchange, args.float16),
                bucket=args.bucket,
                timeout=args.timeout,
                all_along=True,
            )
        with contextlib.closing(ranks.watch):
            yield ranks


def is_first(ranks):
    """Whether this process is the one that logs and writes."""
    return ranks is None or ranks.rank == 0


def alike(ranks):
    """A block whose errors end all ranks together, told of once."""
    if ranks is None:
        return contextlib.nullcontext()
    from ..parallel.faults import alike as of_all

    return of_all(ranks.comm)


def only_errors(ranks):
    """Leave the log to rank 0."""
    if not is_first(ranks):
        logging.getLogger("caffelite").setLevel(logging.ERROR)


OF_ALL = "resume", "iterations", "epochs", "phase", "scale_lr", "warmup"
"""Flags by which a rank would do more than others, or other things."""


def share_start(ranks, param, args):
    """Let all ranks begin with the seed of rank 0, which alone reads weights."""
    from .. import rng
    from ..solver import stages

    if ranks is None:
        return
    facts = {f"--{name.replace('_', '-')}": str(getattr(args, name)) for name in OF_ALL}
    facts["choice of a --snapshot"] = str(args.snapshot is not None)
    facts["number of stages"] = str(len(stages.files_of(args.solver)))
    ranks.check_same(facts | {"random_seed": str(param.random_seed)})
    _set_rates(param, args, ranks.size)
    if param.random_seed < 0:
        param.random_seed = ranks.comm.bcast(rng.next_seed() % 2**31)
    if ranks.rank:
        param.ClearField("weights")


def _set_rates(param, args, ranks):
    """What --scale-lr and --warmup come to."""
    log, own = logging.getLogger("caffelite"), param.base_lr
    of_players = [seat.solver for seat in param.player if seat.solver.HasField("base_lr")]
    for one in (param, *of_players) if args.scale_lr else ():
        before = one.base_lr
        one.base_lr *= ranks if args.scale_lr == "linear" else ranks**0.5
        words = args.scale_lr, before, one.base_lr, ranks
        log.log(NOTICE, "--scale-lr %s: base_lr %g is %g for %d ranks", *words)
    if args.warmup:
        if param.warmup_iter or param.rampup_interval:
            raise UsageError("--warmup: the solver has a warmup_iter or rampup_interval of its own")
        if of_players:
            raise UsageError(
                "--warmup begins with one rate for all players, and some have a base_lr of their "
                "own; leave it out, or give all the same"
            )
        param.warmup_iter = args.warmup
        param.warmup_start_lr = own if args.scale_lr else own / ranks
        log.log(
            NOTICE,
            "--warmup: from %g to %g in %d iterations",
            param.warmup_start_lr,
            param.base_lr,
            args.warmup,
        )


def asked_of_any(ranks, asked):
    """What signals asked any of the ranks for: launchers may signal but one."""
    if ranks is None:
        return asked
    return sorted({one for theirs in ranks.comm.allgather(asked) for one in theirs})


def join(ranks, solver, args):
    """Let the solver train together with those of the other ranks.

    Returns what all ranks call when they are done.
    """
    if ranks is None:
        return lambda: None
    with alike(ranks):
        ranks.check(solver)
    ranks.join(solver)
    logging.getLogger("caffelite").info("%s", ranks)
    if not args.trace:
        return lambda: None
    from ..parallel.trace import Trace

    return Trace(args.trace, ranks, [player.net for player in solver.players]).close
