"""Pictures as values of a net's input, and back: where the input is learned, or a net paints."""

from __future__ import annotations

import numpy as np

from ..data.geometry import resized
from ..data.image import decode
from ..errors import DataError
from ..kernels import interp
from ..net import Net, memory
from ..proto import caffe_pb2
from ..proto.caffe_pb2 import ResizeParameter
from ..types import Array
from .preprocessing import Preprocessing, subtract_from_channels

LUMA = np.array([0.114, 0.587, 0.299])[:, None, None]  # of blue, green, red


class Canvas:
    """values = (pixels - mean) * scale, blue first, of pictures with 1 or 3 `channels`."""

    def __init__(self, preprocessing: Preprocessing, channels: int = 3) -> None:
        transform = caffe_pb2.TransformationParameter()
        transform.CopyFrom(preprocessing.transform or transform)
        subtract_from_channels(transform)
        mean = np.array(transform.mean_value or [0], np.float32)
        if len(mean) not in (1, channels):
            raise DataError(
                f"{preprocessing.origin}: {len(mean)} values of a mean, expected 1 or {channels}, "
                "for the channels of the net's input"
            )
        if transform.scale == 0:
            raise DataError(f"{preprocessing.origin}: with a scale of 0 all pictures are alike")
        self.channels = channels
        self.mean, self.scale = mean[:, None, None], np.float32(transform.scale)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The values of black and of white, (channels, 1, 1) each."""
        ends = [(np.float32(pixel) - self.mean) * self.scale for pixel in (0, 255)]
        return np.minimum(*ends), np.maximum(*ends)

    def read(self, path: str, longest: int | None = None) -> Array:
        """The values of a picture file, whose longest side becomes `longest` pixels."""
        try:
            pixels = decode(path, self.channels == 3)
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
        if longest is not None:
            factor = longest / max(pixels.shape[1:])
            height, width = (max(1, round(factor * side)) for side in pixels.shape[1:])
            mode = ResizeParameter.AREA if factor < 1 else ResizeParameter.LINEAR
            pixels = resized(pixels, height, width, [mode])
        return self.values(pixels)

    def values(self, pixels: Array) -> Array:
        """Those of pixels from 0 to 255, (channels, height, width)."""
        return (pixels.astype(np.float32) - self.mean) * self.scale

    def pixels(self, values: Array) -> Array:
        """uint8 pixels, the nearest there are."""
        return np.clip(np.rint(values / self.scale + self.mean), 0, 255).astype(np.uint8)


def with_colors_of(pixels: Array, other: Array) -> Array:
    """uint8 pixels as light as `pixels`, with the colors of `other`, both (3, height, width)."""
    light = (LUMA * pixels).sum(0) - (LUMA * other).sum(0)
    return np.clip(np.rint(other + light), 0, 255).astype(np.uint8)


def check_memory(net: Net, what: str, side: int, more: int = 0, flag: str = "--size") -> None:
    """A DataError if a net that runs both ways needs more memory for a picture than there is.

    `more` are bytes needed beside the net's blobs; `side` is the picture's longest.
    """
    needed = more + 4 * (memory.size(net.nodes, "data") + memory.size(net.nodes, "diff"))
    free = memory.available()
    if needed > free:
        fits = int(side * (0.9 * free / needed) ** 0.5)
        raise DataError(
            f"{what}: takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free; "
            f"{flag} {fits} would do"
        )


def resized_values(values: Array, height: int, width: int) -> Array:
    """Values of pictures, (C, H, W), in another size, bilinearly."""
    made = np.empty((len(values), height, width), np.float32)
    interp.forward(np.ascontiguousarray(values, np.float32), made, False)
    return made
