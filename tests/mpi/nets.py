"""Nets of models/, trained in one process or, under mpiexec, in several; rank 0 writes a file.

    mpiexec -n 3 python -m tests.mpi.nets FOLDER NET RULE OUT.npz ITERATIONS DTYPE [SEED]

FOLDER is what `write` has filled with data, OUT.npz gets losses, the weights at first, after one
iteration and after all, and a checksum of each sample of each batch. With a SEED, each weight
starts from a number next to it.
"""

import functools
import os
import sys
import zlib
from pathlib import Path

import numpy as np

from caffelite.cli import main as caffelite
from caffelite.net import Net
from caffelite.parallel.launch import told
from caffelite.proto.caffe_pb2 import SolverParameter
from caffelite.proto.text import parse, read_net, read_solver
from caffelite.solver import get_solver

ROOT = Path(__file__).resolve().parents[2]
BATCH = 24  # of all ranks together
ITERATIONS = 100

# name: what its solver says otherwise; with a high rate, 100 iterations are rounding alone
NETS = {"lenet": "", "cifar10-full": "", "resnet-20": "base_lr: 0.01"}
RULES = {
    "momentum": "",
    "adam": 'type: "Adam" base_lr: 0.0005 momentum: 0.9',
    "clipped": "clip_gradients: 0.5",
    "iter_size": "iter_size: 2",
}


def write(folder):
    """The data of all of them, under the names that the nets ask for."""
    digits, pictures = f"{folder}/data", f"{folder}/data/cifar10"
    for data_set, out in (("mnist-5k", digits), ("shapes-600", pictures)):
        caffelite(["dataset", data_set, "--out", out])
    database = f"{pictures}/cifar10_train_lmdb"
    os.rename(f"{pictures}/shapes_train_lmdb", database)
    caffelite(["compute_image_mean", database, f"{pictures}/mean.binaryproto"])


def solver_of(name, rule, ranks):
    """The solver of a net, whose batches are shared out to so many ranks."""
    param = read_solver(ROOT / "solvers" / f"{name}.prototxt")
    for field in ("net", "test_iter", "test_interval", "snapshot", "display"):
        param.ClearField(field)
    said = f"random_seed: 1 snapshot_after_train: false {NETS[name]}"
    for text in (said, RULES[rule]):
        param.MergeFrom(parse(text, SolverParameter))
    param.train_net_param.CopyFrom(read_net(ROOT / "models" / name / "train_val.prototxt"))
    data = param.train_net_param.layer[0].name
    return get_solver(param, net_changes=[f"layer[{data}].data_param.batch_size={BATCH // ranks}"])


def train(solver, iterations):
    """{what: array} of a training."""
    losses, records = [], []

    def see(event):
        if event["event"] == "step":
            losses.append(event["loss"])

    def see_batch(place):
        if place == 0:
            x, labels = (solver.net.blobs[top].data for top in ("data", "label"))
            pairs = zip(x, labels, strict=True)
            records.append([zlib.crc32(pixels.tobytes(), int(label)) for pixels, label in pairs])

    solver.add_listener(see)
    solver.net.after_forward(see_batch)
    start = weights(solver)
    solver.step(1)
    first = weights(solver)
    solver.step(iterations - 1)
    found = {"start": start, "first": first, "last": weights(solver)}
    return found | {"losses": losses, "records": records}


def move(solver, seed):
    """Move each weight to the next larger or smaller number, as chance has it."""
    signs = np.random.default_rng(seed)
    for entry in solver.net.learnable:
        values = entry.blob.data
        values[...] = np.nextafter(values, signs.choice([-np.inf, np.inf], values.shape))


def weights(solver):
    """All that is learned, as one array."""
    return np.concatenate([entry.blob.data.ravel() for entry in solver.net.learnable])


def main(folder, name, rule, out, iterations, dtype, seed=""):
    rank, ranks = told()
    Net.from_param = functools.partial(Net.from_param, dtype=dtype)  # which no file can ask for
    out = os.path.abspath(out)
    os.chdir(folder)
    solver = solver_of(name, rule, ranks)
    if seed:
        move(solver, int(seed))
    if ranks > 1:
        from caffelite import parallel

        team = parallel.attach(solver, sync_bn=True)
    found = train(solver, int(iterations))
    if ranks > 1:  # row k of rank r is row k N + r of the batch
        every = team.comm.allgather(found["records"])
        found["records"] = np.stack(every, axis=-1).reshape(len(every[0]), -1)
    solver.net.close()
    if rank == 0:
        np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
