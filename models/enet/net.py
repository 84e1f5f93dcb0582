"""ENet: bottlenecks with few maps, a large encoder and a small decoder.

Paszke, Chaurasia, Kim, Culurciello 2016; layers are named as in Saemann's version for Caffe.

lint: ignore bias-before-batch-norm (convolutions of 3 x 3 and 1 x 5 have a bias, as in that one)
"""

from functools import partial

from caffelite.models.blocks import MSRA, concat, conv_without_bias, max_pool, relu, window
from caffelite.models.program import Program
from caffelite.models.segmentation import (
    CITYSCAPES,
    cityscapes,
    classify_pixels,
    masked_pool,
    of_batches,
    unpool,
)
from caffelite.net_spec import layers as L


def prelu(bottom):
    return L.PReLU(bottom, in_place=True)


def net(n):
    n.conv0_1 = conv(n.data, 13, 3, stride=2, pad=1)
    n.pool0_1 = max_pool(n.data, 2, 2)
    top = concat(n, "concat0_1", n.conv0_1, n.pool0_1)
    top = activated(n, "0_1", top, prelu)
    top, first = smaller(n, "1_0", top, 64, 0.01)
    for i in range(1, 5):
        top = bottleneck(n, f"1_{i}", top, top, 64, plain, 0.01)
    top, second = smaller(n, "2_0", top, 128, 0.1)
    middles = [plain, dilated(2), long, dilated(4), plain, dilated(8), long, dilated(16)]
    for stage in (2, 3):
        for i, middle in enumerate(middles, 1):
            top = bottleneck(n, f"{stage}_{i}", top, top, 128, middle, 0.1)
    top = larger(n, "4_0", top, 64, second)
    for i in (1, 2):
        top = bottleneck(n, f"4_{i}", top, top, 64, plain, 0.1, relu)
    top = larger(n, "5_0", top, 16, first)
    top = bottleneck(n, "5_1", top, top, 16, plain, 0.1, relu)
    n.deconv6_0_0 = twice(top, CITYSCAPES)
    classify_pixels(n, n.deconv6_0_0)


def bottleneck(n, place, bottom, beside, width, middle, ratio, activation=prelu, step=1):
    """y = activation(beside + f(bottom)), where the middle of f has a quarter of the maps."""
    n[f"conv{place}_0"] = conv_without_bias(bottom, width // 4, step, MSRA, stride=step)
    top = activated(n, f"{place}_0", n[f"conv{place}_0"], activation)
    top = activated(n, f"{place}_1", middle(n, place, top, width // 4), activation)
    top = projected(n, f"{place}_2", top, width)
    top = n[f"drop{place}_3"] = L.SpatialDropout(top, in_place=True, dropout_ratio=ratio)
    n[f"eltwise{place}_4"] = L.Eltwise(top, beside)
    top = n[f"prelu{place}_4"] = activation(n[f"eltwise{place}_4"])
    return top


def smaller(n, place, bottom, width, ratio):
    """A bottleneck that halves the map beside a pooling; and the places of that one's maxima."""
    pooled, mask = masked_pool(n, f"pool{place}_4", bottom)
    beside = projected(n, f"{place}_4", pooled, width)
    return bottleneck(n, place, bottom, beside, width, plain, ratio, step=2), mask


def larger(n, place, bottom, width, mask):
    """A bottleneck that doubles the map, beside values put where a pooling took its own from."""
    beside = projected(n, f"{place}_4", bottom, width)
    beside = unpool(n, f"upsample{place}_4", beside, mask)
    return bottleneck(n, place, bottom, beside, width, doubled, 0.1, relu)


# What the middle of a bottleneck is


def plain(n, place, bottom, width, spread=1):
    options = {"dilation": spread} if spread > 1 else {}
    n[f"conv{place}_1"] = conv(bottom, width, 3, pad=spread, **options)
    return n[f"conv{place}_1"]


def dilated(spread):
    return partial(plain, spread=spread)


def long(n, place, bottom, width):
    """A column of 5 and a row of 5; each has a margin of 1 all around."""
    column = n[f"conv{place}_1_a"] = conv_without_bias(bottom, width, (5, 1), MSRA, pad=1)
    n[f"conv{place}_1"] = conv(column, width, (1, 5), pad=1)
    return n[f"conv{place}_1"]


def doubled(n, place, bottom, width):
    n[f"deconv{place}_1"] = twice(bottom, width)
    return n[f"deconv{place}_1"]


# What all consist of


def conv(bottom, width, size, **options):
    return L.Convolution(bottom, num_output=width, weight_filler=MSRA, **window(size), **options)


def twice(bottom, width):
    """Each value spread over 2 x 2."""
    options = {"num_output": width, "kernel_size": 2, "stride": 2, "weight_filler": MSRA}
    return L.Deconvolution(bottom, convolution_param=options)


def activated(n, place, bottom, activation):
    n[f"bn{place}"] = of_batches(n, bottom)
    top = n[f"prelu{place}"] = activation(n[f"bn{place}"])
    return top


def projected(n, place, bottom, width):
    n[f"conv{place}"] = conv_without_bias(bottom, width, 1, MSRA)
    top = n[f"bn{place}"] = of_batches(n, n[f"conv{place}"])
    return top


program = Program("ENet", net, cityscapes(), (1, 3, 512, 1024))
