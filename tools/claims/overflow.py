"""Weights that differ much in size let gradients grow without bounds, until they are NaN

The deck's example, by its numbers: from (1, 1) come u = 100, v = 0.01 and two outputs, each with
the gradient -1. Its picture is not at hand; these weights give all that it prints: 50 and 50 to u,
0.0001 from u to v (w2), 50 and 50 from v to the outputs (w1). Both outputs are 0.5, and 1.5 is
wanted. Then it learns, with rate 0.01, beside a net that computes the same with weights of like
size. A net is said to learn as long as its loss is a finite number; of chance there is nothing.
"""

import numpy as np

from caffelite import get_solver
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.pictures.curves import Curve
from caffelite.proto.caffe_pb2 import SolverParameter

from ._experiment import Beats, Experiment
from ._training import Found

WEIGHTS = {"as in the deck": (50, 0.0001, 50), "of like size": (0.5, 1, 0.5)}  # to u, v, outputs
STEPS = 20
FINITE = "steps with a finite loss"


def chain(to_u, to_v, to_outputs):
    """(1, 1) -> u -> v -> two outputs, which should be 1.5 each."""
    n = NetSpec()
    for name, value in (("x", 1), ("wanted", 1.5)):
        filler = {"type": "constant", "value": value}
        n[name] = L.DummyData(shape={"dim": [1, 2]}, data_filler=filler)
    n.u = linear(n.x, 1, to_u)
    n.v = linear(n.u, 1, to_v)
    n.outputs = linear(n.v, 2, to_outputs)
    n.loss = L.EuclideanLoss(n.outputs, n.wanted)
    return n.to_proto()


def linear(bottom, num_output, value):
    filler = {"type": "constant", "value": value}
    return L.InnerProduct(bottom, num_output=num_output, bias_term=False, weight_filler=filler)


def solver(label):
    return get_solver(
        SolverParameter(
            net_param=chain(*WEIGHTS[label]),
            base_lr=0.01,
            lr_policy="fixed",
            max_iter=STEPS,
            snapshot_after_train=False,
        )
    )


def gradients(net):
    """{name: gradient} of what the deck names, in the first step."""
    net.forward()
    net.backward()
    return {
        "w1": float(net.params["outputs"][0].diff[0, 0]),
        "v": float(net.blobs["v"].diff[0, 0]),
        "w2": float(net.params["v"][0].diff[0, 0]),
        "u": float(net.blobs["u"].diff[0, 0]),
    }


def both(folders):
    """The deck's gradients, and the losses of both nets, step by step."""
    found, panel = Found({}, {}, "step"), []
    for label in WEIGHTS:
        for name, value in gradients(solver(label).net).items():
            found.figures[label, f"gradient of {name}"] = [value]
        losses = first_losses(solver(label))
        found.figures[label, FINITE] = [len(losses)]
        found.figures[label, "last finite loss"] = losses[-1:]
        steps = list(range(len(losses)))
        panel.append(Curve(label, "train", steps, np.log10(losses).tolist()))
    found.panels["loss, as power of 10, while it is finite"] = panel
    return found


def first_losses(solver):
    """The loss before each step, until it is no finite number."""
    losses = []
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            loss = float(solver.net.forward()["loss"])
            if not np.isfinite(loss):
                break
            losses.append(loss)
            solver.step(1)
    return losses


experiment = Experiment(
    deck=['000, 梯度溢出问题: "尺度不平衡的初始化容易导致网络NAN"; "u 和 v 分别为100和0.01"'],
    runs={},
    expected=[
        Beats("of like size", "as in the deck", FINITE),
        Beats("of like size", "as in the deck", "last finite loss", less=True),
    ],
    measure=both,
)
