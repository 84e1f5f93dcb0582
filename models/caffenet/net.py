"""CaffeNet: AlexNet with its pools before normalization, BVLC Caffe's reference model."""

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


def net(n):
    classify(n, three_dense(n, convolutions(n), gaussian(0.005), gaussian(0.01), 1))


def convolutions(n, pad=0, **options):
    """All before the dense layers; `pad` is the first's, `options` are of every convolution."""
    first = {"pad": pad} if pad else {}
    n.conv1 = conv(n.data, 96, 11, gaussian(0.01), stride=4, **first, **options)
    n.relu1 = relu(n.conv1)
    n.pool1 = max_pool(n.relu1, 3, 2)
    n.norm1 = across_channels(n.pool1)
    n.conv2 = conv(n.norm1, 256, 5, gaussian(0.01), 1, pad=2, group=2, **options)
    n.relu2 = relu(n.conv2)
    n.pool2 = max_pool(n.relu2, 3, 2)
    n.norm2 = across_channels(n.pool2)
    n.conv3 = conv(n.norm2, 384, 3, gaussian(0.01), pad=1, **options)
    n.relu3 = relu(n.conv3)
    n.conv4 = conv(n.relu3, 384, 3, gaussian(0.01), 1, pad=1, group=2, **options)
    n.relu4 = relu(n.conv4)
    n.conv5 = conv(n.relu4, 256, 3, gaussian(0.01), 1, pad=1, group=2, **options)
    n.relu5 = relu(n.conv5)
    n.pool5 = max_pool(n.relu5, 3, 2)
    return n.pool5


program = Program("CaffeNet", net, imagenet(256, 227), (10, 3, 227, 227))
