import numpy as np

from ..base import Layer, register


@register("STLoss")
class STLoss(Layer):
    """L = the mean of (how far p lies outside of -1 to 1)^2 / 2, p being where theta leads.

    p = theta . (2 s / H' - 1, 2 t / W' - 1, 1), for all (s, t) of a SpatialTransformer's top; that
    of its two numbers is added up. It keeps what such a layer looks at within its picture.

    Bottom
        0: theta, (N, 6)
    Top
        0: L, one number
    Options (st_loss_param)
        output_H: H', must be given
        output_W: W', must be given
    """

    options_field = "st_loss_param"

    def setup(self, bottom_shapes):
        options = self.options
        for name in ("output_H", "output_W"):
            if not options.HasField(name):
                raise self.error(f"{name} must be given: that of the SpatialTransformer")
            if getattr(options, name) < 1:
                raise self.error(f"{name}: {getattr(options, name)} is below 1")
        sides = options.output_H, options.output_W
        s, t = (
            2 * at.ravel() / side - 1 for at, side in zip(np.indices(sides), sides, strict=True)
        )
        self.grid = np.stack([s, t, np.ones_like(s)]).astype(self.dtype)  # (3, H' W')

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if not shape or np.prod(shape[1:]) != 6:
            raise self.shape_error(0, shape, "(N, 6): all entries of theta")
        return [()]

    def forward(self, bottom, top):
        places = bottom[0].data.reshape(-1, 2, 3) @ self.grid
        self.outside = places - np.clip(places, -1, 1)
        self.count = max(1, len(places) * self.grid.shape[1])
        top[0].data[...] = np.vdot(self.outside, self.outside) / (2 * self.count)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dtheta = self.outside @ self.grid.T * (float(top[0].diff) / self.count)
            bottom[0].diff[...] = dtheta.reshape(bottom[0].shape)
