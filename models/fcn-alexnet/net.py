"""FCN-AlexNet: CaffeNet all convolutional, its scores enlarged 32 times.  Long et al. 2015."""

import importlib

from caffelite.coord_map import crop
from caffelite.models.program import Program
from caffelite.models.segmentation import (
    classify_pixels,
    dense_as_convolutions,
    enlarge,
    score,
    voc,
)

caffenet = importlib.import_module("caffelite.models.caffenet.net")
EVEN = {"param": []}  # biases learn as fast as weights


def net(n):
    top = dense_as_convolutions(n, caffenet.convolutions(n, pad=100, **EVEN), 6, **EVEN)
    n.score_fr = score(top)
    n.upscore = enlarge(n.score_fr, 32, size=63)
    n.score = crop(n.upscore, n.data)
    classify_pixels(n, n.score)


program = Program("FCN-AlexNet", net, voc(), (1, 3, 500, 500), input_name="input")
