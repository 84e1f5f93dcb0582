import numpy as np

from ..base import Layer, register
from ..reach import shifted


@register("Crop")
class Crop(Layer):
    """y = the part of x from `offset` on that has the size of the second bottom.

    Axes before `axis` keep their size; backward, what was cut off gets 0.

    Bottoms
        0: x, any shape
        1: a blob as large as y along the axes from `axis` on; only its shape counts
    Top
        0: y
    Options (crop_param)
        axis: first axis that is cut, negative: from the end [2]
        offset: where y starts in x: none (0), one number, or one per axis from `axis` on
        aligned: instead of both, let the net find them: y starts where bottom 1 lies in x, by the
            kernels, strides and paddings between them, as in FCN's Caffe [false]
    """

    options_field = "crop_param"
    drawn_as = "other"
    bottoms = 2
    no_gradient = shape_only = (1,)

    @classmethod
    def coordinates(cls, options, index):
        if index > 0:
            return None  # it gives the size alone
        return options.get("axis", 2) - 1, 1, -np.array(options.get("offset", 0), int, ndmin=1)

    def setup(self, bottom_shapes):
        axes = len(bottom_shapes[0])
        self.axis = self.canonical_axis(self.options.axis, axes)
        given, cut = tuple(self.options.offset), axes - self.axis
        if len(given) not in (0, 1, cut):
            raise self.error(
                f"offset has {len(given)} entries, expected none, 1 or {cut}, "
                f"the number of axes from axis {self.axis} on"
            )
        self.offset = given if len(given) > 1 else (given or (0,)) * cut

    def infer_shapes(self, bottom_shapes):
        shape, like = bottom_shapes
        if len(like) < len(shape):
            raise self.shape_error(1, like, f"at least {len(shape)} axes, as bottom[0]")
        like = like[self.axis : len(shape)]
        sizes = enumerate(zip(self.offset, like, strict=True), self.axis)
        for axis, (offset, size) in sizes:
            if offset + size > shape[axis]:
                raise self.shape_error(
                    0, shape, f"at least {offset + size} on axis {axis}: offset {offset} and "
                    f"size {size} of bottom[1]"
                )  # fmt: skip
        return [(*shape[: self.axis], *like)]

    def reach(self, bottom, top):
        before = [0] * (self.axis - 2)  # axes of space that are not cut
        cut = self.offset[max(0, 2 - self.axis) :]
        return list(map(shifted, [*before, *cut]))

    def part(self, array, shape):
        """The view of `array` that the top of this shape is."""
        cuts = zip(self.offset, shape[self.axis :], strict=True)
        return array[(..., *(slice(start, start + size) for start, size in cuts))]

    def forward(self, bottom, top):
        y = top[0].data
        y[...] = self.part(bottom[0].data, y.shape)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dy, dx = top[0].diff, bottom[0].diff
            dx[...] = 0
            self.part(dx, dy.shape)[...] = dy
