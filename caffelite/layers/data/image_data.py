import copy

import numpy as np

from ...data.clip_list import ClipListSource
from ...data.clips import cont
from ...data.image import INDICES
from ...data.image_list import ImageListSource
from ...data.order import ORDERS
from ...data.transform import DataTransformer, refuse_mixing
from ...errors import DataError
from ..base import TRAIN, Count, register
from ._prefetched import IN_TRANSFORM, PrefetchedLayer


@register("ImageData")
class ImageData(PrefetchedLayer):
    """Picture files from a list of names and labels, over and over; a thread reads ahead.

    Top
        0: data, batch_size x channels x height x width, blue first, upright as EXIF says; the
           shape of the first picture of each batch, which the others must have too
        1: label, batch_size; with label_count, batch_size x label_count
        2: with clip_length, optional: cont, batch_size x clip_length: 0 for the first frame of each
           clip, else 1
    Options (image_data_param)
        source: text file with a line NAME LABEL for each picture
        label_count: lines are NAME NUMBER ... with so many numbers of any kind: several labels, or
            values to come near to; 0 for the number of a class [0]
        clip_length: so many lines in a row are the frames of a clip, in their order, and have one
            label: data is batch_size x (clip_length * channels) x height x width, the batch, orders
            and rand_skip are of clips, and all frames of one are cropped and mirrored alike;
            mean_value is for each channel of a frame; 0 for single pictures [0]
        root_folder: what stands before each name [""]
        batch_size: pictures in a batch [1]
        new_height, new_width: resize pictures to this, both or neither [0]
        min_height, min_width: where a picture is below either, resize it in proportion until it
            has both; not with new_height and new_width [0]
        is_color: read as blue, green, red, else as gray [true]
        shuffle: another order in each pass [false]
        label_shuffle: the same, with every class as often as the largest [false]
        balanced_batches: the same, and in turn, so that batch_size pictures have as many of each
            class where it is a multiple of the classes' number [false]
        rand_skip: start at random among the first rand_skip pictures [0]
    Options (transform_param)
        crop_size: take crop_size x crop_size pixels; anywhere in TRAIN, the middle in TEST [0]
        mean_file, mean_value: what to subtract: a .binaryproto, or a value for each channel
        scale: factor, after the mean is subtracted [1]
        mirror: flip every other picture, at random [false]
        palette_indices: read the indices of pictures with a palette, not the gray of their colors,
            where pictures are labels; with is_color: false [false]
        resize_param, random_resize_param, random_aspect_ratio_param, distort_param, warp_param,
        lighting_param, color_shift, noise_std, mirror_vertical, crop_h, crop_w, ten_crop,
        test_size: as for Data
    """

    options_field = "image_data_param"
    tops: Count = 2
    ignored = {
        "image_data_param.scale": IN_TRANSFORM,
        "image_data_param.mean_file": IN_TRANSFORM,
        "image_data_param.crop_size": IN_TRANSFORM,
        "image_data_param.mirror": IN_TRANSFORM,
        "image_data_param.label_type": "it is for ImageSegData",
        "image_data_param.ignore_label": "it is for ImageSegData",
        "transform_param.force_color": "is_color says how to decode",
        "transform_param.force_gray": "is_color says how to decode",
    }

    def __init__(self, param, **context):
        super().__init__(param, **context)
        if self.clip_length:
            self.tops = 2, 3

    @property
    def clip_length(self):
        """How many lines of the list are a clip; 0 where each is a picture of its own."""
        return self.options.clip_length

    def make_source(self, *args, **options):
        """The source of what the list names."""
        if self.clip_length:
            return ClipListSource(*args, clip_length=self.clip_length, **options)
        return ImageListSource(*args, **options)

    def told_size(self):
        size = super().told_size()
        return size if all(size) else (self.options.new_height, self.options.new_width)

    def told_channels(self):
        channels = super().told_channels() or int(not self.options.is_color)
        return channels * max(self.clip_length, 1)

    @property
    def root_folder(self):
        return self.options.root_folder

    def labels_shape(self, data_shape):
        count = self.options.label_count
        return (self.options.batch_size, count) if count else super().labels_shape(data_shape)

    def told_labels(self, batch):
        labels = batch, *self.labels_shape(self._told_data(batch))[1:]
        return self._with_cont(labels)[: self.num_tops - 1]

    def top_shapes(self, data_shape):
        data, labels = super().top_shapes(data_shape)
        return [data, *self._with_cont(labels)]

    def _with_cont(self, shape):
        """The shapes of labels, and of cont where there are clips."""
        return [shape, (shape[0], self.clip_length)] if self.clip_length else [shape]

    def make_transformer(self):
        param = self.param.transform_param
        if self.clip_length and len(param.mean_value) > 1:  # of the channels of a frame
            param = copy.deepcopy(param)
            param.mean_value.extend([*param.mean_value] * (self.clip_length - 1))
        return DataTransformer(param, self.phase == TRAIN, self.dtype)

    def make_labels(self):
        if not self.clip_length:
            return super().make_labels()
        of_clip = cont(self.clip_length)
        return lambda labels: [np.array(labels), np.tile(of_clip, (len(labels), 1))]

    def source_options(self):
        """What else the source is given."""
        least = self.options.min_height, self.options.min_width
        named = {name: getattr(self.options, name) for name in (*ORDERS, "label_count")}
        return {"least": least if any(least) else None, **named}

    def open_source(self):
        options = self.options
        size = options.new_height, options.new_width
        if (size[0] > 0) != (size[1] > 0):
            raise DataError(
                f"new_height: {size[0]}, new_width: {size[1]}: give both, or neither, "
                "to keep the sizes that the pictures have"
            )
        return self.make_source(
            options.source,
            self.root_folder,
            self.decoding(),
            size if all(size) else None,
            options.rand_skip,
            **self.source_options(),
        )

    def decoding(self):
        """How pictures are decoded, as `decode` has it."""
        if not self.param.transform_param.palette_indices:
            return self.options.is_color
        if self.options.is_color:
            raise DataError("palette_indices gives 1 channel: write is_color: false")
        refuse_mixing(self.param.transform_param)
        return INDICES
