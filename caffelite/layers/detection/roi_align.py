from ...kernels import rois
from ..base import register
from ._rois import RoiLayer

MOST_PLACES = 1000
MOST_PAD = 10


@register("ROIAlign")
class ROIAlign(RoiLayer):
    """y = the mean over each bin of a region, of x interpolated bilinearly; nothing is rounded.

    A bin takes the mean of places that are evenly spread over it. Centers of cells are whole
    numbers; a place up to a cell beyond the map has the value at its edge, one further out counts
    as 0. A region is a cell long at least, also one whose right or lower edge lies before the
    other.

    This is the form with a mean, as Detectron's and torchvision's (`aligned=False`); Caffe's that
    take the largest of some places give other numbers.

    Bottom
        0: x, maps, (N, C, H, W)
        1: regions, (R, 5) or (R, 5, 1, 1): map from 0 on, xmin, ymin, xmax, ymax in pixels of the
            picture, where edges lie; no gradient
    Top
        0: y, (R, C, pooled_h, pooled_w)
    Options (roi_align_param)
        pooled_h, pooled_w: bins of a region, rows and columns
        spatial_scale: cells of the map for a pixel of the picture [1]
        sampling_ratio: places of a bin, a side; up to 0, as many as cells fit into it, rounded
            up [-1]
        pad_ratio: a region grows by so much of its sides to the left, right, top and bottom, as
            windows of R-CNN do: p / (s - 2 p) for p of s bins around it [0]
    Source
        He, Gkioxari, Dollar, Girshick 2017, arXiv:1703.06870 (Mask R-CNN)
    """

    options_field = "roi_align_param"

    def setup(self, bottom_shapes):
        super().setup(bottom_shapes)
        if self.options.sampling_ratio > MOST_PLACES:
            raise self.error(
                f"sampling_ratio is {self.options.sampling_ratio}, expected at most {MOST_PLACES}"
            )
        if not 0 <= self.options.pad_ratio <= MOST_PAD:
            raise self.error(
                f"pad_ratio is {self.options.pad_ratio:g}, expected parts of a region's sides, 0 "
                f"to {MOST_PAD}"
            )

    def spans(self, low, high, scale, bins, size):
        samples = max(self.options.sampling_ratio, 0)
        if self.options.pad_ratio:
            pad = (high - low) * high.dtype.type(self.options.pad_ratio)
            low, high = low - pad, high + pad
        return rois.align_spans(low, high, scale, bins, samples, size)

    def forward(self, bottom, top):
        image, rows, columns = self.read(bottom)
        self.regions = image, *rows, *columns
        rois.align_forward(bottom[0].data, *self.regions, top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            rois.align_backward(top[0].diff, *self.regions, bottom[0].diff)
