"""Training in several processes over MPI: `mpiexec -n 4 caffelite train solver.prototxt`.

Each process, or rank, has a part of every batch; gradients are exchanged while backward runs, so
that all make the same step. The engine is MPI itself, by mpi4py: there is no network layer and no
launcher of our own.
"""

from .attach import attach
from .ranks import Ranks

__all__ = ["Ranks", "attach"]
