"""Kill ranks of a training at random moments; each time it goes on from its last snapshot.

    python -m tests.mpi.kills FOLDER COUNT [SEED]

ends two ranks COUNT times, with SIGKILL for one of them, and then lets them come to the end. It
fails if one goes on living, if a snapshot is not whole, or if any loss, or the last weights, have
other bits than those of a training that nobody disturbs. FOLDER is empty.
"""

import json
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from caffelite.parallel import launch
from caffelite.proto.text import to_text

from . import trainings

MPIEXEC = launch.of_wheel("mpiexec") or shutil.which("mpiexec")
RANKS = 2
APART = 10  # iterations between two kills, at the most
SNAPSHOTS = 4
LIMIT = 600  # seconds, in which all have ended that are killed, on a busy machine, too
# what the rank to be killed is at: module, class or None, function, its calls in an iteration, and
# the milliseconds that it may go on for
MOMENTS = {
    "reading": ("caffelite.data.lmdb", "LmdbSource", "sample", 6, 1),
    "forward": ("caffelite.net.net", "Net", "_forward", 1, 2),
    "exchange": ("caffelite.parallel.exchange", "Exchange", "finish", 1, 2),
    "snapshot": ("caffelite.solver.base", "Solver", "snapshot", 1 / SNAPSHOTS, 30),
    "anything": ("caffelite.solver.base", "Solver", "iterate", 1, 50),
}


def moments(count, seed=0):
    """(rank, what it is at, number of the call, milliseconds after that) for each kill."""
    chance = random.Random(seed)
    for _ in range(count):
        what = chance.choice(list(MOMENTS))
        *_, calls, most = MOMENTS[what]
        number = chance.randint(1, max(1, int(APART * calls)))
        yield chance.randrange(RANKS), what, number, chance.uniform(0, most)


def solver_file(folder, iterations):
    """The solver's prototxt; all losses are logged."""
    more = f"max_iter: {iterations} display: 1 snapshot: {SNAPSHOTS} snapshot_after_train: true"
    param = trainings.solver_of(folder, "sgd", RANKS, f"test_interval: 50 {more}").param
    net, path = Path(folder, "net.prototxt"), Path(folder, "solver.prototxt")
    net.write_text(to_text(param.net_param))
    param.ClearField("net_param")
    param.net = str(net)
    path.write_text(to_text(param))
    return str(path)


def run(folder, solver, prefix, kill=()):
    """Train in two ranks, from the last snapshot on; with a kill, until then."""
    words = [sys.executable, "-m", "tests.mpi.kills", "--ranks", folder, *map(str, kill), "train"]
    words += ["--solver", solver, "--snapshot", "auto", "--keep", "3"]
    words += ["--log", f"{prefix}.log", "--set", f"snapshot_prefix={prefix}"]
    alone = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [MPIEXEC, "-n", str(RANKS), *words],
        stdin=subprocess.DEVNULL,  # which MPICH's mpiexec reads
        capture_output=True,
        text=True,
        timeout=LIMIT if kill else None,
        env=os.environ | alone,
    )
    assert "passing it over" not in done.stderr, f"a snapshot is not whole: {done.stderr}"
    check_none_lives(folder)
    return done


def check_none_lives(folder):
    """Fail if a rank still lives that has noted its number in the folder."""
    for file in Path(folder).glob("*.pid"):
        end = time.monotonic() + 10
        while os.path.exists(f"/proc/{file.stem}") and time.monotonic() < end:
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{file.stem}"), f"{file.read_text()} goes on living"
        file.unlink()


def losses(log):
    """[(iteration, loss)] of a log."""
    for line in open(log, encoding="utf-8"):
        if line.endswith("\n") and (record := json.loads(line))["event"] == "train":
            yield record["iteration"], record["loss"]


def check(folder, count, seed=0, tell=lambda words: None):
    """Kill `count` times, and compare."""
    os.makedirs(folder, exist_ok=True)
    trainings.write(folder)
    solver = solver_file(folder, count * APART)
    whole, killed = f"{folder}/whole", f"{folder}/killed"
    done = run(folder, solver, whole)
    assert done.returncode == 0, done.stderr
    for kill in moments(count, seed):
        began = time.monotonic()
        done = run(folder, solver, killed, kill)
        assert done.returncode != 0, f"{kill}: nobody was killed, or nobody was told: {done.stderr}"
        tell(f"{kill}: ended after {time.monotonic() - began:.1f} s, code {done.returncode}")
    done = run(folder, solver, killed)
    assert done.returncode == 0, done.stderr
    straight, seen = dict(losses(f"{whole}.log")), list(losses(f"{killed}.log"))
    assert dict(seen).keys() == straight.keys()
    assert all(loss == straight[iteration] for iteration, loss in seen), "other losses"
    models = [Path(f"{prefix}_iter_{count * APART}.caffemodel") for prefix in (whole, killed)]
    assert models[0].read_bytes() == models[1].read_bytes(), "other weights"
    tell(f"{count} kills, {len(seen)} losses of {len(straight)} iterations: the same bits")


def arm(rank, what, number, milliseconds):
    """Let this process, if it is that rank, be killed in the call of this number, or soon after."""
    module, owner, name, *_ = MOMENTS[what]
    if launch.told()[0] != int(rank):
        return
    owner = getattr(__import__(module, fromlist=[owner]), owner)
    before, calls = getattr(owner, name), []

    def armed(*words, **more):
        calls.append(0)
        if len(calls) == int(number):
            kill = signal.SIGKILL
            threading.Timer(float(milliseconds) / 1e3, os.kill, (os.getpid(), kill)).start()
        return before(*words, **more)

    setattr(owner, name, armed)


def main(*words):
    if words[0] != "--ranks":
        folder, count, *seed = words
        check(os.path.abspath(folder), int(count), *map(int, seed), tell=print)
        return
    _, folder, *words = words
    Path(folder, f"{os.getpid()}.pid").write_text(f"rank {launch.told()[0]}")
    at = words.index("train")
    if at:
        arm(*words[:at])
    sys.argv[1:] = words[at:]
    runpy.run_module("caffelite", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
