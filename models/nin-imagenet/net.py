"""NIN for ImageNet: two 1 x 1 convolutions upon each other one.  Lin, Chen, Yan 2013.

lint: ignore pixels-left-over (conv1 leaves a row and a column, as published)
"""

from caffelite.models.blocks import average_pool, classify, conv, dropout, gaussian, max_pool, relu
from caffelite.models.program import Program, imagenet

LAYERS = [  # convolution, its ReLU, width, kernel size, deviation of its weights, options
    [
        ("conv1", "relu0", 96, 11, 0.01, {"stride": 4}),
        ("cccp1", "relu1", 96, 1, 0.05, {}),
        ("cccp2", "relu2", 96, 1, 0.05, {}),
    ],
    [
        ("conv2", "relu3", 256, 5, 0.05, {"pad": 2}),
        ("cccp3", "relu5", 256, 1, 0.05, {}),
        ("cccp4", "relu6", 256, 1, 0.05, {}),
    ],
    [
        ("conv3", "relu7", 384, 3, 0.01, {"pad": 1}),
        ("cccp5", "relu8", 384, 1, 0.05, {}),
        ("cccp6", "relu9", 384, 1, 0.05, {}),
    ],
    [
        ("conv4", "relu10", 1024, 3, 0.05, {"pad": 1, "name": "conv4-1024"}),
        ("cccp7", "relu11", 1024, 1, 0.05, {"name": "cccp7-1024"}),
        ("cccp8", "relu12", 1000, 1, 0.01, {"name": "cccp8-1024"}),
    ],
]


def net(n):
    top = n.data
    for pool, layers in zip(("pool0", "pool2", "pool3", "pool4"), LAYERS, strict=True):
        for name, relu_name, width, size, std, options in layers:
            n[name] = conv(top, width, size, gaussian(std), **options)
            top = n[relu_name] = relu(n[name])
        if pool != "pool4":
            top = n[pool] = max_pool(top, 3, 2)
        if pool == "pool3":
            top = n.drop = dropout(top, 0.5)
    n.pool4 = average_pool(top, 6, 1)
    classify(n, n.pool4, top5="accuracy_top5")


program = Program("nin_imagenet", net, imagenet(64, 224), (1, 3, 224, 224))
