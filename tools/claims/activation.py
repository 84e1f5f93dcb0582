"""ReLU learns faster than tanh, and sigmoid slowest

Krizhevsky et al. 2012, figure 1: a net of four convolutions learns six times faster with ReLU than
with tanh. Here, two convolutions and two dense layers with Xavier's weights, which are made for
tanh; four layers are not many. Most of the way tanh is ahead here, and ReLU by a little at the end.
The experiment relu-tanh tries deeper nets.
"""

from functools import partial

from caffelite.net_spec import layers as L

from ._experiment import Beats, Experiment, Run
from ._nets import conv_net

experiment = Experiment(
    deck=[
        '002, AlexNet: "ReLU激活函数:训练中收敛速度更快"',
        '003, Activation Functions: "Time-efficient and faster convergence"',
    ],
    runs={
        "ReLU": Run(conv_net),
        "tanh": Run(partial(conv_net, act=L.TanH)),
        "sigmoid": Run(partial(conv_net, act=L.Sigmoid)),
    },
    expected=[
        Beats("ReLU", "tanh", "training loss", less=True),
        Beats("ReLU", "sigmoid", "training loss", less=True),
        Beats("tanh", "sigmoid", "training loss", less=True),
    ],
)
