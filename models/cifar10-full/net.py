"""cuda-convnet's layers-18pct: three 5 x 5 convolutions, overlapping pools, local contrast."""

from caffelite.models.blocks import average_pool, classify, conv, dense, gaussian, max_pool, relu
from caffelite.models.program import Program, cifar10
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

RATES = [{"lr_mult": 1}, {"lr_mult": 2}]
STRONG_DECAY = [{"lr_mult": 1, "decay_mult": 250}, {"lr_mult": 2, "decay_mult": 0}]


def net(n):
    n.conv1 = conv(n.data, 32, 5, gaussian(0.0001), pad=2, param=RATES)
    n.pool1 = max_pool(n.conv1, 3, 2)
    n.relu1 = relu(n.pool1)
    n.norm1 = contrast(n.relu1)
    n.conv2 = conv(n.norm1, 32, 5, gaussian(0.01), pad=2, param=RATES)
    n.relu2 = relu(n.conv2)
    n.pool2 = average_pool(n.relu2, 3, 2)
    n.norm2 = contrast(n.pool2)
    n.conv3 = conv(n.norm2, 64, 5, gaussian(0.01), pad=2, param=[])
    n.relu3 = relu(n.conv3)
    n.pool3 = average_pool(n.relu3, 3, 2)
    n.ip1 = dense(n.pool3, 10, gaussian(0.01), param=STRONG_DECAY)
    classify(n, n.ip1)


def contrast(bottom):
    """Divide by the energy of 3 x 3 neighbours in the same channel."""
    region = P.LRN.WITHIN_CHANNEL
    return L.LRN(bottom, local_size=3, alpha=5e-5, beta=0.75, norm_region=region)


program = Program("CIFAR10_full", net, cifar10(100), (1, 3, 32, 32))
