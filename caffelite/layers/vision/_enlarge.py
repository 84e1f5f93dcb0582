"""Two ways to larger maps: each value repeated, or put where a pooling took it from."""

import numpy as np

from ...kernels import unpool


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
        unpool.add_blocks(*planes(top[0].diff, bottom[0].diff), layer.scale[0])


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
        x, mask, y = planes(bottom[0].data, bottom[1].data, top[0].data)
        _check_places(layer, mask, top[0].shape)
        unpool.forward(x, mask, y)

    def backward(self, layer, top, bottom):
        unpool.backward(*planes(top[0].diff, bottom[1].data, bottom[0].diff))


def planes(*arrays):
    """Each (N, C, H, W) as (N C, H, W)."""
    return [array.reshape(-1, *array.shape[2:]) for array in arrays]


def _check_places(layer, mask, shape):
    size, wrong = shape[2] * shape[3], np.empty(len(mask), np.int64)
    unpool.check(mask, size, wrong)
    if wrong.max(initial=-1) >= 0:
        plane = int((wrong >= 0).argmax())
        raise layer.error(
            f'bottom[1] "{layer.param.bottom[1]}", the mask, holds '
            f"{mask[plane].flat[wrong[plane]]:g}, expected a place from 0 to {size - 1}: the top "
            f"has {shape[2]} x {shape[3]} values"
        )
