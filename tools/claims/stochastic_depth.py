"""Residual nets whose blocks are left out at random in training err less on new samples

Huang et al. 2016. ResNet-56 on the small digits, and the same with 27 blocks of which the first is
nearly always there, the last every other time; tests use all of them. Here the mean alone is better
on new samples, and the loss in training is the larger one, as with dropout. That training converges
sooner, as the deck has it, shows in time and not in steps: a step takes less.
"""

from functools import partial

from caffelite.models import blocks

from ._experiment import Beats, Experiment, Run

DEPTH = 56
BLOCKS = (DEPTH - 2) // 2


def stochastic(n):
    blocks.small_resnet(n, blocks.surviving(BLOCKS, last=0.5), DEPTH)


whole = partial(blocks.small_resnet, unit=blocks.small, depth=DEPTH)

experiment = Experiment(
    deck=['000, Deep Networks with Stochastic Depth: "训练阶段随机drop掉层，加速收敛"'],
    runs={
        "all blocks": Run(whole, iterations=300),
        "stochastic depth": Run(stochastic, iterations=300),
    },
    expected=[
        Beats("stochastic depth", "all blocks"),
        Beats("stochastic depth", "all blocks", "training loss", less=True),
    ],
)
