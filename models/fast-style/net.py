"""A net that paints any picture in one style, in one pass.  Johnson, Alahi, Fei-Fei 2016.

train_val.prototxt has BatchNorm behind each convolution, as the paper; instance.prototxt has
InstanceNorm in its place.
"""

from dataclasses import dataclass, replace
from functools import partial

from caffelite.models.blocks import VGG_16
from caffelite.models.transform import (
    Transform,
    conv,
    enlarged,
    feature_loss,
    normalized,
    photographs,
    picture,
    residual,
    seen,
    wide,
)
from caffelite.net_spec import layers as L

STYLE = {"conv1_2": 6e-4, "conv2_2": 0.05, "conv3_3": 2.5, "conv4_3": 700}
"""Weights that make all layers of VGG-16, as it is after training for edges, count alike."""
CONTENT, CONTENT_WEIGHT = "conv2_2", 8


def net(n, kind="BatchNorm"):
    plain = {"bias_term": False}
    top = normalized(n, "conv1", wide(n, "conv1", n.data, 32, **plain), kind)
    top = normalized(n, "conv2", conv(top, 64, 3, stride=2, pad=1, **plain), kind)
    top = normalized(n, "conv3", conv(top, 128, 3, stride=2, pad=1, **plain), kind)
    for k in range(1, 6):
        top = residual(n, f"block{k}", top, 128, kind)
    top = enlarged(n, "up1", top, 64, kind)
    picture(n, enlarged(n, "up2", top, 32, kind))


def compare(n):
    """The style that weights files have in *_style, the content of the photograph, few edges."""
    made, data = seen(n, n.made, STYLE), seen(n, n.data, [CONTENT], "_data")
    feature_loss(n, CONTENT, made, data, CONTENT_WEIGHT)
    for layer, weight in STYLE.items():
        width = VGG_16[int(layer[4]) - 1][0]
        style = L.Parameter(shape={"dim": [1, width, width]}, param=[{"lr_mult": 0}])
        n[f"{layer}_style"] = style
        n[f"{layer}_style_loss"] = L.StyleLoss(made[layer], style, loss_weight=weight)
    n.tv_loss = L.TVLoss(n.made, loss_weight=5e-6)


@dataclass
class WithInstances(Transform):
    """Which has the same nets with InstanceNorm, too."""

    def kinds(self):
        return [*super().kinds(), "instance", "instance_deploy"]

    def _other(self):
        net = partial(self.net, kind="InstanceNorm")
        return replace(self, name=f"{self.name}-instance", net=net)

    def instance(self):
        return self._other().train_val()

    def instance_deploy(self):
        return self._other().deploy()


program = WithInstances("fast-style", net, photographs(4), (1, 3, 512, 512), compare=compare)
