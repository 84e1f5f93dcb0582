"""GoogLeNet: nine inception modules, and two auxiliary classifiers.  Szegedy et al. 2014."""

from caffelite.models.blocks import (
    XAVIER,
    across_channels,
    auxiliary,
    average_pool,
    classify,
    conv_relu,
    dense,
    dropout,
    inception,
    max_pool,
)
from caffelite.models.program import ROUND_MEAN, Program, imagenet

INCEPTION = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, projection of the pool: table 1 of the paper
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"4a": "loss1", "4d": "loss2"}


def net(n, auxiliaries=AUXILIARY):
    scores = n["loss3/classifier"] = dense(features(n, auxiliaries), 1000, XAVIER)
    classify(n, scores, loss="loss3/loss3", top1="loss3/top-1", top5="loss3/top-5")


def features(n, auxiliaries, classes=1000):
    """All but the classifier: 1024 numbers."""
    top = conv_relu(n, "conv1/{}7x7_s2", n.data, 64, 7, "conv1/relu_7x7", pad=3, stride=2)
    top = n["pool1/3x3_s2"] = max_pool(top, 3, 2)
    top = n["pool1/norm1"] = across_channels(top)
    top = conv_relu(n, "conv2/{}3x3_reduce", top, 64, 1)
    top = conv_relu(n, "conv2/{}3x3", top, 192, 3, pad=1)
    top = n["conv2/norm2"] = across_channels(top)
    top = n["pool2/3x3_s2"] = max_pool(top, 3, 2)
    for name, widths in INCEPTION.items():
        if name in ("4a", "5a"):  # a new stage, at half the size
            stage = int(name[0]) - 1
            top = n[f"pool{stage}/3x3_s2"] = max_pool(top, 3, 2)
        top = inception(n, f"inception_{name}", top, *widths)
        if name in auxiliaries and "label" in n.tops:
            auxiliary(n, auxiliaries[name], top, classes)
    n["pool5/7x7_s1"] = average_pool(top, 7, 1)
    n["pool5/drop_7x7_s1"] = dropout(n["pool5/7x7_s1"], 0.4)
    return n["pool5/drop_7x7_s1"]


program = Program("GoogLeNet", net, imagenet(32, 224, mean_value=ROUND_MEAN), (10, 3, 224, 224))
