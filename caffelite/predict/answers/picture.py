"""A picture made of a picture: a net that mends, enlarges or draws anew."""

import numpy as np

from ...pictures.arrays import picture_of
from .base import Answer, register
from .pixels import Pixels


@register("picture")
class Picture(Answer):
    """An output with 1 or 3 channels that is as wide as a picture; drawn, from black to white."""

    @classmethod
    def fits(cls, layer, shape):
        wide = len(shape) == 4 and min(shape[2:]) > 1
        return wide and shape[1] in (1, 3) and not Pixels.fits(layer, shape)

    @classmethod
    def values(cls, outputs):
        return outputs[:, 0]

    def as_json(self):
        """{channels, height, width, least, largest}"""
        names = ("channels", "height", "width")
        told = dict(zip(names, self.given.shape, strict=True))
        return told | {"least": float(self.given.min()), "largest": float(self.given.max())}

    def lines(self):
        shape = " x ".join(map(str, self.given.shape))
        return [f"  {shape}, from {self.given.min():.4g} to {self.given.max():.4g}"]

    def draw(self, picture):
        return picture_of(np.asarray(self.given))
