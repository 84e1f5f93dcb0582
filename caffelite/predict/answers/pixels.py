"""Which class each pixel of a picture is of."""

import numpy as np

from ...errors import NetError
from ...layers.utility.arg_max import ArgMax
from ...layers.utility.softmax import Softmax
from ...pictures.palette import color_of
from .base import Answer, enlarged, register


@register("pixels")
class Pixels(Answer):
    """A label for each pixel: that of an ArgMax, or of the highest score.

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

    def draw(self, picture):
        labels = enlarged(self.labels, *picture.shape[:2])
        mixed = (picture.astype(int) + color_of(labels)) // 2
        return np.where(labels[..., None] == 0, picture, mixed).astype(np.uint8)


def _tells_labels(layer):
    """Whether an ArgMax gives one label for each pixel, and neither several nor their scores."""
    options = layer.options
    along_channels = options.HasField("axis") and options.axis in (1, -3)
    return along_channels and options.top_k == 1 and not options.out_max_val
