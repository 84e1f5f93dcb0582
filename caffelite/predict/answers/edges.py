"""How likely each pixel is one of what the net looks for, such as an edge."""

import numpy as np

from ...data.image import encode
from ._maps import Map
from .base import enlarged, register

RED = np.array([255, 0, 0])


@register("edges")
class Edges(Map):
    """A probability for each pixel, of nets that end in one plane of a Sigmoid, as HED does.

    Drawn, 0 is black and 1 white. It is asked for by name: for a net that makes pictures, such a
    plane is a picture.
    """

    @classmethod
    def values(cls, outputs):
        return outputs[:, 0, 0]

    def as_json(self):
        """{height, width, mean, likely}; likely is the share of pixels above 0.5."""
        height, width = self.given.shape
        mean, likely = float(self.given.mean()), float((self.given > 0.5).mean())
        return {"height": height, "width": width, "mean": mean, "likely": likely}

    def lines(self):
        told = self.as_json()
        return [f"  {told['likely']:.4f}  of the pixels above 0.5, {told['mean']:.4f} in the mean"]

    @property
    def gray(self):
        """height x width bytes"""
        return np.rint(np.clip(self.given, 0, 1) * 255).astype(np.uint8)

    def encoded(self):
        return encode(self.gray[None], "png")

    def colored(self):
        return self.gray[..., None].repeat(3, axis=2)

    def overlay(self, picture):
        """Red where it is likely."""
        share = self.gray[..., None].astype(np.uint16)
        return ((share * RED + (255 - share) * picture) // 255).astype(np.uint8)

    def draw(self, picture):
        return enlarged(self.gray, *picture.shape[:2])[..., None].repeat(3, axis=2)
