"""What an RNN has read it cannot repeat much later; an LSTM and a GRU can

The copy task of Hochreiter and Schmidhuber 1997, in the form of Arjovsky, Shah, Bengio 2016
(arXiv:1511.06464): four symbols out of eight are shown, then nothing for 5 or for 30 steps, then a
mark, and then the four are to be said, one a step; by chance 0.125 are right. An Embed gives each
symbol 16 numbers; 64 units, Xavier's first weights. 800 steps of Adam on batches of 32 of 10,000
sequences, with a rate of 0.01 that falls to 0, and clip_gradients: 1. The RNN has tanh, the LSTM
forget_bias 4.
"""

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from caffelite.models import blocks
from caffelite.models.blocks import XAVIER, uniform
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST

from ._experiment import Beats, Digits, Experiment, Run
from ._nets import goes_on, recurrent
from ._training import by_steps
from .adding import KINDS

GAPS, LENGTH, SYMBOLS = (5, 30), 4, 8
NOTHING, MARK = 0, SYMBOLS + 1  # symbols are 1 to SYMBOLS


@dataclass(frozen=True)
class Copied(Digits):
    """Sequences as pictures of one column: symbols, nothing, a mark, nothing."""

    test_iter = 2
    gap: int = 5
    transform: dict = field(default_factory=dict)

    @property
    def steps(self):
        return LENGTH + self.gap + 1 + LENGTH - 1  # what follows the mark is said from the mark on

    @property
    def folder(self):
        return Path("data", f"copied-{self.gap}")

    def part(self, name):
        count, seed = (10_000, 1) if name == "train" else (1000, 2)
        symbols = np.random.default_rng(seed).integers(1, SYMBOLS + 1, (count, LENGTH))
        x = np.full((count, 1, self.steps, 1), NOTHING, np.uint8)
        x[:, 0, :LENGTH, 0] = symbols
        x[:, 0, LENGTH + self.gap, 0] = MARK
        return x, np.zeros(count, int)

    def samples(self, batch):
        return dataclasses.replace(super().samples(batch), tops=("data",))


def repeating(n, kind, steps, units, **options):
    """Read all steps; in the last ones say what came in the first ones."""
    n.sequence = L.Reshape(n.data, shape={"dim": [-1, steps, 1]})
    n.column = L.Permute(n.sequence, order=[1, 0, 2])
    n.symbols = L.Reshape(n.column, shape={"dim": [steps, -1]})
    n.x = L.Embed(
        n.symbols, input_dim=MARK + 1, num_output=16, bias_term=False, weight_filler=uniform(0.5)
    )
    n.h = recurrent(kind, n.x, goes_on(n, n.column), units, **options)
    n.early, n.late = L.Slice(n.h, axis=0, slice_point=steps - LENGTH, ntop=2)
    n.wanted, n.others = L.Slice(n.symbols, axis=0, slice_point=LENGTH, ntop=2)
    n.unused = L.Silence(n.early, n.others, ntop=0)
    n.scores = blocks.dense(n.late, SYMBOLS + 1, XAVIER, axis=2, param=[])
    n.loss = L.SoftmaxWithLoss(n.scores, n.wanted, softmax_param={"axis": 2})
    n.accuracy = L.Accuracy(n.scores, n.wanted, axis=2, include={"phase": TEST})


def run(gap, options):
    data = Copied(gap=gap)
    net = partial(repeating, steps=data.steps, units=64, **options)
    return Run(net, 0.01, 800, data, solver={"type": "Adam", "clip_gradients": 1})


experiment = Experiment(
    deck=[
        "002, 如何记住长期依赖?",
        '002: "模型上的改进,例如LSTM、GRU算法" against vanishing gradients',
    ],
    runs={
        f"{kind}, {gap} steps": run(gap, options)
        for gap in GAPS
        for kind, options in (KINDS | {"GRU": dict(kind="GRU")}).items()
    },
    expected=[
        Beats("RNN, 5 steps", "RNN, 30 steps"),
        Beats("LSTM, 30 steps", "RNN, 30 steps"),
        Beats("GRU, 30 steps", "RNN, 30 steps"),
    ],
    measure=by_steps,
)
