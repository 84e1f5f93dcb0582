"""Two ways to larger maps: each value repeated, or put where a pooling took it from."""

import numpy as np


class Repeat:
    """y[i, j] = x[i // scale, j // scale]; backward adds up each block."""

    least = 1

    def __init__(self, layer):
        for name in ("scale_h", "pad_out_h", "pad_out_w", "upsample_h"):
            if layer.options.HasField(name):
                raise layer.error(f"{name} is for upsampling with a mask as second bottom")

    def check(self, layer, bottom, top):
        """There is no mask."""

    def forward(self, layer, bottom, top):
        x = bottom[0].data
        _blocks(top[0].data, layer.scale[0])[...] = x[:, :, :, None, :, None]

    def backward(self, layer, top, bottom):
        _blocks(top[0].diff, layer.scale[0]).sum(axis=(3, 5), out=bottom[0].diff)


def _blocks(y, scale):
    """y as (N, C, H, scale, W, scale)."""
    n, c, rows, columns = y.shape
    return y.reshape(n, c, rows // scale, scale, columns // scale, scale)


class Unpool:
    """y[mask] = x and 0 elsewhere; bottom 1 is the mask."""

    least = 2

    def check(self, layer, bottom, top):
        """Refuse a mask whose places are in a plane of other columns, or of more rows."""
        if bottom[1].places_in is None:
            return
        (rows, columns), made = bottom[1].places_in, top[0].shape[2:]
        if columns != made[1] or rows > made[0]:
            raise layer.error(
                f'bottom[1] "{layer.param.bottom[1]}", the mask, holds places in {rows} x '
                f"{columns} values, and the top has {made[0]} x {made[1]}; write upsample_h: "
                f"{rows} upsample_w: {columns}"
            )

    def forward(self, layer, bottom, top):
        y = top[0].data
        _check_places(layer, bottom[1].data, y)
        y[...] = 0
        np.put_along_axis(*_flat(y, bottom[1].data, bottom[0].data), axis=1)

    def backward(self, layer, top, bottom):
        dy, places, dx = _flat(top[0].diff, bottom[1].data, bottom[0].diff)
        dx[...] = np.take_along_axis(dy, places, axis=1)


def _check_places(layer, mask, y):
    size = y.shape[2] * y.shape[3]
    wrong = mask[~((mask >= 0) & (mask < size))]
    if wrong.size:
        raise layer.error(
            f'bottom[1] "{layer.param.bottom[1]}", the mask, holds {wrong[0]:g}, expected '
            f"a place from 0 to {size - 1}: the top has {y.shape[2]} x {y.shape[3]} values"
        )


def _flat(y, mask, x):
    """The three with a row per plane, the mask as integers."""
    planes = x.shape[0] * x.shape[1]
    size, small = y.shape[2] * y.shape[3], x.shape[2] * x.shape[3]
    places = mask.reshape(planes, small).astype(np.intp)
    return y.reshape(planes, size), places, x.reshape(planes, small)
