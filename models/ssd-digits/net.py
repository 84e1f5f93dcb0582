"""SSD for digits in scenes: boxes of three maps, of a fourth, an eighth, a sixteenth of a side."""

from caffelite.models.blocks import conv, gaussian
from caffelite.models.detection import Source, multibox
from caffelite.models.program import Program
from caffelite.models.scenes import CLASSES, SHAPE, Scenes, trunk

SIDES = {"fourth": 11, "eighth": 22, "sixteenth": 44}  # of the smaller square, in pixels
RATIOS = [0.65, 0.35, 0.2]  # width to height; digits are upright, and a 1 is thin


def net(n):
    sources = [
        Source(name, top, side, 2 * side, RATIOS, flip=False)
        for (name, side), top in zip(SIDES.items(), trunk(n), strict=True)
    ]
    multibox(n, sources, CLASSES, head, top_k=200, keep_top_k=100)


def head(bottom, num_output):
    return conv(bottom, num_output, 1, gaussian(0.01))


program = Program("SSD-digits", net, Scenes(), SHAPE)
