"""Write train_val.prototxt and deploy.prototxt of the nets in models/, from the programs below.

    python tools/make_models.py            # all of them
    python tools/make_models.py resnet50

Change a net here, run this, commit both: a test compares them. Layers have the names under which
published weights are stored. deploy.prototxt says what a forward pass needs and no more.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from caffelite.proto.text import to_text

ROOT = Path(__file__).resolve().parent.parent
BIAS_FAST = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
XAVIER, MSRA = {"type": "xavier"}, {"type": "msra"}


# The nets: each takes n.data, and n.label when it is to be trained


def cifar10_full(n):
    """cuda-convnet's layers-18pct: three 5 x 5 convolutions, overlapping pools, local contrast."""
    rates = [{"lr_mult": 1}, {"lr_mult": 2}]
    n.conv1 = conv(n.data, 32, 5, gaussian(0.0001), pad=2, param=rates)
    n.pool1 = max_pool(n.conv1, 3, 2)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    n.norm1 = contrast(n.relu1)
    n.conv2 = conv(n.norm1, 32, 5, gaussian(0.01), pad=2, param=rates)
    n.relu2 = L.ReLU(n.conv2, in_place=True)
    n.pool2 = average_pool(n.relu2, 3, 2)
    n.norm2 = contrast(n.pool2)
    n.conv3 = conv(n.norm2, 64, 5, gaussian(0.01), pad=2, param=[])
    n.relu3 = L.ReLU(n.conv3, in_place=True)
    n.pool3 = average_pool(n.relu3, 3, 2)
    strong_decay = [{"lr_mult": 1, "decay_mult": 250}, {"lr_mult": 2, "decay_mult": 0}]
    n.ip1 = dense(n.pool3, 10, gaussian(0.01), param=strong_decay)
    classify(n, n.ip1)


def contrast(bottom):
    """Divide by the energy of 3 x 3 neighbours in the same channel."""
    region = P.LRN.WITHIN_CHANNEL
    return L.LRN(bottom, local_size=3, alpha=5e-5, beta=0.75, norm_region=region)


def alexnet(n):
    """Two groups, normalization before pooling.  Krizhevsky, Sutskever, Hinton 2012."""
    n.conv1 = conv(n.data, 96, 11, gaussian(0.01), stride=4)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.norm1 = across_channels(n.relu1)
    n.pool1 = max_pool(n.norm1, 3, 2)
    n.conv2 = conv(n.pool1, 256, 5, gaussian(0.01), 0.1, pad=2, group=2)
    n.relu2 = L.ReLU(n.conv2, in_place=True)
    n.norm2 = across_channels(n.relu2)
    n.pool2 = max_pool(n.norm2, 3, 2)
    n.conv3 = conv(n.pool2, 384, 3, gaussian(0.01), pad=1)
    n.relu3 = L.ReLU(n.conv3, in_place=True)
    n.conv4 = conv(n.relu3, 384, 3, gaussian(0.01), 0.1, pad=1, group=2)
    n.relu4 = L.ReLU(n.conv4, in_place=True)
    n.conv5 = conv(n.relu4, 256, 3, gaussian(0.01), 0.1, pad=1, group=2)
    n.relu5 = L.ReLU(n.conv5, in_place=True)
    n.pool5 = max_pool(n.relu5, 3, 2)
    three_dense(n, n.pool5, gaussian(0.005), gaussian(0.01), 0.1)
    classify(n, n.fc8)


def three_dense(n, bottom, fill, last_fill, bias):
    """fc6 and fc7, 4096 wide with dropout, and fc8 with the 1000 scores."""
    for number in (6, 7):
        n[f"fc{number}"] = dense(bottom, 4096, fill, bias)
        n[f"relu{number}"] = L.ReLU(n[f"fc{number}"], in_place=True)
        n[f"drop{number}"] = dropout(n[f"relu{number}"], 0.5)
        bottom = n[f"drop{number}"]
    n.fc8 = dense(bottom, 1000, last_fill)


def vgg16(n):
    """Five stages of 3 x 3 convolutions: configuration D.  Simonyan, Zisserman 2014."""
    top = n.data
    for stage, (depth, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for i in range(1, depth + 1):
            n[f"conv{stage}_{i}"] = conv(top, width, 3, XAVIER, pad=1)
            top = n[f"relu{stage}_{i}"] = L.ReLU(n[f"conv{stage}_{i}"], in_place=True)
        top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    three_dense(n, top, XAVIER, XAVIER, 0)
    classify(n, n.fc8, top5="accuracy_top5")


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


def googlenet(n):
    """Nine inception modules; two auxiliary classifiers help to train it.  Szegedy et al. 2014."""
    top = conv_relu(n, "conv1/{}7x7_s2", n.data, 64, 7, pad=3, stride=2, relu="relu_7x7")
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
        if name in ("4a", "4d") and "label" in n.tops:
            auxiliary(n, {"4a": "loss1", "4d": "loss2"}[name], top)
    n["pool5/7x7_s1"] = average_pool(top, 7, 1)
    n["pool5/drop_7x7_s1"] = dropout(n["pool5/7x7_s1"], 0.4)
    scores = dense(n["pool5/drop_7x7_s1"], 1000, XAVIER)
    n["loss3/classifier"] = scores
    classify(n, scores, loss="loss3/loss3", top1="loss3/top-1", top5="loss3/top-5")


def inception(n, name, bottom, one, reduce3, three, reduce5, five, projection):
    """Four views of the same blob, concatenated: 1x1, 3x3, 5x5, and a pool."""
    path = name + "/{}"
    a = conv_relu(n, path + "1x1", bottom, one, 1)
    b = conv_relu(n, path + "3x3_reduce", bottom, reduce3, 1)
    b = conv_relu(n, path + "3x3", b, three, 3, pad=1)
    c = conv_relu(n, path + "5x5_reduce", bottom, reduce5, 1)
    c = conv_relu(n, path + "5x5", c, five, 5, pad=2)
    d = n[f"{name}/pool"] = max_pool(bottom, 3, 1, pad=1)
    d = conv_relu(n, path + "pool_proj", d, projection, 1)
    n[f"{name}/output"] = L.Concat(a, b, c, d)
    return n[f"{name}/output"]


def auxiliary(n, name, bottom):
    """A classifier half way up, whose loss counts 0.3."""
    n[f"{name}/ave_pool"] = average_pool(bottom, 5, 3)
    top = conv_relu(n, name + "/{}conv", n[f"{name}/ave_pool"], 128, 1)
    n[f"{name}/fc"] = dense(top, 1024, XAVIER, 0.2)
    n[f"{name}/relu_fc"] = L.ReLU(n[f"{name}/fc"], in_place=True)
    n[f"{name}/drop_fc"] = dropout(n[f"{name}/relu_fc"], 0.7)
    scores = n[f"{name}/classifier"] = dense(n[f"{name}/drop_fc"], 1000, XAVIER)
    loss = L.SoftmaxWithLoss(scores, n.label, name=f"{name}/loss", loss_weight=0.3)
    n[f"{name}/{name}"] = loss
    measure(n, scores, f"{name}/top-1", f"{name}/top-5")


def conv_relu(n, name, bottom, num_output, kernel_size, relu=None, **options):
    """A convolution and its ReLU; `name` has {} where the ReLU's says relu_."""
    n[name.format("")] = conv(bottom, num_output, kernel_size, XAVIER, 0.2, **options)
    relu_name = f"{name.split('/')[0]}/{relu}" if relu else name.format("relu_")
    n[relu_name] = L.ReLU(n[name.format("")], in_place=True)
    return n[relu_name]


def resnet50(n):
    """Bottleneck blocks of 3, 4, 6 and 3, the first of a stage with stride.  He et al. 2015."""
    n.conv1 = conv(n.data, 64, 7, MSRA, stride=2, pad=3, param=[])
    top = n.conv1_relu = L.ReLU(normalize(n, "_conv1", n.conv1), in_place=True)
    top = n.pool1 = max_pool(top, 3, 2)
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], 2):
        for block in "abcdef"[:blocks]:
            stride = 2 if block == "a" and stage > 2 else 1
            top = bottleneck(n, f"{stage}{block}", top, width, stride, project=block == "a")
    n.pool5 = average_pool(top, 7, 1)
    n.fc1000 = dense(n.pool5, 1000, MSRA, param=[])
    classify(n, n.fc1000, top5="accuracy_top5")


def bottleneck(n, name, bottom, width, stride, project):
    """y = relu(x + f(x)), f being 1x1, 3x3, 1x1 convolutions; x is projected where sizes change."""
    shortcut = bottom
    if project:
        shortcut = conv_norm(n, f"{name}_branch1", bottom, 4 * width, 1, stride=stride)
    top = conv_norm(n, f"{name}_branch2a", bottom, width, 1, relu=True, stride=stride)
    top = conv_norm(n, f"{name}_branch2b", top, width, 3, relu=True, pad=1)
    top = conv_norm(n, f"{name}_branch2c", top, 4 * width, 1)
    n[f"res{name}"] = L.Eltwise(shortcut, top)
    n[f"res{name}_relu"] = L.ReLU(n[f"res{name}"], in_place=True)
    return n[f"res{name}_relu"]


def conv_norm(n, name, bottom, num_output, kernel_size, relu=False, **options):
    """A convolution without bias, normalized over the batch."""
    options = {key: value for key, value in options.items() if (key, value) != ("stride", 1)}
    top = n[f"res{name}"] = L.Convolution(
        bottom,
        num_output=num_output,
        kernel_size=kernel_size,
        bias_term=False,
        weight_filler=MSRA,
        **options,
    )
    top = normalize(n, name, top)
    if relu:
        top = n[f"res{name}_relu"] = L.ReLU(top, in_place=True)
    return top


def normalize(n, name, bottom):
    """BatchNorm, and the Scale that learns what it lacks."""
    n[f"bn{name}"] = L.BatchNorm(bottom, in_place=True)
    n[f"scale{name}"] = L.Scale(n[f"bn{name}"], in_place=True, bias_term=True)
    return n[f"scale{name}"]


# Layers with the options that these nets give


def conv(bottom, num_output, kernel_size, fill, bias=0, **options):
    options = {"param": BIAS_FAST, **options}
    return L.Convolution(
        bottom,
        num_output=num_output,
        kernel_size=kernel_size,
        weight_filler=fill,
        bias_filler=constant(bias),
        **options,
    )


def dense(bottom, num_output, fill, bias=0, param=BIAS_FAST):
    fillers = {"weight_filler": fill, "bias_filler": constant(bias)}
    return L.InnerProduct(bottom, num_output=num_output, param=param, **fillers)


def constant(value):
    return {"type": "constant", **({"value": value} if value else {})}


def gaussian(std):
    return {"type": "gaussian", "std": std}


def max_pool(bottom, kernel_size, stride, **options):
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **options)


def average_pool(bottom, kernel_size, stride):
    return L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=kernel_size, stride=stride)


def across_channels(bottom):
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def dropout(bottom, ratio):
    return L.Dropout(bottom, in_place=True, dropout_ratio=ratio)


def classify(n, scores, loss="loss", top1="accuracy", top5=None):
    """The end of a net: a loss when it is to be trained, else probabilities."""
    if "label" in n.tops:
        n[loss] = L.SoftmaxWithLoss(scores, n.label)
        measure(n, scores, top1, top5)
    else:
        n.prob = L.Softmax(scores)


def measure(n, scores, top1, top5=None):
    """How often the right class scores best, and is among the best five; in tests only."""
    n[top1] = L.Accuracy(scores, n.label, include={"phase": TEST})
    if top5:
        n[top5] = L.Accuracy(scores, n.label, include={"phase": TEST}, top_k=5)


# What differs from net to net outside of it: name, input, data


@dataclass
class Model:
    body: callable
    name: str
    shape: tuple  # of the input of deploy.prototxt
    data: dict
    input_name: str = "data"  # of the layer; its top is "data"


def cifar10(batch_size):
    files = {"train": "data/cifar10/cifar10_train_lmdb", "test": "data/cifar10/cifar10_test_lmdb"}
    transform = {"mean_file": "data/cifar10/mean.binaryproto"}
    return {"files": files, "batch_sizes": (batch_size, 100), "transform": transform}


def imagenet(batch_size, crop_size, **mean):
    files = {  # the labels of ImageNet's test set are not public: its validation set tests
        "train": "data/ilsvrc12/ilsvrc12_train_lmdb",
        "test": "data/ilsvrc12/ilsvrc12_val_lmdb",
    }
    transform = {"mirror": True, "crop_size": crop_size, **mean}
    return {"files": files, "batch_sizes": (batch_size, 50), "transform": transform}


MEAN_FILE = "data/ilsvrc12/imagenet_mean.binaryproto"
ROUND_MEAN, VGG_MEAN = [104, 117, 123], [103.939, 116.779, 123.68]  # blue, green, red
MODELS = {
    "cifar10_full": Model(cifar10_full, "CIFAR10_full", (1, 3, 32, 32), cifar10(100)),
    "alexnet": Model(
        alexnet, "AlexNet", (10, 3, 227, 227), imagenet(256, 227, mean_file=MEAN_FILE)
    ),
    "vgg16": Model(
        vgg16,
        "VGG_ILSVRC_16_layers",
        (1, 3, 224, 224),
        imagenet(64, 224, mean_value=VGG_MEAN),
        input_name="input",
    ),
    "googlenet": Model(
        googlenet, "GoogLeNet", (10, 3, 224, 224), imagenet(32, 224, mean_value=ROUND_MEAN)
    ),
    "resnet50": Model(
        resnet50,
        "ResNet-50",
        (1, 3, 224, 224),
        imagenet(32, 224, mean_file=MEAN_FILE),
        input_name="input",
    ),
}


def train_val(model):
    """The net with its data, loss and measures."""
    n, test = NetSpec(), NetSpec()
    n.data, n.label = data_layer(model.data, "train", TRAIN)
    test.data, test.label = data_layer(model.data, "test", TEST)
    model.body(n)
    first, *rest = n.to_proto().layer
    return NetParameter(name=model.name, layer=[first, *test.to_proto().layer, *rest])


def data_layer(data, part, phase):
    transform = {k: v for k, v in data["transform"].items() if phase == TRAIN or k != "mirror"}
    return L.Data(
        name="data",
        include={"phase": phase},
        transform_param=transform,
        source=data["files"][part],
        batch_size=data["batch_sizes"][phase],
        backend=P.Data.LMDB,
        ntop=2,
    )


def deploy(model):
    """The net from input to probabilities; what only training reads is left out."""
    n = NetSpec()
    n.data = L.Input(name=model.input_name, shape={"dim": model.shape})
    model.body(n)
    param = n.to_proto()
    param.name = model.name
    for layer in param.layer:
        layer.ClearField("param")
        for options in ("convolution_param", "inner_product_param"):
            if layer.HasField(options):
                getattr(layer, options).ClearField("weight_filler")
                getattr(layer, options).ClearField("bias_filler")
    return param


FILES = {"train_val.prototxt": train_val, "deploy.prototxt": deploy}


def text(folder, file):
    """What models/FOLDER/FILE holds."""
    model = MODELS[folder]
    body = re.sub(r": (\d+)\.0$", r": \1", to_text(FILES[file](model)), flags=re.M)
    short = re.compile(r"^( +)(\w+ \{)\n((?: +\S.*\n){1,4}?)\1\}$", re.M)
    for _ in range(2):  # messages, then those that hold one
        body = short.sub(in_one_line, body)
    return f"# {model.body.__doc__}\n# Written by tools/make_models.py; see readme.md.\n{body}"


def in_one_line(match):
    line = match[1] + " ".join([match[2], *match[3].split(), "}"])
    return line if len(line) <= 90 else match[0]


def main(folders):
    for folder in folders or MODELS:
        for file in FILES:
            path = ROOT / "models" / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(folder, file))


if __name__ == "__main__":
    main(sys.argv[1:])
