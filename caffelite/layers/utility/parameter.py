from ..base import Layer, register


@register("Parameter")
class Parameter(Layer):
    """The top is a learned blob.

    Top
        0: its values
    Blobs
        values: of the shape given, at first 0
    Options (parameter_param)
        shape: of the blob
    """

    options_field = "parameter_param"
    learns = True
    drawn_as = "data"
    bottoms = 0

    def setup(self, bottom_shapes):
        self.values = self.add_blob("values", tuple(self.options.shape.dim))

    def infer_shapes(self, bottom_shapes):
        return [self.values.shape]

    def forward(self, bottom, top):
        top[0].assign(self.values.data)  # no shared memory: it may come to be that of another net

    def backward(self, top, propagate_down, bottom):
        self.values.diff[...] += top[0].diff
