import numpy as np

from ...kernels import embed
from ..base import Layer, register


@register("Embed")
class Embed(Layer):
    """y[..., :] = weight[x[...], :] + bias: a row looked up for each index in x.

    Bottom
        0: x, whole numbers from 0 to input_dim - 1, any shape; gets no gradient
    Top
        0: y, the shape of x, then num_output
    Blobs
        weight: (input_dim, num_output)
        bias: (num_output), with bias_term
    Options (embed_param)
        num_output: length of a row
        input_dim: how many rows there are
        bias_term: add a bias [true]
        weight_filler: initial rows [constant 0]
        bias_filler: initial bias [constant 0]
    """

    options_field = "embed_param"
    learns = True
    drawn_as = "dense"
    no_gradient = (0,)

    def setup(self, bottom_shapes):
        options = self.options
        for field in ("num_output", "input_dim"):
            if getattr(options, field) < 1:
                raise self.error(f"{field} is missing or 0, expected at least 1")
        self.picks_from = options.input_dim
        shape = (options.input_dim, options.num_output)
        self.weight = self.add_blob("weight", shape, options.weight_filler)
        self.bias = None
        if options.bias_term:
            self.bias = self.add_blob("bias", shape[1:], options.bias_filler)

    def infer_shapes(self, bottom_shapes):
        return [(*bottom_shapes[0], self.options.num_output)]

    def _read_index(self, x):
        """The indices as a flat array of ints, each checked."""
        with np.errstate(invalid="ignore"):  # NaN becomes a number far out of range
            index = x.astype(np.int64)
        wrong = (index < 0) | (index >= self.options.input_dim) | (index != x)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise self.error(
                f'bottom[0] "{self.param.bottom[0]}" holds {x[at]:g} at {list(at)}, '
                f"expected whole numbers from 0 to {self.options.input_dim - 1}, input_dim - 1"
            )
        return index.reshape(-1)

    def forward(self, bottom, top):
        self.index = self._read_index(bottom[0].data)
        y = top[0].data.reshape(-1, self.options.num_output)
        np.take(self.weight.data, self.index, axis=0, out=y, mode="clip")  # clip: without a copy
        if self.bias is not None:
            y += self.bias.data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise self.error("there is no gradient for indices, but propagate_down asks for it")
        dy = top[0].diff.reshape(-1, self.options.num_output)
        if self.param_propagate_down[0]:
            embed.add_rows(dy, self.index, self.weight.diff)
        if self.bias is not None and self.param_propagate_down[1]:
            self.bias.diff[...] += dy.sum(axis=0)
