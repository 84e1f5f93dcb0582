from ...kernels import eltwise
from ..base import Layer, register


@register("Split")
class Split(Layer):
    """Every top is x. Nets insert it by themselves where a blob has several readers.

    Bottom
        0: x, any shape
    Top
        0...: x's memory, each with a diff of its own; x's diff is their sum
    """

    pointwise = True
    replays = True
    splits = True
    tops = (1, None)

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        for blob in top:
            blob.share_data(bottom[0])
            blob.places_in = bottom[0].places_in

    def forward(self, bottom, top):
        """Nothing to do: the tops share the bottom's data."""

    def gradients(self, top):
        """The diffs of its tops, without those that nobody has looked at, which are 0."""
        return [blob.diff for blob in top if blob.diff_allocated]

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        dx, gradients = bottom[0].diff, self.gradients(top)
        if not gradients:
            dx[...] = 0
        elif len(gradients) == 1:
            dx[...] = gradients[0]
        else:
            eltwise.total([dy.reshape(-1) for dy in gradients], dx.reshape(-1))
