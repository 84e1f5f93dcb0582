"""Two 3 x 3 windows do for one of 5 x 5, with fewer weights

Simonyan, Zisserman 2014. Behind a first convolution, they see as much of the picture, with 10,368
weights for 14,400 and a ReLU more.
"""

from functools import partial

from caffelite.models import blocks
from caffelite.models.blocks import MSRA, XAVIER

from ._experiment import AsGood, Experiment, Run


def windows(n, sizes):
    """A 3 x 3 convolution, then those of these sizes, 24 maps each; a pool, the scores."""
    top = n.data
    for i, size in enumerate((3, *sizes), 1):
        n[f"conv{i}"] = blocks.conv(top, 24, size, MSRA, pad=size // 2)
        top = n[f"relu{i}"] = blocks.relu(n[f"conv{i}"])
    n.pool = blocks.max_pool(top, 2, 2)
    n.scores = blocks.dense(n.pool, 10, XAVIER)
    blocks.classify(n, n.scores)


experiment = Experiment(
    deck=[
        '000, 2015-MSRA-Net: "5x5拆成两个3x3层可以降低计算量"',
        '002, VGG: "相同感受野,多层网络权值更少"',
    ],
    runs={
        "5 x 5": Run(partial(windows, sizes=(5,)), rate=0.02),
        "two 3 x 3": Run(partial(windows, sizes=(3, 3)), rate=0.02),
    },
    expected=[AsGood("two 3 x 3", "5 x 5")],
)
