"""LeNet of Caffe's MNIST example: two convolutions, each followed by pooling; two dense layers."""

from caffelite.models.blocks import XAVIER, classify, conv, dense, max_pool, relu
from caffelite.models.program import Program, mnist

RATES = [{"lr_mult": 1}, {"lr_mult": 2}]


def net(n):
    n.conv1 = conv(n.data, 20, 5, XAVIER, param=RATES)
    n.pool1 = max_pool(n.conv1, 2, 2)
    n.conv2 = conv(n.pool1, 50, 5, XAVIER, param=RATES)
    n.pool2 = max_pool(n.conv2, 2, 2)
    n.ip1 = dense(n.pool2, 500, XAVIER, param=RATES)
    n.relu1 = relu(n.ip1)
    n.ip2 = dense(n.relu1, 10, XAVIER, param=RATES)
    classify(n, n.ip2)


program = Program("LeNet", net, mnist(64), (64, 1, 28, 28))
