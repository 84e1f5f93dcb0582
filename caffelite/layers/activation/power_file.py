import numpy as np

from ... import filler
from ...errors import NetError
from ...proto.caffe_pb2 import FillerParameter
from ..base import register
from ._elementwise import Elementwise


@register("PowerFile")
class PowerFile(Elementwise):
    """y = x + shift, with a number of `shift` for each value of a sample.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (power_file_param)
        shift_file: text file with the numbers, and anything blank between them; without, all are 0
    """

    options_field = "power_file_param"
    files = ("shift_file",)
    in_place = True

    def setup(self, bottom_shapes):
        if not bottom_shapes[0]:
            raise self.shape_error(0, (), "at least one axis")
        self.shift = np.zeros(bottom_shapes[0][1:], self.dtype)
        if self.options.shift_file:
            param = FillerParameter(type="file", file=self.options.shift_file)
            try:
                filler.check(param, self.shift.shape)
            except NetError as problem:
                raise self.error(f"shift_file: {problem}") from None
            filler.fill(self.shift, param, self.random())

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if tuple(shape[1:]) != self.shift.shape:
            expected = f"samples of the shape {self.shift.shape}, as at setup"
            raise self.shape_error(0, shape, expected)
        return [shape]

    def forward(self, bottom, top):
        np.add(bottom[0].data, self.shift, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff
