from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..base import register
from ..loss._loss import Loss
from . import _yolo as yolo

PULLED = 12800
"""Pictures for which gklz's boxes are pulled towards their anchors, at PULL of other gradients."""
PULL = 0.01


class Form(NamedTuple):
    """In what the layers differ that three forks of Caffe have under this name."""

    labels: str
    corners: Any = yolo.corners  # of boxes whose overlap is measured
    bound: float = np.inf  # of errors of a box
    cubed: bool = False  # the error of an object, 1 - p, counts as 2 (1 - p)^3
    rescores: bool = False  # goes by the option `rescore`
    pulls: bool = False  # pulls boxes towards anchors at first
    averages: bool = False  # the loss is that of a picture


MOBILENET = Form("(N, 1, T, 5), rows of class from 0, x, y, w, h", rescores=True, averages=True)
GKLZ = Form("(N, 150), 30 times class from 0, x, y, w, h", corners=yolo.clipped, pulls=True)
INTEL = Form("(1, 1, R, 8), rows of AnnotatedData", bound=1, cubed=True)


@register("RegionLoss")
class RegionLoss(Loss):
    """L = (sum of all g^2) / N, where g is the gradient that the layer gives, times N.

    Each of H W cells has `num` anchors, each of which says a box, whether there is an object, and
    its class. With s for sigmoid, p of softmax:

    - box: ((column + s(x)) / W, (row + s(y)) / H, anchor's w e^w / W, anchor's h e^h / H)
    - a box of the labels is for the cell of its center, and there for the anchor that is most like
      it. There g is coord_scale (s(x) - true x) s'(x), the same of y, coord_scale (w - true w), the
      same of h; object_scale (s(o) - 1) s'(o); class_scale (p - 1) for its class, class_scale p for
      the others. The last one on an anchor counts.
    - for all others, g of the object is noobject_scale s(o) s'(o), but 0 if the box overlaps one of
      the labels by more than `thresh`.

    The number is not one of which g is the derivative. Three forks of Caffe have a layer of this
    name, which the shape of the labels tells apart. What is above is MobileNet-YOLO's.

    - gklz's: overlaps are those of what the picture shows of boxes. In the first 12800 / N passes
      (of this layer, where that Caffe counts all of a process), boxes that no label is for are
      pulled to their anchors in the middle of the cell, with 0.01 for coord_scale. L is not divided
      by N.
    - Intel's: differences of boxes count as at most 1; s(o) - 1 becomes -2 (1 - s(o))^3. L is not
      divided by N.

    Bottom
        0: scores, (N, num (5 + num_class), H, W): for each anchor x, y, w, h, o, classes
        1: labels; no gradient: (N, 1, T, 5), rows of class (from 0), x, y, w, h, in units of the
           picture, behind which is a row of 0, for MobileNet-YOLO's form; (N, 150), 30 such rows,
           for gklz's; (1, 1, R, 8), rows of AnnotatedData, with classes from 1, for Intel's
    Top
        0: L, one number
    Options (region_loss_param)
        num_class: classes [20]
        num: anchors [5]
        biases: their sizes, w and h in cells, one after the other
        bias_match: the anchor is found by its own size; 0: by the size it says now [1]
        rescore: MobileNet-YOLO's only: o is to be the overlap of the box, not 1; 0: 1, and
            coord_scale is multiplied by 2 - w h of the box [1]
        object_scale, noobject_scale, class_scale, coord_scale: weights [1, 0.5, 1, 5]
        thresh: overlap from which on a box need not be none [0.2]
        side: H and W; gklz's and Intel's form want it right [13]
    Source
        Redmon, Farhadi 2016, arXiv:1612.08242 (YOLO v2)
    """

    options_field = "region_loss_param"
    ignored = {
        "softmax": "scores of classes always go through a softmax",
        "jitter": "pictures are changed by transform_param",
        "absolute": "coordinates are always relative to cells",
        "random": "a net has the size of its data",
        "loss_param": "the loss is that of a picture",
    }
    refused = {
        "softmax_tree": "is not done; train on classes that exclude each other",
        "class_map": "is not done; write the labels as they are to be",
    }

    def box_labels(self):
        return yolo.labels(self.options)

    def box_code(self):
        return yolo.anchor_code(self.options)

    def finder(self):
        options = self.options
        return yolo.finder(
            self.param, num_classes=options.num_class, num_box=options.num, biases=options.biases
        )

    def setup(self, bottom_shapes):
        if self.options.coords != yolo.COORDS:
            raise self.error(f"coords: {self.options.coords}, expected {yolo.COORDS}: x, y, w, h")
        self.anchors = yolo.anchor_sizes(self, self.options.num)[:, : self.options.num]

    def infer_shapes(self, bottom_shapes):
        shape, options = bottom_shapes[0], self.options
        yolo.check_map(self, 0, shape, options.num, options.num_class)
        form = self._form(shape, bottom_shapes[1])
        if form is not MOBILENET and shape[2:] != (options.side, options.side):
            expected = f"side, {options.side}, rows and columns; write how many there are as side"
            raise self.shape_error(0, shape, expected)
        return [()]

    def _form(self, shape, labels):
        n = shape[0]
        if len(labels) == 4 and labels[:2] == (n, 1) and labels[3] == yolo.HEAD:
            return MOBILENET
        if len(labels) == 4 and labels[:2] == (1, 1) and labels[3] == 8:
            return INTEL
        if labels[:1] == (n,) and np.prod(labels[1:]) == 150:
            return GKLZ
        expected = "; or ".join(form.labels for form in (MOBILENET, GKLZ, INTEL)) + f"; with N {n}"
        raise self.shape_error(1, labels, expected)

    def _labels(self, bottom):
        n, _, *grid = bottom[0].shape
        if self.form is INTEL:
            return yolo.eight_numbers(self, bottom[1], self.options.num_class, grid, n)
        return yolo.five_numbers(self, bottom[1], self.options.num_class, grid)

    def forward(self, bottom, top):
        options, grid = self.options, yolo.read_map(bottom[0].data, self.anchors)
        self.form = self._form(bottom[0].shape, bottom[1].shape)
        labels = self._labels(bottom)
        overlap = partial(yolo.iou, corners=self.form.corners)
        self.gradient = g = np.zeros_like(grid.numbers)
        o = grid.numbers[:, :, yolo.COORDS]
        none = yolo.best_overlap(grid.box, labels.seen, overlap) <= options.thresh
        g[:, :, yolo.COORDS] = none * (options.noobject_scale * o * yolo.slope(o))
        if self.form.pulls and self.position < PULLED // max(
            1, self.shard.parts * len(bottom[0].data)
        ):
            self._pull(grid.numbers)
        self._learn(grid, labels.matched, overlap)
        self.count_draw()
        samples = max(1, len(bottom[0].data)) if self.form.averages else 1
        top[0].data[...] = np.dot(g.ravel(), g.ravel()) / samples

    def _pull(self, numbers):
        """Gradients of boxes towards those of their anchors, in the middle of their cells."""
        xy, wh = numbers[:, :, :2], numbers[:, :, 2:4]
        self.gradient[:, :, :2] = PULL * (xy - 0.5) * yolo.slope(xy)
        self.gradient[:, :, 2:4] = PULL * wh

    def _learn(self, grid, truths, overlap):
        """Gradients where boxes of the labels are; the last one on an anchor counts."""
        options, form, size = self.options, self.form, grid.box.shape[3:]
        row, column = truths.cells(size)
        cells = np.array(size[::-1], self.dtype)[:, None]
        shapes = self.anchors[:, :, None] / cells[:, None]
        if not options.bias_match:
            shapes = grid.box[2:, truths.image, :, row, column].transpose(1, 2, 0)
        best, _ = yolo.best_shape(shapes, truths.box[2:], overlap)
        anchor = np.maximum(best, 0)
        at = truths.image, anchor, slice(None), row, column
        found = grid.numbers[at].T  # (5 + classes, T)
        reached = overlap(grid.box[:, truths.image, anchor, row, column], truths.box)
        own = self.anchors[:, anchor] / cells
        true = np.concatenate(
            [truths.box[:2] * cells - [column, row], np.log(truths.box[2:] / own)]
        )
        rescored = form.rescores and options.rescore
        scale, wanted = options.coord_scale, reached if rescored else 1
        if form.rescores and not options.rescore:
            scale = scale * (2 - truths.box[2] * truths.box[3])
        g = np.empty_like(found)
        g[:4] = scale * np.clip(found[:4] - true, -form.bound, form.bound)
        g[:2] *= yolo.slope(found[:2])
        o = found[yolo.COORDS]
        error = -2 * (1 - o) ** 3 if form.cubed else o - wanted
        g[yolo.COORDS] = options.object_scale * error * yolo.slope(o)
        classes = yolo.softmax(found[yolo.HEAD :], 0)
        classes[truths.label, np.arange(len(truths.label))] -= 1
        g[yolo.HEAD :] = options.class_scale * classes
        self.gradient[at] = g.T

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            factor = float(top[0].diff) / max(1, len(bottom[0].data))
            np.multiply(self.gradient.reshape(bottom[0].shape), factor, out=bottom[0].diff)
