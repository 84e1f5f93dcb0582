"""What layers share that learn a scale and a bias for each channel."""

from ...kernels.epilogue import Epilogue
from ..base import Layer


class Affine(Layer):
    """Base of the layers that have, or may have, the learnable blobs `scale` and `bias`.

    A subclass gives `channels`, how many values each of the two has.
    """

    scale = bias = None

    def epilogue(self, **activation):
        """y = scale * x + bias by channel, then an activation."""
        scale, bias = (None if b is None else b.data for b in (self.scale, self.bias))
        return Epilogue.of(self.dtype, self.channels, 0, scale, bias, **activation)

    def add_gradients(self, dscale, dbias):
        """Add to the diffs of scale and bias, where they want a gradient."""
        wanted = dict(zip(self.blobs, self.param_propagate_down, strict=True))
        for blob, gradient in ((self.scale, dscale), (self.bias, dbias)):
            if wanted.get(blob):
                blob.diff.reshape(-1)[...] += gradient
