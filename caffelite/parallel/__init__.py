"""Training in several processes over MPI: `mpiexec -n 4 caffelite train solver.prototxt`.

Each process, or rank, has a part of every batch; gradients are exchanged while backward runs, so
that all make the same step. The engine is MPI itself, by mpi4py: there is no network layer and no
launcher of our own.
"""


def attach(solver, comm=None, **how):
    """Let the solver train together with those that the other ranks attach.

    All ranks make the same solver, and each calls this once. From then on `step`, `solve`,
    `restore` and `snapshot` are for all ranks to call; the state of rank 0, its weights too, is
    that of all. An exception that a script does not catch ends all ranks.

    Parameters
    ----------
    solver : a Solver
    comm : an mpi4py.MPI.Comm; by default that of all processes
    how : further arguments of `caffelite.parallel.ranks.Ranks`

    Returns
    -------
    Ranks : the solver's team; its `rank` and `size` tell which process this is
    """
    from .faults import alike, end_all_with_this
    from .launch import load
    from .ranks import Ranks

    comm = load().COMM_WORLD if comm is None else comm
    end_all_with_this(comm)
    with alike(comm):
        ranks = Ranks(comm, **how)
        ranks.check(solver)
    ranks.join(solver)
    return ranks
