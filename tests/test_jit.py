import subprocess
import sys

CODE = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
import numpy as np
from caffelite.kernels import bias, relu
for x in (np.zeros((1, 1, 1), "f"), np.zeros((1, 1, 1))):
    bias.forward(x, x[0, 0], False)
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
