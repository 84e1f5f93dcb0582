"""What was long ago an RNN does not learn to use; an LSTM and a GRU do

One of four symbols is shown, then noise for 5 or for 50 steps, and then the net is to say which it
was: what "I grew up in Italy ... I speak fluent" asks of a net, without the words. The RNN has
tanh; each has 16 units, and Xavier's first weights. 400 steps of Adam on batches of 32 of 2,000
sequences, with a rate of 0.01, which stays, and clip_gradients: 1; tests are of 500 others, and by
chance 0.25 are right. An LSTM keeps what its forget gate lets through: with forget_bias 1 that is
0.73 a step before it has learned anything, and 0.73^50 is nothing; with forget_bias 4 it is 0.98. A
GRU's gate begins at a half. Over 50 steps only the LSTM with forget_bias 4 learns it each time; of
three RNNs one does, and of the GRUs none.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ._experiment import Beats, Digits, Experiment, Run
from ._nets import reading
from ._training import by_steps

GAPS, SYMBOLS = (5, 50), 4
KINDS = {
    "RNN": dict(kind="RNN", output_hidden=True),
    "LSTM": dict(kind="LSTM", forget_bias=1),
    "LSTM, forget_bias 4": dict(kind="LSTM", forget_bias=4),
    "GRU": dict(kind="GRU"),
}


@dataclass(frozen=True)
class Remembered(Digits):
    """Sequences as pictures: a row of a symbol, 1 in its place and 0 elsewhere, then noise."""

    test_iter = 2  # few large batches: a step costs about as much, however many sequences take it
    gap: int = 5
    transform: dict = field(default_factory=lambda: {"mean_value": [128], "scale": 1 / 64})

    @property
    def folder(self):
        return Path("data", f"remembered-{self.gap}")

    def part(self, name):
        count, seed = (2000, 1) if name == "train" else (500, 2)
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, SYMBOLS, count)
        x = generator.normal(0, 0.3, (count, 1, 1 + self.gap, SYMBOLS))
        x[:, 0, 0] = np.eye(SYMBOLS)[labels]
        return np.clip(np.round(128 + 64 * x), 0, 255).astype(np.uint8), labels


def run(gap, options):
    net = partial(reading, steps=1 + gap, values=SYMBOLS, units=16, classes=SYMBOLS, **options)
    solver = {"type": "Adam", "lr_policy": "fixed", "clip_gradients": 1}
    return Run(net, rate=0.01, iterations=400, data=Remembered(gap=gap), solver=solver)


experiment = Experiment(
    deck=[
        '002, 如何记住长期依赖?: "I grew up in Italy… I speak fluent Italian"',
        '002: "模型上的改进,例如LSTM、GRU算法" against vanishing gradients',
    ],
    runs={
        f"{kind}, {gap} steps": run(gap, options) for gap in GAPS for kind, options in KINDS.items()
    },
    expected=[
        Beats("RNN, 5 steps", "RNN, 50 steps"),
        *(Beats(f"{kind}, 50 steps", "RNN, 50 steps") for kind in KINDS if kind != "RNN"),
        Beats("LSTM, forget_bias 4, 50 steps", "LSTM, 50 steps"),
    ],
    measure=by_steps,
)
