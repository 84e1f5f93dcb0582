"""Pooling makes a net less sensitive to where things are, but may fail

Two nets of the same convolutions and weights, trained on 1,000 digits in the middle of 28 x 28; one
pools, of the other the convolutions have strides of 2 instead. Both are tested on digits shifted by
up to 6 pixels, to each of four sides.
"""

import numpy as np

import caffelite
from caffelite.models import blocks
from caffelite.models.blocks import XAVIER
from caffelite.proto.text import read_solver

from ._experiment import MNIST, Beats, Experiment, Run
from ._nets import conv_net
from ._training import Found, band, weights_of

PIXELS = range(7)


def strided_net(n):
    """That of `conv_net`, with strides of 2 where it pools."""
    n.conv1 = blocks.conv(n.data, 16, 3, XAVIER, pad=1, stride=2)
    n.act1 = blocks.relu(n.conv1)
    n.conv2 = blocks.conv(n.act1, 32, 3, XAVIER, pad=1, stride=2)
    n.act2 = blocks.relu(n.conv2)
    n.ip1 = blocks.dense(n.act2, 64, XAVIER)
    n.act3 = blocks.relu(n.ip1)
    n.scores = blocks.dense(n.act3, 10, XAVIER)
    blocks.classify(n, n.scores)


def by_shift(folders):
    """The accuracy of each net on digits that are shifted, over how far."""
    found = Found({}, {"test accuracy": []}, "pixels")
    for label, several in folders.items():
        nets = [deployed(folder) for folder in several]
        y = [[on_shifted(net, pixels) for pixels in PIXELS] for net in nets]
        found.panels["test accuracy"].append(band(label, "test", [*PIXELS], y))
        for pixels in (0, 2, 4):
            found.figures[label, f"accuracy at {pixels} pixels"] = [one[pixels] for one in y]
    return found


def deployed(folder):
    """The trained net from pictures to scores."""
    param = read_solver(folder / "solver.prototxt").net_param
    inner = [layer for layer in param.layer if layer.type != "Data" and "label" not in layer.bottom]
    n = caffelite.NetSpec()
    n.data = caffelite.layers.Input(shape={"dim": [100, 1, 28, 28]})
    deploy = n.to_proto()
    deploy.layer.extend(inner)
    net = caffelite.Net.from_param(deploy)
    net.copy_from(weights_of(folder))
    return net


def on_shifted(net, pixels):
    """The share of the digits for testing that the net tells, shifted to each of four sides."""
    images, labels = MNIST.part("test")
    padded = np.pad(images, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)))
    right = []
    for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
        rows, columns = (slice(start * pixels, start * pixels + 28) for start in (top, left))
        x = padded[:, :, rows, columns] * np.float32(1 / 256)
        scores = net.forward_all(data=x)["scores"]
        right.append(scores.argmax(axis=1) == labels)
    return float(np.mean(right))


experiment = Experiment(
    deck=['003: "Try to improve Translation Invariance", "But may fail."'],
    runs={
        "pooling": Run(conv_net, 0.05, 300, MNIST),
        "strides": Run(strided_net, 0.05, 300, MNIST),
    },
    expected=[
        Beats("pooling", "strides", "accuracy at 2 pixels"),
        Beats("pooling", "strides", "accuracy at 4 pixels"),
    ],
    measure=by_shift,
)
