"""The face detector of OpenCV's samples: SSD on a thin residual net.  Rybnikov, Kurtaev 2017.

lint: ignore bias-before-batch-norm (conv1_h has its bias, as in the published weights)
"""

from functools import partial

from caffelite.models.blocks import MSRA, XAVIER, conv, conv_without_bias, max_pool, normalize, relu
from caffelite.models.detection import Annotated, Source, multibox
from caffelite.models.program import ROUND_MEAN, Program
from caffelite.net_spec import layers as L

RATES = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 1}]
FAN_OUT = {**MSRA, "variance_norm": 1}
SIZES = [30, 60, 111, 162, 213, 264, 315]
RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
STEPS = [8, 16, 32, 64, 100, 300]
EXTRAS = {6: (128, 256, 2), 7: (64, 128, 2), 8: (64, 128, 1), 9: (64, 128, 1)}


def net(n):
    top = normalize(n, ("data_bn", "data_scale"), n.data, in_place=False)
    n.conv1_h = conv(top, 32, 7, FAN_OUT, pad=3, stride=2, param=RATES)
    top = normalize(n, ("conv1_bn_h", "conv1_scale_h", "conv1_relu"), n.conv1_h)
    n.conv1_pool = max_pool(top, 3, 2)
    names = "layer_64_1_{}".format
    n[names("conv1_h")] = conv_without_bias(n.conv1_pool, 32, 3, MSRA, pad=1)
    ends = [names(end) for end in ("bn2_h", "scale2_h", "relu2")]
    top = normalize(n, ends, n[names("conv1_h")])
    n[names("conv2_h")] = conv_without_bias(top, 32, 3, MSRA, pad=1)
    top = n[names("sum")] = L.Eltwise(n[names("conv2_h")], n.conv1_pool)
    wide = {"stride": 2}
    top, _ = unit(n, "128", top, (128, 128), wide, bn1="_h", conv1="_h", expand="_h")
    top, eighth = unit(n, "256", top, (256, 256), wide)
    dilated = {"pad": 2, "dilation": 2}
    top, _ = unit(n, "512", top, (128, 256), {}, dilated, "", "_h", "_h", "_h", "_h")
    n.last_bn_h = L.BatchNorm(top, in_place=True)
    n.last_scale_h = L.Scale(n.last_bn_h, in_place=True, bias_term=True)
    top = n.fc7 = L.ReLU(n.last_scale_h, name="last_relu")
    blobs = {"fc7": top}
    for i, (narrow, width, stride) in EXTRAS.items():
        top = extra(n, f"conv{i}_1", top, narrow, 1)
        top = blobs[f"conv{i}_2"] = extra(n, f"conv{i}_2", top, width, 3, pad=1, stride=stride)
    scale = {"type": "constant", "value": 20}
    n.conv4_3_norm = L.Normalize(
        eighth, across_spatial=False, scale_filler=scale, channel_shared=False
    )
    blobs = {"conv4_3_norm": n.conv4_3_norm, **blobs}
    sources = [
        Source(*whole)
        for whole in zip(blobs, blobs.values(), SIZES, SIZES[1:], RATIOS, STEPS, strict=False)
    ]
    last = partial(conv, kernel_size=3, fill=XAVIER, pad=1)
    multibox(n, sources, 1, last, threshold=0.2)


def unit(
    n, width, bottom, widths, stride, second=None, bn1="", conv1="", bn2="", conv2="", expand=""
):
    """y = p(a) + f(a) of an activated bottom a, both with `stride`; returns y and a.

    Names end in _h where the authors halved the widths of a larger net.
    """
    name = f"layer_{width}_1_{{}}".format
    first = normalize(
        n, [name(f"bn1{bn1}"), name(f"scale1{bn1}"), name("relu1")], bottom, in_place=False
    )
    path = n[name(f"conv1{conv1}")] = conv_without_bias(first, widths[0], 3, MSRA, pad=1, **stride)
    path = normalize(n, [name(f"bn2{bn2}"), name(f"scale2{bn2}"), name("relu2")], path)
    second = second or {"pad": 1}
    path = n[name(f"conv2{conv2}")] = conv_without_bias(path, widths[1], 3, MSRA, **second)
    side = n[name(f"conv_expand{expand}")] = conv_without_bias(first, widths[1], 1, MSRA, **stride)
    n[name("sum")] = L.Eltwise(path, side)
    return n[name("sum")], first


def extra(n, name, bottom, width, size, **options):
    options = {key: value for key, value in options.items() if (key, value) != ("stride", 1)}
    n[f"{name}_h"] = conv(bottom, width, size, XAVIER, **options)
    n[f"{name}_relu"] = relu(n[f"{name}_h"])
    return n[f"{name}_relu"]


program = Program(
    "res10_300x300_ssd",
    net,
    Annotated("faces", 300, (16, 8), {"mean_value": ROUND_MEAN}),
    (1, 3, 300, 300),
)
