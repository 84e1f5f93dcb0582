"""Whether this process is one of several that mpiexec or srun has started, and their MPI."""

import os
import sys
import time
from importlib import metadata

from ..errors import CaffeliteError

# What launchers tell each process in the environment: how many there are, and which it is.
_TOLD = (
    ("PMI_SIZE", "PMI_RANK"),  # MPICH, Intel MPI, MVAPICH
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),  # srun, with whichever MPI
)


PATIENCE = 3.0
"""Seconds that a process which fails waits for the others to do so, too."""


def told():
    """(rank, number of processes) as the launcher says; (0, 1) where there is none."""
    for size, rank in _TOLD:
        numbers = os.environ.get(rank, ""), os.environ.get(size, "")
        if all(text.isdecimal() for text in numbers):
            return int(numbers[0]), int(numbers[1])
    return 0, 1


def world():
    """MPI's communicator of all processes, or None where this one was started by itself."""
    rank, size = told()
    if size < 2:
        return None
    try:
        return _world(size)
    except CaffeliteError:
        if rank:  # one message is enough
            raise SystemExit(1) from None
        raise


def end_waiting(code):
    """End the processes that wait for this one, which fails before it has joined them.

    MPI does not notice that a process has ended which was none of its own yet. Where all fail, as
    they do for the same flags, each just ends.
    """
    if told()[1] < 2 or "mpi4py.MPI" in sys.modules:
        return
    try:
        comm = load().COMM_WORLD
    except CaffeliteError:  # the others cannot have it either
        return
    all_fail, until = comm.Ibarrier(), time.monotonic() + PATIENCE
    while not all_fail.Test():
        if time.monotonic() > until:
            comm.Abort(code)
        time.sleep(0.01)


def load():
    """mpi4py's MPI."""
    try:
        try:
            from mpi4py import MPI
        except RuntimeError:  # no MPI where it looks; the wheel may be in an environment below ours
            library = of_wheel("libmpi.so.12", "libmpi.12.dylib")
            if not library:
                raise
            os.environ["MPI4PY_LIBMPI"] = library
            from mpi4py import MPI
    except (ImportError, RuntimeError) as problem:
        raise CaffeliteError(
            "to train in several processes, mpi4py and an MPI are needed, and cannot be loaded: "
            f"{str(problem).partition(chr(10))[0]}; install the extra [mpi]: "
            "pip install 'caffelite[mpi]'"
        ) from None
    return MPI


def of_wheel(*names):
    """The path of a file with one of these names that the wheel of MPICH has installed, or ""."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return ""
    found = {file.name: os.path.normpath(file.locate()) for file in files}
    return next((found[name] for name in names if name in found), "")


def _world(size):
    MPI = load()
    if MPI.COMM_WORLD.size != size:
        library = MPI.Get_library_version().partition("\n")[0].rstrip("\0")
        raise CaffeliteError(
            f"{size} processes were started, but mpi4py sees {MPI.COMM_WORLD.size}: it runs on "
            f"another MPI ({library}) than the one whose launcher started them. Take the mpiexec "
            "of that MPI, or build mpi4py for yours: pip install --no-binary mpi4py mpi4py"
        )
    return MPI.COMM_WORLD
