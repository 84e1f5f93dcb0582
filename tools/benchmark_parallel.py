"""Time what training in several processes loses to their exchange, beside PyTorch's.

    mpiexec -n 2 python tools/benchmark_parallel.py alexnet --batch 64
    mpiexec -n 2 python tools/benchmark_parallel.py resnet-50 --batch 16 --times resnet.jsonl

Needs torch and the extra [mpi]. The same processes, each on cores of its own, train a net of
models/ with caffelite and its twin with PyTorch's DistributedDataParallel over gloo, both with SGD,
momentum and decay. In turn, they make pairs of a step with the exchange and one without, when all
processes compute, too, but each for itself: one alone would have all of the memory's bandwidth.
What is lost is the time of the one by that of the other, less 1; figures are medians over pairs,
with the quartiles. --times appends the rounds to a file, and reports all that are in it: a long
run may be done in pieces.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find tools.torch_twin, and caffelite uninstalled
    sys.path.insert(0, str(ROOT))

from caffelite import parallel  # noqa: E402
from caffelite.parallel import launch  # noqa: E402
from caffelite.parallel.cores import part_of  # noqa: E402
from caffelite.solver.team import Alone  # noqa: E402
from tools.benchmark_machine import set_threads  # noqa: E402
from tools.benchmark_nets import TRAIN, in_memory  # noqa: E402
from tools.benchmark_sides import Caffelite, PyTorch  # noqa: E402


class Ours:
    """caffelite's side."""

    name = "caffelite"

    def __init__(self, param, comm, args):
        self.solver = Caffelite(param, update=True).solver
        bucket = args.bucket and int(args.bucket * 2**20)
        self.ranks = parallel.attach(self.solver, comm, exchange=args.exchange, bucket=bucket)

    def step(self, exchanges):
        """One iteration."""
        self.solver.team = self.ranks if exchanges else Alone()
        self.solver.iterate()


class Theirs:
    """PyTorch's side."""

    name = "PyTorch's DDP"

    def __init__(self, param, comm, args):
        import torch
        from torch import distributed

        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", _free_port(comm)
        distributed.init_process_group("gloo", rank=comm.rank, world_size=comm.size)
        self.side = PyTorch(param, update=True)
        # without what it can do without: statistics are not exchanged, gradients not copied
        warnings.simplefilter("ignore", FutureWarning)  # of the next versions' names
        self.data_parallel = torch.nn.parallel.DistributedDataParallel(
            self.side.twin, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def step(self, exchanges):
        """One iteration."""
        if exchanges:
            self._step()
            return
        with self.data_parallel.no_sync():
            self._step()

    def _step(self):
        # in place: without an exchange, gradients would else be allocated anew, which takes longer
        self.side.optimizer.zero_grad(set_to_none=False)
        self.side.twin.loss(self.data_parallel(**self.side.inputs)).backward()
        self.side.update()


def _free_port(comm):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(comm.bcast(found.getsockname()[1]))


def seconds(comm, step, exchanges):
    """How long a step takes, the mean of all processes."""
    comm.Barrier()
    began = time.perf_counter()
    step(exchanges)
    return comm.allreduce(time.perf_counter() - began) / comm.size


def rounds(comm, sides, count):
    """Yield {side: [(seconds with the exchange, and without), ...]}; the faster has more pairs."""
    firsts = {side.name: _pair(comm, side, 1)[1] for side in sides for _ in range(2)}
    pairs = {name: max(1, round(max(firsts.values()) / own)) for name, own in firsts.items()}
    for number in range(count):
        found = {side.name: [] for side in sides}
        for side in sides:
            found[side.name] += [_pair(comm, side, number + k) for k in range(pairs[side.name])]
        yield found


def _pair(comm, side, number):
    """(seconds with the exchange, and without), of which every second pair begins with the last."""
    order = (True, False) if number % 2 else (False, True)
    took = {exchanges: seconds(comm, side.step, exchanges) for exchanges in order}
    return took[True], took[False]


def report(found):
    """Yield the lines of a table."""
    yield f"{'':16} {'pairs':>6} {'alone ms':>9} {'step ms':>9}   lost to the exchange"
    for name in found[0]:
        pairs = [pair for one in found for pair in one[name]]
        lost = sorted(100 * (step / alone - 1) for step, alone in pairs)
        low, middle, high = statistics.quantiles(lost, n=4) if len(lost) > 1 else lost * 3
        step, alone = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
        shown = f"{name:16} {len(pairs):6} {alone:9.1f} {step:9.1f}"
        yield f"{shown}   {middle:.1f} % ({low:.1f} to {high:.1f})"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("net", help="a folder of models/")
    flag("--batch", type=int, default=16, metavar="N", help="of each process [16]")
    flag("--rounds", type=int, default=5, metavar="N", help="how many [5]")
    flag("--threads", type=int, default=1, metavar="N", help="of each process [1]")
    flag("--exchange", choices=("auto", "ring", "tree"), default="auto", help="caffelite's [auto]")
    flag("--bucket", type=float, metavar="MB", help="caffelite's")
    flag("--times", metavar="FILE", help="append the rounds, and report all that are there")
    args = parser.parse_args(arguments)
    comm = launch.load().COMM_WORLD
    os.sched_setaffinity(0, part_of(comm.allgather(sorted(os.sched_getaffinity(0))), comm.rank))
    param = in_memory(ROOT / "models" / args.net, TRAIN, args.batch)
    sides = [Ours(param, comm, args), Theirs(param, comm, args)]
    set_threads(args.threads)
    found = []
    for one in rounds(comm, sides, args.rounds):
        found.append(one)
        if args.times and comm.rank == 0:
            with open(args.times, "a", encoding="utf-8") as file:
                print(json.dumps(one), file=file)
    if comm.rank == 0:
        if args.times:
            with open(args.times, encoding="utf-8") as file:
                found = [json.loads(line) for line in file]
        print(f"{args.net}, {args.batch} a process, {comm.size} processes, {args.threads} threads")
        print("\n".join(report(found)), flush=True)


if __name__ == "__main__":
    main()
