"""The ranks of a node share out its cores, so that the threads of one do not wait for another's."""

import logging
import os
import socket

log = logging.getLogger("caffelite")


def share_out(comm):
    """Bind this rank to its part of the cores that it may use; returns how many these are.

    Where the launcher has bound ranks to cores of their own, that stands.
    """
    from .launch import load

    node = comm.Split_type(load().COMM_TYPE_SHARED)
    every = node.allgather(_usable())
    own = part_of(every, node.rank)
    if own != every[node.rank] and every[node.rank] and not node.bcast(_busy()):
        os.sched_setaffinity(0, own)
    if node.rank == 0 and len(set().union(*every)) < node.size:
        log.warning(
            "%d ranks run on the %d cores of %s, and have to wait for each other: start fewer",
            *(node.size, len(set().union(*every)), socket.gethostname()),
        )
    return len(own)


def _busy():
    """Whether others are at work here: then it is for the system to say who runs where."""
    return os.getloadavg()[0] > (os.cpu_count() or 1) / 2


def _usable():
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []  # macOS and Windows bind no process: the system moves them


def part_of(every, rank):
    """The cores of a rank, where `every` has those that each rank of the node may use.

    Of ranks that may use the same ones, each gets cores next to each other, as many as the others.
    """
    mine = every[rank]
    sharers = [k for k, cores in enumerate(every) if cores == mine]
    alone = len(sharers) == 1
    if alone or not mine:
        return mine or list(range(max(1, (os.cpu_count() or 1) // len(every))))
    place, count = sharers.index(rank), len(sharers)
    if count > len(mine):
        return [mine[place % len(mine)]]
    return mine[len(mine) * place // count : len(mine) * (place + 1) // count]
