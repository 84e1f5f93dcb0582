"""With BatchNorm, larger rates can be used

Ioffe, Szegedy 2015. Four dense layers and the scores, with three rates.
"""

from functools import partial

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net

RATES = (0.02, 0.1, 0.5)

experiment = Experiment(
    deck=[
        '002, BN-Inception: "可选择更高的学习率,方便调参"',
        '003, Batch Normalization: "Larger learning rates yield higher test accuracy for BN '
        'networks, and diverge for unnormalized networks"',
    ],
    runs={
        f"{rate} {'with' if normalized else 'without'}": Run(
            partial(dense_net, depth=4, normalized=normalized), rate=rate
        )
        for rate in RATES
        for normalized in (False, True)
    },
    expected=[Beats(f"{rate} with", f"{rate} without") for rate in RATES],
)
