"""What is called caffe._caffe in pycaffe: nets and solvers, the mode, logging, a timer."""

from __future__ import annotations

import logging
import time
from typing import Any

from ..blob import Blob
from ..errors import CaffeliteError
from ..layers.base import layer_types
from ..layers.utility.python import BlobVec, Layer
from ..net import Net, old_calls
from ..parallel import attach
from ..parallel.launch import told
from ..proto.caffe_pb2 import TEST, TRAIN
from ..rng import set_random_seed
from ..solver import CLASSES, Solver, get_solver

globals().update(CLASSES)

__all__ = [
    *CLASSES,
    "NCCL",
    "Blob",
    "BlobVec",
    "Layer",
    "Net",
    "Solver",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_phase_test",
    "set_phase_train",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]

_log = logging.getLogger("caffelite")


def layer_type_list() -> list[str]:
    """The names of all layer types, sorted."""
    return list(layer_types())


# Where things run: on this CPU, in this process


def set_mode_cpu() -> None:
    """Run on the CPU, as caffelite always does."""


def set_mode_gpu() -> None:
    """Warn that there is no GPU support; nets run on the CPU."""
    _log.warning("set_mode_gpu: %s", old_calls.NO_GPU)


def set_device(device_id: int) -> None:
    """Warn that there is no GPU support; nets run on the CPU."""
    _log.warning("set_device(%s): %s", device_id, old_calls.NO_GPU)


def set_phase_test() -> None:
    """Let nets that are built without a phase have TEST, as they do anyway."""
    old_calls.warn("caffe.set_phase_test()", "give the phase, caffe.Net(file, caffe.TEST)")
    old_calls.set_phase(TEST)


def set_phase_train() -> None:
    """Let nets that are built without a phase have TRAIN; those that there are keep theirs."""
    old_calls.warn("caffe.set_phase_train()", "give the phase, caffe.Net(file, caffe.TRAIN)")
    old_calls.set_phase(TRAIN)


_solvers: dict[str, int] = {}  # what scripts have said


def solver_count() -> int:
    """How many processes train together: as `set_solver_count` or else mpiexec has said, or 1."""
    return _solvers.get("count", told()[1])


def set_solver_count(count: int) -> None:
    """Say how many processes train together."""
    _solvers["count"] = count


def solver_rank() -> int:
    """Which of these processes this is, as `set_solver_rank` or else mpiexec has said."""
    return _solvers.get("rank", told()[0])


def set_solver_rank(rank: int) -> None:
    """Say which of these processes this is."""
    _solvers["rank"] = rank


def set_multiprocess(multiprocess: bool) -> None:
    """Taken and passed over: processes are those that mpiexec starts."""


def has_nccl() -> bool:
    """Whether mpiexec has started this process as one of several: then MPI is what NCCL is."""
    return told()[1] > 1


class NCCL:
    """What the processes of a multi-GPU script exchange by: here MPI, where mpiexec starts them.

    From then on the solver trains together with those of the other processes; what scripts do with
    the object besides, such as `solver.add_callback(nccl)`, need do nothing more.

    Parameters
    ----------
    solver : the Solver of this process
    uid : what `new_uid` gave
    """

    def __init__(self, solver: Any, uid: Any) -> None:
        self.new_uid()
        if (solver_rank(), solver_count()) != told():
            raise CaffeliteError(
                f"this is process {told()[0]} of {told()[1]} that mpiexec has started, but the "
                f"script says it is {solver_rank()} of {solver_count()}"
            )
        attach(solver)

    @staticmethod
    def new_uid() -> str:
        """What stands for the group of processes; an error where there is but one."""
        if not has_nccl():
            raise CaffeliteError(
                "NCCL needs GPUs, which caffelite does not use; several processes train together "
                "where mpiexec starts them, each for one rank: mpiexec -n 4 python SCRIPT, or "
                "mpiexec -n 4 caffelite train"
            )
        return "MPI"

    def bcast(self) -> None:
        """All have the weights of rank 0 since they are together."""

    def __call__(self, *place: int) -> None:
        """Nothing is left to do where a script has this called, by solver or net."""


# Logging


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Write caffelite's log to stderr as Caffe does, from a level on: 0 all, 1 warnings, 2 errors.

    There are no log files; with `stderr` false, nothing is written.
    """
    from ..glog import start_logging

    levels = (logging.INFO, logging.WARNING, logging.ERROR)
    chosen = levels[level] if level < len(levels) else logging.CRITICAL
    start_logging().setLevel(chosen if stderr else logging.CRITICAL + 1)


def log(text: str) -> None:
    """Log a line of one's own."""
    _log.info("%s", text)


class Timer:
    """Wall time between `start` and `stop`."""

    def __init__(self) -> None:
        self._started = self._seconds = 0.0

    def start(self) -> None:
        """Start, or start anew."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop; `ms` then tells how long it took."""
        self._seconds = time.perf_counter() - self._started

    @property
    def ms(self) -> float:
        """Milliseconds from the last start to the last stop."""
        return 1000 * self._seconds
