"""The adding problem: sequences of numbers, two of them marked; their sum is asked for at the end.

Hochreiter, Schmidhuber 1997, in the form of Le, Jaitly, Hinton 2015: numbers between 0 and 1, one
mark in either half. Numbers are steps of 1/255, so that sequences are pictures of bytes; the
variance of a sum of two, the error of always answering 1, is then 0.168, not 0.167.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from caffelite.models import blocks
from caffelite.models.blocks import XAVIER
from caffelite.net_spec import layers as L
from caffelite.run_log.reader import read_log

from ._experiment import Digits, Run
from ._nets import last_state
from ._training import LOG, Found, band, in_common

MOST = 255  # what stands for 1
ERROR = "squared error"
PANEL = f"{ERROR} in tests"


@dataclass(frozen=True)
class Sums(Digits):
    """Sequences as pictures: in each row a number, and 255 if it is one of the two, else 0."""

    test_iter = 2
    steps: int = 10
    transform: dict = field(default_factory=lambda: {"scale": 1 / MOST})

    @property
    def folder(self):
        return Path("data", f"sums-{self.steps}")

    def part(self, name):
        count, seed = (10_000, 1) if name == "train" else (1000, 2)
        generator, half = np.random.default_rng(seed), self.steps // 2
        x = np.zeros((count, 1, self.steps, 2), np.uint8)
        x[..., 0] = generator.integers(0, MOST + 1, (count, 1, self.steps))
        every = np.arange(count)
        x[every, 0, generator.integers(0, half, count), 1] = MOST
        x[every, 0, generator.integers(half, self.steps, count), 1] = MOST
        return x, (x[..., 0] * (x[..., 1] > 0).astype(int)).sum(axis=(1, 2))


def adding(n, kind, steps, units, **options):
    """Read a sequence, and say the sum; the loss is the mean of half the squared error."""
    n.state = last_state(n, kind, steps, 2, units, **options)
    n.sum = blocks.dense(n.state, 1, XAVIER, param=[])
    n.wanted = L.Power(n.label, scale=1 / MOST)
    n.loss = L.EuclideanLoss(n.sum, n.wanted)


def run(steps, iterations, rate=0.01, units=32, solver=None, **options):
    """Adam, with gradients cut at 1, unless `solver` says otherwise."""
    net = partial(adding, steps=steps, units=units, **options)
    solver = {"type": "Adam", "clip_gradients": 1} | (solver or {})
    return Run(net, rate, iterations, Sums(steps=steps), solver=solver)


def errors(folders):
    """The squared error in tests, over iterations; figures are the last ones."""
    found = Found({}, {PANEL: []})
    for label, several in folders.items():
        rows = [read_log(folder / LOG).test for folder in several]
        x, y = in_common(rows, lambda row: 2 * dict(row.outputs)["loss"])
        found.panels[PANEL].append(band(label, "test", x, y))
        found.figures[label, ERROR] = [some[-1] for some in y]
    return found
