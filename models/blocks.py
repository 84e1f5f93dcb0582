"""What the nets of the zoo are built of. A block takes n, writes layers to it, returns its top."""

from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST

XAVIER, MSRA = {"type": "xavier"}, {"type": "msra"}
BIAS_FAST = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]


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


def relu(bottom):
    return L.ReLU(bottom, in_place=True)


def max_pool(bottom, kernel_size, stride, **options):
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **options)


def average_pool(bottom, kernel_size, stride, **options):
    return L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=kernel_size, stride=stride, **options)


def across_channels(bottom):
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def dropout(bottom, ratio):
    return L.Dropout(bottom, in_place=True, dropout_ratio=ratio)


# The end of a net


def classify(n, scores, loss="loss", top1="accuracy", top5=None):
    """A loss when the net is to be trained, else probabilities."""
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


def three_dense(n, bottom, fill, last_fill, bias):
    """fc6 and fc7, 4096 wide with dropout, and fc8 with the 1000 scores."""
    for number in (6, 7):
        n[f"fc{number}"] = dense(bottom, 4096, fill, bias)
        n[f"relu{number}"] = relu(n[f"fc{number}"])
        bottom = n[f"drop{number}"] = dropout(n[f"relu{number}"], 0.5)
    n.fc8 = dense(bottom, 1000, last_fill)
    return n.fc8


# VGG


def vgg(n, stages):
    """Stages of 3 x 3 convolutions, each ending in a pool, then three dense layers."""
    top = n.data
    for stage, widths in enumerate(stages, 1):
        for i, width in enumerate(widths, 1):
            n[f"conv{stage}_{i}"] = conv(top, width, 3, XAVIER, pad=1)
            top = n[f"relu{stage}_{i}"] = relu(n[f"conv{stage}_{i}"])
        top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    classify(n, three_dense(n, top, XAVIER, XAVIER, 0), top5="accuracy_top5")


# Inception


def conv_relu(n, name, bottom, num_output, kernel_size, relu_name=None, **options):
    """A convolution and its ReLU; `name` has {} where the ReLU's says relu_."""
    n[name.format("")] = conv(bottom, num_output, kernel_size, XAVIER, 0.2, **options)
    relu_name = relu_name or name.format("relu_")
    n[relu_name] = relu(n[name.format("")])
    return n[relu_name]


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
    n[f"{name}/relu_fc"] = relu(n[f"{name}/fc"])
    n[f"{name}/drop_fc"] = dropout(n[f"{name}/relu_fc"], 0.7)
    scores = n[f"{name}/classifier"] = dense(n[f"{name}/drop_fc"], 1000, XAVIER)
    loss = L.SoftmaxWithLoss(scores, n.label, name=f"{name}/loss", loss_weight=0.3)
    n[f"{name}/{name}"] = loss
    measure(n, scores, f"{name}/top-1", f"{name}/top-5")


# Residual nets


def residual(n, bottom, unit, depths, widths):
    """Stages of residual units, named 2a, 2b, ...; all stages but the first halve the size."""
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 2):
        for block in range(depth):
            stride = 2 if block == 0 and stage > 2 else 1
            bottom = unit(n, f"{stage}{letter(block)}", bottom, width, stride, project=block == 0)
    return bottom


def letter(block):
    return "abcdefghij"[block]


def bottleneck(n, name, bottom, width, stride, project):
    """y = relu(x + f(x)), f being 1x1, 3x3, 1x1 convolutions; x is projected where sizes change."""
    shortcut = bottom
    if project:
        shortcut = conv_norm(n, f"{name}_branch1", bottom, 4 * width, 1, stride=stride)
    top = conv_norm(n, f"{name}_branch2a", bottom, width, 1, activate=True, stride=stride)
    top = conv_norm(n, f"{name}_branch2b", top, width, 3, activate=True, pad=1)
    top = conv_norm(n, f"{name}_branch2c", top, 4 * width, 1)
    n[f"res{name}"] = L.Eltwise(shortcut, top)
    n[f"res{name}_relu"] = relu(n[f"res{name}"])
    return n[f"res{name}_relu"]


def conv_norm(n, name, bottom, num_output, kernel_size, activate=False, **options):
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
    if activate:
        top = n[f"res{name}_relu"] = relu(top)
    return top


def normalize(n, name, bottom):
    """BatchNorm, and the Scale that learns what it lacks."""
    n[f"bn{name}"] = L.BatchNorm(bottom, in_place=True)
    n[f"scale{name}"] = L.Scale(n[f"bn{name}"], in_place=True, bias_term=True)
    return n[f"scale{name}"]
