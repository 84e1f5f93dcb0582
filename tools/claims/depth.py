"""Without shortcuts, a deeper net errs more even on its training data

He et al. 2015, section 4.2: their nets for CIFAR-10, on the small digits. That the deeper of the
residual nets is no worse takes longer than these few iterations.
"""

from functools import partial

from caffelite.models import blocks

from ._experiment import Beats, Experiment, Run

experiment = Experiment(
    deck=[
        '002, ResNet: "更深的网络在训练集上的误差同样更高"',
        '003, ResNet: "56-layer model performs worse on both training and test error"',
    ],
    runs={
        f"{kind}-{depth}": Run(partial(blocks.small_resnet, unit=unit, depth=depth))
        for kind, unit in (("plain", blocks.plain), ("ResNet", blocks.small))
        for depth in (20, 56)
    },
    expected=[
        Beats("plain-20", "plain-56", "training loss", less=True),
        Beats("plain-20", "plain-56"),
        Beats("ResNet-56", "plain-56", "training loss", less=True),
        Beats("ResNet-56", "ResNet-20", "training loss", less=True),
    ],
)
