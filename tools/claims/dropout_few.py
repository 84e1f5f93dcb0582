"""The wider the net and the fewer the samples, the more dropout helps

Srivastava et al. 2014. Two dense layers of 512 units, 200 digits of 28 x 28. In `dropout`, there
are 1,000 digits for half as many units, and dropout helps; here it makes no difference.
"""

from dataclasses import replace
from functools import partial

from ._experiment import MNIST, Beats, Experiment, Run
from ._nets import dense_net

experiment = Experiment(
    deck=['001, AlexNet: "使用Dropout防止过拟合"', '000: "防止过拟合:Dropout, 数据增广"'],
    runs={
        label: Run(
            partial(dense_net, depth=2, width=512, drop=drop), 0.05, 300, replace(MNIST, count=200)
        )
        for label, drop in (("without", 0), ("with", 0.5))
    },
    expected=[Beats("with", "without")],
)
