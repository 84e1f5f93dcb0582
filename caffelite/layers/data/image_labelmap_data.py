import numpy as np

from ...data.pixel_labels import PixelLabels
from ..base import register
from .dense_image_data import DenseImageData

_VOID = 255  # neither 0 nor 1: where there is no picture, class_balanced losses count nothing


@register("ImageLabelmapData")
class ImageLabelmapData(DenseImageData):
    """Picture files and pictures of their edges, from a list of both; a thread reads ahead.

    Top
        0: data, batch_size x channels x height x width, blue first
        1: batch_size x 1 x height x width: 1 where the gray of the second picture is 128 or more,
           0 elsewhere; 255 where a picture that is moved leaves a border
    Options (image_data_param)
        source: text file with a line NAME EDGES_NAME for each pair
        root_folder: what stands before each name [""]
        batch_size: pairs in a batch [1]
        new_height, new_width: resize to this, both or neither; edges to the nearest pixel's [0]
        is_color: read pictures as blue, green, red, else as gray [true]
        shuffle: another order in each pass [false]
        rand_skip: start at random among the first rand_skip pairs [0]
    Options (transform_param)
        mean_file, mean_value, scale, mirror, crop_size, crop_h, crop_w, resize_param,
        random_resize_param, random_aspect_ratio_param, warp_param, mirror_vertical, distort_param,
        lighting_param, color_shift, noise_std: as for DenseImageData
    Source
        Xie, Tu 2015, arXiv:1504.06375 (HED)
    """

    options_field = "image_data_param"
    gives_edges = True
    ignored = {
        "image_data_param.label_shuffle": "labels are of pixels",
        "image_data_param.balanced_batches": "labels are of pixels",
        "image_data_param.label_count": "labels are of pixels",
        "image_data_param.clip_length": "labels are of pixels",
        "image_data_param.min_height": "write resize_param",
        "image_data_param.min_width": "write resize_param",
        "transform_param.palette_indices": "edges are gray",
    }
    factor = 1

    def source_options(self):
        return {"shuffle": self.options.shuffle}

    def _transform_param(self):
        return self.param.transform_param

    def follower(self):
        return lambda labels, shape: PixelLabels((labels[0] >= 128).astype(np.uint8), _VOID)

    @property
    def root_folder(self):
        return self.options.root_folder
