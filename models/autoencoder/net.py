"""A deep autoencoder that also removes noise: 784 pixels, a code of 30 numbers, 784 pixels.

Hinton, Salakhutdinov 2006; the noise: Vincent et al. 2008.
"""

from caffelite.models.blocks import dense, gaussian, is_trained
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L

SPARSE = gaussian(1, sparse=15)
RATES = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 1, "decay_mult": 0}]


def net(n):
    n.flatdata = L.Flatten(n.data)
    top = n.corrupted = L.Dropout(n.flatdata, dropout_ratio=0.25)
    for name, width in [("encode1", 1000), ("encode2", 500), ("encode3", 250)]:
        top = sigmoid(n, name, top, width)
    top = n.encode4 = dense(top, 30, SPARSE, param=RATES)
    for name, width in [("decode4", 250), ("decode3", 500), ("decode2", 1000)]:
        top = sigmoid(n, name, top, width)
    n.decode1 = dense(top, 784, SPARSE, param=RATES)
    if is_trained(n):
        n.cross_entropy_loss = L.SigmoidCrossEntropyLoss(n.decode1, n.flatdata, loss_weight=1)
    n.decode1neuron = L.Sigmoid(n.decode1)
    if is_trained(n):
        n.l2_error = L.EuclideanLoss(n.decode1neuron, n.flatdata, loss_weight=0)


def sigmoid(n, name, bottom, width):
    n[name] = dense(bottom, width, SPARSE, param=RATES)
    n[f"{name}neuron"] = L.Sigmoid(n[name])
    return n[f"{name}neuron"]


program = Program(
    "MNISTAutoencoder",
    net,
    mnist(100, name="data", tops=("data",), scale=1 / 255),
    (1, 1, 28, 28),
)
