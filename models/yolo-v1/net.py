"""YOLO v1: 24 convolutions and dense layers see a picture once, 7 x 7 x 30.  Redmon et al. 2015.

The widths of the dense layers are those of the authors' YOLO-small.
"""

from caffelite.models.blocks import XAVIER, conv, dense, dropout, keeping, max_pool
from caffelite.models.detection import VOC, Annotated
from caffelite.models.program import Program
from caffelite.models.yolo import SIDE, UNIT_PIXELS, leaky, yolo_v1

# (width, kernel size, stride), or a pool
FIRST = [(64, 7, 2), "pool", (192, 3, 1), "pool", (128, 1, 1), (256, 3, 1), (256, 1, 1)]
MIDDLE = [(512, 3, 1), "pool", *[(256, 1, 1), (512, 3, 1)] * 4, (512, 1, 1), (1024, 3, 1), "pool"]
LAST = [*[(512, 1, 1), (1024, 3, 1)] * 2, (1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)]


def net(n):
    top, number = n.data, 0
    for layer in [*FIRST, *MIDDLE, *LAST]:
        if layer == "pool":
            top = n[f"pool{number}"] = max_pool(top, 2, 2)
            continue
        number, (width, size, stride) = number + 1, layer
        options = {**keeping(size), **({"stride": stride} if stride > 1 else {})}
        n[f"conv{number}"] = conv(top, width, size, XAVIER, **options)
        top = n[f"relu{number}"] = leaky(n[f"conv{number}"])
    n.fc25 = dense(top, 512, XAVIER)
    n.relu25 = leaky(n.fc25)
    n.fc26 = dense(n.relu25, 4096, XAVIER)
    n.relu26 = leaky(n.fc26)
    n.drop26 = dropout(n.relu26, 0.5)
    n.result = dense(n.drop26, 1470, XAVIER, name="fc27")
    yolo_v1(n, n.result, VOC)


program = Program(
    "YOLONet",
    net,
    Annotated("VOC0712", 448, (64, 8), UNIT_PIXELS, expand=False, trained={}, grid=SIDE),
    (1, 3, 448, 448),
)
