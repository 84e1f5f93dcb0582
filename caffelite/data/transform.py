"""From the pixels of a source to the values of a blob: mean, scale, crops, mirroring and more."""

import numpy as np

from ..errors import DataError
from ..proto.caffe_pb2 import ResizeParameter
from . import binaryproto
from .borders import PadTo
from .color import ColorShift, Distort, Lighting, MirrorVertical, Noise
from .geometry import (
    RandomAspectRatio,
    RandomResize,
    RandomStretch,
    Resize,
    Warp,
    resized,
    window,
    with_short_side,
)
from .image import gray_hint


class DataTransformer:
    """y = (x - mean) * scale of a crop of x, mirrored at random.

    In phase TRAIN the crop lies anywhere, in TEST in the middle; mirroring happens in both. With
    bgr2rgb, red comes first in y, where pictures have blue first.

    Before that, in this order and where asked for: resize_param, NVCaffe's random sizes,
    random_resize_param, and in TRAIN random_aspect_ratio_param, distort_param, warp_param; after
    it, in TRAIN, lighting_param, color_shift, noise_std and mirror_vertical. See `geometry` and
    `color` for each.

    Of optical flow, mirroring turns what points left or right: v becomes 255 - v, in channel 2 with
    `flow`, in channels 0, 2, 4, ... with `is_flow`.

    In TEST, a sample may become several: for each test_size a picture with such a short side, and
    with ten_crop, of each picture the crops in its corners and its middle, and then the same
    mirrored (Krizhevsky, Sutskever, Hinton 2012; sizes: Simonyan, Zisserman 2014). There are
    `crops_per_sample` of them, one behind the other.

    Parameters
    ----------
    param
        a TransformationParameter
    train
        whether the phase is TRAIN
    dtype
        of the result
    """

    def __init__(self, param, train, dtype=np.float32):
        if param.force_color and param.force_gray:
            raise DataError("transform_param: give force_color or force_gray, not both")
        self.crop = _crop_size(param)
        self.mirror = param.mirror
        self.scale = param.scale
        self.random_crop = train and self.crop != (0, 0)
        self.mean_file = param.mean_file
        self.red_first = param.bgr2rgb
        if self.red_first and (self.mean_file or len({*param.mean_value}) > 1):
            raise DataError(
                "transform_param: bgr2rgb leaves open whether a mean has red or blue first; give "
                "one mean_value for all"
            )
        self.mean = read_mean(param, dtype)
        self.ten_crop = param.ten_crop and not train
        self.test_sizes = [] if train else list(param.test_size)
        if (self.ten_crop or self.test_sizes) and not all(self.crop):
            raise DataError("transform_param: ten_crop and test_size need crop_size")
        if not all(self.test_sizes):
            raise DataError("transform_param: test_size: 0, expected a number of pixels")
        self.crops_per_sample = max(1, len(self.test_sizes)) * (10 if self.ten_crop else 1)
        self.before = self._steps_before(param, train)
        # Where sizes are random, a mean image stands for what is in its middle.
        self.centers_mean = any(isinstance(step, RandomStretch) for step in self.before)
        self.turned = np.s_[2:3] if param.flow else np.s_[::2] if param.is_flow else None
        self.after = _steps_after(param) if train else []

    def _steps_before(self, param, train):
        """What is done to pixels before they are cropped."""
        steps = self._resizing(param, train)
        if train and param.HasField("distort_param"):
            steps.append(Distort(param.distort_param))
        if train and param.HasField("warp_param"):
            steps.append(Warp(param.warp_param))
        return steps

    def _resizing(self, param, train):
        steps = []
        if param.HasField("resize_param"):
            steps.append(Resize(param.resize_param))
        stretch = RandomStretch(param)
        if stretch.is_on:
            steps.append(stretch)
        if param.HasField("random_resize_param"):
            steps.append(RandomResize(param.random_resize_param, train))
        if train and param.HasField("random_aspect_ratio_param"):
            steps.append(RandomAspectRatio(param.random_aspect_ratio_param, self.crop))
        return steps

    def border(self):
        """The value of each channel where a border is added: its mean, or none."""
        return [] if self.mean is None else self.mean.mean(axis=(1, 2)).clip(0, 255).tolist()

    def padding(self):
        """Steps that let a picture with labels of pixels be at least as large as the crop."""
        return [PadTo(self.crop, self.border())] if all(self.crop) else []

    def for_batch(self, seed, number):
        """The transformer for this batch, of those that `seed` belongs to."""
        return self

    @property
    def prepares(self):
        """Whether `prepare` does anything."""
        return bool(self.before or self.test_sizes)

    def prepare(self, image, random, boxes=None):
        """The pictures that `transform` is to take crops of: one, or one for each test_size.

        The Follower of the picture, if it has one, moves along with its pixels.
        """
        if not self.prepares:
            return [image]
        if image.dtype != np.uint8:
            raise DataError(
                "holds floats; resizing, warping and distorting are for pixels from 0 to 255"
            )
        for step in self.before:
            image = step(image, random, boxes)
        sizes = [with_short_side(image.shape, size) for size in self.test_sizes]
        return [resized(image, *size) for size in sizes] or [image]

    def output_shape(self, shape):
        """What becomes of channels x height x width; a DataError if it does not fit."""
        channels, height, width = shape
        if self.red_first and channels != 3:
            raise DataError(f"has {channels} channels; bgr2rgb is for blue, green and red")
        crop_h, crop_w = self.crop
        if crop_h > height or crop_w > width:
            crop = crop_h if crop_h == crop_w else f"{crop_h} x {crop_w}"
            raise DataError(
                f"{height} x {width} pixels are too few for crop_size {crop}; "
                "choose a smaller crop_size, or larger pictures"
            )
        if self.centers_mean and self.mean_file:
            self._check_middle_of_mean(shape)
        elif self.mean_file and self.mean.shape != shape:
            raise DataError(
                f'has the shape {shape}, but the mean in "{self.mean_file}" has '
                f"{self.mean.shape}; it must be the mean of these very data, uncropped"
                f"{gray_hint(shape, self.mean.shape)}"
            )
        if self.mean is not None and self.mean.shape[0] not in (1, channels):
            raise DataError(
                f"has {channels} channels, but there are {self.mean.shape[0]} of mean_value, "
                f"expected 1, or one for each channel{gray_hint(shape, self.mean.shape)}"
            )
        return (channels, *self.crop) if all(self.crop) else shape

    def _check_middle_of_mean(self, shape):
        wanted = (shape[0], *self.crop) if all(self.crop) else shape
        sizes = zip(self.mean.shape, wanted, strict=True)
        if self.mean.shape[0] != shape[0] or any(has < needs for has, needs in sizes):
            raise DataError(
                f'has the shape {wanted} once cropped, of which the mean in "{self.mean_file}", '
                f"{self.mean.shape}, has too little in its middle"
            )

    def transform(self, images, generator, out, boxes=None, part=(0, 1)):
        """Fill out with the crops of images, which `output_shape` accepts, one behind the other.

        Image i takes numbers 3i to 3i + 2 of the generator: same generator, same result. `boxes`
        are the Followers of each image. With (rank, size) as `part`, samples are number rank, rank
        + size, ... of those that the generator is for.
        """
        draws = self._draws(len(images), generator, *part)
        places = (
            (image, *place)
            for i, image in enumerate(images)
            for place in self._places(image.shape, draws, i)
        )
        following = iter(boxes or ())
        for target, (image, top, left, flip) in zip(out, places, strict=True):
            place = np.s_[:, top : top + out.shape[2], left : left + out.shape[3]]
            if boxes is not None:
                size = out.shape[2:]
                next(following).finish(window(top, left, *size, image.shape), flip, size)
            target, values = (target[:, :, ::-1] if flip else target), image[place]
            if self.red_first:
                values = values[::-1]
            if flip and self.turned is not None:
                values = values.copy()
                values[self.turned] = 255 - values[self.turned]
            if self.mean is None:
                target[...] = values
            else:
                mean = self._mean_of(place, out.shape[2:]) if self.mean_file else self.mean
                np.subtract(values, mean, out=target)
        if self.scale != 1:
            out *= self.scale

    def undo(self, values):
        """Pixels from 0 to 255, of n x channels x height x width that `transform` might have made.

        x = y / scale + mean, rounded; what was cropped or moved stays so. Raises a DataError where
        that cannot be known.
        """
        if not np.isfinite(values).all():
            raise DataError("pictures are made of finite numbers; these are not")
        if self.scale == 0:
            raise DataError("scale: 0 leaves nothing of pictures that could be made pixels again")
        pixels = values / self.scale
        if self.mean is not None:
            if self.mean_file and self.mean.shape != values.shape[1:]:
                raise DataError(
                    f'the mean in "{self.mean_file}" has the shape {self.mean.shape}, these values '
                    f"{values.shape[1:]}: which part of it was subtracted is not known"
                )
            pixels += self.mean
        if self.red_first:
            pixels = pixels[:, ::-1]
        return np.rint(pixels.clip(0, 255)).astype(np.uint8)

    def _draws(self, count, generator, rank, size):
        """Three numbers for each image, if any are needed."""
        if not (self.mirror or self.random_crop):
            return None
        each = max(1, len(self.test_sizes))  # images of a sample
        return generator.random((count // each, size, each, 3))[:, rank].reshape(-1, 3)

    def _mean_of(self, part, size):
        """What of the mean image is subtracted from this part, of this size, of a picture."""
        if self.centers_mean:
            room = [has - needs for has, needs in zip(self.mean.shape[1:], size, strict=True)]
            top, left = room[0] // 2, room[1] // 2
            part = np.s_[:, top : top + size[0], left : left + size[1]]
        return self.mean[part]

    def _places(self, shape, draws, i):
        """[(top, left, whether to mirror)] of the crops of image i."""
        if not all(self.crop):
            return [(0, 0, self.mirror and draws[i, 0] < 0.5)]
        room_h, room_w = shape[1] - self.crop[0], shape[2] - self.crop[1]
        middle = room_h // 2, room_w // 2
        if self.ten_crop:
            five = [(top, left) for top in (0, room_h) for left in (0, room_w)] + [middle]
            return [(*corner, flip) for flip in (False, True) for corner in five]
        corner = middle
        if self.random_crop:
            corner = int(draws[i, 1] * (room_h + 1)), int(draws[i, 2] * (room_w + 1))
        return [(*corner, self.mirror and draws[i, 0] < 0.5)]

    def finish(self, sample, random, boxes=None):
        """What comes after `transform`, on one sample and its boxes, in place."""
        for step in self.after:
            step(sample, self.scale, random, boxes)


class PairTransformer(DataTransformer):
    """What a DataTransformer does, for pictures with PixelLabels, which follow.

    A picture that is smaller than the crop gets rows below and columns to the right first, with the
    means of channels; there is no label there.
    """

    def _steps_before(self, param, train):
        if self.crops_per_sample > 1:
            raise DataError(
                "transform_param: ten_crop and test_size make several pictures of one, whose "
                "labels would be several, too; leave them out"
            )
        return super()._steps_before(param, train) + self.padding()


_MIXING = "random_resize_param random_aspect_ratio_param distort_param warp_param".split()


def refuse_mixing(param):
    """Raise a DataError for steps that make new values of pixels, where these are labels."""
    for name in _MIXING:
        if param.HasField(name):
            raise DataError(f"transform_param: {name} would mix labels, which palette_indices are")
    if param.HasField("resize_param"):
        modes = param.resize_param.interp_mode
        if list(modes) != [ResizeParameter.NEAREST]:
            raise DataError(
                "transform_param: resize_param would mix labels, which palette_indices are: write "
                "interp_mode: NEAREST"
            )


def _crop_size(param):
    """(height, width) to crop to, or (0, 0)."""
    rectangle = param.crop_h, param.crop_w
    if param.crop_size and any(rectangle):
        raise DataError("transform_param: give crop_size, or crop_h and crop_w, not both")
    if any(rectangle) and not all(rectangle):
        raise DataError("transform_param: give both crop_h and crop_w")
    return rectangle if any(rectangle) else (param.crop_size, param.crop_size)


def _steps_after(param):
    """What is done to values after they are cropped, shifted and scaled."""
    steps = []
    if param.HasField("lighting_param"):
        steps.append(Lighting(param.lighting_param))
    if param.color_shift:
        steps.append(ColorShift(param.color_shift))
    if param.noise_std:
        steps.append(Noise(param.noise_std))
    if param.mirror_vertical:
        steps.append(MirrorVertical())
    return steps


def read_mean(param, dtype):
    """What a TransformationParameter subtracts: C x H x W from its file, C x 1 x 1, or None."""
    if param.mean_file and param.mean_value:
        raise DataError("transform_param: give mean_file or mean_value, not both")
    if param.mean_value:
        return np.array(param.mean_value, dtype).reshape(-1, 1, 1)
    return _mean_image(param.mean_file).astype(dtype) if param.mean_file else None


def _mean_image(path):
    mean = binaryproto.read(path)
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3:
        raise DataError(
            f"{path}: has the shape {mean.shape}, expected one image, channels x height x width"
        )
    return mean
