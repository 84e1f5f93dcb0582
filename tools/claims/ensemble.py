"""Nets that are averaged err less than each alone

Nine nets that differ in their random numbers only learn 100 digits.
"""

import numpy as np

from caffelite.pictures.curves import Curve

from ._experiment import FEW, Beats, Experiment, Run
from ._nets import conv_net
from ._training import Found, accuracy, probabilities


def alone_and_averaged(folders):
    """The accuracy of each net alone, and of the first 1, 2, 3, ... averaged."""
    found = [probabilities(folder) for folder in folders["net"]]
    labels = found[0][1]
    alone = [accuracy(p, labels) for p, _ in found]
    together = [accuracy(p, labels) for p in np.cumsum([p for p, _ in found], axis=0)]
    nets = [str(number) for number in range(1, len(alone) + 1)]
    curves = [
        Curve("each net alone", "test", nets, alone),
        Curve("averaged up to it", "test", nets, together),
    ]
    what = "test accuracy"
    figures = {("a net alone", what): alone, ("all averaged", what): together[-1:]}
    return Found(figures, {what: curves}, "nets")


experiment = Experiment(
    deck=['004: "独立地训练一些（一般有 3-15 个）网络，并将他们的输出取平均"'],
    runs={"net": Run(conv_net, data=FEW)},
    expected=[Beats("all averaged", "a net alone")],
    seeds=9,
    measure=alone_and_averaged,
)
