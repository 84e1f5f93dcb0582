"""Back through time, gradients vanish or explode with the weights; an LSTM keeps more of them

Pascanu, Mikolov, Bengio 2013: from step t to step k, the gradient is multiplied t - k times by W^T
diag(1 - h^2). Nothing is trained: 64 units, of an RNN with tanh whose W has random numbers of
standard deviation g / 8, so that its largest eigenvalue is near g, or of an LSTM with forget_bias
2 and first weights of standard deviation 1 / 8, see 61 steps of noise of standard deviation 0.1.
The loss is the sum of the last h. Figures and curves are log10 of the length of the gradient of x,
divided by that at the last step: -3 is a thousandth. Where the units saturate, 1 - h^2 is below 1,
so that a g of 2 does not come to 2^60, which is 10^18. That is why clip_gradients is there.
"""

import numpy as np

import caffelite
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

from ._experiment import Beats, Experiment
from ._training import Found, band

UNITS, STEPS, SEEDS = 64, 61, (1, 2, 3)
BACK = (10, 60)
RNNS = {f"g {g}": g for g in (0.5, 1, 2)}


def what(back):
    return f"log10 of the gradient {back} steps back"


def gaussian(g):
    return {"type": "gaussian", "std": g / UNITS**0.5}


def net(label, seed):
    n = NetSpec()
    n.x = L.Input(shape={"dim": [STEPS, 1, UNITS]})
    n.cont = L.Input(shape={"dim": [STEPS, 1]})
    options = {"num_output": UNITS, "weight_filler": gaussian(RNNS.get(label, 1))}
    if label in RNNS:
        n.h = L.RNN(n.x, n.cont, recurrent_param={"output_hidden": True, **options})
    else:
        n.h = L.LSTM(n.x, n.cont, recurrent_param={"forget_bias": 2, **options})
    n.early, n.last = L.Slice(n.h, axis=0, slice_point=STEPS - 1, ntop=2)
    n.nothing = L.Silence(n.early, ntop=0)
    n.loss = L.Reduction(n.last, operation=P.Reduction.SUM, loss_weight=1)
    param = n.to_proto()
    param.force_backward = True
    return caffelite.Net(param, caffelite.TRAIN, seed=seed, dtype=np.float64)


def lengths(label, seed):
    """log10 of the length of the gradient of x, 0, 1, ... steps back, over that of the last."""
    made = net(label, seed)
    x = made.blobs["x"]
    x.data[...] = np.random.default_rng(seed).normal(0, 0.1, x.shape)
    made.blobs["cont"].data[...] = 1
    made.forward()
    made.backward()
    length = np.linalg.norm(x.diff[::-1, 0], axis=1)
    return np.log10(length / length[0])


def gradients(folders):
    panel = "length of the gradient, log10"
    found = Found({}, {panel: []}, "steps back")
    for label in (*RNNS, "LSTM"):
        several = [lengths(label, seed) for seed in SEEDS]
        for back in BACK:
            found.figures[label, what(back)] = [float(some[back]) for some in several]
        found.panels[panel].append(band(label, "train", list(range(STEPS)), several))
    return found


experiment = Experiment(
    deck=[
        "002, RNN的梯度消失与梯度爆炸: the product of W^T diag(1 - h^2) goes to 0, or to infinity",
        "002: LSTM and GRU against vanishing gradients",
    ],
    runs={},
    expected=[
        Beats("g 2", "g 1", what(60)),
        Beats("g 1", "g 0.5", what(60)),
        Beats("LSTM", "g 0.5", what(60)),
        Beats("LSTM", "g 1", what(60)),
    ],
    measure=gradients,
)
