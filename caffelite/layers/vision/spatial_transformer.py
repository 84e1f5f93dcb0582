import logging

import numpy as np

from ...kernels import affine_grid
from ..base import TEST, Layer, register

log = logging.getLogger("caffelite")

_ENTRIES = [f"theta_{row}_{column}" for row in (1, 2) for column in (1, 2, 3)]
_FAR = 1e30  # pixels; numbers that far away can still be added up


@register("SpatialTransformer")
class SpatialTransformer(Layer):
    """y at (s, t) = x at theta . (2 s / H' - 1, 2 t / W' - 1, 1), between four pixels.

    Places go from -1 to 1, the first number down, the second to the right: p is at row
    (p + 1) H / 2 of x. There is no half of a pixel in it, nor are corners mapped on corners; with
    sizes that are equal and the theta 1 0 0 / 0 1 0, y is x. Beyond its edges x is 0.

    A theta that is no number makes y none, which ends a training with an error that says where; in
    TEST it is an error itself. Where all that a sample looks at lies beyond x, y is 0, and no
    gradient will move it back; this is told once.

    Bottoms
        0: x, (N, C, H, W)
        1: theta, (N, those of its six entries that the options do not fix), row by row
    Top
        0: y, (N, C, H', W')
    Options (st_param)
        output_H: H' [H]
        output_W: W' [W]
        theta_1_1, theta_1_2, theta_1_3, theta_2_1, theta_2_2, theta_2_3: fixed entries of theta
        to_compute_dU: whether x gets a gradient; without, it is 0 [true]
        transform_type: "affine"
        sampler_type: "bilinear"
    Source
        Jaderberg et al. 2015, arXiv:1506.02025
    """

    options_field = "st_param"
    drawn_as = "other"
    bottoms = 2

    def setup(self, bottom_shapes):
        options = self.options
        for name, only in (("transform_type", "affine"), ("sampler_type", "bilinear")):
            if getattr(options, name) != only:
                raise self.error(f'{name}: "{getattr(options, name)}" is not known; write "{only}"')
        fixed = {i: getattr(options, e) for i, e in enumerate(_ENTRIES) if options.HasField(e)}
        for i, value in fixed.items():
            if not np.isfinite(value):
                raise self.error(f"{_ENTRIES[i]} is {value:g}, expected a finite number")
        self.free = [i for i in range(len(_ENTRIES)) if i not in fixed]
        self.fixed = [float(fixed.get(i, 0)) for i in range(len(_ENTRIES))]
        self.told = False

    def infer_shapes(self, bottom_shapes):
        shape, theta = bottom_shapes
        if len(shape) != 4 or 0 in shape[2:]:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W), with H and W above 0")
        free = len(self.free)
        if theta[:1] != shape[:1] or np.prod(theta[1:]) != free:
            named = ", ".join(_ENTRIES[i] for i in self.free) or "none: all are fixed"
            expected = f"({shape[0]}, {free}): for each sample of bottom[0] the entries {named}"
            raise self.shape_error(1, theta, expected)
        has = self.options.HasField
        space = [
            getattr(self.options, name) if has(name) else side
            for name, side in zip(("output_H", "output_W"), shape[2:], strict=True)
        ]
        if min(space) < 1:
            made = " x ".join(map(str, space))
            raise self.error(f"the top would be {made} in space, expected at least 1 x 1")
        return [(*shape[:2], *space)]

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        places, lost = self.places(bottom, top)
        if lost.any() and self.phase == TEST:
            raise self._lost(lost)
        if not self.told:
            self._tell_outside(places, lost, x.shape[2:], y.shape[2:])
        affine_grid.forward(x, places, y)
        y[lost] = np.nan

    def backward(self, top, propagate_down, bottom):
        x, dy = bottom[0].data, top[0].diff
        places, lost = self.places(bottom, top)
        to_x = propagate_down[0] and self.options.to_compute_dU
        dx = bottom[0].diff if to_x else np.empty((0, 0, 0, 0), x.dtype)
        dplaces = np.empty(places.shape if propagate_down[1] else (0, 2, 3))
        affine_grid.backward(x, places, dy, dx, dplaces)
        if propagate_down[0] and not to_x:
            bottom[0].diff[...] = 0
        if propagate_down[1]:
            dplaces[lost] = np.nan
            dtheta = _to_theta(dplaces, x.shape[2:], dy.shape[2:])
            bottom[1].diff[...] = dtheta[:, self.free].reshape(bottom[1].shape)

    def places(self, bottom, top):
        """(which pixels of x the top's are, (N, 2, 3), as maps of (s, t, 1); whose are lost, (N,)).

        Lost are those that are no finite numbers; they are far away here.
        """
        x, y = bottom[0].data, top[0].data
        theta = np.tile(self.fixed, (len(x), 1))
        theta[:, self.free] = bottom[1].data.reshape(len(x), len(self.free))
        with np.errstate(invalid="ignore", over="ignore"):
            places = _of_theta(theta.reshape(-1, 2, 3), x.shape[2:], y.shape[2:])
        lost = ~np.isfinite(places).all((1, 2))
        places[lost] = -_FAR
        return np.clip(places, -_FAR, _FAR), lost

    def _lost(self, lost):
        name = self.param.bottom[1]
        return self.error(
            f'bottom[1] "{name}" of sample {np.flatnonzero(lost)[0]} holds values that are no '
            "numbers, or too large; the net has diverged; go back to an earlier snapshot, with a "
            "lower base_lr, or lr_mult of the layers before",
            blob=name,
        )

    def _tell_outside(self, places, lost, size, space):
        corners = [(s, t, 1) for s in (0, space[0] - 1) for t in (0, space[1] - 1)]
        at = places @ np.array(corners, float).T  # (N, 2, 4)
        outside = ((at.max(2) <= -1) | (at.min(2) >= np.array(size))).any(1) & ~lost
        if outside.any():
            self.told = True
            log.warning(
                '%s: theta, bottom[1] "%s", of sample %d lies wholly outside of bottom[0]: its top '
                "is 0, and no gradient moves it back; an STLoss on theta keeps it inside",
                *(self.at, self.param.bottom[1], np.flatnonzero(outside)[0]),
            )


def _of_theta(theta, size, space):
    """theta, (N, 2, 3), from (s, t, 1) in `space` to rows and columns in `size`."""
    size, space = np.array(size, float)[:, None], np.array(space, float)
    turns = theta[..., :2] * (size / space)
    start = size / 2 * (1 + theta[..., 2:] - theta[..., :2].sum(2, keepdims=True))
    return np.concatenate([turns, start], 2)


def _to_theta(dplaces, size, space):
    """The transpose of `_of_theta`, as (N, 6)."""
    size, space = np.array(size, float)[:, None], np.array(space, float)
    start = dplaces[..., 2:] * (size / 2)
    turns = dplaces[..., :2] * (size / space) - start
    return np.concatenate([turns, start], 2).reshape(len(dplaces), len(_ENTRIES))
