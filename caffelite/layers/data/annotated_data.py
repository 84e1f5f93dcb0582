import logging
import os

import numpy as np

from ...data.annotated import AnnotatedSource
from ...data.annotated_transform import AnnotatedTransformer
from ...data.boxes import COLUMNS
from ...data.label_map import class_names
from ...errors import DataError
from ...proto.caffe_pb2 import ResizeParameter
from ..base import TRAIN, register
from .data import Data

log = logging.getLogger("caffelite")

_CROPS = "makes several pictures of one, and the boxes would have to be several, too"


@register("AnnotatedData")
class AnnotatedData(Data):
    """Pictures with boxes from a database of AnnotatedDatums; a thread reads ahead.

    Whatever moves pixels moves the boxes along. What is cut off from a box is lost to it, and one
    of which nothing is left is left out, as are boxes that are none; these are named, and counted.

    Top
        0: data, as Data's
        1: label (optional), 1 x 1 x boxes x 8, a row for each box in the batch: the number of its
           picture in the batch, its label, its instance, xmin, ymin, xmax, ymax in fractions of the
           sides, and whether it is difficult; without any box, one row of -1
    Options (data_param)
        source, backend, batch_size, prefetch, shuffle: as for Data
    Options (annotated_data_param)
        batch_sampler: a random crop by constraints on what it has of the boxes; repeated: of the
            crops that all of them draw, one is taken
        label_map_file: the names of the classes; boxes of others are told of [""]
        anno_type: BBOX, which is all there is
    Options (transform_param)
        distort_param, expand_param: before the crop of batch_sampler, in this order, and in both
            phases, as in SSD's Caffe, as is the crop itself
        resize_param: then; FIT_SMALL_SIZE needs batch_size: 1, and with height_scale and
            width_scale boxes are in fractions of these
        emit_constraint: which boxes a crop leaves: those with their middle in it (CENTER), or more
            than emit_overlap of their area (MIN_OVERLAP)
        crop_size, crop_h, crop_w, mirror, mirror_vertical, mean_file, mean_value, scale,
        force_color, force_gray, random_resize_param, random_aspect_ratio_param, warp_param,
        lighting_param, color_shift, noise_std and NVCaffe's random sizes: as for Data
    Source
        Liu et al. 2016, SSD, arXiv:1512.02325. There, pictures that are stored as pixels are not
        resized or distorted, though their boxes are moved; here, they are as others. An expanded
        one has 32 around it, as there
    """

    more_options = ("transform_param", "annotated_data_param")
    ignored = {
        "transform_param.emit_constraint": None,
        "transform_param.expand_param": None,
        "transform_param.resize_param.prob": "every picture is resized, as in SSD's Caffe",
        "transform_param.resize_param.height_scale": None,
        "transform_param.resize_param.width_scale": None,
        "data_param.side": 'write type: "BoxData" for labels that are grids',
    }
    refused = {
        "transform_param.ten_crop": _CROPS,
        "transform_param.test_size": _CROPS,
        "transform_param.palette_indices": "a picture with boxes is none of labels",
        "data_param.label_shuffle": "a picture with boxes has no class; write shuffle: true",
        "data_param.balanced_batches": "a picture with boxes has no class; write shuffle: true",
    }

    def setup(self, bottom_shapes):
        resize = self.param.transform_param.resize_param
        alike = resize.resize_mode != ResizeParameter.FIT_SMALL_SIZE
        if not alike and self.options.batch_size > 1:
            raise self.error(
                f"batch_size: {self.options.batch_size}, expected 1: resize_mode: FIT_SMALL_SIZE "
                "makes pictures of several sizes"
            )
        super().setup(bottom_shapes)

    def open_source(self):
        source = AnnotatedSource.of_layer(self.param)
        names = self.label_map()
        source.known = set(names) if names else None
        return source

    def make_transformer(self):
        samplers = self.param.annotated_data_param.batch_sampler
        param = self.param.transform_param
        return AnnotatedTransformer(param, self.phase == TRAIN, self.dtype, samplers)

    def label_map(self):
        """{label: name}, or None; SSD's Caffe never looks whether the file is there."""
        path = self.param.annotated_data_param.label_map_file
        if not path:
            return None
        if not os.path.isfile(path):
            log.warning("%s: label_map_file: %s: no such file; labels have no names", self.at, path)
            return None
        try:
            return class_names(path)
        except DataError as problem:
            raise DataError(f"label_map_file: {problem}") from None

    def _warn(self, source):
        """Nothing: decoding and labels are other things here."""

    def make_labels(self):
        return rows

    def labels_shape(self, data_shape):
        """Those of the first batch, if no box of it is cut away; each batch has its own number."""
        first = range(self.options.batch_size)
        return 1, 1, max(1, sum(len(self.source.label(number)) for number in first)), COLUMNS

    def class_names(self):
        path = self.param.annotated_data_param.label_map_file
        return path if os.path.isfile(path) else ""


def rows(boxes):
    """[1 x 1 x boxes x 8] of the Boxes of the pictures in a batch."""
    all_rows = np.concatenate([own.rows(item) for item, own in enumerate(boxes)])
    if not len(all_rows):
        all_rows = np.full((1, COLUMNS), -1, np.float32)
    return [all_rows[None, None]]
