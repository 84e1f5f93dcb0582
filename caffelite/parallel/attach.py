"""Share out the batches of a solver that a script has made."""

import sys

from .faults import alike, end_all
from .launch import load
from .ranks import Ranks


def attach(solver, comm=None):
    """Let the solver train together with those that the other ranks attach.

    All ranks make the same solver, and each calls this once. From then on `step`, `solve`,
    `restore` and `snapshot` are for all ranks to call; the state of rank 0, its weights too, is
    that of all. An exception that a script does not catch ends all ranks.

    Parameters
    ----------
    solver : a Solver
    comm : an mpi4py.MPI.Comm; by default that of all processes

    Returns
    -------
    Ranks : the solver's team; its `rank` and `size` tell which process this is
    """
    comm = load().COMM_WORLD if comm is None else comm
    _end_all_with_this(comm)
    ranks = Ranks(comm)
    with alike(comm):
        ranks.check(solver)
    ranks.join(solver)
    return ranks


def _end_all_with_this(comm):
    before = sys.excepthook

    def hook(kind, problem, trace):
        end_all(comm, problem)
        before(kind, problem, trace)

    if comm.size > 1:
        sys.excepthook = hook
