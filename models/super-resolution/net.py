"""A net that makes pictures four times as high and wide.  Johnson, Alahi, Fei-Fei 2016."""

from caffelite.models.blocks import average_pool, is_trained
from caffelite.models.transform import (
    Transform,
    enlarged,
    feature_loss,
    normalized,
    photographs,
    picture,
    residual,
    seen,
    wide,
)

CONTENT = "conv2_2"
TIMES = 4


def net(n):
    small = n.data
    if is_trained(n):
        small = n.small = average_pool(n.data, TIMES, TIMES)
    top = normalized(n, "conv1", wide(n, "conv1", small, 64, bias_term=False), "BatchNorm")
    for k in range(1, 5):
        top = residual(n, f"block{k}", top, 64, "BatchNorm")
    for k in (1, 2):
        top = enlarged(n, f"up{k}", top, 64, "BatchNorm")
    picture(n, top)


def compare(n):
    """What VGG-16 sees of the photograph."""
    made, data = seen(n, n.made, [CONTENT]), seen(n, n.data, [CONTENT], "_data")
    feature_loss(n, CONTENT, made, data)


program = Transform("super-resolution", net, photographs(4), (1, 3, 128, 128), compare=compare)
