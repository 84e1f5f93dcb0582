import numpy as np

from ...data.transform import DataTransformer, read_mean
from ...data.window import Cropper, WindowSource, read_windows
from ...errors import DataError
from ...proto.caffe_pb2 import TransformationParameter
from ..base import TRAIN, register
from ._prefetched import IN_TRANSFORM, PrefetchedLayer

_AFTER_THE_CROP = "lighting_param", "color_shift", "noise_std", "mirror_vertical"


@register("WindowData")
class WindowData(PrefetchedLayer):
    """Random windows of pictures, warped to squares: background first, then foreground.

    Top
        0: data, batch_size x 3 x crop_size x crop_size, blue first
        1: label, batch_size; 0 for background
    Options (window_data_param)
        source: window file: for each picture `# index`, name, channels, height, width, number of
            windows; for each window label, overlap, x1, y1, x2, y2, in the upright picture
        root_folder: what stands before each name [""]
        batch_size: windows in a batch
        fg_threshold: an overlap from this on makes a window foreground [0.5]
        bg_threshold: one below this makes it background [0.5]
        fg_fraction: how much of a batch is foreground [0.25]
        context_pad: pixels of context around a window, after warping [0]
        crop_mode: "warp", or "square", which first grows windows to squares ["warp"]
        scale: factor, after the mean is subtracted [1]
        cache_images: keep the files in memory [false]
    Options (transform_param)
        crop_size: height and width of the data
        mean_file, mean_value: what to subtract: the middle of a .binaryproto, or a value for each
            channel
        mirror: flip every other window, at random [false]
        lighting_param, color_shift, noise_std, mirror_vertical: as for Data, to the whole square
    """

    options_field = "window_data_param"
    tops = 2
    ignored = {
        "window_data_param.mean_file": IN_TRANSFORM,
        "window_data_param.crop_size": IN_TRANSFORM,
        "window_data_param.mirror": IN_TRANSFORM,
        **{
            f"transform_param.{name}": "a window is cut out and warped, and that is its crop"
            for name in TransformationParameter.DESCRIPTOR.fields_by_name
            if name not in ("crop_size", "mean_file", "mean_value", "mirror", *_AFTER_THE_CROP)
        },
        "transform_param.scale": "write it in window_data_param",
    }

    pass_size = None  # windows are drawn at random

    def make_transformer(self):
        """What is left to do: the source itself crops, flips and subtracts."""
        rest = TransformationParameter(scale=self.options.scale)
        for field, value in self.param.transform_param.ListFields():
            if field.name in _AFTER_THE_CROP:
                rest.MergeFrom(TransformationParameter(**{field.name: value}))
        return DataTransformer(rest, self.phase == TRAIN, self.dtype)

    def open_source(self):
        options, transform = self.options, self.param.transform_param
        crop, pad = transform.crop_size, options.context_pad
        if crop == 0:
            raise DataError("transform_param: give crop_size; windows are warped to it")
        if 2 * pad >= crop:
            raise DataError(f"context_pad: {pad} must be less than half of crop_size {crop}")
        if options.crop_mode not in ("warp", "square"):
            raise DataError(f'crop_mode: "{options.crop_mode}", expected "warp" or "square"')
        if not 0 <= options.fg_fraction <= 1:
            raise DataError(f"fg_fraction: {options.fg_fraction:g}, expected 0 to 1")
        foreground, background = read_windows(
            options.source, options.root_folder, options.fg_threshold, options.bg_threshold
        )
        return WindowSource(
            foreground,
            background,
            Cropper(crop, pad, options.crop_mode == "square"),
            options.batch_size,
            options.fg_fraction,
            transform.mirror,
            self._mean(transform, crop),
            options.cache_images,
            self.dtype,
        )

    def take_place(self):
        super().take_place()
        self.source.group_by(self.options.batch_size * self.shard.parts)

    def _mean(self, transform, crop):
        """What to subtract from 3 x crop x crop pixels, or None."""
        mean = read_mean(transform, self.dtype)
        if len(transform.mean_value) not in (0, 1, 3):
            raise DataError(f"mean_value: given {len(transform.mean_value)} times, expected 1 or 3")
        if not transform.mean_file:
            return mean
        channels, height, width = mean.shape
        corner = (width - crop) // 2
        if channels != 3 or crop > width or corner + crop > height:
            raise DataError(
                f'the mean in "{transform.mean_file}" has the shape {mean.shape}, '
                f"expected 3 x {crop} x {crop} or larger"
            )
        return np.ascontiguousarray(mean[:, corner : corner + crop, corner : corner + crop])
