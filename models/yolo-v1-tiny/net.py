"""Tiny YOLO v1: eight convolutions and one dense layer, 7 x 7 x 30.  Redmon et al. 2015."""

from caffelite.models.blocks import XAVIER, conv_without_bias, dense, max_pool, normalize
from caffelite.models.detection import VOC, Annotated
from caffelite.models.program import Program
from caffelite.models.yolo import SIDE, UNIT_PIXELS, leaky, yolo_v1

WIDTHS = [16, 32, 64, 128, 256, 512, 1024, 256]
POOLS = 6  # behind the first of them


def net(n):
    top = n.data
    for i, width in enumerate(WIDTHS, 1):
        n[f"conv{i}"] = conv_without_bias(top, width, 3, XAVIER, pad=1)
        top = normalize(n, [f"bn{i}", f"scale{i}"], n[f"conv{i}"])
        top = n[f"relu{i}"] = leaky(top)
        if i <= POOLS:
            top = n[f"pool{i}"] = max_pool(top, 2, 2)
    n.result = dense(top, 1470, XAVIER, name="fc9")
    yolo_v1(n, n.result, VOC)


program = Program(
    "tiny-yolo",
    net,
    Annotated("VOC0712", 448, (64, 8), UNIT_PIXELS, expand=False, trained={}, grid=SIDE),
    (1, 3, 448, 448),
)
