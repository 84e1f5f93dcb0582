"""After a training step, a process that has nothing to do leaves the processor alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN_THEN_SLEEP = """
import sys, time
import caffelite, numba
from google.protobuf import text_format
from caffelite.proto import caffe_pb2

solver = caffelite.get_solver(text_format.Parse('''
  base_lr: 0.01 lr_policy: "fixed" max_iter: 3 net_param {
    layer { name: "x" type: "Data" top: "x" include { phase: TRAIN }
      transform_param { scale: 0.004 }
      data_param { source: "raw_lmdb" backend: LMDB batch_size: 20 } }
    layer { name: "prelu" type: "PReLU" bottom: "x" top: "y" }
    layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "x" top: "loss" }
  }
''', caffe_pb2.SolverParameter()))
solver.step(3)  # over more values than one thread does alone, see caffelite/kernels/_jit.py
assert numba.threading_layer() == sys.argv[1]
time.sleep(float(sys.argv[2]))
before = time.process_time()
time.sleep(1)
print(time.process_time() - before)
"""


@pytest.mark.parametrize(
    ("layer", "pause"),
    # OpenMP's threads look out for more work for some milliseconds before they sleep
    [pytest.param("workqueue", 0, marks=pytest.mark.slow), ("tbb", 0), ("omp", 0.3)],
)
def test_an_idle_process_uses_no_time(layer, pause, require_threading_layer):
    require_threading_layer(layer)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_THEN_SLEEP, layer, str(pause)],
        env=os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"},
        cwd=Path(__file__).parent / "golden" / "caffe" / "data",
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 0.01
