"""Dropout errs more on samples for training, less on new ones

Srivastava et al. 2014. Two dense layers of 256 units, and only 1,000 digits of 28 x 28.
"""

from functools import partial

from ._experiment import MNIST, Beats, Experiment, Run
from ._nets import dense_net

experiment = Experiment(
    deck=[
        '001, AlexNet: "使用Dropout防止过拟合"',
        '002, AlexNet: "Dropout: 随机舍弃部分隐 层节点,避免过拟合"',
        '003, Dropout: "randomly drop 50% of activations in each layer to 0"',
    ],
    runs={
        label: Run(partial(dense_net, depth=2, width=256, drop=drop), 0.05, 500, MNIST)
        for label, drop in (("without", 0), ("with", 0.5))
    },
    expected=[Beats("with", "without"), Beats("without", "with", "training loss", less=True)],
)
