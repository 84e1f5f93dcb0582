import os
import subprocess
import sys

import pytest

CODE = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
import numpy as np
from caffelite.kernels import affine, relu
for x in (np.zeros((1, 1, 1), "f"), np.zeros((1, 1, 1))):
    affine.forward(x, x[0, 0], x[0, 0], x[0, 0], False, x)
    relu.forward(x[0, 0], x.dtype.type(0), x[0, 0])
"""


def test_compiling_is_said_once_and_only_where_it_happens(tmp_path):
    environment = {"PATH": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert said == ["Compiling kernels for this CPU; later runs find them on disk.\n", ""]


def test_machine_code_is_kept_in_the_users_cache(tmp_path):
    environment = {"PATH": "", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "own")}
    environment["CAFFELITE_SMALL"] = "0"
    subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, check=True)
    home = tmp_path / "own" if sys.platform == "linux" else tmp_path
    kept = {path.stem.split(".")[0] for path in home.rglob("caffelite/**/*.nbi")}
    assert {"affine", "relu"} <= kept


FORKS = """
import multiprocessing
import caffelite
from caffelite import layers as L

def run(_):
    x = L.Input(shape=dict(dim=[1, 2, 3, 4]))
    net = caffelite.Net(L.ReLU(L.Scale(x)).to_proto(), caffelite.TEST)
    return str(net.forward()["ReLU1"].sum())

print(run(0))
with multiprocessing.get_context("fork").Pool(1) as pool:
    try:
        print(pool.map(run, [0]))
    except RuntimeError as problem:
        print(problem)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is not GNU's OpenMP")
@pytest.mark.parametrize(
    ("layer", "said"), [("omp", "this process was forked from one"), ("workqueue", "['0.0']")]
)
def test_a_fork_that_openmp_would_end_is_refused(layer, said, require_threading_layer):
    require_threading_layer(layer)
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        env={**os.environ, "NUMBA_THREADING_LAYER": layer},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said in done.stdout
