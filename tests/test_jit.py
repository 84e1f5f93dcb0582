import subprocess
import sys

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
    subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, check=True)
    home = tmp_path / "own" if sys.platform == "linux" else tmp_path
    kept = {path.stem.split(".")[0] for path in home.rglob("caffelite/**/*.nbi")}
    assert {"affine", "relu"} <= kept
