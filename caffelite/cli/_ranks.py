"""What commands do where mpiexec has started several of them, to train together."""

import contextlib
import logging

from ._flags import UsageError


@contextlib.contextmanager
def ranks_of(args):
    """MPI's communicator of the processes that mpiexec has started, or None of a single one.

    Each gets a part of the cores. What ends the block on one of them ends all.
    """
    from ..parallel.launch import world

    comm = world()
    if comm is None:
        yield None
        return
    from ..parallel.cores import share_out
    from ..parallel.faults import ending_all
    from ._nets import set_threads

    with ending_all(comm):
        if args.threads is None:
            set_threads(share_out(comm))
        yield comm


def is_first(comm):
    """Whether this process is the one that logs and writes."""
    return comm is None or comm.rank == 0


def alike(comm):
    """A block whose errors end all ranks together, told of once."""
    if comm is None:
        return contextlib.nullcontext()
    from ..parallel.faults import alike as of_all

    return of_all(comm)


def only_errors(comm):
    """Leave the log to rank 0."""
    if not is_first(comm):
        logging.getLogger("caffelite").setLevel(logging.ERROR)


def share_start(comm, param):
    """Let all ranks begin with the seed of rank 0, which alone reads weights."""
    from .. import rng

    if comm is None:
        return
    if param.random_seed < 0:
        param.random_seed = comm.bcast(rng.next_seed() % 2**31)
    if comm.rank:
        param.ClearField("weights")


def join(comm, solver):
    """Let the solver train together with those of the other ranks."""
    if comm is None:
        return
    from ..parallel.ranks import Ranks

    with alike(comm):
        ranks = Ranks(comm)
        ranks.check(solver)
    ranks.join(solver)
    logging.getLogger("caffelite").info("%s", ranks)


def check_alone(comm, given):
    """Raise a UsageError for flags of several processes, `given` by name, where there is one."""
    for flag, value in given.items():
        if comm is None and value:
            raise UsageError(
                f"--{flag} is for several processes: mpiexec -n 4 caffelite train ... --{flag}"
            )
