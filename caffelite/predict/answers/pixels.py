"""Which class each pixel of a picture is of."""

import numpy as np

from ...data.image import encode_labels
from ...errors import NetError
from ...layers.utility.arg_max import ArgMax
from ...layers.utility.softmax import Softmax
from ...pictures.palette import color_of, legend
from ._maps import Map
from .base import enlarged, register

PALETTE = color_of(np.arange(256))


@register("pixels")
class Pixels(Map):
    """A label for each pixel: that of an ArgMax, or of the highest score.

    It is given as labels, height x width, or as planes of scores.

    Drawn, each label has a color of its own; 0, the background, leaves the picture as it is.
    """

    @classmethod
    def fits(cls, layer, shape):
        if len(shape) != 4 or max(shape[2:]) == 1:
            return False
        if isinstance(layer, ArgMax):
            return _tells_labels(layer)
        return isinstance(layer, Softmax) or shape[1] not in (1, 3)

    @classmethod
    def values(cls, outputs):
        if outputs.shape[1] > 1 or outputs.ndim != 5:
            raise NetError(
                f"an output of the shape {outputs.shape[2:]}, of {outputs.shape[1]} crops, tells "
                "no label for each pixel; expected classes x height x width, of one crop"
            )
        return outputs[:, 0]

    @property
    def labels(self):
        """height x width"""
        planes = self.given
        if planes.ndim == 2:
            return planes
        return planes[0].astype(int) if len(planes) == 1 else planes.argmax(axis=0)

    def as_json(self):
        """{height, width, labels: [{label, name, share}]}, the most frequent first."""
        labels, counts = np.unique(self.labels, return_counts=True)
        order = (-counts).argsort(kind="stable")
        height, width = self.labels.shape
        found = [
            {
                "label": int(labels[k]),
                "name": self.name(labels[k]),
                "share": float(counts[k] / self.labels.size),
            }
            for k in order
        ]
        return {"height": height, "width": width, "labels": found}

    def lines(self):
        return [f"  {one['share']:.4f}  {one['name']}" for one in self.as_json()["labels"]]

    def encoded(self):
        """A PNG whose palette is PASCAL VOC's, and whose indices are the labels."""
        return encode_labels(self.labels, PALETTE)

    def colored(self):
        return PALETTE[self.labels % 256]

    def legend(self, width):
        return legend([(k, self.name(k)) for k in np.unique(self.labels)], width)

    def overlay(self, picture):
        return self._on(picture, self.labels)

    def draw(self, picture):
        return self._on(picture, enlarged(self.labels, *picture.shape[:2]))

    def _on(self, picture, labels):
        mixed = (picture.astype(np.uint16) + PALETTE[labels % 256]) // 2
        return np.where(labels[..., None] == 0, picture, mixed).astype(np.uint8)


def _tells_labels(layer):
    """Whether an ArgMax gives one label for each pixel, and neither several nor their scores."""
    options = layer.options
    along_channels = options.HasField("axis") and options.axis in (1, -3)
    return along_channels and options.top_k == 1 and not options.out_max_val
