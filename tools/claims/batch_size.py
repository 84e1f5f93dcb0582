"""Batches of one sample jump about, those of all samples are slow; some 64 do for both

Each run sees every digit five times, which is 7,185 steps of one digit, 112 of 64, or 5 of all, and
takes one step more. SGD without momentum, a rate of 0.05 that stays fixed. "Jumps" are the standard
deviation of the losses of single batches that are logged over the last half of a run. Batches of
one do jump about, and get furthest all the same, since they take the most steps.
"""

import numpy as np

from caffelite.run_log.reader import read_log

from ._experiment import Beats, Experiment, Run
from ._nets import conv_net
from ._training import LOG, Found, band, right

DIGITS, PASSES = 1437, 5
BATCHES = {"1": 1, "64": 64, "all": DIGITS}
JUMPS = "jumps of the loss"


def over_samples(folders):
    """Loss of single batches, and accuracy in tests, over the samples seen."""
    found = Found({}, {"loss of a batch": [], "test accuracy": []}, "samples seen")
    for label, several in folders.items():
        logs = [read_log(folder / LOG) for folder in several]
        losses = [[row.loss for row in log.train] for log in logs]
        accuracies = [[right(row) for row in log.test] for log in logs]
        for panel, phase, y in zip(
            found.panels, ("train", "test"), (losses, accuracies), strict=True
        ):
            x = [row.iteration * BATCHES[label] for row in getattr(logs[0], phase)]
            few = slice(None, None, -(-len(x) // 25))
            found.panels[panel].append(band(label, phase, x[few], [some[few] for some in y]))
        found.figures[label, "test accuracy"] = [some[-1] for some in accuracies]
        found.figures[label, JUMPS] = [float(np.std(some[len(some) // 2 :])) for some in losses]
    return found


def trained(batch):
    iterations = PASSES * DIGITS // batch
    display, tests = max(1, iterations // 200), max(1, iterations // 20)
    solver = {"display": display, "average_loss": 1, "test_interval": tests}
    solver |= {"lr_policy": "fixed", "momentum": 0}
    return Run(conv_net, 0.05, iterations, batch=batch, solver=solver)


experiment = Experiment(
    deck=[
        '000, Gradient Descent: "速度慢!", of single samples: "方差大! 损失函数震荡严重!"',
        '003, Stochastic Gradient Descent: "Too expensive when m is very large"',
    ],
    runs={label: trained(batch) for label, batch in BATCHES.items()},
    expected=[
        Beats("64", "1", JUMPS, less=True),
        Beats("64", "all"),
        Beats("64", "1"),
    ],
    measure=over_samples,
)
