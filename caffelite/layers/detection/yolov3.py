import numpy as np

from ...proto.caffe_pb2 import LayerParameter
from ..base import register
from ..loss._loss import Loss
from . import _yolo as yolo
from ._box_overlaps import COUNTED, pull


@register("Yolov3")
class Yolov3(Loss):
    """L = (sum of all g^2) / N, where g is the gradient that the layer gives, times N.

    Each of H W cells has `num` anchors, each of which says a box, whether there is an object, and
    for each class whether it is one. With s for sigmoid:

    - box: ((column + s(x)) / W, (row + s(y)) / H, anchor's w e^w / W, anchor's h e^h / H)
    - a box of the labels is for the cell of its center, and for that anchor of all `biases` that is
      most like it, if it is one of `mask`; then also for those of `mask` that overlap it by more
      than `iou_thresh`. There g is q (s(x) - true x), the same of y, q (w - true w), the same of h,
      with q = coord_scale (2 - w h of the label); s(o) - 1; class_scale (s(c) - t), where t is
      1 - eps / 2 for its class and eps / 2 for others. A second one there takes over the box, and
      of the classes its own.
    - for all others, g of the object is s(o), but 0 if the box overlaps one of the labels by more
      than `thresh`.

    The number is not one of which g is the derivative. With another `iou_loss` than MSE, g of a box
    is -iou_normalizer times what MobileNet-YOLO takes for the derivatives of that overlap, and
    those of several labels add up (`accumulate`). Then L has g of objects and classes alone, and
    iou_normalizer times the mean of 1 - GIoU, 1 - CIoU or (for IOU and DIOU) 1 - DIoU.

    Kept as they are in MobileNet-YOLO: of the anchors above `iou_thresh` that one is left out whose
    number is the place in `mask` of the anchor most like the box. Where `mask` counts from 0 on, it
    is this very anchor, which learns the box anyway; elsewhere it is another one, which learns
    nothing of the box, or none, and the anchor most like it learns once more. With
    `use_logic_gradient` and another `iou_loss` than MSE, x and y are taken before the sigmoid for
    its slope, x (1 - x).

    Bottom
        0: scores, (N, num (5 + num_class), H, W): for each anchor x, y, w, h, o, classes
        1: labels, (N, 1, T, 5): rows of class (from 0), x, y, w, h, in units of the picture; a row
           of 0 ends them; no gradient
    Top
        0: L, one number
    Options (yolov3_param)
        num_class: classes [20]
        num: anchors of this map, as many as `mask` has [5]
        biases: sizes of all anchors, w and h in pixels, one after the other
        mask: which of these are of this map
        anchors_scale: pixels in a cell [32]
        class_scale, coord_scale: weights [1, 5]
        thresh: overlap from which on a box need not be none [0.2]
        use_logic_gradient: g of all but w and h is multiplied by the slope of the sigmoid, and
            that of s(o) - 1 by object_scale [false]
        object_scale: see there [1]
        use_focal_loss: g of the classes as in darknet's focal loss, without eps [false]
        iou_loss: of boxes: MSE, IOU, GIOU, DIOU or CIOU [MSE]
        iou_normalizer: weight of boxes where it is not MSE [0.25]
        iou_thresh: overlap from which on an anchor learns a box, too; 1: none does [0.5]
        max_delta: largest g of a box, where iou_loss is not MSE [10]
        accumulate: false: the last label on an anchor counts, where iou_loss is not MSE [true]
        label_smooth_eps: eps [0.1]
    Source
        Redmon, Farhadi 2018, arXiv:1804.02767 (YOLO v3)
    """

    options_field = "yolov3_param"
    ignored = {
        "side": "maps have the size of the bottom",
        "noobject_scale": "MobileNet-YOLO does not use it, either",
        "loss_param": "the loss is that of a picture",
    }

    def moot(self):
        options, found = self.options, super().moot()
        if self.kind == "MSE":
            for name in ("iou_normalizer", "max_delta", "accumulate"):
                found[f"yolov3_param.{name}"] = "it is of an iou_loss other than MSE"
        if not options.use_logic_gradient:
            found["yolov3_param.object_scale"] = "it acts with use_logic_gradient: true"
        return found

    @property
    def kind(self):
        return self.options.IouLoss.Name(self.options.iou_loss)

    def box_labels(self):
        return yolo.labels(self.options)

    def box_code(self):
        return yolo.anchor_code(self.options)

    def finder(self):
        options = self.options
        return LayerParameter(
            name="detection_out",
            type="Yolov3DetectionOutput",
            bottom=self.param.bottom[:1],
            top=["detection_out"],
            yolov3_detection_output_param={
                "num_classes": options.num_class,
                "num_box": options.num,
                "biases": options.biases,
                "mask": options.mask,
                "mask_group_num": 1,
                "anchors_scale": [options.anchors_scale],
            },
        )

    def setup(self, bottom_shapes):
        options, mask = self.options, list(self.options.mask)
        self.sizes = yolo.anchor_sizes(self, 1)
        if len(mask) != options.num:
            raise self.error(f"mask names {len(mask)} anchors, expected num, {options.num}")
        yolo.check_mask(self, mask, self.sizes.shape[1])
        self.place = {anchor: place for place, anchor in reversed([*enumerate(mask)])}
        if options.max_delta < 0:
            raise self.error(f"max_delta is {options.max_delta:g}, expected 0 or more")
        if options.anchors_scale < 1:
            raise self.error("anchors_scale is 0, expected the pixels in a cell")

    def infer_shapes(self, bottom_shapes):
        options, (scores, labels) = self.options, bottom_shapes
        yolo.check_map(self, 0, scores, options.num, options.num_class)
        if len(labels) != 4 or labels[:2] != (scores[0], 1) or labels[3] != yolo.HEAD:
            expected = f"({scores[0]}, 1, T, {yolo.HEAD}), rows of class, x, y, w, h"
            raise self.shape_error(1, labels, expected)
        return [()]

    def forward(self, bottom, top):
        options, data = self.options, bottom[0].data
        labels = yolo.five_numbers(self, bottom[1], options.num_class, data.shape[2:])
        anchors = self.sizes[:, list(options.mask)] / options.anchors_scale
        grid = yolo.read_map(data, anchors)
        grid.numbers[:, :, yolo.HEAD :] = yolo.sigmoid(grid.numbers[:, :, yolo.HEAD :])
        self.gradient = np.zeros_like(grid.numbers)
        best = yolo.best_overlap(grid.box, labels.seen)
        o = grid.numbers[:, :, yolo.COORDS]
        self.gradient[:, :, yolo.COORDS] = np.where(best > options.thresh, 0, o)
        missed = self._learn(grid, labels.matched)
        counted = self.gradient
        if self.kind != "MSE":
            counted = counted[:, :, yolo.COORDS :]
        loss = np.square(counted).sum() + options.iou_normalizer * missed
        top[0].data[...] = loss / max(1, len(data))
        self.numbers = grid.numbers if options.use_logic_gradient else None

    def _learn(self, grid, truths):
        """Gradients where boxes of the labels are; returns the mean of 1 - overlap, 0 for MSE."""
        which, anchor, place = self._anchors(truths, grid.box.shape[3:])
        truths = truths.part(which)
        row, column = truths.cells(grid.box.shape[3:])
        cell = truths.image, place, row, column
        at = truths.image, place, slice(None), row, column
        found = grid.numbers[at].T  # (5 + classes, T)
        box = grid.box[:, truths.image, place, row, column]
        boxes = self.gradient[:, :, : yolo.COORDS].transpose(2, 0, 1, 3, 4)
        if self.kind == "MSE":
            g = self._squared(truths, anchor, found, (row, column), grid.box.shape[3:])
        else:
            g = self._overlapping(truths, found, box)
        if self.kind == "MSE" or not self.options.accumulate:
            boxes[(slice(None), *cell)] = g
        else:
            np.add.at(boxes, (slice(None), *cell), g)
        o = self.gradient[:, :, yolo.COORDS]
        scale = self.options.object_scale if self.options.use_logic_gradient else 1
        o[cell] = scale * (found[yolo.COORDS] - 1)
        self._classes(cell, truths.label, found[yolo.HEAD :])
        if self.kind == "MSE" or not len(which):
            return 0
        with np.errstate(over="ignore", invalid="ignore"):
            missed = 1 - COUNTED[self.kind](box, truths.box)
        sound = np.isfinite(found[: yolo.COORDS]).all(0)
        missed[np.isnan(missed) & sound] = 1  # of sides that e^w made 0 or infinite
        return missed.mean()

    def _anchors(self, truths, size):
        """(truth, anchor, its place in the mask) of all that learn, in the order of the labels."""
        options = self.options
        pixels = np.array(size[::-1], self.dtype)[:, None] * options.anchors_scale
        best, overlaps = yolo.best_shape(self.sizes / pixels, truths.box[2:])
        learns = []
        for t in range(len(best)):
            own = self.place.get(best[t])
            if own is not None:
                learns.append((t, best[t], own))
            if options.iou_thresh < 1:
                known = best[t] if own is None else own  # a place, where there is one
                learns += [
                    (t, anchor, place)
                    for anchor, place in sorted(self.place.items())
                    if anchor != known and overlaps[anchor, t] > options.iou_thresh
                ]
        return np.array(learns, int).reshape(-1, 3).T

    def _squared(self, truths, anchor, found, cell, size):
        """Gradients of the numbers of boxes towards those that they should have."""
        cells = np.array(size[::-1], self.dtype)[:, None]
        own = self.sizes[:, anchor] / (cells * self.options.anchors_scale)
        xy = truths.box[:2] * cells - cell[::-1]
        true = np.concatenate([xy, np.log(truths.box[2:] / own)])
        scale = self.options.coord_scale * (2 - truths.box[2] * truths.box[3])
        return scale * (found[: yolo.COORDS] - true)

    def _overlapping(self, truths, found, box):
        """Gradients that make boxes overlap more with those that they should be."""
        box = np.concatenate([box[:2], np.where(box[2:] == 0, 1, box[2:])])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of wild predictions
            g = pull(box, truths.box, self.kind)
            g[2:] *= np.exp(found[2 : yolo.COORDS])
            g *= -self.options.iou_normalizer
        g[~np.isfinite(g)] = 0
        return np.clip(g, -self.options.max_delta, self.options.max_delta)

    def _classes(self, cell, label, p):
        """Gradients of classes: all of them for the first label in a place, its own for others."""
        options, classes = self.options, self.gradient[:, :, yolo.HEAD :].transpose(2, 0, 1, 3, 4)
        eps, each = options.label_smooth_eps, np.arange(len(label))
        one = np.zeros_like(p)
        one[label, each] = 1
        g = options.class_scale * (p - one * (1 - eps) - eps / 2)
        own, full = g[label, each], g
        if options.use_focal_loss:
            true = p[label, each] + 1e-15
            focus = (1 - true) * (1 - true - 2 * true * np.log(true)) / 2
            full = options.class_scale * (p - one) * focus
        for k in each:
            here = classes[(slice(None), *(axis[k] for axis in cell))]
            if here[label[k]]:  # not the first one in this place
                here[label[k]] = own[k]
            else:
                here[...] = full[:, k]

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if not propagate_down[0]:
            return
        x, dx = (a.reshape(self.gradient.shape) for a in (bottom[0].data, bottom[0].diff))
        np.multiply(self.gradient, float(top[0].diff) / max(1, len(x)), out=dx)
        if self.numbers is not None:
            xy = self.numbers[:, :, :2] if self.kind == "MSE" else x[:, :, :2]
            dx[:, :, :2] *= yolo.slope(xy)
            dx[:, :, yolo.COORDS :] *= yolo.slope(self.numbers[:, :, yolo.COORDS :])
