import numpy as np

from ...kernels import boxes as geometry
from ..base import register
from ._anchors import AnchorLayer
from ._regions import (
    BACKGROUND,
    IGNORED,
    chosen,
    four_numbers,
    one_picture,
    read_true_boxes,
    threshold,
)


@register("AnchorTarget")
class AnchorTarget(AnchorLayer):
    """What a region proposal net is to say of each anchor of a picture: object or not, and where.

    An anchor that stays within the picture is an object (label 1) if it overlaps a true box by
    positive_overlap or more, or as much as any anchor does; it is background (0) if it overlaps
    each by less than negative_overlap. Of both together batch_size count, drawn at random from seed
    and position where there are more, and objects fg_fraction of them at most. All others have the
    label -1. Overlaps are those of boxes that include their last pixel.

    Bottom
        0: scores of the anchors, (1, ..., H, W), for their size
        1: true boxes, (G, 5): xmin, ymin, xmax, ymax in pixels, class
        2: height, width and scale of the picture, (1, 3)
        3: the picture; not read (optional)
    Top
        0: labels, (1, 1, A H, W)
        1: codes of the box that an anchor overlaps most, (1, 4 A, H, W), RCNN of
            `kernels.boxes.encode`
        2: inside weights of the codes, the same shape: bbox_inside_weight of objects, else 0
        3: outside weights, the same shape: 1 / anchors that count, of each of these, or as
            positive_weight says
    Options (anchor_target_param)
        feat_stride: pixels of the picture for a cell of the map [16]
        base_size: the side of an anchor before scaling, in pixels [16]
        ratio: heights of the anchors to their widths [0.5, 1, 2]
        scale: how many times as large as base_size they are [8, 16, 32]
        allowed_border: pixels by which an anchor may leave the picture [0]
        positive_overlap, negative_overlap: see above [0.7, 0.3]
        clobber_positives: the best anchor of a box, too, is background below negative_overlap
            [false]
        batch_size: anchors that count [256]
        fg_fraction: see above [0.5]
        positive_weight: the sum of the outside weights of objects, those of background add up to
            the rest of 1; below 0, all have the same [-1]
        bbox_inside_weight: of each of the four numbers [1, 1, 1, 1]
    Source
        Ren, He, Girshick, Sun 2015, arXiv:1506.01497 (Faster R-CNN)
    """

    options_field = "anchor_target_param"
    bottoms = (3, 4)
    tops = 4
    no_gradient = (0, 1, 2, 3)

    def setup(self, bottom_shapes):
        super().setup(bottom_shapes)
        options = self.options
        if not 0 <= options.fg_fraction <= 1:
            raise self.error(f"fg_fraction is {options.fg_fraction:g}, expected 0 to 1")
        if not options.positive_weight < 1:
            raise self.error(
                f"positive_weight is {options.positive_weight:g}, expected less than 1, what "
                "objects have of it, or below 0: all the same"
            )
        if not options.batch_size:
            raise self.error("batch_size is 0, expected the anchors that count, 1 or more")
        self.inside = four_numbers(self, "bbox_inside_weight", 1)

    def infer_shapes(self, bottom_shapes):
        scores = bottom_shapes[0]
        if len(scores) != 4:
            raise self.shape_error(0, scores, "(1, channels, height, width)")
        one_picture(self, 0, scores)
        self.check_sizes(2, bottom_shapes[2], 1)
        count, (rows, columns) = self.per_place, scores[2:]
        return [(1, 1, count * rows, columns), *[(1, 4 * count, rows, columns)] * 3]

    def forward(self, bottom, top):
        rows, columns = bottom[0].shape[2:]
        truth = read_true_boxes(self, 1, bottom[1])[:, :4]
        height, width = self.read_sizes(2, bottom[2])[0, :2]
        anchors = self.on(rows, columns)
        border = self.options.allowed_border
        within = (anchors[:, :2] >= -border).all(axis=1)
        within &= (anchors[:, 2:] < np.array([width, height]) + border).all(axis=1)
        (within,) = np.nonzero(within)
        label, box = self._matched(anchors[within], truth)

        targets = np.zeros((3, len(anchors), 4))
        targets[0, within] = geometry.encode(truth[box], anchors[within], "RCNN")
        objects, counts = within[label == 1], within[label != IGNORED]
        targets[1, objects] = self.inside
        targets[2, counts] = 1 / max(1, len(counts))
        if self.options.positive_weight >= 0:
            share, background = self.options.positive_weight, within[label == BACKGROUND]
            targets[2, objects] = share / max(1, len(objects))
            targets[2, background] = (1 - share) / max(1, len(background))

        labels = np.full(len(anchors), IGNORED)
        labels[within] = label
        labels = labels.reshape(rows, columns, -1).transpose(2, 0, 1)
        top[0].data[...] = labels.reshape(top[0].shape)
        for blob, values in zip(top[1:], targets, strict=True):
            blob.data[0] = values.reshape(rows, columns, -1).transpose(2, 0, 1)

    def _matched(self, anchors, truth):
        """(label, true box) of each of these anchors."""
        options, label = self.options, np.full(len(anchors), IGNORED)
        if not len(anchors):
            return label, np.zeros(0, int)
        overlaps = geometry.iou(anchors, truth, pixels=True)
        largest = overlaps.max(axis=1)
        below = largest < threshold(options.negative_overlap)
        label[below] = BACKGROUND
        label[(overlaps == overlaps.max(axis=0)).any(axis=1)] = 1
        label[largest >= threshold(options.positive_overlap)] = 1
        if options.clobber_positives:
            label[below] = BACKGROUND
        draw = self.own_random()
        self.count_draw()
        counting = 0
        for kind, most in (
            (1, int(options.fg_fraction * options.batch_size)),
            (BACKGROUND, options.batch_size),
        ):
            (own,) = np.nonzero(label == kind)
            kept = chosen(own, most - counting, draw)
            label[np.setdiff1d(own, kept, assume_unique=True)] = IGNORED
            counting = len(kept)
        return label, overlaps.argmax(axis=1)
