"""Where gradients explode, an RNN learns with clipping what it does not learn without

Pascanu, Mikolov, Bengio 2013: a gradient longer than a bound is shortened to it, so that a cliff in
the loss throws the weights no farther than any other step. An RNN of 32 units with ReLU, whose
first weights are random numbers of standard deviation 1.5 / sqrt(32), so that gradients grow from
step to step back, adds two marked numbers of 10: see [adding](#adding). 300 steps of SGD with
momentum 0.9 on batches of 32, with a rate of 0.1 that falls to 0, with clip_gradients: 1 and
without. A net whose loss is no number any more says nothing: its squared error counts as infinite.
The length of a gradient, of all weights together, is taken before it is clipped. The curves are
means of 10 steps, of each seed; what is above 100 is drawn there.
"""

import math
from pathlib import Path

import numpy as np

from caffelite import get_solver
from caffelite.errors import SolverError
from caffelite.net_spec import params as P
from caffelite.pictures.curves import Curve

from . import _sums
from ._experiment import Beats, Experiment
from ._training import Found

STEPS, SEEDS = 300, (1, 2, 3)
EACH, HIGH = 10, 100  # steps for a point of a curve, and where the picture ends
LONGEST = "log10 of the length of the longest gradient"
PANEL = f"{_sums.ERROR} of batches, log10"


def net(bound):
    solver = {"type": "SGD", "clip_gradients": bound}
    rectified = {"output_hidden": True, "hidden_activation": P.Recurrent.RELU}
    wide = {"type": "gaussian", "std": 1.5 / 32**0.5}
    return _sums.run(10, STEPS, 0.1, 32, solver, kind="RNN", weight_filler=wide, **rectified)


RUNS = {"clip_gradients: 1": net(1), "not clipped": net(-1)}


def learned(run, seed):
    """(squared error of each batch, length of its gradient, squared error in tests at the end)."""
    run.data.make()
    solver = get_solver(run.solver_param(Path("clipping"), seed))
    net, errors, lengths = solver.net, [], []
    solver.add_callback(lambda: None, lambda: lengths.append(length(net)))
    try:
        for _ in range(STEPS):
            solver.step(1)
            errors.append(2 * float(net.blobs["loss"].data))
    except SolverError:
        if np.isfinite(net.blobs["loss"].data):
            raise
        return errors, lengths, math.inf
    (tested,) = solver.test_nets
    batches = [2 * float(tested.forward()["loss"]) for _ in range(run.data.test_iter)]
    return errors, lengths, np.mean(batches)


def length(net):
    """That of the gradient of all weights together."""
    return math.hypot(*(np.linalg.norm(weight.blob.diff.astype(float)) for weight in net.learnable))


def with_and_without(folders):
    found = Found({}, {PANEL: []}, "step")
    for label, run in RUNS.items():
        with np.errstate(all="ignore"):
            several = [learned(run, seed) for seed in SEEDS]
        found.figures[label, _sums.ERROR] = [error for *_, error in several]
        found.figures[label, LONGEST] = [
            math.log10(np.nanmax(lengths)) for _, lengths, _ in several
        ]
        for seed, (errors, *_) in zip(SEEDS, several, strict=True):
            x = list(range(0, len(errors), EACH))
            y = [math.log10(min(np.mean(errors[at : at + EACH]), HIGH)) for at in x]
            found.panels[PANEL].append(Curve(f"{label}, seed {seed}", "test", x, y))
    return found


experiment = Experiment(
    deck=["002, 梯度截断: 解决梯度爆炸", "002, RNN的梯度消失与梯度爆炸"],
    runs={},
    expected=[Beats("clip_gradients: 1", "not clipped", _sums.ERROR, less=True)],
    measure=with_and_without,
)
