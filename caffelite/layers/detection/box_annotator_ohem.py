import math

import numpy as np

from ...kernels.boxes import best_first
from ..base import Layer, register
from ._detections import check_finite
from ._rois import check_rois


@register("BoxAnnotatorOHEM")
class BoxAnnotatorOHEM(Layer):
    """Labels and weights of the regions that cost most, roi_per_img of each picture; no others.

    Of equal losses the first one wins. The losses are those of all regions, which other layers
    found before: online hard example mining.

    Bottom
        0: regions, (R, 5) or (R, 5, 1, 1): picture, xmin, ymin, xmax, ymax; no gradient
        1: the loss of each, R numbers; no gradient
        2: the label of each, R numbers; no gradient
        3: weights of their boxes, (R, ...); no gradient
    Top
        0: labels, the shape of bottom 2: ignore_label where a region does not count
        1: weights, the shape of bottom 3: 0 there
    Options (box_annotator_ohem_param)
        roi_per_img: regions of a picture that count
        ignore_label: the label of the others [-1]
    Source
        Dai, Li, He, Sun 2016, arXiv:1605.06409 (R-FCN); Shrivastava, Gupta, Girshick 2016,
        arXiv:1604.03540 (OHEM)
    """

    options_field = "box_annotator_ohem_param"
    drawn_as = "boxes"
    stops_gradient = True
    bottoms = 4
    tops = 2
    no_gradient = (0, 1, 2, 3)

    def setup(self, bottom_shapes):
        if not self.options.roi_per_img:
            raise self.error("roi_per_img is missing: regions of a picture that count, 1 or more")

    def infer_shapes(self, bottom_shapes):
        rois, loss, labels, weights = bottom_shapes
        check_rois(self, 0, rois)
        for index, shape, what in ((1, loss, "loss"), (2, labels, "label")):
            if math.prod(shape) != rois[0]:
                expected = f"one {what} for each of {rois[0]} regions of bottom[0]"
                raise self.shape_error(index, shape, f'{expected} "{self.param.bottom[0]}"')
        if weights[:1] != rois[:1]:
            expected = f'{rois[0]} on its first axis, as bottom[0] "{self.param.bottom[0]}" has'
            raise self.shape_error(3, weights, expected)
        return [labels, weights]

    def forward(self, bottom, top):
        check_finite(self, bottom[:2])
        picture = bottom[0].data.reshape(-1, 5)[:, 0]
        loss = bottom[1].data.reshape(-1)
        counts = np.zeros(len(picture), bool)
        for number in np.unique(picture):
            (own,) = np.nonzero(picture == number)
            counts[own[best_first(loss[own], top_k=self.options.roi_per_img)]] = True
        top[0].data[...] = bottom[2].data
        top[0].data.reshape(-1)[~counts] = self.options.ignore_label
        top[1].data[...] = bottom[3].data
        top[1].data[~counts] = 0
