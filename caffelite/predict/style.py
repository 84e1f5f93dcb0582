"""The content of one picture in the style of others, by what a trained net sees of all of them.

Gatys, Ecker, Bethge 2016: the picture is what is learned. Its loss is alpha times that of content,
half the squared distance of maps from those of the content, plus beta times that of style, the sum
over layers of w E, with E that of StyleLoss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import NetError
from ..layers.data.input import Input
from ..layers.loss.euclidean_loss import EuclideanLoss
from ..layers.loss.style_loss import StyleLoss
from ..layers.loss.tv_loss import TVLoss
from ..layers.utility.gram_matrix import GramMatrix
from ..net import Net
from ..proto import caffe_pb2
from ..solver import lbfgs
from ..types import Array
from .canvas import check_memory
from .look import Look

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT_LAYERS = ("conv4_2",)
LAYER_WEIGHT = 0.2
"""w of each layer, as the paper has it for five."""


class StyleLook(Look):
    """A net in whose layers content and style are looked at, and compared."""

    def maps(self, picture: Array, layers: Sequence[str]) -> dict[str, Array]:
        """{layer: what it gives, with what works in place on it, (1, C, H, W)} of a picture."""
        tops = {name: self.tops[name] for name in layers}
        return self.run(self.net(picture.shape), picture, tops)

    def styles(self, picture: Array, layers: Sequence[str]) -> dict[str, Array]:
        """{layer: style matrix / (C M), (1, C, C)} of a picture."""
        more = []
        for name in layers:
            more.append(_layer(GramMatrix.type, f"{name}_gram", self.tops[name]))
            more[-1].gram_matrix_param.normalize = True
        net = self.net(picture.shape, more)
        return self.run(net, picture, {name: f"{name}_gram" for name in layers})

    def comparing(
        self,
        shape: Sequence[int],
        contents: dict[str, Array],
        styles: dict[str, Array],
        alpha: float,
        beta: float,
        variation: float = 0,
    ) -> Net:
        """The net whose input is to have this content and style, for pictures of `shape`.

        Its losses are LAYER_content_loss and LAYER_style_loss, and variation_loss, by TVLoss.
        """
        more, targets = [], {}
        for kind, given, type, weight in (
            ("content", contents, EuclideanLoss.type, alpha),
            ("style", styles, StyleLoss.type, beta * LAYER_WEIGHT),
        ):
            for name, target in given.items():
                targets[f"{name}_{kind}"] = target
                more.append(_layer(Input.type, f"{name}_{kind}"))
                more[-1].input_param.shape.add(dim=target.shape)
                bottoms = self.tops[name], f"{name}_{kind}"
                more.append(_layer(type, f"{name}_{kind}_loss", *bottoms, loss_weight=weight))
        if variation:
            more.append(_layer(TVLoss.type, "variation_loss", self.input, loss_weight=variation))
        net = self.net(shape, more)
        net.economize()
        history = 8 * 2 * (lbfgs.MEMORY + 3) * net.blobs[self.input].count
        check_memory(net, f"a picture of {shape[2]} x {shape[1]} pixels", max(shape[1:]), history)
        for name, target in targets.items():
            net.blobs[name].data[...] = target
        return net


def losses_of(net: Net) -> dict[str, float]:
    """{"content": ..., "style": ..., "variation": ...} that a net which compares came to last."""
    found: dict[str, float] = {}
    for name, weight in net.blob_loss_weights.items():
        if weight:
            kind = name.removesuffix("_loss").rpartition("_")[2]
            found[kind] = found.get(kind, 0) + weight * float(net.blobs[name].data)
    return found


def blended(styles: Sequence[dict[str, Array]], shares: Sequence[float]) -> dict[str, Array]:
    """The mean of styles, each counting by its share."""
    mean: dict[str, Array] = {}
    for one, share in zip(styles, shares, strict=True):
        for name, style in one.items():
            mean[name] = mean.get(name, 0) + share / sum(shares) * style
    return mean


def as_weights(styles: dict[str, Array]) -> dict[str, dict[int, Array]]:
    """Styles as weights of the layers LAYER_style, of type Parameter, as models/fast-style has."""
    return {f"{name}_style": {0: style.astype(np.float32)} for name, style in styles.items()}


def paint(net: Net, values: Array) -> Array:
    """What a net makes of a picture in one pass, both (C, H, W) values of a Canvas.

    Where strides make its answer a few pixels larger, the rest is cut off.
    """
    (name,) = net.inputs
    made = net.outputs[-1]
    net.blobs[name].reshape(1, *values.shape)
    net.blobs[name].data[...] = values
    net.forward()
    answer: Array = net.blobs[made].data
    times = [
        round(ours / theirs)
        for ours, theirs in zip(answer.shape[2:], values.shape[1:], strict=False)
    ]
    if answer.ndim != 4 or answer.shape[1] != values.shape[0] or min(times, default=0) < 1:
        raise NetError(
            f'the output "{made}" has the shape {answer.shape}, expected a picture of '
            f"{values.shape[0]} channels, as large as that of shape {values.shape} or larger"
        )
    height, width = (t * side for t, side in zip(times, values.shape[1:], strict=True))
    return answer[0, :, :height, :width]


def _layer(type: str, name: str, *bottoms: str, **options: Any) -> caffe_pb2.LayerParameter:
    weight = [options.pop("loss_weight")] if options else []
    return caffe_pb2.LayerParameter(
        name=name, type=type, bottom=bottoms, top=[name], loss_weight=weight
    )
