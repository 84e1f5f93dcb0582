import math
from functools import reduce

from ...proto.caffe_pb2 import LayerParameter
from ..base import register
from . import _yolo as yolo
from ._detections import Candidates, Detections


@register("Yolov3DetectionOutput")
class Yolov3DetectionOutput(Detections):
    """y = the boxes of YOLO v3, of several maps, that others do not suppress, best first.

    A box is there once for each class whose s(o) s(c) is above `confidence_threshold`. One that a
    box of a higher score overlaps by `nms_threshold` or more goes, whatever the classes, and, as in
    MobileNet-YOLO, whatever the picture of the batch: all rows say picture 0. Without any box there
    is a row of -1 for each picture.

    Bottom
        0...: maps, (N, num_box (5 + num_classes), H, W), as Yolov3 takes them
    Top
        0: y, (1, 1, rows, 7): picture, label (class + 1), score, xmin, ymin, xmax, ymax
    Options (yolov3_detection_output_param)
        num_classes: must be given
        num_box: boxes of a cell [3]
        biases: sizes of anchors, w and h in pixels, one after the other
        mask: which of them are of each map, num_box of one after those of the other
        mask_group_num: maps [2]
        anchors_scale: pixels in a cell, one a map
        confidence_threshold, nms_threshold: see there [0.01, 0.45]
        per_image: pictures are suppressed by themselves, and rows say their number, picture by
            picture [false]
        per_class: boxes suppress those of their class only [false]
    Source
        Redmon, Farhadi 2018, arXiv:1804.02767 (YOLO v3)
    """

    options_field = "yolov3_detection_output_param"
    bottoms = (1, None)
    refused = {"gaussian_box": "is not done: MobileNet-YOLO finds nothing with it on a CPU"}

    def box_code(self):
        return yolo.anchor_code(self.options)

    @classmethod
    def join(cls, finders):
        """That of all their maps, if these have the same anchors, as many of them, and classes."""
        joined = LayerParameter()
        joined.CopyFrom(finders[0])
        options = joined.yolov3_detection_output_param
        for one in finders[1:]:
            more = one.yolov3_detection_output_param
            for name in ("num_classes", "num_box", "biases"):
                if getattr(more, name) != getattr(options, name):
                    return None
            joined.bottom.extend(one.bottom)
            options.mask.extend(more.mask)
            options.anchors_scale.extend(more.anchors_scale)
        options.mask_group_num = len(finders)
        return joined

    def setup(self, bottom_shapes):
        options, maps = self.options, len(bottom_shapes)
        if not options.HasField("num_classes") or options.num_classes < 1:
            raise self.error("num_classes is missing, expected the number of classes")
        if options.mask_group_num != maps:
            raise self.error(f"mask_group_num: {options.mask_group_num}, but there are {maps} maps")
        mask = list(options.mask)
        if len(mask) != maps * options.num_box:
            raise self.error(
                f"mask names {len(mask)} anchors, expected num_box, {options.num_box}, for each "
                f"of {maps} maps"
            )
        scales = list(options.anchors_scale)
        if len(scales) != maps or not all(scales):
            raise self.error(
                f"anchors_scale: {scales}, expected the pixels in a cell of {maps} maps"
            )
        sizes = yolo.anchor_sizes(self, 1)
        yolo.check_mask(self, mask, sizes.shape[1])
        self.anchors = [
            sizes[:, mask[k * options.num_box :][: options.num_box]] / self.dtype.type(scale)
            for k, scale in enumerate(scales)
        ]

    def most_rows(self, bottom_shapes):
        options = self.options
        for index, shape in enumerate(bottom_shapes):
            yolo.check_map(self, index, shape, options.num_box, options.num_classes)
        each = options.num_classes if options.per_class else 1
        return sum(n * options.num_box * h * w * each for n, _, h, w in bottom_shapes)

    def candidates(self, bottom):
        found = map(self._of_map, bottom, self.anchors)
        return reduce(Candidates.joined, found)

    def _of_map(self, blob, anchors):
        """Cell by cell, anchor by anchor, class by class."""
        grid = yolo.read_map(blob.data, anchors)
        p = yolo.sigmoid(grid.numbers[:, :, yolo.HEAD :]) * grid.numbers[:, :, yolo.COORDS, None]
        p = p.transpose(0, 3, 4, 1, 2)
        scores = p.reshape(len(p), math.prod(p.shape[1:4]), self.options.num_classes)
        chosen = scores > self.options.confidence_threshold
        return Candidates.of(scores, yolo.corners_in_turn(grid.box), chosen)
