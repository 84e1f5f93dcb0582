"""DataTransformer: crop, mean, scale and mirror, on the way from a source to a blob."""

import numpy as np

from ..errors import DataError
from . import binaryproto


class DataTransformer:
    """y = (x - mean) * scale of a crop of x, mirrored at random.

    In phase TRAIN the crop lies anywhere, in TEST in the middle; mirroring happens in both.

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
        self.crop = param.crop_size
        self.mirror = param.mirror
        self.scale = param.scale
        self.random_crop = train and self.crop > 0
        self.mean_file = param.mean_file
        self.mean = read_mean(param, dtype)

    def output_shape(self, shape):
        """What becomes of channels x height x width; a DataError if it does not fit."""
        channels, height, width = shape
        if self.crop > min(height, width):
            raise DataError(
                f"{height} x {width} pixels are too few for crop_size {self.crop}; "
                "choose a smaller crop_size, or larger pictures"
            )
        if self.mean_file and self.mean.shape != shape:
            raise DataError(
                f'has the shape {shape}, but the mean in "{self.mean_file}" has '
                f"{self.mean.shape}; it must be the mean of these very data, uncropped"
            )
        if self.mean is not None and self.mean.shape[0] not in (1, channels):
            raise DataError(
                f"has {channels} channels, but there are {self.mean.shape[0]} of mean_value, "
                f"expected 1 or {channels}"
            )
        return (channels, self.crop, self.crop) if self.crop else shape

    def transform(self, images, generator, out):
        """Fill out[i] from images[i], which `output_shape` accepts, for all i.

        Image i takes numbers 3i to 3i + 2 of the generator: same generator, same result.
        """
        draws = generator.random((len(images), 3)) if self.mirror or self.random_crop else None
        for i, image in enumerate(images):
            top, left = self._corner(image.shape, draws, i)
            window = np.s_[:, top : top + out.shape[2], left : left + out.shape[3]]
            target = out[i, :, :, ::-1] if self.mirror and draws[i, 0] < 0.5 else out[i]
            if self.mean is None:
                target[...] = image[window]
            else:
                mean = self.mean[window] if self.mean_file else self.mean
                np.subtract(image[window], mean, out=target)
        if self.scale != 1:
            out *= self.scale

    def _corner(self, shape, draws, i):
        room_h, room_w = shape[1] - self.crop, shape[2] - self.crop
        if not self.crop:
            return 0, 0
        if self.random_crop:
            return int(draws[i, 1] * (room_h + 1)), int(draws[i, 2] * (room_w + 1))
        return room_h // 2, room_w // 2


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
