"""Layers of detectors in two stages in PyTorch, with torchvision's operators, for `Twin`.

What is drawn is drawn by PyTorch's own generator, so that losses are only about the same.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision import ops

from caffelite.layers.detection._anchors import anchors
from tools.torch_layers import Call, builds


@builds("ROIPooling")
def roi_pooling(layer, shapes):
    o = layer.roi_pooling_param
    size = o.pooled_h, o.pooled_w

    def pool(x, rois):
        if x.device.type == "meta":
            return x.new_empty(len(rois), x.shape[1], *size)
        return ops.roi_pool(x, rois, size, o.spatial_scale)

    return Call(pool)


@builds("SmoothL1Loss")
def smooth_l1_loss(layer, shapes):
    beta = 1 / layer.smooth_l1_loss_param.sigma**2

    def loss(codes, targets, inside, outside):
        if codes.device.type == "meta":
            return codes.sum()
        each = F.smooth_l1_loss(inside * codes, inside * targets, reduction="none", beta=beta)
        return (outside * each).sum() / len(codes)

    return Call(loss)


class Anchored(nn.Module):
    """A layer with anchors; its options are those of Proposal or AnchorTarget."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        ratios, scales = options.ratio or (0.5, 1, 2), options.scale or (8, 16, 32)
        self.own = anchors(options.base_size, ratios, scales)

    def anchors(self, rows, columns):
        """(rows columns A, 4)"""
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        shift = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4) * self.options.feat_stride
        return (shift + torch.from_numpy(self.own)).reshape(-1, 4).float()


@builds("Proposal")
def proposal(layer, shapes):
    return Proposal(layer.proposal_param)


class Proposal(Anchored):
    @torch.no_grad()
    def forward(self, scores, codes, sizes):
        o, count = self.options, len(self.own)
        if scores.device.type == "meta":
            most = o.post_nms_topn or count * scores[0, 0].numel()
            return scores.new_empty(most, 5)
        height, width, scale = sizes[0].tolist()
        boxes = decode(codes[0].permute(1, 2, 0).reshape(-1, 4), self.anchors(*scores.shape[2:]))
        boxes = ops.clip_boxes_to_image(boxes, (height - 1, width - 1))
        scores = scores[0, count:].permute(1, 2, 0).flatten()
        small = ((boxes[:, 2:] - boxes[:, :2] + 1) < o.min_size * scale).any(1)
        scores = scores.masked_fill(small, 0)
        best = scores.topk(min(o.pre_nms_topn or len(scores), len(scores))).indices
        kept = ops.nms(boxes[best], scores[best], o.nms_thresh)[: o.post_nms_topn or None]
        return F.pad(boxes[best[kept]], (1, 0))


@builds("AnchorTarget")
def anchor_target(layer, shapes):
    return AnchorTarget(layer.anchor_target_param)


class AnchorTarget(Anchored):
    @torch.no_grad()
    def forward(self, scores, truth, sizes, *_):
        o, count = self.options, len(self.own)
        rows, columns = scores.shape[2:]
        if scores.device.type == "meta":
            labels = scores.new_empty(1, 1, count * rows, columns)
            return labels, *[scores.new_empty(1, 4 * count, rows, columns)] * 3
        truth, (height, width) = truth.float(), sizes[0, :2].tolist()
        boxes = self.anchors(rows, columns)
        limit = torch.tensor([width, height]) + o.allowed_border
        within = (boxes[:, :2] >= -o.allowed_border).all(1) & (boxes[:, 2:] < limit).all(1)
        (within,) = within.nonzero(as_tuple=True)
        overlaps = iou(boxes[within], truth[:, :4])
        largest, box = overlaps.max(1)
        label = torch.full((len(within),), -1)
        label[largest < o.negative_overlap] = 0
        label[(overlaps == overlaps.max(0).values).any(1)] = 1
        label[largest >= o.positive_overlap] = 1
        label = drawn(label, 1, int(o.fg_fraction * o.batch_size), -1)
        label = drawn(label, 0, o.batch_size - int((label == 1).sum()), -1)
        labels = torch.full((len(boxes),), -1)
        targets, inside, outside = torch.zeros(3, len(boxes), 4)
        labels[within] = label
        targets[within] = encode(truth[box, :4], boxes[within])
        inside[within[label == 1]] = 1
        outside[within[label >= 0]] = 1 / max(1, int((label >= 0).sum()))
        labels = labels.reshape(rows, columns, -1).permute(2, 0, 1).reshape(1, 1, -1, columns)
        maps = (
            x.reshape(rows, columns, -1).permute(2, 0, 1)[None] for x in (targets, inside, outside)
        )
        return labels.float(), *maps


@builds("ProposalTarget")
def proposal_target(layer, shapes):
    o = layer.proposal_target_param
    normalization = list(o.bbox_mean) or [0] * 4, list(o.bbox_std) or [1] * 4

    @torch.no_grad()
    def take(rois, truth):
        if rois.device.type == "meta":
            rows = o.batch_size
            maps = [rois.new_empty(rows, 4 * o.num_classes)] * 3
            return rois.new_empty(rows, 5), rois.new_empty(rows), *maps
        truth = truth.float()
        boxes = torch.cat([rois[:, 1:], truth[:, :4]])
        largest, box = iou(boxes, truth[:, :4]).max(1)
        label = torch.full((len(boxes),), -1)
        label[(largest < o.bg_thresh_hi) & (largest >= o.bg_thresh_lo)] = 0
        label[largest >= o.fg_thresh] = 1
        label = drawn(label, 1, round(o.fg_fraction * o.batch_size), -1)
        label = drawn(label, 0, o.batch_size - int((label == 1).sum()), -1)
        (objects,), (others,) = ((label == kind).nonzero(as_tuple=True) for kind in (1, 0))
        taken = torch.cat([objects, others])
        classes = F.pad(truth[box[objects], 4], (0, len(others)))
        targets, inside = torch.zeros(2, len(taken), o.num_classes, 4)
        at = torch.arange(len(objects)), classes[: len(objects)].long()
        mean, std = map(torch.tensor, normalization)
        targets[at] = (encode(truth[box[objects], :4], boxes[objects]) - mean) / std
        inside[at] = 1
        return F.pad(boxes[taken], (1, 0)), classes, targets.flatten(1), *[inside.flatten(1)] * 2

    return Call(take)


def drawn(label, kind, most, instead):
    """Of the places with a label of this kind, `most` keep it, at random."""
    (own,) = (label == kind).nonzero(as_tuple=True)
    label[own[torch.randperm(len(own))[most:]]] = instead
    return label


def iou(a, b):
    """Of boxes that include their last pixel."""
    return ops.box_iou(
        *(F.pad(boxes[:, 2:] + 1, (2, 0)) + F.pad(boxes[:, :2], (0, 2)) for boxes in (a, b))
    )


def encode(boxes, regions):
    size, own = regions[:, 2:] - regions[:, :2] + 1, boxes[:, 2:] - boxes[:, :2] + 1
    moved = boxes[:, :2] + own / 2 - regions[:, :2] - size / 2
    return torch.cat([moved / size, (own / size).log()], 1)


def decode(codes, regions):
    size = regions[:, 2:] - regions[:, :2] + 1
    middle = codes[:, :2] * size + regions[:, :2] + size / 2
    half = codes[:, 2:].exp() * size / 2
    return torch.cat([middle - half, middle + half], 1)
