import copy

from ...data.image import GRAY_LABELS, INDICES
from ...data.image_pairs import ImagePairSource
from ...data.pixel_labels import PixelLabels, pictures_of
from ...data.transform import PairTransformer
from ..base import TRAIN, register
from .image_data import ImageData


@register("DenseImageData")
class DenseImageData(ImageData):
    """Picture files and pictures of their labels, from a list of both; a thread reads ahead.

    Top
        0: data, batch_size x channels x height x width, blue first; the shape of the first
           picture of each batch, which the others must have too
        1: labels, batch_size x 1 x height x width: the gray values of the labels' pictures, or the
           indices of those that have a palette
    Options (dense_image_data_param)
        source: text file with a line NAME LABEL_NAME for each pair
        root_folder: what stands before each name [""]
        root_folder_image, root_folder_label: what stands before those of pictures, or of labels,
            instead [root_folder]
        batch_size: pairs in a batch [1]
        new_height, new_width: resize to this, both or neither; labels to the nearest pixel's [0]
        label_divide_factor: the sides of the labels are those of the picture by this number [1]
        is_color: read pictures as blue, green, red, else as gray [true]
        shuffle: another order in each pass [false]
        rand_skip: start at random among the first rand_skip pairs [0]
        ignore_label: the label where a picture that is moved leaves a border [255]
        mirror, crop_height, crop_width: ENet's words for mirror, crop_h and crop_w [false, 0, 0]
    Options (transform_param)
        mean_file, mean_value: what to subtract from pictures
        scale: factor of pictures, after the mean is subtracted [1]
        palette_indices: labels are the indices of pictures with a palette, as PASCAL VOC's are, not
            the gray of their colors, as in Caffe [false]
        crop_size, crop_h, crop_w, mirror, resize_param, random_resize_param,
        random_aspect_ratio_param, warp_param, mirror_vertical: as for Data; labels move along, each
            to the nearest pixel; pictures that are smaller than a crop get a border
        distort_param, lighting_param, color_shift, noise_std: as for Data, of pictures alone
    Source
        Badrinarayanan, Kendall, Cipolla 2015, arXiv:1511.00561 (SegNet)
    """

    options_field = "dense_image_data_param"
    make_source = ImagePairSource
    clip_length = 0

    def source_options(self):
        indices = self.param.transform_param.palette_indices
        return {
            "shuffle": self.options.shuffle,
            "labels_as": INDICES if indices else GRAY_LABELS,
            "root_of_labels": self.options.root_folder_label,
            "label_divide_factor": self.options.label_divide_factor,
        }

    def make_transformer(self):
        return PairTransformer(self._transform_param(), self.phase == TRAIN, self.dtype)

    def _transform_param(self):
        """That of the layer, with ENet's words for what is in there."""
        options, param = self.options, copy.deepcopy(self.param.transform_param)
        if options.mirror:
            param.mirror = True
        if options.crop_height or options.crop_width:
            param.crop_h, param.crop_w = options.crop_height, options.crop_width
        return param

    def told_size(self):
        param = self._transform_param()
        return (param.crop_h, param.crop_w) if param.crop_h else super().told_size()

    def follower(self):
        void = self.options.ignore_label
        return lambda labels, shape: PixelLabels(labels[0], void)

    def make_labels(self):
        factor = self.factor
        return lambda labels: pictures_of(labels, factor)

    def decoding(self):
        return self.options.is_color

    def labels_shape(self, data_shape):
        """A number for each pixel, or for each square of label_divide_factor."""
        factor = max(self.factor, 1)
        return (self.options.batch_size, 1, *(side // factor for side in data_shape[2:]))

    def setup(self, bottom_shapes):
        if self.factor < 1:
            raise self.error("label_divide_factor: 0, expected at least 1")
        super().setup(bottom_shapes)

    @property
    def factor(self):
        """How many pixels, along each side, have one label."""
        return self.options.label_divide_factor

    @property
    def root_folder(self):
        return self.options.root_folder_image or self.options.root_folder
