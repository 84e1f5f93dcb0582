from ...kernels import rois
from ..base import register
from ._rois import RoiLayer


@register("PSROIPooling")
class PSROIPooling(RoiLayer):
    """y[c, i, j] = the mean over bin (i, j) of a region, on a map that is for this bin alone.

    That is channel (c group_size + i) group_size + j: "position-sensitive" scores. Corners are
    rounded in pixels, and then scaled; bins begin and end with whole cells. A region is a tenth of
    a cell long at least. What lies outside of the map does not count; a bin without a cell is 0.

    Bottom
        0: x, maps, (N, output_dim * group_size^2, H, W)
        1: regions, (R, 5) or (R, 5, 1, 1): map from 0 on, xmin, ymin, xmax, ymax in pixels of the
            picture, the last one included; no gradient
    Top
        0: y, (R, output_dim, group_size, group_size)
    Options (psroi_pooling_param)
        spatial_scale: cells of the map for a pixel of the picture
        output_dim: channels of y
        group_size: bins of a region, a side
    Source
        Dai, Li, He, Sun 2016, arXiv:1605.06409 (R-FCN)
    """

    options_field = "psroi_pooling_param"
    spans = staticmethod(rois.average_spans)

    @property
    def bins(self):
        return self.options.group_size, self.options.group_size

    def setup(self, bottom_shapes):
        for name in ("spatial_scale", "output_dim", "group_size"):
            if not getattr(self.options, name) > 0:
                value = getattr(self.options, name)
                found = f"is {value:g}" if self.options.HasField(name) else "is missing"
                raise self.error(f"{name} {found}, expected a number above 0")

    def infer_shapes(self, bottom_shapes):
        [shape] = super().infer_shapes(bottom_shapes)
        channels, size = self.options.output_dim, self.options.group_size
        if shape[1] != channels * size**2:
            expected = (
                f"{channels * size**2} channels: output_dim, {channels}, for each of "
                f"{size} x {size} bins of group_size {size}"
            )
            raise self.shape_error(0, bottom_shapes[0], expected)
        return [(shape[0], channels, size, size)]

    def forward(self, bottom, top):
        self.regions = self.read(bottom)
        rois.average_forward(bottom[0].data, *self.regions, top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            rois.average_backward(top[0].diff, *self.regions, bottom[0].diff)
