"""CIFAR10-quick: cuda-convnet's layers-conv-local-13pct without local layers.

lint: ignore linear-pair (no activation between ip1 and ip2, as published)
"""

from caffelite.models.blocks import average_pool, classify, conv, dense, gaussian, max_pool, relu
from caffelite.models.program import Program, cifar10

RATES = [{"lr_mult": 1}, {"lr_mult": 2}]


def net(n):
    n.conv1 = conv(n.data, 32, 5, gaussian(0.0001), pad=2, param=RATES)
    n.pool1 = max_pool(n.conv1, 3, 2)
    n.relu1 = relu(n.pool1)
    n.conv2 = conv(n.relu1, 32, 5, gaussian(0.01), pad=2, param=RATES)
    n.relu2 = relu(n.conv2)
    n.pool2 = average_pool(n.relu2, 3, 2)
    n.conv3 = conv(n.pool2, 64, 5, gaussian(0.01), pad=2, param=RATES)
    n.relu3 = relu(n.conv3)
    n.pool3 = average_pool(n.relu3, 3, 2)
    n.ip1 = dense(n.pool3, 64, gaussian(0.1), param=RATES)
    n.ip2 = dense(n.ip1, 10, gaussian(0.1), param=RATES)
    classify(n, n.ip2)


program = Program("CIFAR10_quick", net, cifar10(100), (1, 3, 32, 32))
