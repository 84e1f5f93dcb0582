"""What tests train, in one process or, under mpiexec, in several: prints JSON from rank 0.

mpiexec -n 2 python -m tests.mpi.trainings FOLDER NAME... [exchange=ring] [half=yes]
"""

import json
import os
import sys

import numpy as np

from caffelite import rng
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.parallel.launch import told
from caffelite.proto.caffe_pb2 import SolverParameter
from caffelite.proto.text import parse
from caffelite.solver import get_solver

BATCH = 12
CLASSES = 4

NET = """
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "FOLDER/db" backend: LMDB batch_size: BATCH shuffle: true }
  transform_param { crop_size: 4 mirror: true scale: 0.01 }
  include { phase: TRAIN } }
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "FOLDER/db" backend: LMDB batch_size: 5 }
  transform_param { crop_size: 4 scale: 0.01 } include { phase: TEST } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  inner_product_param { num_output: 9 weight_filler { type: "xavier" } } PARAM }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
MIDDLE
layer { name: "ip2" type: "InnerProduct" bottom: "INPUT" top: "ip2"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
LOSS
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" %s }'
VALID = LOSS % "loss_param { ignore_label: 3 }"
DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }'
SHARED = """
layer { name: "ip1b" type: "InnerProduct" bottom: "ip1" top: "ip1b" param { name: "w" }
  inner_product_param { num_output: 9 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "ip1c" type: "InnerProduct" bottom: "ip1b" top: "ip1c" param { name: "w" }
  inner_product_param { num_output: 9 bias_term: false weight_filler { type: "xavier" } } }
"""

SYNC = """
layer { name: "bn" type: "BatchNorm" bottom: "ip1" top: "ip1" }
layer { name: "scale" type: "Scale" bottom: "ip1" top: "ip1" scale_param { bias_term: true } }
layer { name: "relu2" type: "ReLU" bottom: "ip1" top: "ip1" }
"""

# name: (what the solver says, what the net has instead of MIDDLE, PARAM and LOSS)
TRAININGS = {
    "sgd": ('type: "SGD" momentum: 0.9 weight_decay: 0.01', DROPOUT, "", VALID),
    "clipped": ("momentum: 0.9 clip_gradients: 0.05 iter_size: 2", DROPOUT, "", VALID),
    "nesterov": ('type: "Nesterov" momentum: 0.9 regularization_type: "L1" weight_decay: 0.001',),
    "adagrad": ('type: "AdaGrad" base_lr: 0.02',),
    "rmsprop": ('type: "RMSProp" base_lr: 0.005 rms_decay: 0.9',),
    "adadelta": ('type: "AdaDelta" base_lr: 1 momentum: 0.95 delta: 1e-4',),
    "adam": ('type: "Adam" base_lr: 0.005 momentum: 0.9 delta: 1e-3',),
    "adamw": ('type: "AdamW" base_lr: 0.005 momentum: 0.9 delta: 1e-3 weight_decay: 0.1',),
    "frozen": ("momentum: 0.9", "", "param { lr_mult: 0 } param { lr_mult: 0 }"),
    "sync-bn": ("momentum: 0.9", SYNC),
    "shared": ("momentum: 0.9", SHARED, 'param { name: "v" } param { name: "b" }'),
    "players": (
        'momentum: 0.9 player { name: "b" layer: "ip2" steps: 2 solver { base_lr: 0.05 } } '
        'player { name: "a" solver { clip_gradients: 0.05 iter_size: 2 } }',
        *(SYNC, "", VALID),
    ),
    "summed": ("base_lr: 0.005", "", "", LOSS % "loss_param { normalization: NONE }"),
}


def write(folder):
    """The data of all trainings."""
    random = np.random.default_rng(0)
    with LmdbWriter(os.path.join(folder, "db")) as writer:
        for k in range(50):
            label = int(random.integers(CLASSES))
            x = random.integers(0, 100, (1, 6, 6), np.uint8)
            x[0, label] += 120
            writer.put(b"%08d" % k, from_pixels(x, label).SerializeToString())


def solver_of(folder, name, ranks, more=""):
    """The solver of a training, whose batches are shared out to so many ranks."""
    said, *parts = (*TRAININGS[name], "", "", "")[:4]
    middle, of_param, loss = parts
    param = parse(
        f'base_lr: 0.1 lr_policy: "fixed" max_iter: 12 test_iter: 7 test_interval: 5 '
        f'random_seed: 4 snapshot_prefix: "{folder}/{name}_{ranks}" snapshot_after_train: false',
        SolverParameter,
    )
    param.MergeFrom(parse(f"{said} {more}", SolverParameter))
    text = (
        NET.replace("MIDDLE", middle).replace("PARAM", of_param).replace("LOSS", loss or LOSS % "")
    )
    text = text.replace("INPUT", "ip1c" if "ip1c" in middle else "ip1")
    text = text.replace("FOLDER", folder).replace("BATCH", str(BATCH // ranks))
    param.net_param.MergeFrom(parse(text, type(param.net_param)))
    return get_solver(param)


def train(solver):
    """{what: numbers} of a training."""
    found = {"losses": [], "tests": []}

    def listen(event):
        if event["event"] == "step":
            found["losses"].append(event["loss"])
        elif event["event"] == "test":
            found["tests"].append([event["loss"], float(event["outputs"]["accuracy"])])

    solver.add_listener(listen)
    solver.step(1)
    found["first"] = weights(solver)
    solver.step(solver.param.max_iter - solver.iter)
    found["weights"] = weights(solver)
    nets = [*(player.net for player in solver.players), *solver.test_nets]
    found["positions"] = [layer.position for net in nets for layer in net.layers]
    return found


def weights(solver):
    """All that is learned, as one list."""
    return np.concatenate([e.blob.data.ravel() for e in solver.net.learnable]).tolist()


def main(folder, *words):
    names = [word for word in words if "=" not in word]
    how = dict(word.split("=") for word in words if "=" in word)
    ranks = told()[1]
    rng.set_random_seed(1)
    found = {}
    for name in names:
        solver = solver_of(folder, name, ranks)
        if ranks > 1:
            from caffelite import parallel

            parallel.attach(solver, sync_bn=True, **how)
        found[name] = train(solver)
        solver.net.close()
    if told()[0] == 0:
        show(found)


def show(found):
    """Print what was found."""
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
