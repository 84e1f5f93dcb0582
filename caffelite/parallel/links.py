"""How fast ranks exchange: latency and bandwidth of all together, and of each pair."""

import os
import socket
import time

import numpy as np

from .. import reading
from ..atomic import write_atomically
from ..environment import user_cache
from ..errors import CaffeliteError, DataError
from ..json_text import json_text
from .cost import Network
from .exchange import Exchange

LARGE = 16 << 20  # bytes that are sent to find a bandwidth
PASSES = 20  # of a message of a few bytes, to find a latency


def of_all(comm):
    """(seconds for the mean of 8 bytes, bytes a second for that of LARGE ones)."""
    return [_mean_of(comm, size, passes) for size, passes in ((8, PASSES), (LARGE, 3))]


def _mean_of(comm, size, passes):
    exchange, array = Exchange(comm), np.zeros(size // 4, np.float32)
    found = []
    for _ in range(passes):
        comm.Barrier()
        began = time.perf_counter()
        exchange.add(array)
        exchange.finish()
        found.append(comm.allreduce(time.perf_counter() - began) / comm.size)
    best = min(found)
    return best if size == 8 else size / best


def of_pairs(comm):
    """ranks x ranks: (whether both are on one host, seconds for a few bytes, bytes a second)."""
    hosts = comm.allgather(socket.gethostname())
    found = [[None] * comm.size for _ in hosts]
    for a in range(comm.size):
        for b in range(a + 1, comm.size):
            numbers = [_to_and_fro(comm, a, b, size) for size in (8, LARGE)]
            fact = hosts[a] == hosts[b], numbers[0] / 2, 2 * LARGE / numbers[1]
            found[a][b] = found[b][a] = fact
    return hosts, found


def _to_and_fro(comm, a, b, size):
    """Seconds from rank a to rank b and back, on all ranks."""
    array, best = np.zeros(size, np.uint8), 0.0
    comm.Barrier()
    if comm.rank in (a, b):
        times = []
        for _ in range(PASSES if size < LARGE else 3):
            began = time.perf_counter()
            if comm.rank == a:
                comm.Send(array, b)
                comm.Recv(array, b)
            else:
                comm.Recv(array, a)
                comm.Send(array, a)
            times.append(time.perf_counter() - began)
        best = min(times)
    return comm.bcast(best, a)


def slowest(pairs):
    """The Network of the slowest pair: of those on two hosts, if there are any."""
    facts = [fact for row in pairs for fact in row if fact is not None]
    facts = [fact for fact in facts if not fact[0]] or facts
    return Network(max(alpha for _, alpha, _ in facts), 1 / min(speed for *_, speed in facts))


def keep(network):
    """Keep a Network in the user's cache, if that can be; returns whether it is there."""
    try:
        os.makedirs(user_cache(), exist_ok=True)
        write_atomically(_kept(), json_text(network._asdict()).encode())
    except OSError:
        return False
    return True


def measured():
    """The Network that was kept last."""
    way_out = "measure it: mpiexec -n 2 caffelite doctor"
    try:
        if not os.path.exists(_kept()):
            raise CaffeliteError(f"no network was measured on this machine; {way_out}")
        found = reading.json_object(reading.text(_kept(), takes=("JSON",)), _kept())
        return Network(float(found["alpha"]), float(found["beta"]))
    except (DataError, ValueError, TypeError, KeyError):
        raise CaffeliteError(f"{_kept()}: cannot be read as a network; {way_out}") from None


def _kept():
    return os.path.join(user_cache(), "network.json")


def lines(comm):
    """What was measured, as lines of text, on all ranks; rank 0 keeps it, see `measured`."""
    latency, bandwidth = of_all(comm)
    hosts, pairs = of_pairs(comm)
    network = slowest(pairs)
    if comm.rank == 0:
        keep(network)
    yield f"mean over {comm.size} ranks: {1e6 * latency:.0f} us, {bandwidth / 1e9:.2f} GB/s"
    yield "each pair, H on one host, N over the network, in GB/s:"
    yield "      " + "".join(f"{rank:>8}" for rank in range(comm.size)) + "  host"
    for rank, row in enumerate(pairs):
        cells = (
            "-" if fact is None else f"{'H' if fact[0] else 'N'} {fact[2] / 1e9:.2f}"
            for fact in row
        )
        yield f"{rank:>6}" + "".join(f"{cell:>8}" for cell in cells) + f"  {hosts[rank]}"
    told = f"{1e6 * network.alpha:.3g},{1e-9 / network.beta:.3g}"
    yield f"the slowest: {told} us, GB/s, for caffelite time --ranks ... --network measured"
