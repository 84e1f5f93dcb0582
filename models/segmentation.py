"""What nets share that give each pixel a class: pairs of pictures, VGG-16 as far as they use it."""

from dataclasses import dataclass, field

from caffelite.coord_map import crop
from caffelite.models.blocks import (
    MSRA,
    VGG_16,
    XAVIER,
    conv,
    dropout,
    gaussian,
    max_pool,
    relu,
    vgg_stage,
)
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN

VOC = 21  # classes, the background among them
VOID = 255  # the label of pixels that are of none
CAFFE_MEAN = [104.00699, 116.66877, 122.67892]  # of ImageNet, to five decimals
FIXED = {"param": {"lr_mult": 0}}


@dataclass
class Pairs:
    """Two lists of pictures and pictures of their labels, and what is done to pictures.

    A line of a list is NAME LABEL_NAME, both from `folder` on. `options` are more of the data
    layer's.
    """

    folder: str
    train: str
    test: str
    batch_sizes: tuple = (1, 1)  # training, test
    transform: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    def layer(self, phase):
        """{name of a top: top}."""
        tops = L.DenseImageData(
            name="data",
            include={"phase": phase},
            **({"transform_param": self.transform} if self.transform else {}),
            source=f"{self.folder}/{self.train if phase == TRAIN else self.test}",
            root_folder=f"{self.folder}/",
            batch_size=self.batch_sizes[phase],
            **({"shuffle": True} if phase == TRAIN else {}),
            **self.options,
            ntop=2,
        )
        return dict(zip(("data", "label"), tops, strict=True))


def voc(train="sbdd_train.txt", test="seg11valid.txt", mean=CAFFE_MEAN):
    """PASCAL VOC, a picture at a time, of any size; its labels have a palette."""
    transform = {"mean_value": mean, "palette_indices": True}
    return Pairs("data/pascal", train, test, transform=transform)


def classify_pixels(n, scores, ignore=VOID, labels=None, **loss):
    """A loss, and in tests how many pixels are right, when the net is to be trained."""
    if "label" in n.tops:
        labels = labels or n.label
        n.loss = L.SoftmaxWithLoss(scores, labels, loss_param={"ignore_label": ignore, **loss})
        n.accuracy = L.Accuracy(
            scores, labels, include={"phase": TEST}, accuracy_param={"ignore_label": ignore}
        )


# FCN


def fcn(n, fuse):
    """VGG-16 all convolutional, with scores of the pools in `fuse` added on the way up.

    With a margin of 100 pixels around the picture, all of it gets scores, which are cut out of
    those enlarged: pixel by pixel, `crop` finds where.  Long, Shelhamer, Darrell 2015.
    """
    top, pools = n.data, {}
    for stage, widths in enumerate(VGG_16, 1):
        top = vgg_stage(n, stage, top, widths, margin=100 if stage == 1 else None)
        top = pools[stage] = n[f"pool{stage}"] = max_pool(top, 2, 2)
    top = dense_as_convolutions(n, top, 7)
    top = n.score_fr = score(top)
    stride = 32
    for stage in fuse:
        up = "upscore2" if stride == 32 else f"upscore_pool{stage + 1}"
        n[up] = enlarge(top, 2)
        name = f"score_pool{stage}"
        n[name] = score(pools[stage])
        n[f"{name}c"] = crop(n[name], n[up])
        top = n[f"fuse_pool{stage}"] = L.Eltwise(n[up], n[f"{name}c"], operation=P.Eltwise.SUM)
        stride //= 2
    up = f"upscore{stride}" if fuse else "upscore"
    n[up] = enlarge(top, stride)
    n.score = crop(n[up], n.data)
    classify_pixels(n, n.score, normalization=P.Loss.BATCH_SIZE)  # a sum over pixels


def dense_as_convolutions(n, bottom, size, **options):
    """fc6 of windows of size x size, and fc7, with dropout."""
    for number, side in ((6, size), (7, 1)):
        n[f"fc{number}"] = conv(bottom, 4096, side, XAVIER, **options)
        n[f"relu{number}"] = relu(n[f"fc{number}"])
        bottom = n[f"drop{number}"] = dropout(n[f"relu{number}"], 0.5)
    return bottom


def score(bottom, classes=VOC):
    """Scores of all classes at each place; at first all 0."""
    return conv(bottom, classes, 1, {"type": "constant"})


def enlarge(bottom, times, classes=VOC, size=None, bias_term=False, **options):
    """Each channel enlarged bilinearly, by weights that stay so."""
    return L.Deconvolution(
        bottom,
        convolution_param={
            "num_output": classes,
            "bias_term": bias_term,
            "kernel_size": size or 2 * times,
            "stride": times,
            "weight_filler": {"type": "bilinear", **({"diagonal": True} if classes > 1 else {})},
        },
        **{**FIXED, **options},
    )


# HED


def hed(n, margin, as_picture):
    """VGG-16 without its last pool; edges as seen by each of its stages, and by all five.

    `as_picture(n, name, scores, times)` enlarges a stage's scores, to where they lie in the
    picture; the first convolution has this margin.  Xie, Tu 2015.
    """
    top, seen = n.data, []
    for stage, widths in enumerate(VGG_16, 1):
        top = vgg_stage(n, stage, top, widths, margin, **(HURRY if stage == 5 else {}))
        margin = None
        name = f"score-dsn{stage}"
        n[name] = conv(top, 1, 1, {"type": "constant"}, param=slowed(0.01))
        seen.append(as_picture(n, f"upscore-dsn{stage}", n[name], 2 ** (stage - 1)))
        tell_edges(n, f"dsn{stage}", seen[-1])
        if stage < 5:
            top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    n["concat-upscore"] = L.Concat(*seen, name="concat")
    fuse = {"type": "constant", "value": 0.2}
    last = conv(n["concat-upscore"], 1, 1, fuse, name="new-score-weighting", param=slowed(0.001))
    n["upscore-fuse"] = last
    tell_edges(n, "fuse", last)


def slowed(rate):
    """Rates of weights and biases."""
    return [{"lr_mult": rate}, {"lr_mult": 2 * rate, "decay_mult": 0}]


HURRY = {"param": slowed(100)}  # the last stage, whose maps become others


def tell_edges(n, name, scores):
    """A loss when the net is to be trained, else how likely each pixel is an edge."""
    if "label" in n.tops:
        balanced = {"class_balanced": True}
        n[f"{name}_loss"] = L.SigmoidCrossEntropyLoss(scores, n.label, loss_param=balanced)
    else:
        n[f"sigmoid-{name}"] = L.Sigmoid(scores)


# SegNet

CAMVID = 11  # classes, and the label of pixels that are of none
RARE = [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]


def camvid():
    """Roads from a car, 367 pictures to learn from; lists as the authors' tutorial has them."""
    return Pairs("data/CamVid", "train.txt", "test.txt", (4, 1))


def classify_camvid(n, scores):
    """Classes that are rare count more: the median of their frequencies by that of each."""
    classify_pixels(n, scores, ignore=CAMVID, weight_by_label_freqs=True, class_weighting=RARE)


BN_RATES = [{"lr_mult": 1}, {"lr_mult": 1, "decay_mult": 0}]


def batch_normalized(n, name, bottom, width, size, relu=None, param=BN_RATES):
    """A convolution and SegNet's BN, with the statistics of each batch; in deploy it only scales.

    Into that scale the statistics of the whole training set are folded.
    """
    n[name] = conv(bottom, width, size, MSRA, pad=size // 2)
    top = n[f"{name}_bn"] = of_batches(n, n[name], param)
    if relu:
        top = n[relu] = L.ReLU(top, in_place=True)
    return top


def of_batches(n, bottom, param=BN_RATES):
    """SegNet's BN in place."""
    return L.BN(
        bottom,
        in_place=True,
        **({"param": param} if param else {}),
        bn_param={
            "scale_filler": {"type": "constant", "value": 1},
            "shift_filler": {"type": "constant", "value": 0.001},
            **({} if "label" in n.tops else {"bn_mode": P.BN.INFERENCE}),
        },
    )


def masked_pool(n, name, bottom):
    """The largest of 2 x 2, and where each of them was."""
    n[name], n[f"{name}_mask"] = max_pool(bottom, 2, 2, ntop=2)
    return n[name], n[f"{name}_mask"]


def unpool(n, name, bottom, mask, sides=None):
    """Each value where the pooling of this mask took its own from; `sides` where they are odd."""
    size = {"upsample_h": sides[0], "upsample_w": sides[1]} if sides else {}
    n[name] = L.Upsample(bottom, mask, scale=2, **size)
    return n[name]


# ENet

CITYSCAPES = 19  # classes; pixels of none have the label 255


def cityscapes():
    """Roads of European cities, at half their size; lists as ENet's authors for Caffe have them."""
    size = {"new_height": 512, "new_width": 1024}
    lists = "train_fine_cityscapes.txt", "val_fine_cityscapes.txt"
    return Pairs("data/cityscapes", *lists, (3, 1), options=size)


# DeepLab


def voc_of_size(size):
    """PASCAL VOC with more pictures, of one size."""
    pairs = voc("train_aug.txt", "val.txt", [104.008, 116.669, 122.675])
    pairs.batch_sizes, pairs.options = (10, 1), {"new_height": size, "new_width": size}
    return pairs


def dilated_vgg(n):
    """VGG-16 whose last two pools keep the size, with dilated convolutions between them."""
    top = n.data
    for stage, widths in enumerate(VGG_16, 1):
        spread = {"pad": 2, "dilation": 2} if stage == 5 else {}
        top = vgg_stage(n, stage, top, widths, **spread)
        top = n[f"pool{stage}"] = max_pool(top, 3, 2 if stage < 4 else 1, pad=1)
    return top


def dense_dilated(n, number, bottom, spread):
    """fc6 and fc7 with 1,024 maps, windows of 3 x 3 places so far apart, and scores of VOC.

    `number` stands behind the names of all.
    """
    top = bottom
    for layer, size, options in ((6, 3, {"pad": spread, "dilation": spread}), (7, 1, {})):
        name = f"{layer}{number}"
        n[f"fc{name}"] = conv(top, 1024, size, XAVIER, **options)
        n[f"relu{name}"] = relu(n[f"fc{name}"])
        top = n[f"drop{name}"] = dropout(n[f"relu{name}"], 0.5)
    rates = [{"lr_mult": 10}, {"lr_mult": 20, "decay_mult": 0}]
    top = n[f"fc8_voc12{number}"] = conv(top, VOC, 1, gaussian(0.01), param=rates)
    return top


def deeplab_loss(n, scores):
    """In training a loss at every eighth pixel, else the scores enlarged 8 times."""
    if "label" in n.tops:
        n.label_shrink = L.Interp(n.label, shrink_factor=8)
        classify_pixels(n, scores, labels=n.label_shrink)
    else:
        n.fc8_interp = L.Interp(scores, zoom_factor=8)
