"""Pictures and arrays on their way into a net: what is called caffe.io in pycaffe.

Pictures are height x width x channels here, float32, channels in the order red, green, blue.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.datum import pixels
from ..data.image import INDICES, decode, tell_lost_labels
from ..data.picture_file import opened_picture, tiles, upright
from ..errors import DataError, NetError, ProtoError, missing_extra
from ..proto import blob_values, caffe_pb2
from ..types import Array, ArrayLike, Path

# Messages


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """The values of a BlobProto, or its diffs, in its shape."""
    try:
        return blob_values.of_message(blob).array(return_diff)
    except ProtoError as problem:
        raise ValueError(f"the blob {problem}") from None


def array_to_blobproto(arr: ArrayLike, diff: ArrayLike | None = None) -> caffe_pb2.BlobProto:
    """The BlobProto of an array, and of an array of diffs."""
    arr = np.asarray(arr)
    diffs = () if diff is None else np.ravel(diff)
    return caffe_pb2.BlobProto(shape={"dim": arr.shape}, data=arr.ravel(), diff=diffs)


def arraylist_to_blobprotovector_str(arraylist: Iterable[ArrayLike]) -> bytes:
    """A list of arrays as the bytes of a BlobProtoVector."""
    blobs = [array_to_blobproto(arr) for arr in arraylist]
    return caffe_pb2.BlobProtoVector(blobs=blobs).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    """The list of arrays in the bytes of a BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: ArrayLike, label: int | None = None) -> caffe_pb2.Datum:
    """The Datum of an array, channels x height x width: uint8 as bytes, others as floats."""
    arr = np.asarray(arr)
    if arr.ndim != 3:
        raise ValueError(f"a Datum is channels x height x width, not {arr.shape}")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """The array in a Datum, channels x height x width: uint8, or float32; decoded if encoded."""
    return pixels(datum).copy()


# Pictures


def load_image(filename: Path, color: bool = True, palette_indices: bool = False) -> Array:
    """An upright picture from 0 to 1, height x width x 3; without `color`, height x width x 1.

    With `palette_indices`, a picture of labels: height x width x 1 whole numbers, which are the
    indices of one with a palette, and not the gray of its colors.
    """
    try:
        if palette_indices:
            return decode(os.fspath(filename), INDICES).transpose(1, 2, 0).astype(np.float32)
        with opened_picture(filename) as file:
            picture = upright(file)
            image = np.empty((picture.height, picture.width, 3 if color else 1), np.float32)
            for place, part in tiles(picture):
                values = _in_unit_range(part)
                luminance = not color and values.shape[2] == 3
                image[place] = values @ _LUMINANCE if luminance else values
            if not color and picture.mode == "P":
                tell_lost_labels(picture, np.rint(255 * image[:, :, 0]), filename)
    except DataError as problem:
        raise DataError(f"{filename}: {problem}") from None
    return image


_LUMINANCE = np.array([[0.2125], [0.7154], [0.0721]], np.float32)


def _in_unit_range(picture: Any) -> Array:
    """height x width x 1 or 3, float32; alpha is dropped."""
    mode = picture.mode
    if mode.startswith("I;16") or mode == "I":
        return np.asarray(picture, np.float32)[:, :, None] / 65535
    if mode == "F":
        return np.asarray(picture, np.float32)[:, :, None]
    gray = mode in ("1", "L", "LA")
    image = np.asarray(picture.convert("L" if gray else "RGB"), np.float32) / 255
    return image[:, :, None] if gray else image


def resize_image(im: ArrayLike, new_dims: Sequence[int], interp_order: int = 1) -> Array:
    """A picture, height x width x channels, in the size `new_dims`, (height, width).

    With 1 or 3 channels, pixel centres are mapped, and beyond the edge lies the smallest value of
    the picture; with other numbers, corners are mapped on corners. `interp_order` is 0 for the
    nearest pixel, 1 for linear, and 2 to 5 for splines.
    """
    im, new_dims = np.asarray(im), tuple(int(d) for d in new_dims)
    if im.ndim != 3 or im.size == 0:
        raise NetError(f"expected a picture, height x width x channels, not {im.shape}")
    if len(new_dims) != 2 or min(new_dims) < 1:
        raise NetError(f"expected a size of (height, width), at least 1 each, not {new_dims}")
    if im.shape[-1] in (1, 3):
        low, high = im.min(), im.max()
        if low == high:
            return np.full((*new_dims, im.shape[-1]), low, np.float32)
        scale = float(high) - float(low)
        places = [_centres(old, new) for old, new in zip(im.shape, new_dims, strict=False)]
        resized = _sample((im - float(low)) / scale, places, interp_order).clip(0, 1)
        return (resized * scale + float(low)).astype(np.float32)
    places = [_corners(old, new) for old, new in zip(im.shape, new_dims, strict=False)]
    return _sample(im, places, interp_order, border="constant").astype(np.float32)


def _centres(old: int, new: int) -> Array:
    """Where the centres of `new` pixels fall among `old` ones that cover the same width."""
    return (np.arange(new) + 0.5) * (old / new) - 0.5


def _corners(old: int, new: int) -> Array:
    """`new` places from the first to the last of `old` pixels."""
    return np.linspace(0, old - 1, new) if new > 1 else np.zeros(new)


def _sample(
    im: ArrayLike, places: Sequence[Array], order: int, border: str = "grid-constant"
) -> Array:
    """The picture at (y, x) for y in places[0], x in places[1]; 0 beyond the edge."""
    im = np.asarray(im, np.float64)
    if order > 1:
        return _spline(im, places, order, border)
    for axis, at in enumerate(places):
        at = np.floor(at + 0.5) if order == 0 else at
        before = np.floor(at).astype(int)
        im = _weighted(im, before, 1 - (at - before), axis) + _weighted(
            im, before + 1, at - before, axis
        )
    return im


def _weighted(im: Array, index: Array, weight: Array, axis: int) -> Array:
    size = im.shape[axis]
    weight = np.where((index >= 0) & (index < size), weight, 0)
    shape = [1] * im.ndim
    shape[axis] = -1
    return np.take(im, index.clip(0, size - 1), axis) * weight.reshape(shape)


def _spline(im: Array, places: Sequence[Array], order: int, border: str) -> Array:
    try:
        from scipy import ndimage
    except ImportError:
        raise missing_extra("scipy", "spline") from None
    grid = np.meshgrid(*places, indexing="ij")
    channels = [
        ndimage.map_coordinates(c, grid, order=order, mode=border) for c in np.moveaxis(im, -1, 0)
    ]
    return np.stack(channels, -1)


def oversample(images: Sequence[Array], crop_dims: Iterable[int]) -> Array:
    """10 crops of each picture: corners and centre, (height, width), then the same mirrored."""
    height, width = images[0].shape[:2]
    h, w = (int(d) for d in crop_dims)
    if not (0 < h <= height and 0 < w <= width):
        raise NetError(f"crops of {h} x {w} do not fit into pictures of {height} x {width}")
    starts = [(y, x) for y in (0, height - h) for x in (0, width - w)]
    starts.append(((height - h) // 2, (width - w) // 2))
    crops = []
    for im in images:
        five = [im[y : y + h, x : x + w] for y, x in starts]
        crops += [*five, *(crop[:, ::-1] for crop in five)]
    return np.array(crops, np.float32)


class Transformer:
    """Brings pictures into the form a net takes, and back.

    Parameters
    ----------
    inputs : {input name: its shape}, as {"data": net.blobs["data"].data.shape}
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}
        self.scaled_first: set[str] = set()  # inputs whose input_scale comes before the mean

    def scales(self, in_: str) -> tuple[float, float]:
        """(the factor before the mean is subtracted, the one after) of an input."""
        last = self.input_scale.get(in_, 1)
        if in_ in self.scaled_first and in_ not in self.raw_scale:
            return last, 1
        return self.raw_scale.get(in_, 1), last

    def preprocess(self, in_: str, data: ArrayLike) -> Array:
        """A picture, height x width x channels, as input `in_` takes it, without the batch axis.

        Resized, transposed, channels swapped, times raw_scale, minus mean, times input_scale.
        """
        self._check(in_)
        x = np.asarray(data, np.float32)
        if x.shape[:2] != self.inputs[in_][2:]:
            x = resize_image(x, self.inputs[in_][2:])
        if in_ in self.transpose:
            x = x.transpose(self._order("transpose", in_, data, x.ndim))
        if in_ in self.channel_swap:
            x = x[self._order("channel_swap", in_, data, len(x))]
        else:
            x = x.copy()
        before, after = self.scales(in_)
        x *= np.float32(before)
        if in_ in self.mean:
            x -= self.mean[in_]
        x *= np.float32(after)
        return x

    def deprocess(self, in_: str, data: ArrayLike) -> Array:
        """The picture that became `data` in `preprocess`, in the size it has there."""
        self._check(in_)
        x = np.array(data)
        turned = in_ in self.transpose  # then the channel axis stays, be it 1
        x = x.reshape(x.shape[-len(self.transpose[in_]) :]) if turned else x.squeeze()
        before, after = self.scales(in_)
        if after != 1:
            x = x / after
        if in_ in self.mean:
            x = x + self.mean[in_]
        if before != 1:
            x = x / before
        if in_ in self.channel_swap:
            x = x[np.argsort(self.channel_swap[in_])]
        if turned:
            x = x.transpose(np.argsort(self.transpose[in_]))
        return x

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the axes, as (2, 0, 1) for height x width x channels."""
        self._check(in_)
        axes = len(self.inputs[in_]) - 1
        if sorted(order) != list(range(axes)):
            raise NetError(f"transpose of {in_}: expected an order of {axes} axes, not {order}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels, as (2, 1, 0) for red, green, blue to blue, green, red."""
        self._check(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels:
            raise NetError(f"channel_swap of {in_}: expected {channels} channels, not {order}")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is subtracted, as 255 for a net of pixels from 0 to 255."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: ArrayLike) -> None:
        """What is subtracted: a value a channel, or channels x height x width (resized to fit)."""
        self._check(in_)
        mean, (channels, *dims) = np.asarray(mean), self.inputs[in_][1:]
        if mean.ndim == 1:
            mean = mean[:, None, None]
        elif mean.ndim == 2:
            mean = mean[None]
        if mean.ndim != 3 or len(mean) != channels:
            raise ValueError(
                f"the mean of {in_} has the shape {mean.shape}, expected {channels} values or "
                f"{channels} x height x width"
            )
        if mean.shape[1:] not in ((1, 1), tuple(dims)):
            mean = resize_image(mean.transpose(1, 2, 0), dims).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is subtracted."""
        self._check(in_)
        self.input_scale[in_] = scale

    def _order(self, setting: str, in_: str, picture: ArrayLike, count: int) -> list[int]:
        """The order that was set for axes or channels, of which the picture has `count`."""
        order = list(getattr(self, setting)[in_])
        if max(order) >= count:
            raise NetError(
                f"{setting} of {in_}, {order}, does not fit a picture of {np.shape(picture)}"
            )
        return order

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise NetError(f"the net's inputs are {', '.join(self.inputs)}, not {in_}")
