import numpy as np

from ...kernels import boxes as geometry
from ..base import register
from ._anchors import AnchorLayer
from ._detections import check_finite, check_found


@register("Proposal")
class Proposal(AnchorLayer):
    """The regions in which an object may lie: anchors, moved as the net says, that score best.

    Boxes are decoded (RCNN of `kernels.boxes.decode`) and cut off at the borders of the picture.
    Of those with the best scores, greedy suppression keeps some. One that is smaller than min_size
    scores 0. Of equal scores the first one wins: row by row, column by column, and of a place in
    the order of the anchors. No gradient goes through them.

    Bottom
        0: scores, (N, 2 A, H, W): of A anchors that they are background, then that they are not
        1: codes of boxes, (N, 4 A, H, W): the four numbers of an anchor, then those of the next
        2: height, width and scale of each picture, (N, 3), or (N, 4) with the scales of either side
    Top
        0: regions, (R, 5): picture, xmin, ymin, xmax, ymax in pixels, best first
        1: their scores, (R, 1), if asked for
    Options (proposal_param)
        feat_stride: pixels of the picture for a cell of the map [16]
        base_size: the side of an anchor before scaling, in pixels [16]
        ratio: heights of the anchors to their widths [0.5, 1, 2]
        scale: how many times as large as base_size they are [8, 16, 32]
        min_size: the least side, in pixels of the picture before it was scaled [16]
        pre_nms_topn: as many take part in suppression; 0: all [6000]
        post_nms_topn: as many are kept; 0: all [300]
        nms_thresh: the overlap above which a region goes, in pixels that include the last [0.7]
    Source
        Ren, He, Girshick, Sun 2015, arXiv:1506.01497 (Faster R-CNN)
    """

    options_field = "proposal_param"
    bottoms = 3
    tops = (1, 2)
    no_gradient = (0, 1, 2)
    drops_small = inclusive = False

    def setup(self, bottom_shapes):
        super().setup(bottom_shapes)
        if not self.options.nms_thresh >= 0:
            raise self.error(f"nms_thresh is {self.options.nms_thresh:g}, expected 0 or more")

    def infer_shapes(self, bottom_shapes):
        scores, codes, sizes = bottom_shapes
        self.check_channels(0, scores, 2, "two scores")
        self.check_channels(1, codes, 4, "four numbers")
        if (scores[0], *scores[2:]) != (codes[0], *codes[2:]):
            expected = f'(N, 4 A, height, width) as of bottom[0] "{self.param.bottom[0]}", {scores}'
            raise self.shape_error(1, codes, expected)
        self.check_sizes(2, sizes, scores[0])
        most = self.per_place * scores[2] * scores[3]
        for limit in (self.options.pre_nms_topn, self.options.post_nms_topn):
            most = min(most, limit or most)
        return [(scores[0] * most, 5), (scores[0] * most, 1)][: self.num_tops]

    def forward(self, bottom, top):
        check_finite(self, bottom[:2])
        scores, codes = (blob.data.transpose(0, 2, 3, 1) for blob in bottom[:2])
        anchors = self.on(*bottom[0].shape[2:]).astype(codes.dtype)
        found = [
            self._best(own[..., self.per_place :].reshape(-1), code.reshape(-1, 4), size, anchors)
            for own, code, size in zip(scores, codes, self.read_sizes(2, bottom[2]), strict=True)
        ]
        top[0].reshape(sum(len(boxes) for boxes, _ in found), 5)
        rows = [np.insert(boxes, 0, n, axis=1) for n, (boxes, _) in enumerate(found)]
        top[0].data[...] = np.concatenate(rows) if rows else 0
        if len(top) > 1:
            top[1].reshape(len(top[0].data), 1)
            top[1].data[:, 0] = np.concatenate([kept for _, kept in found]) if rows else 0

    def _best(self, scores, codes, size, anchors):
        """(boxes, scores) of the regions of a picture."""
        options, (height, width, *scales) = self.options, size
        boxes = geometry.clip(geometry.decode(codes, anchors, "RCNN"), width - 1, height - 1)
        check_found(self, boxes)
        least = options.min_size * np.array([scales[min(1, len(scales) - 1)], scales[0]])
        small = (boxes[:, 2:] - boxes[:, :2] + 1 < least).any(axis=1)
        scores = np.where(small, -np.inf if self.drops_small else 0, scores).astype(scores.dtype)
        kept = geometry.nms(
            boxes,
            scores,
            options.nms_thresh,
            top_k=options.pre_nms_topn or -1,
            most=options.post_nms_topn or -1,
            inclusive=self.inclusive,
            pixels=True,
        )
        return boxes[kept], scores[kept]
