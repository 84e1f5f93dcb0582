"""BatchNorm can take the place of dropout, of LRN, and of weight decay

Ioffe, Szegedy 2015, section 4.2.1. For dropout and decay, two dense layers of 256 units and 1,000
digits of 28 x 28; for LRN, two convolutions and two dense layers on the small digits, each
convolution normalized.
"""

from functools import partial

from caffelite.models import blocks
from caffelite.models.blocks import XAVIER

from ._experiment import MNIST, AsGood, Beats, Experiment, Run
from ._nets import dense_net


def conv_net(n, normalize=None):
    """Two 3 x 3 convolutions, each normalized, then pooled; two dense layers."""
    top = n.data
    for i, width in enumerate((16, 32), 1):
        top = n[f"conv{i}"] = blocks.conv(top, width, 3, XAVIER, pad=1)
        if normalize == "BN":
            top = blocks.normalize(n, (f"bn{i}", f"scale{i}"), top)
        top = n[f"relu{i}"] = blocks.relu(top)
        if normalize == "LRN":
            top = n[f"norm{i}"] = blocks.across_channels(top)
        top = n[f"pool{i}"] = blocks.max_pool(top, 2, 2)
    n.ip1 = blocks.dense(top, 64, XAVIER)
    n.relu3 = blocks.relu(n.ip1)
    n.scores = blocks.dense(n.relu3, 10, XAVIER)
    blocks.classify(n, n.scores)


def dense(solver=None, **options):
    net = partial(dense_net, depth=2, width=256, **options)
    return Run(net, 0.05, 300, MNIST, solver=solver or {})


experiment = Experiment(
    deck=['002, BN-Inception: "BN 可替代 LRN / Dropout / L2 Normalization"'],
    runs={
        "dense": dense(),
        "dense, dropout": dense(drop=0.5),
        "dense, decay": dense({"weight_decay": 0.002}),
        "dense, BN": dense(normalized=True),
        "conv": Run(conv_net),
        "conv, LRN": Run(partial(conv_net, normalize="LRN")),
        "conv, BN": Run(partial(conv_net, normalize="BN")),
    },
    expected=[
        Beats("dense, dropout", "dense"),
        Beats("dense, decay", "dense"),
        Beats("dense, BN", "dense"),
        AsGood("dense, BN", "dense, dropout"),
        AsGood("dense, BN", "dense, decay"),
        Beats("conv, LRN", "conv"),
        AsGood("conv, BN", "conv, LRN"),
    ],
)
