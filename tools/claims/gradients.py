"""Through layers of sigmoid gradients shrink to nothing, through ReLU or BatchNorm they do not

The slope of sigmoid is 1/4 at most, so that through n layers hardly (1/4)^n of a gradient comes,
times the weights. Ten dense layers of 64 units and the scores. What is drawn is the size of the
gradient at each layer's sums in the first step, before anything is learned: the root of the sum of
squares, over all samples and units. "Reaches layer 1" is the first layer's divided by the tenth's.
"Bound" has 1/4 for each layer, times the most by which its weights stretch a vector (their largest
singular value); "(1/4)^n" is without the weights.
"""

from functools import partial

import numpy as np

import caffelite
from caffelite.models.blocks import MSRA, XAVIER
from caffelite.net_spec import layers as L
from caffelite.pictures.curves import Curve

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net
from ._training import Found, band, curves

LAYERS = range(1, 11)
SHARE = "reaches layer 1"


def by_layer(folders):
    """The gradients of the first step, layer by layer, beside what training comes to."""
    found = Found(curves(folders).figures, {}, "layer")
    x, panel = list(LAYERS), []
    for label, several in folders.items():
        firsts = [first_step(folder) for folder in several]
        sizes = np.array([size for size, _ in firsts])
        panel.append(band(label, "test", x, np.log10(sizes)))
        found.figures[label, SHARE] = (sizes[:, 0] / sizes[:, -1]).tolist()
        if label == "sigmoid":
            most = np.array([left(slopes) for _, slopes in firsts])
            bound = band("bound", "test", x, np.log10(most * sizes[:, -1:]))
            found.figures["bound", SHARE] = most[:, 0].tolist()
            quarters = left(np.full(len(x), 1 / 4))
            without = np.log10(quarters * sizes[:, -1].mean()).tolist()
            found.figures["(1/4)^9", SHARE] = [float(quarters[0])]
    panel += [bound, Curve("(1/4)^n", "test", x, without)]
    found.panels["size of the gradient, as power of 10"] = panel
    return found


def first_step(folder):
    """Of each layer, the size of the gradient at its sums, and 1/4 of what its weights stretch."""
    net = caffelite.get_solver(str(folder / "solver.prototxt")).net
    net.forward()
    net.backward()
    names = [f"ip{layer}" for layer in LAYERS]
    sizes = [np.linalg.norm(net.blobs[name].diff) for name in names]
    return sizes, [np.linalg.norm(net.params[name][0].data, 2) / 4 for name in names]


def left(slopes):
    """Of a gradient at the last layer, what each slope of the layers behind leaves at most."""
    return np.cumprod([1, *slopes[:0:-1]])[::-1]


def net(**options):
    return Run(partial(dense_net, depth=LAYERS[-1], **options), rate=0.02)


experiment = Experiment(
    deck=[
        '000, 梯度消失问题: "Sigmoid激活函数导致多层网络收敛困难"; "解决梯度消失问题的策略"',
        '000, Batch Normalization: "逐层尺度归一，避免了梯度消失和梯度溢出"',
    ],
    runs={
        "sigmoid": net(act=L.Sigmoid, fill=XAVIER),
        "sigmoid, BN": net(act=L.Sigmoid, fill=XAVIER, normalized=True),
        "ReLU": net(fill=MSRA),
        "ReLU, BN": net(fill=MSRA, normalized=True),
    },
    expected=[
        Beats("bound", "sigmoid", SHARE),
        *(
            Beats(label, "sigmoid", what)
            for what in (SHARE, "test accuracy")
            for label in ("ReLU", "sigmoid, BN")
        ),
    ],
    measure=by_layer,
)
