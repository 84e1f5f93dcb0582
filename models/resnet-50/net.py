"""ResNet-50: bottleneck units of 3, 4, 6 and 3, each added to its bottom.  He et al. 2015."""

from caffelite.models.blocks import (
    MSRA,
    average_pool,
    bottleneck,
    classify,
    conv,
    dense,
    max_pool,
    normalize,
    relu,
    residual,
)
from caffelite.models.program import Program, imagenet


def net(n):
    n.conv1 = conv(n.data, 64, 7, MSRA, stride=2, pad=3, param=[])
    n.conv1_relu = relu(normalize(n, "_conv1", n.conv1))
    n.pool1 = max_pool(n.conv1_relu, 3, 2)
    top = residual(n, n.pool1, bottleneck, (3, 4, 6, 3), (64, 128, 256, 512))
    n.pool5 = average_pool(top, 7, 1)
    n.fc1000 = dense(n.pool5, 1000, MSRA, param=[])
    classify(n, n.fc1000, top5="accuracy_top5")


program = Program("ResNet-50", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
