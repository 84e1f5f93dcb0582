"""AlexNet: two groups, normalization before pooling.  Krizhevsky, Sutskever, Hinton 2012."""

from caffelite.models.blocks import (
    across_channels,
    classify,
    conv,
    gaussian,
    max_pool,
    relu,
    three_dense,
)
from caffelite.models.program import Program, imagenet


def net(n, group=2, normalize=across_channels):
    n.conv1 = conv(n.data, 96, 11, gaussian(0.01), stride=4)
    n.relu1 = relu(n.conv1)
    n.norm1 = normalize(n.relu1)
    n.pool1 = max_pool(n.norm1, 3, 2)
    n.conv2 = conv(n.pool1, 256, 5, gaussian(0.01), 0.1, pad=2, group=group)
    n.relu2 = relu(n.conv2)
    n.norm2 = normalize(n.relu2)
    n.pool2 = max_pool(n.norm2, 3, 2)
    n.conv3 = conv(n.pool2, 384, 3, gaussian(0.01), pad=1)
    n.relu3 = relu(n.conv3)
    n.conv4 = conv(n.relu3, 384, 3, gaussian(0.01), 0.1, pad=1, group=group)
    n.relu4 = relu(n.conv4)
    n.conv5 = conv(n.relu4, 256, 3, gaussian(0.01), 0.1, pad=1, group=group)
    n.relu5 = relu(n.conv5)
    n.pool5 = max_pool(n.relu5, 3, 2)
    classify(n, three_dense(n, n.pool5, gaussian(0.005), gaussian(0.01), 0.1))


program = Program("AlexNet", net, imagenet(256, 227), (10, 3, 227, 227))
