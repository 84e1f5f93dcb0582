"""With BatchNorm a net gets as far in fewer steps, the more so with five and thirty times the rate

Ioffe, Szegedy 2015, figure 3. Here, two convolutions and two dense layers with a rate of 0.005 in
place of Inception; BN-baseline has the same rate. "Steps" are those until tests first tell as many
digits right as the net without BN at its best, in the mean of its runs; tests come every 10 steps.
A run that never gets there counts all its steps. Five times the rate halves the steps here; thirty
times the rate takes more than BN-baseline, and still a third at most of those without BN.
"""

from functools import partial

import numpy as np

from caffelite.models import blocks
from caffelite.models.blocks import XAVIER
from caffelite.net_spec import layers as L
from caffelite.run_log.reader import read_log

from ._experiment import Beats, Experiment, Run
from ._training import LOG, Found, band, right

RATE = 0.005
STEPS, BEST = "steps", "best test accuracy"


def conv_net(n, normalized=True, act=L.ReLU):
    """Two 3 x 3 convolutions with pooling, a dense layer, all normalized or not; the scores."""
    top = n.data
    for i, width in enumerate((16, 32), 1):
        n[f"conv{i}"] = blocks.conv(top, width, 3, XAVIER, pad=1)
        n[f"pool{i}"] = blocks.max_pool(activated(n, i, n[f"conv{i}"], normalized, act), 2, 2)
        top = n[f"pool{i}"]
    n.ip1 = blocks.dense(top, 64, XAVIER)
    n.scores = blocks.dense(activated(n, 3, n.ip1, normalized, act), 10, XAVIER)
    blocks.classify(n, n.scores)


def activated(n, i, top, normalized, act):
    if normalized:
        top = blocks.normalize(n, (f"bn{i}", f"scale{i}"), top)
    n[f"act{i}"] = act(top, in_place=True)
    return n[f"act{i}"]


def steps_to_baseline(folders):
    """The best accuracy of each run, and the steps until that of the net without BatchNorm."""
    tests = {
        label: [read_log(folder / LOG).test for folder in several]
        for label, several in folders.items()
    }
    accuracies = {
        label: np.array([[right(row) for row in rows] for rows in several])
        for label, several in tests.items()
    }
    x = [row.iteration for row in tests["without BN"][0]]
    enough = accuracies["without BN"].max(axis=1).mean()
    figures, curves = {}, []
    for label, several in accuracies.items():
        there = several >= enough
        first = np.where(there.any(axis=1), there.argmax(axis=1), len(x) - 1)
        figures[label, BEST] = several.max(axis=1).tolist()
        figures[label, STEPS] = [x[i] for i in first]
        curves.append(band(label, "test", x[::3], several[:, ::3]))
    return Found(figures, {"test accuracy": curves})


def trained(times=1, **options):
    solver = {"test_interval": 10, "lr_policy": "fixed"}
    return Run(partial(conv_net, **options), times * RATE, 300, solver=solver)


experiment = Experiment(
    deck=['002, BN-Inception: "Steps to 72.2%", "Max accuracy"; "可提高收敛速度、训练速度"'],
    runs={
        "without BN": trained(normalized=False),
        "BN-baseline": trained(),
        "BN-x5": trained(5),
        "BN-x30": trained(30),
        "BN-x5-sigmoid": trained(5, act=L.Sigmoid),
    },
    expected=[
        Beats("BN-baseline", "without BN", STEPS, less=True),
        Beats("BN-x5", "BN-baseline", STEPS, less=True),
        Beats("BN-x30", "BN-baseline", STEPS, less=True),
        Beats("BN-baseline", "without BN", BEST),
        Beats("BN-x5", "BN-baseline", BEST),
        Beats("BN-x30", "BN-x5", BEST),
        Beats("BN-x5", "BN-x5-sigmoid", BEST),
    ],
    measure=steps_to_baseline,
)
