import numpy as np

from ...data.image import INDICES
from ...data.image_list import ImageListSource, without_blank_end
from ...data.image_pairs import ImagePairSource
from ...data.pixel_labels import PixelLabels
from ...errors import DataError
from ...reading import lines
from ..base import Count, register
from .dense_image_data import DenseImageData


@register("ImageSegData")
class ImageSegData(DenseImageData):
    """Picture files and pictures of their labels, from a list of both, cropped and padded alike.

    Top
        0: data, batch_size x channels x height x width, blue first
        1: labels, batch_size x 1 x height x width: the indices of pictures with a palette, or gray
           values; ignore_label where there is no picture
        2: batch_size x 1 x 1 x 2: how many rows and columns of data have something of the picture,
           and not of a border alone
    Options (image_data_param)
        source: text file with a line NAME LABEL_NAME for each pair, or NAME alone
        label_type: PIXEL; NONE: lines are names alone, and no pixel has a label; IMAGE is refused,
            as ImageData reads such lists [IMAGE]
        ignore_label: the label of pixels that a border adds [255]
        root_folder: what stands before each name [""]
        batch_size: pairs in a batch [1]
        new_height, new_width: resize to this, both or neither; labels to the nearest pixel's [0]
        is_color: read pictures as blue, green, red, else as gray [true]
        shuffle: another order in each pass [false]
        rand_skip: start at random among the first rand_skip pairs [0]
    Options (transform_param)
        crop_size: take crop_size x crop_size pixels; anywhere in TRAIN, the middle in TEST; a
            picture that is smaller gets rows below and columns to the right [0]
        mean_file, mean_value, scale, mirror, crop_h, crop_w, resize_param, random_resize_param,
        random_aspect_ratio_param, warp_param, mirror_vertical, distort_param, lighting_param,
        color_shift, noise_std: as for DenseImageData
    Source
        Chen, Papandreou, Kokkinos, Murphy, Yuille 2015, arXiv:1412.7062 (DeepLab)
    """

    options_field = "image_data_param"
    tops: Count = (2, 3)
    ignored = {
        "image_data_param.label_type": None,
        "image_data_param.ignore_label": None,
        "image_data_param.label_shuffle": "labels are of pixels",
        "image_data_param.balanced_batches": "labels are of pixels",
        "image_data_param.label_count": "labels are of pixels",
        "image_data_param.clip_length": "labels are of pixels",
        "image_data_param.min_height": "write resize_param",
        "image_data_param.min_width": "write resize_param",
        "transform_param.palette_indices": "labels are indices wherever there is a palette",
    }

    def setup(self, bottom_shapes):
        if self.options.label_type == self.options.IMAGE:
            raise self.error(
                "label_type: IMAGE, a label for each picture, is what ImageData reads; write "
                "label_type: PIXEL, or NONE where there are no labels"
            )
        super().setup(bottom_shapes)

    def source_options(self):
        return {"shuffle": self.options.shuffle, "labels_as": INDICES}

    def make_source(self, *args, **options):
        if self.options.label_type == self.options.PIXEL:
            return ImagePairSource(*args, **options)
        del options["labels_as"]
        return _Unlabelled(*args, **options)

    @property
    def root_folder(self):
        return self.options.root_folder

    @property
    def factor(self):
        return 1

    def _transform_param(self):
        return self.param.transform_param

    def follower(self):
        void = self.options.ignore_label
        return lambda labels, shape: PixelLabels(
            np.full(shape[1:], void) if labels is None else labels[0], void
        )

    def make_labels(self):
        return lambda labels: [
            np.stack([one.picture() for one in labels]),
            np.array([one.there() for one in labels]).reshape(-1, 1, 1, 2),
        ]

    def top_shapes(self, data_shape):
        return [*super().top_shapes(data_shape), (self.options.batch_size, 1, 1, 2)]

    def told_labels(self, batch):
        return [*super().told_labels(batch)[:1], (batch, 1, 1, 2)][: self.num_tops - 1]


class _Unlabelled(ImageListSource):
    """The picture files that a text file lists, a name a line; the label is None."""

    def read_entries(self, list_path):
        names = without_blank_end([line.strip() for line in lines(list_path)])
        if not names:
            raise DataError(f"{list_path}: lists no pictures")
        return [(name, None) for name in names]
