"""What the nets of the zoo are built of. A block takes n, writes layers to it, returns its top."""

from itertools import count

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


def dense(bottom, num_output, fill, bias=0, param=BIAS_FAST, **options):
    fillers = {"weight_filler": fill, "bias_filler": constant(bias)}
    return L.InnerProduct(bottom, num_output=num_output, param=param, **fillers, **options)


def constant(value):
    return {"type": "constant", **({"value": value} if value else {})}


def gaussian(std, **options):
    return {"type": "gaussian", "std": std, **options}


def uniform(limit):
    return {"type": "uniform", "min": -limit, "max": limit}


def conv_without_bias(bottom, num_output, kernel_size, fill, **options):
    return L.Convolution(
        bottom,
        num_output=num_output,
        bias_term=False,
        weight_filler=fill,
        **window(kernel_size),
        **{name: value for name, value in options.items() if (name, value) != ("stride", 1)},
    )


def window(size):
    """A kernel's size: a number, or (height, width)."""
    if isinstance(size, int):
        return dict(kernel_size=size)
    return dict(kernel_h=size[0], kernel_w=size[1])


def keeping(size):
    """The padding with which a kernel of odd size and stride 1 keeps the size of the map."""
    if isinstance(size, int):
        return dict(pad=size // 2) if size > 1 else {}
    return dict(pad_h=size[0] // 2, pad_w=size[1] // 2)


def relu(bottom):
    return L.ReLU(bottom, in_place=True)


def max_pool(bottom, kernel_size, stride, **options):
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **options)


def average_pool(bottom, kernel_size, stride, **options):
    return L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=kernel_size, stride=stride, **options)


def average_all(bottom):
    """The mean of each map."""
    return L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)


def across_channels(bottom):
    """x / (1 + 0.00002 * sum)^0.75: BVLC Caffe's numbers; alpha is divided by local_size."""
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def across_channels_as_printed(bottom):
    """x / (2 + 0.0001 * sum)^0.75: Krizhevsky's numbers, with his alpha times local_size."""
    return L.LRN(bottom, local_size=5, alpha=5e-4, beta=0.75, k=2)


def dropout(bottom, ratio):
    return L.Dropout(bottom, in_place=True, dropout_ratio=ratio)


def squash(n, name, bottom):
    """y = 1.7159 tanh(2/3 x): about as wide as its input where that lies between -1 and 1."""
    n[f"{name}_slope"] = L.Power(bottom, in_place=True, scale=2 / 3)
    n[f"{name}_tanh"] = L.TanH(n[f"{name}_slope"], in_place=True)
    n[f"{name}_squash"] = L.Power(n[f"{name}_tanh"], in_place=True, scale=1.7159)
    return n[f"{name}_squash"]


def by_inputs(inputs):
    """Weights and biases as LeCun's nets start: U[-2.4, 2.4] / the inputs of a unit."""
    return {"weight_filler": uniform(2.4 / inputs), "bias_filler": uniform(2.4 / inputs)}


def one_hot(n, label, classes, on, off):
    """A row for each label: `on` at its class, `off` elsewhere.

    `on` and `classes` times `off`, repeated, are a row too long by one for the rows of a matrix:
    cut into rows, `on` moves right by one from row to row. The label picks its row.
    """
    n.on, n.off = L.DummyData(
        ntop=2,
        name="targets",
        shape=[{"dim": [1, 1]}, {"dim": [1, classes]}],
        data_filler=[{"value": on}, {"value": off}],
    )
    n.on_off = L.Concat(n.on, n.off)
    n.repeated = L.Tile(n.on_off, axis=0, tiles=classes)
    n.rows = L.Reshape(n.repeated, shape={"dim": [classes + 1, classes]})
    n.target = L.BatchReindex(n.rows, label)
    return n.target


# The end of a net


def is_trained(n):
    """Whether the net is fed by a database, not by its user."""
    return n.data.fn.type_name != "Input"


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


# Several layers


def conv_relu(n, name, bottom, num_output, kernel_size, relu_name=None, bias=0.2, **options):
    """A convolution and its ReLU; `name` has {} where the ReLU's says relu_."""
    n[name.format("")] = conv(bottom, num_output, kernel_size, XAVIER, bias, **options)
    relu_name = relu_name or name.format("relu_")
    n[relu_name] = relu(n[name.format("")])
    return n[relu_name]


def conv_bn(n, names, bottom, num_output, kernel_size, fill, eps=None, **options):
    """A convolution without bias, BatchNorm, Scale, ReLU: `names` has those of all, or of three."""
    n[names[0]] = conv_without_bias(bottom, num_output, kernel_size, fill, **options)
    return normalize(n, names[1:], n[names[0]], **({"eps": eps} if eps else {}))


def normalize(n, names, bottom, in_place=True, **options):
    """BatchNorm, the Scale that learns what it lacks, and a ReLU if there is a name for it."""
    place = {"in_place": True} if in_place else {}
    top = n[names[0]] = L.BatchNorm(bottom, **place, **options)
    top = n[names[1]] = L.Scale(top, in_place=True, bias_term=True)
    for name in names[2:]:
        top = n[name] = relu(top)
    return top


def concat(n, name, *bottoms):
    n[name] = L.Concat(*bottoms)
    return n[name]


# VGG

VGG_16 = [(64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)]


def vgg(n, stages, normalized=False):
    """Stages of 3 x 3 convolutions, each ending in a pool, then three dense layers.

    A stage is the widths of its convolutions, or (width, kernel_size). `normalized` puts the
    normalization of AlexNet behind the first.
    """
    top = n.data
    for stage, convolutions in enumerate(stages, 1):
        top = vgg_stage(n, stage, top, convolutions)
        if normalized and stage == 1:
            top = n.norm1 = across_channels_as_printed(top)
        top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    classify(n, three_dense(n, top, XAVIER, XAVIER, 0), top5="accuracy_top5")


def vgg_stage(n, stage, top, convolutions, margin=None, **options):
    """One convolution upon the other, without the pool; `margin` is another pad of the first."""
    for i, width in enumerate(convolutions, 1):
        width, size = (width, 3) if isinstance(width, int) else width
        padding = {"pad": margin} if margin and i == 1 else keeping(size)
        n[f"conv{stage}_{i}"] = conv(top, width, size, XAVIER, **{**padding, **options})
        top = n[f"relu{stage}_{i}"] = relu(n[f"conv{stage}_{i}"])
    return top


# Inception


def inception(n, name, bottom, one, reduce3, three, reduce5, five, projection):
    """Four views of the same blob, side by side: 1x1, 3x3, 5x5, and a pool."""
    path = name + "/{}"
    a = conv_relu(n, path + "1x1", bottom, one, 1)
    b = conv_relu(n, path + "3x3_reduce", bottom, reduce3, 1)
    b = conv_relu(n, path + "3x3", b, three, 3, pad=1)
    c = conv_relu(n, path + "5x5_reduce", bottom, reduce5, 1)
    c = conv_relu(n, path + "5x5", c, five, 5, pad=2)
    d = n[f"{name}/pool"] = max_pool(bottom, 3, 1, pad=1)
    d = conv_relu(n, path + "pool_proj", d, projection, 1)
    return concat(n, f"{name}/output", a, b, c, d)


def auxiliary(n, name, bottom, classes):
    """A classifier half way up, whose loss counts 0.3."""
    n[f"{name}/ave_pool"] = average_pool(bottom, 5, 3)
    top = conv_relu(n, name + "/{}conv", n[f"{name}/ave_pool"], 128, 1)
    n[f"{name}/fc"] = dense(top, 1024, XAVIER, 0.2)
    n[f"{name}/relu_fc"] = relu(n[f"{name}/fc"])
    n[f"{name}/drop_fc"] = dropout(n[f"{name}/relu_fc"], 0.7)
    scores = n[f"{name}/classifier"] = dense(n[f"{name}/drop_fc"], classes, XAVIER)
    loss = L.SoftmaxWithLoss(scores, n.label, name=f"{name}/loss", loss_weight=0.3)
    n[f"{name}/{name}"] = loss
    measure(n, scores, f"{name}/top-1", f"{name}/top-5")


def tower(n, name, bottom, *convolutions):
    """Normalized convolutions one upon the other: (end of its name, width, kernel size, options).

    Without options, they keep the size of the map. VALID is for those without padding, HALVE for
    those that halve the size so. After the options may stand the name of the ReLU.
    """
    for end, width, size, *rest in convolutions:
        stem = f"{name}_{end}" if name else end
        options = rest[0] if rest else keeping(size)
        relu_name = rest[1] if len(rest) > 1 else f"{stem}_relu"
        names = (stem, f"{stem}_bn", f"{stem}_scale", relu_name)
        bottom = conv_bn(n, names, bottom, width, size, XAVIER, eps=0.001, **options)
    return bottom


VALID, HALVE = {}, {"stride": 2}


def pooled(n, name, bottom, pool=average_pool, stride=1, pad=1):
    """A 3 x 3 pool among the towers of a module."""
    n[name] = pool(bottom, 3, stride, **({"pad": pad} if pad else {}))
    return n[name]


def linear_residual(n, name, bottom, branch, width, coeff):
    """y = relu(x + coeff up(f(x))): `branch` is f(x), which a bare convolution makes wide again."""
    n[f"{name}_up"] = conv(branch, width, 1, XAVIER, 0.2)
    top = n[f"{name}_residual_eltwise"] = L.Eltwise(bottom, n[f"{name}_up"], coeff=[1, coeff])
    n[f"{name}_residual_eltwise_relu"] = relu(top)
    return n[f"{name}_residual_eltwise_relu"]


def classify_average(n, top):
    """The end of Inception-v3 and its successors: mean of each map, dropout, 1000 scores."""
    n.pool_8x8_s1 = average_all(top)
    n.pool_8x8_s1_drop = L.Dropout(n.pool_8x8_s1, dropout_ratio=0.2)
    n.classifier = dense(n.pool_8x8_s1_drop, 1000, XAVIER)
    classify(n, n.classifier, top5="accuracy_top5")


# Residual nets


def resnet(n, unit, depths, numbered=False, bias=False):
    """A 7 x 7 convolution, four stages of residual units, the mean of each map, 1000 scores."""
    convolution = conv if bias else conv_without_bias
    n.conv1 = convolution(n.data, 64, 7, MSRA, stride=2, pad=3, **({"param": []} if bias else {}))
    top = normalize(n, ("bn_conv1", "scale_conv1", "conv1_relu"), n.conv1)
    n.pool1 = max_pool(top, 3, 2)
    top = residual_stages(n, n.pool1, unit, depths, numbered)
    if unit is pre_activated:
        top = normalize(n, ("bn5", "scale5", "relu5"), top, in_place=False)
    n.pool5 = average_pool(top, 7, 1)
    n.fc1000 = dense(n.pool5, 1000, MSRA, param=[])
    classify(n, n.fc1000, top5="accuracy_top5")


def residual_stages(n, bottom, unit, depths, numbered):
    """Units 2a, 2b, ... 5c; numbered, long stages are a, b1, b2, ...; a stage doubles the width."""
    for stage, depth in enumerate(depths, 2):
        for i in range(depth):
            name = "abcdefgh"[i] if depth <= 3 or not numbered else f"b{i}" if i else "a"
            stride = 2 if i == 0 and stage > 2 else 1
            bottom = unit(n, f"{stage}{name}", bottom, 2 ** (stage + 4), stride)
    return bottom


def bottleneck(n, name, bottom, width, stride):
    """y = relu(x + f(x)), f being 1x1, 3x3, 1x1 convolutions; x is projected where sizes change."""
    shortcut = bottom
    if name.endswith("a"):
        shortcut = res(n, name, "branch1", bottom, 4 * width, 1, stride=stride)
    top = res(n, name, "branch2a", bottom, width, 1, activate=True, stride=stride)
    top = res(n, name, "branch2b", top, width, 3, activate=True, pad=1)
    top = res(n, name, "branch2c", top, 4 * width, 1)
    return add(n, name, shortcut, top)


def basic(n, name, bottom, width, stride):
    """y = relu(x + f(x)), f being two 3x3 convolutions; x is projected where sizes change."""
    shortcut = bottom
    if stride > 1:
        shortcut = res(n, name, "branch1", bottom, width, 1, stride=stride)
    top = res(n, name, "branch2a", bottom, width, 3, activate=True, pad=1, stride=stride)
    top = res(n, name, "branch2b", top, width, 3, pad=1)
    return add(n, name, shortcut, top)


def plain(n, name, bottom, width, stride):
    """basic without what makes it residual: two 3x3 convolutions."""
    top = res(n, name, "branch2a", bottom, width, 3, activate=True, pad=1, stride=stride)
    return res(n, name, "branch2b", top, width, 3, activate=True, pad=1)


def add(n, name, shortcut, top, **options):
    n[f"res{name}"] = L.Eltwise(shortcut, top, **options)
    n[f"res{name}_relu"] = relu(n[f"res{name}"])
    return n[f"res{name}_relu"]


def res(n, unit, branch, bottom, num_output, kernel_size, activate=False, **options):
    """A normalized convolution with the names of the authors' release."""
    name = f"{unit}_{branch}"
    names = [f"res{name}", f"bn{name}", f"scale{name}"] + [f"res{name}_relu"] * activate
    return conv_bn(n, names, bottom, num_output, kernel_size, MSRA, **options)


def pre_activated(n, name, bottom, width, stride):
    """y = x + f(x), f being 1x1, 3x3, 1x1 convolutions, each after BatchNorm, Scale and ReLU.

    What is added is neither normalized nor activated. The first unit finds its bottom so already.
    """
    shortcut, top = bottom, bottom
    if name != "2a":
        top = activated(n, f"{name}_branch2a", bottom, in_place=False)
    if name.endswith("a"):
        shortcut = bare_res(n, f"{name}_branch1", top, 4 * width, 1, stride=stride)
    top = bare_res(n, f"{name}_branch2a", top, width, 1)
    top = activated(n, f"{name}_branch2b", top)
    top = bare_res(n, f"{name}_branch2b", top, width, 3, pad=1, stride=stride)
    top = activated(n, f"{name}_branch2c", top)
    top = bare_res(n, f"{name}_branch2c", top, 4 * width, 1)
    n[f"res{name}"] = L.Eltwise(shortcut, top)
    return n[f"res{name}"]


def activated(n, name, bottom, **options):
    return normalize(n, (f"bn{name}", f"scale{name}", f"relu{name}"), bottom, **options)


def bare_res(n, name, bottom, num_output, kernel_size, **options):
    n[f"res{name}"] = conv_without_bias(bottom, num_output, kernel_size, MSRA, **options)
    return n[f"res{name}"]


# Residual nets for small pictures


def small_resnet(n, unit, depth):
    """A 3 x 3 convolution, three stages of (depth - 2) / 6 units, the mean of each map, 10 scores.

    Each stage halves the maps of the one before, and has twice as many: 16, 32, 64.
    """
    n.conv1 = conv_without_bias(n.data, 16, 3, MSRA, pad=1)
    top = normalize(n, ("bn_conv1", "scale_conv1", "conv1_relu"), n.conv1)
    for stage in (1, 2, 3):
        for i in range(1, (depth - 2) // 6 + 1):
            stride = 2 if i == 1 and stage > 1 else 1
            top = unit(n, f"{stage}_{i}", top, 8 * 2**stage, stride)
    if unit is small_pre_activated:
        top = normalize(n, ("bn_last", "scale_last", "relu_last"), top, in_place=False)
    n.pool = average_all(top)
    n.fc10 = dense(n.pool, 10, MSRA, param=[])
    classify(n, n.fc10)


def small(n, name, bottom, width, stride, **options):
    """basic, but where sizes change x is not projected: shortcut option A."""
    shortcut = padded(n, name, bottom, stride)
    top = res(n, name, "branch2a", bottom, width, 3, activate=True, pad=1, stride=stride)
    return add(n, name, shortcut, res(n, name, "branch2b", top, width, 3, pad=1), **options)


def surviving(units, last):
    """`small` units that training leaves out at random: unit k of `units` is there with odds that
    fall evenly, from nearly 1 at the first to `last`.  Huang et al. 2016."""
    numbers = count(1)

    def unit(n, name, bottom, width, stride):
        odds = 1 - next(numbers) / units * (1 - last)
        options = {"operation": P.Eltwise.STOCHASTIC_SUM, "coeff": [1, odds]}
        return small(n, name, bottom, width, stride, **options)

    return unit


def small_pre_activated(n, name, bottom, width, stride):
    """y = x + f(x), f being two 3x3 convolutions, each after BatchNorm, Scale and ReLU.

    As in pre_activated, the first unit finds its bottom activated, and where sizes change, the
    shortcut starts behind the activation.
    """
    shortcut, top = bottom, bottom
    if name != "1_1":
        top = activated(n, f"{name}_branch2a", bottom, in_place=False)
    if stride > 1:
        shortcut = padded(n, name, top, stride)
    top = bare_res(n, f"{name}_branch2a", top, width, 3, pad=1, stride=stride)
    top = activated(n, f"{name}_branch2b", top)
    n[f"res{name}"] = L.Eltwise(shortcut, bare_res(n, f"{name}_branch2b", top, width, 3, pad=1))
    return n[f"res{name}"]


def padded(n, name, bottom, stride):
    """Every second value of each map, then as many maps of zeros: x to add where sizes change."""
    if stride == 1:
        return bottom
    floor = {"round_mode": P.Pooling.FLOOR}  # else an odd last window would hang over the border
    n[f"res{name}_half"] = average_pool(bottom, 1, stride, **floor)
    n[f"res{name}_zeros"] = L.Power(n[f"res{name}_half"], scale=0)
    return concat(n, f"res{name}_padded", n[f"res{name}_half"], n[f"res{name}_zeros"])


# Others


def separable(n, name, bottom, maps, width, stride):
    """A 3 x 3 window in each of `maps` maps, then 1 x 1 across them; both normalized, with ReLU."""
    no_decay = {"lr_mult": 1, "decay_mult": 0}  # for the few weights of a window in one map
    each = {"group": maps, "stride": stride, "pad": 1, "param": no_decay}
    top = mobile(n, f"{name}/dw", bottom, maps, 3, **each)
    return mobile(n, f"{name}/sep", top, width, 1)


def mobile(n, name, bottom, width, size, **options):
    names = (f"conv{name}", f"conv{name}/bn", f"conv{name}/scale", f"relu{name}")
    return conv_bn(n, names, bottom, width, size, MSRA, **options)


def prelu_net(n, depths, widths):
    """A 7 x 7 convolution and three stages of 3 x 3 ones, with PReLU; SPP; three dense layers."""
    n.conv1 = conv(n.data, 96, 7, MSRA, stride=2, pad=3)
    top = n.prelu1 = prelu(n.conv1)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 2):
        top = n[f"pool{stage - 1}"] = max_pool(top, 2, 2)
        for i in range(1, depth + 1):
            n[f"conv{stage}_{i}"] = conv(top, width, 3, MSRA, pad=1)
            top = n[f"prelu{stage}_{i}"] = prelu(n[f"conv{stage}_{i}"])
    top = spp(n, top, 14, (7, 3, 2, 1))
    for name in ("6", "7"):
        n[f"fc{name}"] = dense(top, 4096, MSRA)
        n[f"prelu{name}"] = prelu(n[f"fc{name}"])
        top = n[f"drop{name}"] = dropout(n[f"prelu{name}"], 0.5)
    n.fc8 = dense(top, 1000, gaussian(0.01))
    classify(n, n.fc8, top5="accuracy_top5")


def prelu(bottom):
    """y = x where x > 0, slope * x elsewhere; slopes start at 0.25 and do not decay."""
    return L.PReLU(bottom, in_place=True, param={"lr_mult": 1, "decay_mult": 0})


def spp(n, bottom, size, bins):
    """The largest of each of k x k bins, for each k in `bins`, side by side as one row."""
    rows = []
    for k in bins:
        width = -(-size // k)
        n[f"spp{k}"] = max_pool(bottom, width, width)
        n[f"spp{k}_row"] = L.Flatten(n[f"spp{k}"])
        rows.append(n[f"spp{k}_row"])
    return concat(n, "spp", *rows)


def fire(n, name, bottom, squeeze, expand):
    """A few 1x1 convolutions, then 1x1 and 3x3 ones side by side."""
    path = name + "/{}"
    bottom = conv_relu(n, path + "squeeze1x1", bottom, squeeze, 1, bias=0)
    a = conv_relu(n, path + "expand1x1", bottom, expand, 1, bias=0)
    b = conv_relu(n, path + "expand3x3", bottom, expand, 3, bias=0, pad=1)
    return concat(n, f"{name}/concat", a, b)
