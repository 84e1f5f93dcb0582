"""Whether N processes come to what one comes to, on nets of models/.

    python -m tests.mpi.equality FOLDER [NET|NET/RULE...]

trains each, by each rule if none is named, in 1 process of 1 and of 2 threads, and in 2, 3 and 4,
and prints how far apart they end; all of it takes an hour on two cores. FOLDER gets data and
results.

In float32 how far apart rounding drives two trainings is a matter of chance: of lenet's, most end
1e-7 apart after 100 iterations, and some 1e-3, where a maximum or a ReLU came out otherwise. In
float64 that does not happen, and what is wrong shows at any size above 1e-12. So the first
iteration is compared in float32, which users train in, the hundredth in float64.

Where a net makes rounding grow, as BatchNorm does, even float64 ends further apart. How far is
measured by one process of 2 threads, which round a few sums otherwise, and by some that start from
weights moved by one rounding each, as other orders of sums move all gradients.
"""

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from caffelite.parallel import launch

from . import nets

MPIEXEC = launch.of_wheel("mpiexec") or shutil.which("mpiexec")
FIRST = 1e-6  # relative: of the first iteration's loss, and weights, in float32
LAST = 1e-12  # of all losses, and of weights after ITERATIONS, in float64; or, if that is more,
TIMES = 3  # as far as rounding drives one process from another
STARTS = 6  # moved by roundings
SHORT = 10  # iterations in float32, whose bits are compared


class Found(NamedTuple):
    """How far N processes are off one, relative.

    `rounding` is how far one process is off itself where a few sums are rounded otherwise.
    """

    same_records: bool
    first_loss: float
    first: float
    losses: float
    last: float
    rounding: float

    def is_equal(self):
        """Whether that is as it should be."""
        rounded = max(self.first_loss, self.first) <= FIRST
        apart = max(self.losses, self.last) <= max(LAST, TIMES * self.rounding)
        return self.same_records and rounded and apart


def run(
    folder, net, rule, ranks=1, threads=1, dtype="float64", iterations=nets.ITERATIONS, seed=""
):
    """What rank 0 of a training has written: {what: array}."""
    out = f"{folder}/{net}-{rule}-{ranks}x{threads}-{dtype}{seed}.npz"
    command = [sys.executable, "-m", "tests.mpi.nets", folder, net, rule, out, str(iterations)]
    command += [dtype, str(seed)]
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


def compare(rule, many_short, one_short, many, one, *rounded):
    """The Found of trainings in several processes and in one, in float32 and in float64."""
    every = (many_short, one_short), (many, one)
    return Found(
        all(np.array_equal(theirs["records"], ours["records"]) for theirs, ours in every),
        float(abs(many_short["losses"][0] / one_short["losses"][0] - 1)),
        off(many_short, one_short, "first", has_gradient(one_short, rule)),
        off(many, one, "losses"),
        off(many, one, "last"),
        max(off(other, one, what) for other in rounded for what in ("losses", "last")),
    )


def same_bits(a, b):
    """Whether two trainings came to the same."""
    return all(np.array_equal(a[what], b[what]) for what in a)


def main(folder, *names):
    if not os.path.exists(f"{folder}/data"):
        nets.write(folder)
    for net in names or nets.NETS:
        net, _, rule = net.partition("/")
        for one in [rule] if rule else nets.RULES:
            for line in lines(folder, net, one):
                print(line, flush=True)


def lines(folder, net, rule):
    """What to print of a net and a rule, a line for each number of ranks."""
    short = {"dtype": "float32", "iterations": SHORT}
    one_short, one = run(folder, net, rule, **short), run(folder, net, rule)
    rounded = [run(folder, net, rule, seed=seed + 1) for seed in range(STARTS)]
    rounded.append(run(folder, net, rule, threads=2))
    for ranks in (2, 3, 4):
        many_short, again = (run(folder, net, rule, ranks, **short) for _ in range(2))
        many = run(folder, net, rule, ranks)
        found = compare(rule, many_short, one_short, many, one, *rounded)
        same = same_bits(many_short, again)
        figures = ", ".join(f"{name} {value:.2g}" for name, value in found._asdict().items())
        verdict = "equal" if found.is_equal() and same else "NOT EQUAL"
        yield f"{net} {rule} N = {ranks}: {figures}, twice the same bits {same}; {verdict}"


if __name__ == "__main__":
    main(*sys.argv[1:])
