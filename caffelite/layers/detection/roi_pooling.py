import numpy as np

from ...kernels import rois
from ..base import register
from ._rois import RoiLayer


@register("ROIPooling")
class ROIPooling(RoiLayer):
    """y = the largest value in each bin of a grid over each region, whatever its size.

    Corners are scaled to cells of the map and rounded; a region has a cell at least, also one whose
    right or lower edge lies before the other. Bins begin and end with whole cells, so that those
    beside each other may share some. What lies outside of the map does not count: a bin without a
    cell on it is 0.

    Bottom
        0: x, maps, (N, C, H, W)
        1: regions, (R, 5) or (R, 5, 1, 1): map from 0 on, xmin, ymin, xmax, ymax in pixels of the
            picture, the last one included; no gradient
    Top
        0: y, (R, C, pooled_h, pooled_w)
    Options (roi_pooling_param)
        pooled_h, pooled_w: bins of a region, rows and columns
        pooled_size: the same as one option, or as one number for both
        spatial_scale: cells of the map for a pixel of the picture [1]
    Source
        Girshick 2015, arXiv:1504.08083 (Fast R-CNN)
    """

    options_field = "roi_pooling_param"
    spans = staticmethod(rois.max_spans)

    @property
    def bins(self):
        given = tuple(self.options.pooled_size)
        return given * (2 // len(given)) if given else super().bins

    def setup(self, bottom_shapes):
        options = self.options
        if len(options.pooled_size) > 2:
            raise self.error(
                f"pooled_size has {len(options.pooled_size)} entries, expected 1 or 2: regions "
                "have rows and columns"
            )
        if options.pooled_size and (options.pooled_h or options.pooled_w):
            raise self.error("has pooled_size and pooled_h or pooled_w, expected one of the forms")
        super().setup(bottom_shapes)

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        self.image, rows, columns = self.read(bottom)
        self.argmax = np.empty(y.shape if self.needs_backward else (0, 0, 0, 0), np.int32)
        rois.max_forward(x, self.image, rows, columns, y, self.argmax)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            rois.max_backward(top[0].diff, self.argmax, self.image, bottom[0].diff)
