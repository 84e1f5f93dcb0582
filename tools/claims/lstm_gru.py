"""LSTM or GRU is not decided: a GRU has fewer weights, an LSTM does more where data are many

Digits of 8 x 8 pixels, read row by row: 8 steps of 8 values, by 32 units, whose last state is
scored. The LSTM has forget_bias 1. 500 steps of Adam on batches of 32 with a rate of 0.005 that
falls to 0, on the first 100 samples for training, or on all 1,437. Here the
GRU is ahead with either, in the mean.
"""

from functools import partial

from ._experiment import FEW, AsGood, Beats, Digits, Experiment, Run
from ._nets import reading
from ._training import curves, with_learned

KINDS = {"LSTM": dict(kind="LSTM", forget_bias=1), "GRU": dict(kind="GRU")}


def run(data, options):
    net = partial(reading, steps=8, values=8, units=32, **options)
    return Run(net, rate=0.005, iterations=500, data=data, solver={"type": "Adam"})


experiment = Experiment(
    deck=['002, LSTM与GRU: "哪个模型更好无定论"; "在训练数据足够的情况下,LSTM的表征能力更强"'],
    runs={
        f"{kind}, {count}": run(data, options)
        for count, data in (("100 samples", FEW), ("all", Digits()))
        for kind, options in KINDS.items()
    },
    expected=[
        Beats("GRU, all", "LSTM, all", "values learned", less=True),
        AsGood("GRU, 100 samples", "LSTM, 100 samples"),
        Beats("LSTM, all", "GRU, all"),
    ],
    measure=lambda folders: with_learned(folders, curves(folders)),
)
