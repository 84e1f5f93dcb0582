"""U-Net: down to 28 x 28 places and up again, beside what was seen on the way down.

Ronneberger, Fischer, Brox 2015.
"""

from itertools import pairwise

from caffelite.models.blocks import MSRA, concat, constant, conv, dropout, max_pool, relu
from caffelite.models.program import Program
from caffelite.models.segmentation import Pairs, classify_pixels
from caffelite.net_spec import layers as L

CLASSES = 2
BORDERS = {3: 4, 2: 16, 1: 40, 0: 88}  # pixels of the way down that are not seen on the way up


def net(n):
    top, seen = n.data, {}
    for level in range(5):
        width = 64 * 2**level
        top = two(n, f"d{level}", "abc", top, width)
        if level >= 3:
            n[f"dropout_d{level}c"] = top = dropout(top, 0.5)
        if level < 4:
            seen[level] = top
            n[f"pool_d{level}c-{level + 1}a"] = top = max_pool(top, 2, 2)
    below = "d4c"
    for level in range(3, -1, -1):
        width, name = 64 * 2**level, f"u{level}"
        up = f"upconv_{below}_{name}a"
        n[up] = L.Deconvolution(
            top,
            param=[{"lr_mult": 1}, {"lr_mult": 2}],
            convolution_param={
                "num_output": width, "kernel_size": 2, "stride": 2, "weight_filler": MSRA,
                "bias_filler": constant(0),
            },
        )  # fmt: skip
        n[f"relu_{name}a"] = relu(n[up])
        cut = n[f"crop_d{level}c-d{level}cc"] = L.Crop(
            seen[level], n[f"relu_{name}a"], axis=2, offset=BORDERS[level]
        )
        top = concat(n, f"concat_d{level}cc_{name}a-b", n[f"relu_{name}a"], cut)
        top = two(n, name, "bcd", top, width)
        below = f"{name}d"
    n.score = conv(top, CLASSES, 1, MSRA, name="conv_u0d-score")
    if "label" in n.tops:
        n.seen = L.Crop(n.label, n.score, axis=2, offset=92)
        classify_pixels(n, n.score, labels=n.seen)


def two(n, name, places, bottom, width):
    """Two convolutions without a margin: each leaves out a pixel on every side."""
    for before, behind in pairwise(places):
        convolution = f"conv_{name}{before}-{behind}"
        n[convolution] = conv(bottom, width, 3, MSRA)
        bottom = n[f"relu_{name}{behind}"] = relu(n[convolution])
    return bottom


program = Program(
    "U-Net",
    net,
    Pairs(
        "data/membranes", "train.txt", "test.txt", (1, 1), {"scale": 1 / 255}, {"is_color": False}
    ),
    (1, 1, 572, 572),
)
