import numpy as np

from ...kernels import interp
from ..base import Layer, register
from ..reach import between, within


@register("Interp")
class Interp(Layer):
    """y = x resized bilinearly: corners onto corners, or borders onto borders.

    A side of n values, the pads counted, becomes the first of these that the options name:
    (n - 1) / shrink_factor + 1; n + (n - 1) (zoom_factor - 1); height and width; shrunk, then
    zoomed. With use_blob_size it is that of the second bottom. Value i of N is read at
    i (n - 1) / (N - 1); or, with align_corners: false, which zooms to n zoom_factor, at
    (i + 1/2) n / N - 1/2.

    Bottoms
        0: x, (N, C, H, W)
        1: with use_blob_size: a blob of as many rows and columns as y shall have
    Top
        0: y, (N, C, rows, columns)
    Options (interp_param)
        height, width: of y, both
        zoom_factor: intervals of y per interval of x
        shrink_factor: intervals of x per interval of y
        pad_beg: rows and columns cut off before, as a number below 0 [0]
        pad_end: rows and columns cut off behind, as a number below 0 [0]
        use_blob_size: take the size of the second bottom [false]
        align_corners: false: as pictures are resized, and as newer frameworks do it [true]
    Source
        Chen et al. 2014, arXiv:1412.7062 (DeepLab)
    """

    options_field = "interp_param"
    drawn_as = "convolution"
    bottoms = (1, 2)
    no_gradient = shape_only = (1,)

    def moot(self):
        """Sizes that others rule out, in the order of `_size`."""
        options = self.options
        factors = "zoom_factor", "shrink_factor"
        given = [name for name in factors if options.HasField(name)]
        if options.use_blob_size:
            ruled_out, by = ("height", "width", *factors), "use_blob_size"
        elif len(given) == 1:
            ruled_out, by = ("height", "width"), given[0]
        elif options.HasField("height") and options.HasField("width"):
            ruled_out, by = factors, "height and width"
        else:
            return super().moot()
        words = f"the top's size is by {by}"
        return super().moot() | {f"interp_param.{name}": words for name in ruled_out}

    def setup(self, bottom_shapes):
        options = self.options
        for name in ("pad_beg", "pad_end"):
            if getattr(options, name) > 0:
                raise self.error(f"{name}: {getattr(options, name)} is above 0; pads only cut off")
        for name in ("zoom_factor", "shrink_factor"):
            if getattr(options, name) < 1:
                raise self.error(f"{name}: {getattr(options, name)} is below 1")
        if options.use_blob_size != (len(bottom_shapes) == 2):
            raise self.error(
                f"{len(bottom_shapes)} bottoms, expected 2 with use_blob_size and 1 without"
            )

    def _size(self, name, size):
        options = self.options
        has = options.HasField
        shrunk = (size - 1) // options.shrink_factor + 1
        if has("shrink_factor") and not has("zoom_factor"):
            return shrunk
        if has("zoom_factor") and not has("shrink_factor"):
            return self._zoomed(size)
        if has("height") and has("width"):
            return getattr(options, name)
        if has("shrink_factor"):
            return self._zoomed(shrunk)
        raise self.error("no size; give height and width, zoom_factor, or shrink_factor")

    def _zoomed(self, size):
        factor = self.options.zoom_factor
        return size + (size - 1) * (factor - 1) if self.options.align_corners else size * factor

    def infer_shapes(self, bottom_shapes):
        shape, cut = bottom_shapes[0], self.options.pad_beg + self.options.pad_end
        for i, each in enumerate(bottom_shapes):
            if len(each) != 4:
                raise self.shape_error(i, each, "4 axes: (N, C, H, W)")
        if min(shape[2:]) + cut < 1:
            raise self.shape_error(0, shape, f"more than the {-cut} rows and columns cut off")
        if self.options.use_blob_size:
            space = bottom_shapes[1][2:]
        else:
            sides = zip(("height", "width"), shape[2:], strict=True)
            space = tuple(self._size(name, side + cut) for name, side in sides)
        if min(space) < 1:
            made = " x ".join(map(str, space))
            raise self.error(f"the top would be {made} in space, expected at least 1 x 1")
        return [(*shape[:2], *space)]

    def reach(self, bottom, top):
        cut = self.options.pad_beg + self.options.pad_end
        sides = zip(bottom[2:], top[2:], strict=True)
        way = between if self.options.align_corners else within
        return [way(side + cut, size, -self.options.pad_beg) for side, size in sides]

    def _planes(self, x, y):
        """x without what is cut off, and y, as planes."""
        (n, c, h, w), options = x.shape, self.options
        rows, columns = (slice(-options.pad_beg, side + options.pad_end) for side in (h, w))
        return x.reshape(n * c, h, w)[:, rows, columns], y.reshape(n * c, *y.shape[2:])

    def forward(self, bottom, top):
        x, y = self._planes(bottom[0].data, top[0].data)
        interp.forward(np.ascontiguousarray(x), y, self.options.align_corners)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx, dy = self._planes(bottom[0].diff, top[0].diff)
            kept = np.empty_like(dx, order="C") if dx.size < bottom[0].count else dx
            interp.backward(dy, kept, self.options.align_corners)
            if kept is not dx:
                bottom[0].diff[...] = 0
                dx[...] = kept
