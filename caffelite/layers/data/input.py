from ..base import Layer, register


@register("Input")
class Input(Layer):
    """Blobs that the user fills: `net.blobs["data"].data[...] = x`.

    Top
        0...: of the shapes given; reshape them as you like, the net follows
    Options (input_param)
        shape: one for each top, one for all, or none: the tops are empty until reshaped

    A transform_param tells what pictures go through that commands give to the net: classify, ...
    """

    options_field = "input_param"
    others_options = ("transform_param",)
    role = "input"
    replays = True
    bottoms = 0
    tops = (1, None)

    def setup(self, bottom_shapes):
        self.shaped = False
        count = len(self.options.shape)
        if count not in (0, 1, self.num_tops):
            raise self.error(f"shape: given {count} times, expected 0, 1 or {self.num_tops}")

    def told_shapes(self):
        return [] if self.options.shape else [(...,)] * self.num_tops

    def infer_shapes(self, bottom_shapes):
        shapes = [tuple(shape.dim) for shape in self.options.shape] or [(0,)]
        return shapes if len(shapes) == self.num_tops else shapes * self.num_tops

    def reshape(self, bottom, top):
        if not self.shaped:  # later shapes are the user's
            super().reshape(bottom, top)
            self.shaped = True

    def forward(self, bottom, top):
        """Nothing to do: the data are the user's."""
