"""A rate too low learns slowly, one too high stays above the loss it could reach, or diverges

Four rates that stay fixed, in one picture; SGD without momentum, two convolutions and two dense
layers.
"""

from ._experiment import Beats, Experiment, Run
from ._nets import conv_net

RATES = {"low": 0.01, "good": 0.2, "high": 0.8, "very high": 3.0}
FIXED = {"lr_policy": "fixed", "momentum": 0}

experiment = Experiment(
    deck=['003, Babysitting Learning: "learning rate"; a picture of four curves'],
    runs={
        f"{label}: {rate}": Run(conv_net, rate, 200, solver=FIXED) for label, rate in RATES.items()
    },
    expected=[
        Beats("good: 0.2", f"{label}: {RATES[label]}", "training loss", less=True)
        for label in ("low", "high", "very high")
    ],
)
