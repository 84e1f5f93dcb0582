"""A small net for pictures of one's own, in color, as caffelite dataset makes them."""

from caffelite.models.blocks import (
    MSRA,
    average_all,
    classify,
    conv_without_bias,
    max_pool,
    normalize,
)
from caffelite.models.program import Program, Samples
from caffelite.net_spec import layers as L

WIDTHS = 16, 32, 64, 128
COLORS = dict(
    brightness_prob=0.5,
    brightness_delta=25,
    contrast_prob=0.5,
    contrast_lower=0.75,
    contrast_upper=1.25,
    saturation_prob=0.5,
    saturation_lower=0.75,
    saturation_upper=1.25,
    hue_prob=0.5,
    hue_delta=9,
)
LATELY = dict(moving_average_fraction=0.9)  # statistics of the last batches, of which there are few
PLACES = dict(prob=0.5, rotation=15, shear=5, shift=0.1, zoom=0.25, pad_mode="REPEAT_NEAREST")
TRANSFORM = dict(mean_value=128, scale=1 / 64, mirror=True, distort_param=COLORS, warp_param=PLACES)


def net(n):
    """Convolutions, of which the last sees it all; the mean of each map, and of the colors.

    The convolutions see how colors differ from the picture's mean: what it shows is known by that
    in any light, and sooner learned from few pictures. The classes are told by both.
    """
    n.colors = average_all(n.data)
    top = n.centered = L.MVN(n.data, normalize_variance=False)
    for i, width in enumerate(WIDTHS, 1):
        if i == 1:
            convolution = conv_without_bias(top, width, 5, MSRA, pad=2, stride=2)
        else:
            convolution = conv_without_bias(top, width, 3, MSRA, pad=1)
        n[f"conv{i}"] = convolution
        top = normalize(n, (f"bn{i}", f"scale{i}", f"relu{i}"), convolution, **LATELY)
        if i < len(WIDTHS):
            top = n[f"pool{i}"] = max_pool(top, 2, 2)
    n.mean = average_all(top)
    n.drop = L.Dropout(n.mean, in_place=True, dropout_ratio=0.3)
    n.found = L.Concat(n.drop, n.colors)
    n.classes = L.InnerProduct(n.found, num_output=10, weight_filler={"type": "xavier"})
    classify(n, n.classes)


program = Program(
    "Pictures",
    net,
    Samples("data/train_lmdb", "data/test_lmdb", (32, 50), TRANSFORM, "pictures"),
    (10, 3, 64, 64),
)
