"""Layers in PyTorch: for each type a function from a LayerParameter to a module, for `Twin`."""

import torch
import torch.nn.functional as F
from torch import nn

from caffelite.proto import caffe_pb2
from caffelite.testing import make_layer

PoolMethod = caffe_pb2.PoolingParameter
BUILDERS = {}


def builds(type_name):
    """Register a function from (LayerParameter, shapes of its bottoms) to a module."""

    def add(build):
        BUILDERS[type_name] = build
        return build

    return add


def pair(values, height, width, default):
    """(h, w) from Caffe's list, or its two fields."""
    if height or width:
        return (height, width)
    values = list(values) if hasattr(values, "__len__") else [values]
    return tuple((values or [default]) * 2)[:2]


@builds("Convolution")
def convolution(layer, shapes):
    o = layer.convolution_param
    return nn.Conv2d(
        shapes[0][1],
        o.num_output,
        pair(o.kernel_size, o.kernel_h, o.kernel_w, None),
        pair(o.stride, o.stride_h, o.stride_w, 1),
        pair(o.pad, o.pad_h, o.pad_w, 0),
        pair(o.dilation, 0, 0, 1),
        o.group,
        o.bias_term,
    )


@builds("Pooling")
def pooling(layer, shapes):
    """ceil_mode cuts windows as Caffe does, and count_include_pad gives Caffe's divisor."""
    o = layer.pooling_param
    kernel = pair(o.kernel_size, o.kernel_h, o.kernel_w, None)
    if o.global_pooling:
        kernel = shapes[0][2:]
    stride = pair(o.stride, o.stride_h, o.stride_w, 1)
    pad = pair(o.pad, o.pad_h, o.pad_w, 0)
    ceil = o.round_mode == PoolMethod.CEIL
    if o.pool == PoolMethod.MAX:
        mask = len(layer.top) > 1
        return nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil, return_indices=mask)
    return nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil, count_include_pad=True)


@builds("LRN")
def lrn(layer, shapes):
    o = layer.lrn_param
    if o.norm_region == o.WITHIN_CHANNEL:
        return WithinChannel(o.local_size, o.alpha, o.beta)
    return nn.LocalResponseNorm(o.local_size, o.alpha, o.beta, o.k)


class WithinChannel(nn.Module):
    """y = x / (1 + alpha * mean of x^2 over size x size neighbours) ^ beta"""

    def __init__(self, size, alpha, beta):
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x):
        energy = F.avg_pool2d(x * x, self.size, 1, self.size // 2)
        return x / energy.mul(self.alpha).add(1).pow(self.beta)


@builds("InnerProduct")
def inner_product(layer, shapes):
    o = layer.inner_product_param
    features = torch.Size(shapes[0][1:]).numel()
    return Dense(features, o.num_output, o.bias_term)


class Dense(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


@builds("BatchNorm")
def batch_norm(layer, shapes, affine):
    o = layer.batch_norm_param
    return nn.BatchNorm2d(shapes[0][1], o.eps, 1 - o.moving_average_fraction, affine)


@builds("ReLU")
def relu(layer, shapes):
    slope = layer.relu_param.negative_slope
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


@builds("Dropout")
def dropout(layer, shapes):
    return nn.Dropout(layer.dropout_param.dropout_ratio)


@builds("Concat")
def concat(layer, shapes):
    return Call(lambda *x, axis=layer.concat_param.axis: torch.cat(x, axis))


@builds("Eltwise")
def eltwise(layer, shapes):
    o = layer.eltwise_param
    if o.operation != o.SUM or o.coeff or len(shapes) != 2:
        raise NotImplementedError(
            f'layer "{layer.name}": only sums of two blobs have a translation'
        )
    return Call(torch.add)


@builds("Softmax")
def softmax(layer, shapes):
    return nn.Softmax(layer.softmax_param.axis)


@builds("SoftmaxWithLoss")
def softmax_with_loss(layer, shapes):
    o = layer.loss_param
    by_batch = o.normalization == o.BATCH_SIZE
    if o.weight_by_label_freqs or o.normalization not in (o.VALID, o.BATCH_SIZE):
        raise NotImplementedError(f'layer "{layer.name}": its weights have no translation')
    ignored = o.ignore_label if o.HasField("ignore_label") else -100

    def loss(x, label):
        label = label.reshape(len(x), *x.shape[2:]).long()
        total = F.cross_entropy(
            x, label, ignore_index=ignored, reduction="sum" if by_batch else "mean"
        )
        return total / len(x) if by_batch else total

    return Call(loss)


# Of detectors


@builds("Normalize")
def normalize(layer, shapes):
    o = layer.norm_param
    if o.across_spatial or o.channel_shared:
        raise NotImplementedError(f'layer "{layer.name}": only a norm of each place, scaled by map')
    return UnitLength(shapes[0][1], o.eps)


class UnitLength(nn.Module):
    """y = weight x / (the norm of x over channels)"""

    def __init__(self, channels, eps):
        super().__init__()
        self.eps, self.weight, self.bias = eps, nn.Parameter(torch.empty(channels)), None

    def forward(self, x):
        norm = x.square().sum(1, keepdim=True).add(self.eps).rsqrt()
        return x * norm * self.weight[:, None, None]


@builds("Permute")
def permute(layer, shapes):
    return Call(lambda x, order=tuple(layer.permute_param.order): x.permute(order))


@builds("Flatten")
def flatten(layer, shapes):
    return Call(lambda x, axis=layer.flatten_param.axis: x.flatten(axis))


@builds("Reshape")
def reshape(layer, shapes):
    o, x = layer.reshape_param, shapes[0]
    if o.axis or o.num_axes != -1:
        raise NotImplementedError(f'layer "{layer.name}": only a Reshape of all axes')
    size = [side or x[axis] for axis, side in enumerate(o.shape.dim)]
    return Call(lambda x: x.reshape(size))


@builds("PriorBox")
def prior_box(layer, shapes):
    """Constants, of caffelite's own layer: in PyTorch, too, they are made once."""
    options = f"prior_box_param {{ {layer.prior_box_param} }}"
    made, bottom, top = make_layer(layer.type, list(shapes), options)
    made.forward(bottom, top)
    return Constant(top[0].data)


class Constant(nn.Module):
    """Numbers that no bottom changes."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.from_numpy(values.copy())

    def forward(self, *bottoms):
        return self.values.to(bottoms[0])

    def _apply(self, change, recurse=True):
        """They stay as they are where a net is allocated that was built of shapes alone."""
        return self


@builds("MultiBoxLoss")
def multi_box_loss(layer, shapes):
    return MultiBox(layer.multibox_loss_param)


class MultiBox(nn.Module):
    """SSD's loss: smooth L1 of matched boxes, softmax of these and of the hardest others."""

    def __init__(self, options):
        super().__init__()
        self.classes, self.ratio = options.num_classes, options.neg_pos_ratio
        self.overlap, self.least = options.overlap_threshold, options.neg_overlap

    def forward(self, loc, conf, priors, labels):
        if loc.device.type == "meta":
            return loc.sum()
        count = len(loc)
        boxes, variances = priors.reshape(2, -1, 4)
        loc, conf = loc.reshape(count, -1, 4), conf.reshape(count, len(boxes), -1)
        rows = labels.reshape(-1, 8)
        with torch.no_grad():
            matched = [self.match(boxes, rows[rows[:, 0] == picture]) for picture in range(count)]
            target, true, free = (torch.stack(parts) for parts in zip(*matched, strict=True))
            positive = target > 0
            codes = encode(true[positive], boxes.expand_as(true)[positive])
            codes /= variances.expand_as(true)[positive]
            losses = F.cross_entropy(conf.flatten(0, 1), target.flatten(), reduction="none")
            losses = losses.reshape(target.shape).masked_fill(~free, -1)
            wanted = (positive.sum(1) * self.ratio).int().clamp(max=free.sum(1))
            rank = losses.argsort(1, descending=True).argsort(1)
            chosen = positive | (rank < wanted[:, None])
        of_boxes = F.smooth_l1_loss(loc[positive], codes, reduction="sum")
        of_classes = F.cross_entropy(conf[chosen], target[chosen], reduction="sum")
        return (of_boxes + of_classes) / positive.sum().clamp(min=1)

    def match(self, priors, rows):
        """Of each prior its class, 0 if none, its box, and whether it may be a negative."""
        if not len(rows):
            nothing = torch.zeros(len(priors), dtype=torch.long)
            return nothing, torch.zeros_like(priors), nothing > 0
        truths = rows[:, 3:7]
        overlaps = iou(priors, truths)
        best, index = overlaps.max(1)
        free = overlaps.clone()
        for _ in truths:  # the pair that overlaps most finds each other first
            prior, truth = divmod(int(free.argmax()), len(truths))
            if free[prior, truth] <= 1e-6:
                break
            best[prior], index[prior] = 2, truth
            free[prior], free[:, truth] = -1, -1
        found = best >= self.overlap
        classes = torch.where(found, rows[index, 1].long(), 0)
        return classes, truths[index], ~found & (best < self.least)


@builds("DetectionOutput")
def detection_output(layer, shapes):
    o = layer.detection_output_param
    centers = o.code_type == caffe_pb2.PriorBoxParameter.CENTER_SIZE
    if not o.share_location or not centers or o.variance_encoded_in_target or o.nms_param.eta != 1:
        raise NotImplementedError(f'layer "{layer.name}": only SSD\'s own way to boxes')
    return Detections(o)


class Detections(nn.Module):
    """Rows of (picture, class, score, box), those of each picture from the highest score on."""

    def __init__(self, options):
        super().__init__()
        self.options = options

    def forward(self, loc, scores, priors, *_):
        if loc.device.type == "meta":
            return loc.new_empty(1, 1, 1, 7)
        o, (boxes, variances) = self.options, priors.reshape(2, -1, 4)
        loc, scores = loc.reshape(len(loc), -1, 4), scores.reshape(len(loc), -1, o.num_classes)
        size, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        middle = middle + loc[..., :2] * variances[:, :2] * size
        half = size * (loc[..., 2:] * variances[:, 2:]).exp() / 2
        boxes = torch.cat([middle - half, middle + half], 2)
        rows = [self.kept(i, *each) for i, each in enumerate(zip(boxes, scores, strict=True))]
        return torch.cat(rows)[None, None]

    def kept(self, picture, boxes, scores):
        o = self.options
        best, places = scores.T.topk(min(o.nms_param.top_k, len(scores)))
        best[o.background_label_id] = 0
        alive = best > o.confidence_threshold
        count = int(alive.sum(1).max())
        best, alive, boxes = best[:, :count], alive[:, :count], boxes[places[:, :count]]
        over = torch.stack([iou(each, each) for each in boxes]) > o.nms_param.nms_threshold
        for i in range(count):  # of all classes at once
            alive[:, i + 1 :] &= ~(alive[:, i, None] & over[:, i, i + 1 :])
        label, rank = alive.nonzero(as_tuple=True)
        first = best[label, rank].topk(min(o.keep_top_k, len(label))).indices
        label, rank = label[first], rank[first]
        score = best[label, rank]
        head = torch.stack([torch.full_like(score, picture), label.to(score), score], 1)
        return torch.cat([head, boxes[label, rank]], 1)


def iou(a, b):
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def encode(boxes, priors):
    """The difference of centers, and the log of the ratio of sides, in units of the priors."""
    size, prior_size = boxes[:, 2:] - boxes[:, :2], priors[:, 2:] - priors[:, :2]
    moved = (boxes[:, :2] + boxes[:, 2:] - priors[:, :2] - priors[:, 2:]) / 2
    return torch.cat([moved / prior_size, (size / prior_size).log()], 1)


# Of nets for pixels


@builds("Deconvolution")
def deconvolution(layer, shapes):
    o = layer.convolution_param
    return nn.ConvTranspose2d(
        shapes[0][1],
        o.num_output,
        pair(o.kernel_size, o.kernel_h, o.kernel_w, None),
        pair(o.stride, o.stride_h, o.stride_w, 1),
        pair(o.pad, o.pad_h, o.pad_w, 0),
        groups=o.group,
        bias=o.bias_term,
        dilation=pair(o.dilation, 0, 0, 1),
    )


@builds("Crop")
def crop(layer, shapes):
    axis, offsets = layer.crop_param.axis, list(layer.crop_param.offset) or [0]
    offsets *= (len(shapes[0]) - axis) // len(offsets)
    parts = [slice(o, o + side) for o, side in zip(offsets, shapes[1][axis:], strict=True)]
    return Call(lambda x, _, parts=(..., *parts): x[parts])


@builds("Interp")
def interp(layer, shapes):
    o = layer.interp_param
    if o.pad_beg or o.pad_end:
        raise NotImplementedError(f'layer "{layer.name}": no translation cuts off')
    _, _, top = make_layer(layer.type, list(shapes), f"interp_param {{ {o} }}")
    size, corners = top[0].shape[2:], o.align_corners
    return Call(lambda x, *_: F.interpolate(x, size=size, mode="bilinear", align_corners=corners))


@builds("Upsample")
def upsample(layer, shapes):
    """max_unpool2d only looks at its kernel where it is to find the size, which is known."""
    options = f"upsample_param {{ {layer.upsample_param} }}"
    _, _, top = make_layer(layer.type, list(shapes), options)
    size = top[0].shape[2:]
    if len(shapes) > 1:
        return Call(lambda x, mask: F.max_unpool2d(x, mask, 2, output_size=size))
    return Call(lambda x: F.interpolate(x, size=size, mode="nearest"))


@builds("BN")
def bn(layer, shapes):
    """The form of SegNet: statistics of the batch, or none."""
    o = layer.bn_param
    if not o.HasField("scale_filler") or o.moving_average or len(layer.top) > 1:
        raise NotImplementedError(f'layer "{layer.name}": only BN with statistics of the batch')
    fixed = o.bn_mode == o.INFERENCE
    eps = o.var_eps if o.HasField("var_eps") else 1e-9
    return nn.BatchNorm2d(shapes[0][1], eps, track_running_stats=fixed)  # of variance 1


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)
