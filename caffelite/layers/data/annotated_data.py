import logging
import os

from ...data.annotated import AnnotatedSource
from ...data.annotated_transform import AnnotatedTransformer
from ...data.box_labels import Fives, Numbers, Rows
from ...data.label_map import class_names
from ...data.pixel_labels import BoxesAndPixels, PixelLabels, pictures_of
from ...data.sampler import JitterCrop, SampleCrop
from ...errors import DataError
from ...proto.caffe_pb2 import ResizeParameter
from ..base import TRAIN, register
from .data import Data

log = logging.getLogger("caffelite")

MOST_BOXES = 300  # of a picture, for yolo_data_type: 1
_SEG = "single_class", "seg_scales", "seg_resize_width", "seg_resize_height"
_OF_PIXELS = "it is about labels of pixels, of anno_type: BBOXandSeg"
_OTHER = "gives labels of pixels, or of lanes, which is not done here; write anno_type: BBOX"
_CROPS = "makes several pictures of one, and the boxes would have to be several, too"


@register("AnnotatedData")
class AnnotatedData(Data):
    """Pictures with boxes from a database of AnnotatedDatums; a thread reads ahead.

    Whatever moves pixels moves the boxes along. What is cut off from a box is lost to it, and one
    of which nothing is left is left out, as are boxes that are none; these are named, and counted.

    Top
        0: data, as Data's
        1: with label_source, labels of pixels, batch_size x 1 x height x width; what follows is 2
        1: label (optional), 1 x 1 x boxes x 8, a row for each box in the batch: the number of its
           picture in the batch, its label, its instance, xmin, ymin, xmax, ymax in fractions of the
           sides, and whether it is difficult; without any box, one row of -1. With
           yolo_data_type: 1, batch_size x 1 x 300 x 5: class from 0, middle x, y, width, height of
           each box that is not difficult, then 0. Where records have a label of the picture, and
           no type of annotations, batch_size labels; the first record decides, unless anno_type
           is given
    Options (data_param)
        source, backend, batch_size, prefetch, shuffle, label_source, ignore_label: as for Data
    Options (annotated_data_param)
        batch_sampler: a random crop by constraints on what it has of the boxes; repeated: of the
            crops that all of them draw, one is taken
        label_map_file: the names of the classes; boxes of others are told of [""]
        anno_type: BBOX; other types of MobileNet-YOLO are refused
        yolo_data_type: 1 for labels as MobileNet-YOLO takes them [0]
        yolo_data_jitter: then, without batch_sampler, crop to 1 - yolo_data_jitter up to 1 of the
            sides, one picture in five by half of that, and one not [0.3]
        train_diffcult: then, labels have difficult boxes, too [false]
    Options (transform_param)
        distort_param, expand_param: before the crop of batch_sampler, in this order, and in both
            phases, as in SSD's Caffe, as is the crop itself
        resize_param: then; FIT_SMALL_SIZE needs batch_size: 1, and with height_scale and
            width_scale boxes are in fractions of these. Repeated, one of them for ten batches, by
            prob, which must be 1 together, as in MobileNet-YOLO
        noise_param: then, on all pictures: gray, blurred, equalized, eroded, posterized and more
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

    labeled = False  # whether records have a label of their picture; known once they are read
    source_class = AnnotatedSource
    emit = None  # where there is no emit_constraint
    more_options: tuple[str, ...] = ("transform_param", "annotated_data_param")
    ignored = {
        "transform_param.emit_constraint": None,
        "transform_param.expand_param": None,
        "transform_param.noise_param": None,
        "transform_param.noise_param.prob": "every picture is changed, as in SSD's Caffe",
        "transform_param.resize_param.prob": "every picture is resized, as in SSD's Caffe",
        **{f"annotated_data_param.{name}": _OF_PIXELS for name in _SEG},
        "transform_param.resize_param.height_scale": None,
        "transform_param.resize_param.width_scale": None,
        "data_param.side": 'write type: "BoxData" for labels that are grids',
    }
    refused = {
        "transform_param.ten_crop": _CROPS,
        "transform_param.test_size": _CROPS,
        "transform_param.palette_indices": "a picture with boxes is none of labels",
        "data_param.label_shuffle": "a picture with boxes has no class; write shuffle: true",
        "annotated_data_param.anno_type: BBOXandSeg": _OTHER,
        "annotated_data_param.anno_type: LANE": _OTHER,
        "transform_param.resize_params": None,
        "data_param.label_boxes": "is for BoxData; write yolo_data_type: 1 for rows of boxes",
        "data_param.balanced_batches": "a picture with boxes has no class; write shuffle: true",
    }

    @property
    def tops(self):
        return (1, 3) if self.options.label_source else (1, 2)

    def setup(self, bottom_shapes):
        if self.param.annotated_data_param.yolo_data_type not in (0, 1):
            raise self.error(
                f"yolo_data_type: {self.param.annotated_data_param.yolo_data_type}, expected 0 or 1"
            )
        transform = self.param.transform_param
        resizes = list(transform.resize_params) or [transform.resize_param]
        alike = all(one.resize_mode != ResizeParameter.FIT_SMALL_SIZE for one in resizes)
        if not alike and self.options.batch_size > 1:
            raise self.error(
                f"batch_size: {self.options.batch_size}, expected 1: resize_mode: FIT_SMALL_SIZE "
                "makes pictures of several sizes"
            )
        super().setup(bottom_shapes)

    def open_pictures(self):
        source = self.source_class.of_layer(self.param)
        names = self.label_map()
        source.known = set(names) if names else None
        if not self.param.annotated_data_param.HasField("anno_type"):
            source.labeled = source.label(0).of_picture is not None
        self.labeled = source.labeled
        return source

    def make_transformer(self):
        return AnnotatedTransformer(
            self.param.transform_param,
            self.phase == TRAIN,
            self.dtype,
            self.crop,
            self.emit,
            uncut=self.emit is not None,
            pads=bool(self.options.label_source),
        )

    def follower(self):
        void = self.options.ignore_label
        if not self.options.label_source:
            return None
        return lambda labels, shape: BoxesAndPixels(labels[0], PixelLabels(labels[1][0], void))

    def crop(self, resize):
        """The step that crops pictures before a resize_param, or None."""
        options = self.param.annotated_data_param
        if options.batch_sampler:
            return SampleCrop(options.batch_sampler)
        if not options.yolo_data_type:
            return None
        keep = resize.resize_mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD
        return JitterCrop(options.yolo_data_jitter, keep)

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
        made = self.make_box_labels()
        if not self.options.label_source:
            return made
        return lambda boxes: pictures_of([own.pixels for own in boxes]) + made(boxes)

    def make_box_labels(self):
        """What makes the arrays of the tops that tell of boxes, see `box_labels`."""
        options = self.param.annotated_data_param
        if self.labeled:
            return Numbers()
        return Fives(MOST_BOXES, options.train_diffcult) if options.yolo_data_type else Rows()

    def top_shapes(self, data_shape):
        """Labels for all boxes of the first batch; each batch has its own number."""
        first, source = range(self.options.batch_size), self.source
        pictures = source.pictures if self.options.label_source else source
        boxes = sum(len(pictures.label(number)) for number in first)
        of_boxes = self.make_box_labels().shapes(len(first), boxes)
        if not self.options.label_source:
            return [data_shape, *of_boxes]
        return [data_shape, (data_shape[0], 1, *data_shape[2:]), *of_boxes]

    def told_labels(self, batch):
        made = self.make_box_labels().shapes(batch, 0)
        if self.options.label_source:
            made = [(batch, 1, *self.told_size()), *made]
        return made[: self.num_tops - 1]

    def class_names(self):
        path = self.param.annotated_data_param.label_map_file
        return path if os.path.isfile(path) else ""
