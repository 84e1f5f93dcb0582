from ..base import Layer, register


@register("Silence")
class Silence(Layer):
    """Reads blobs and does nothing, so that they are not listed as outputs of the net.

    Bottom
        0...: any shape; their diffs become 0
    """

    role = "sink"
    bottoms = (1, None)
    tops = 0

    def forward(self, bottom, top):
        """Nothing to do."""

    def backward(self, top, propagate_down, bottom):
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff[...] = 0
