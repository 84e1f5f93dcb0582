"""A net that knows other digits learns from fewer samples

Donahue et al. 2013; Yosinski et al. 2014. A net is trained on all digits 0 to 4, 28 x 28 pixels,
and then on 20 digits of 5 to 9, with a new last layer: all layers go on learning, or the two dense
ones, or the last one only, which is to use the net as an extractor of features. On the small
digits, which were tried first, starting from nothing was best.
"""

from functools import partial

from caffelite.data.made import mnist_5k

from ._experiment import Beats, Digits, Experiment, Run
from ._nets import conv_net

TO_1 = {"scale": 1 / 256}
LOW = Digits(mnist_5k, classes=range(5), transform=TO_1)
HIGH = Digits(mnist_5k, 20, range(5, 10), TO_1)
NEW = partial(conv_net, classes=5, end="_new")

experiment = Experiment(
    deck=['000: "小数据条件下的深度迁移学习"'],
    runs={
        "0 to 4": Run(partial(conv_net, classes=5), iterations=300, data=LOW),
        "from scratch": Run(NEW, data=HIGH),
        "all layers": Run(NEW, data=HIGH, after="0 to 4"),
        "dense layers": Run(partial(NEW, learns=(0, 0, 1, 1)), data=HIGH, after="0 to 4"),
        "last layer": Run(partial(NEW, learns=(0, 0, 0, 1)), data=HIGH, after="0 to 4"),
    },
    expected=[
        Beats(label, "from scratch") for label in ("all layers", "dense layers", "last layer")
    ],
)
