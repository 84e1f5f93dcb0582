"""BatchNorm lets a net of sigmoids learn

Ioffe, Szegedy 2015: Inception with sigmoids does not learn, with BatchNorm it gets to 69.8 %. Here,
four dense layers and the scores.
"""

from functools import partial

from caffelite.net_spec import layers as L

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net

experiment = Experiment(
    deck=[
        '000: "Sigmoid激活函数导致多层网络收敛困难", "Batch Normalization: 逐层的尺度归一"',
        '002, BN-Inception: "BN-x5-Sigmoid", "69.8%"',
    ],
    runs={
        label: Run(partial(dense_net, depth=4, act=L.Sigmoid, normalized=normalized), rate=0.1)
        for label, normalized in (("without", False), ("with", True))
    },
    expected=[Beats("with", "without")],
)
