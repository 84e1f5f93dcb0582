import numpy as np

from ... import filler
from ...errors import NetError
from ...proto.caffe_pb2 import FillerParameter
from ..base import Layer, register


@register("DummyData")
class DummyData(Layer):
    """Tops filled by fillers: constant ones once, random ones anew in every forward pass.

    Top
        0...: of the shapes given
    Options (dummy_data_param)
        shape: one for each top, or one for all
        data_filler: one for each top, one for all, or none [constant 0]
        num, channels, height, width: instead of shape, each once or once for each top
    """

    options_field = "dummy_data_param"
    role = "dummy"
    bottoms = 0
    tops = (1, None)

    def setup(self, bottom_shapes):
        self.shaped = False
        self.fillers = self.each_top("data_filler", self.options.data_filler or [FillerParameter()])
        for fill, shape in zip(self.fillers, self.infer_shapes([]), strict=True):
            try:
                filler.check(fill, shape)
            except NetError as problem:
                raise self.error(f"data_filler: {problem}") from None

    def each_top(self, option, values):
        """`values`, one for each top."""
        if len(values) not in (1, self.num_tops):
            raise self.error(
                f"{option}: given {len(values)} times, expected once for all tops, "
                f"or once for each of the {self.num_tops}"
            )
        return list(values) * (self.num_tops // len(values))

    def infer_shapes(self, bottom_shapes):
        legacy = ("num", "channels", "height", "width")
        if not self.options.shape:
            sizes = [self.each_top(name, getattr(self.options, name)) for name in legacy]
            return list(zip(*sizes, strict=True))
        if any(getattr(self.options, name) for name in legacy):
            raise self.error("give shape, or num, channels, height and width, not both")
        return [tuple(shape.dim) for shape in self.each_top("shape", self.options.shape)]

    def reshape(self, bottom, top):
        if self.shaped:
            return
        super().reshape(bottom, top)
        self.shaped = True
        for blob, fill in zip(top, self.fillers, strict=True):
            if fill.type == "constant":
                blob.data[...] = fill.value

    def forward(self, bottom, top):
        random, parts = self.random(), self.shard.parts
        for blob, fill in zip(top, self.fillers, strict=True):
            if fill.type == "constant":
                continue
            if parts == 1 or not blob.shape:
                filler.fill(blob.data, fill, random)
                continue
            whole = np.empty((parts * len(blob.data), *blob.shape[1:]), self.dtype)
            filler.fill(whole, fill, random)
            blob.data[...] = whole[self.shard.rank :: parts]
        self.count_draw()
