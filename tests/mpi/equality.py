"""Whether N processes come to what one comes to, on nets of models/.

    python -m tests.mpi.equality FOLDER [NET...]

trains each by each rule, in 1 process of 1 and of 2 threads, in 2, 3 and 4, and these twice, and
prints how far apart they end; it takes hours on two cores. FOLDER gets data and results.

How far apart rounding drives two trainings is a matter of chance: of lenet's, most end 1e-7 apart,
and some 1e-3, where a maximum or a ReLU came out otherwise. So each is run from several seeds:
what is wrong is so with all of them. The median is held against the farthest that threads came to.
"""

import os
import shutil
import statistics
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from caffelite.parallel import launch

from . import nets

MPIEXEC = launch.of_wheel("mpiexec") or shutil.which("mpiexec")
FIRST = 1e-6  # relative: of the first iteration's loss, and weights
TIMES = 3  # as far as one process of 1 and one of 2 threads are apart
SEEDS = 1, 2, 3


class Found(NamedTuple):
    """How far N processes are off one, relative, and in terms of what threads make different."""

    same_records: bool
    first_loss: float
    first: float
    losses: float
    losses_times: float
    last: float
    last_times: float

    def is_equal(self):
        """Whether that is as it should be."""
        rounded = max(self.first_loss, self.first) <= FIRST
        return self.same_records and rounded and max(self.losses_times, self.last_times) <= TIMES


def run(folder, net, rule, ranks=1, threads=1, seed=1, again=False, iterations=nets.ITERATIONS):
    """What rank 0 of a training has written: {what: array}."""
    out = f"{folder}/{net}-{rule}-{ranks}x{threads}-{seed}{'-again' * again}.npz"
    words = [folder, net, rule, out, str(seed), str(iterations)]
    command = [sys.executable, "-m", "tests.mpi.nets", *words]
    if ranks > 1:
        command = [MPIEXEC, "-n", str(ranks), *command]
    env = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,  # which MPICH's mpiexec reads
        capture_output=True,
        text=True,
        cwd=nets.ROOT,
        env=os.environ | env,
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))


def off(found, one, what, among=slice(None)):
    """How far an array is off that of one process, relative."""
    apart = np.linalg.norm(found[what][among] - one[what][among])
    return float(apart / np.linalg.norm(one[what][among]))


def has_gradient(one, rule):
    """Which values have a gradient that is more than rounding, where the rule divides by its size.

    Adam's first step is the rate, but for gradients near delta, 1e-8.
    """
    if rule != "adam":
        return slice(None)
    steps = abs(one["first"] - one["start"])
    return steps > 0.9 * np.median(steps[steps > 0])


def compare(rule, manys, ones, two_threads):
    """The Found of trainings in several processes, in one, and in one of two threads, by seeds."""
    trios = list(zip(manys, ones, two_threads, strict=True))

    def typical(what):
        found = statistics.median(off(many, one, what) for many, one, _ in trios)
        return found, found / max(off(two, one, what) for _, one, two in trios)

    return Found(
        all(np.array_equal(many["records"], one["records"]) for many, one, _ in trios),
        max(float(abs(many["losses"][0] / one["losses"][0] - 1)) for many, one, _ in trios),
        max(off(many, one, "first", has_gradient(one, rule)) for many, one, _ in trios),
        *typical("losses"),
        *typical("last"),
    )


def same_bits(a, b):
    """Whether two trainings came to the same."""
    return all(np.array_equal(a[what], b[what]) for what in a)


def main(folder, *names):
    if not os.path.exists(f"{folder}/data"):
        nets.write(folder)
    for net in names or nets.NETS:
        for rule in nets.RULES:
            ones, two_threads = (
                [run(folder, net, rule, threads=n, seed=seed) for seed in SEEDS] for n in (1, 2)
            )
            for ranks in (2, 3, 4):
                manys = [run(folder, net, rule, ranks, seed=seed) for seed in SEEDS]
                found = compare(rule, manys, ones, two_threads)
                again = run(folder, net, rule, ranks, seed=SEEDS[0], again=True)
                same = same_bits(manys[0], again)
                figures = ", ".join(f"{name} {one:.2g}" for name, one in found._asdict().items())
                print(f"{net} {rule} N = {ranks}: {figures}, twice the same bits {same}", end="; ")
                print("equal" if found.is_equal() and same else "NOT EQUAL", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
