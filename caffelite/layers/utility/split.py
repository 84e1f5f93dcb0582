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
        """The diffs of its tops, the last first, each memory once.

        Those that nobody has looked at, which are 0, are not among them.
        """
        looked_at = {id(blob.diff): blob.diff for blob in reversed(top) if blob.diff_allocated}
        return list(looked_at.values())

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        dx, gradients = bottom[0].diff, self.gradients(top)
        if not gradients:
            dx[...] = 0
        elif len(gradients) == 1:
            if gradients[0] is not dx:
                dx[...] = gradients[0]
        else:
            eltwise.total([dy.reshape(-1) for dy in gradients], dx.reshape(-1))
