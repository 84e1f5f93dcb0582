"""Slow, obvious twins of caffelite/layers/detection, one box at a time."""

import math

import numpy as np

from . import boxes as geometry
from . import rois as pooling


def prior_box(features, picture, min_size, max_size=(), ratios=(), step=None, offset=0.5,
              clip=False, variance=(0.1,) * 4, size=None):  # fmt: skip
    """`ratios` are all beside 1 that count; step and size are (height, width)."""
    rows, columns = features.shape[2:]
    height, width = size or picture.shape[2:]
    boxes = []
    for i in range(rows):
        for j in range(columns):
            y = (i + offset) * (step[0] if step else height / rows)
            x = (j + offset) * (step[1] if step else width / columns)
            for k, size in enumerate(min_size):
                sides = [(size, size)]
                if max_size:
                    sides.append((math.sqrt(size * max_size[k]),) * 2)
                sides += [(size * math.sqrt(r), size / math.sqrt(r)) for r in ratios]
                for w, h in sides:
                    box = [(x - w / 2) / width, (y - h / 2) / height]
                    box += [(x + w / 2) / width, (y + h / 2) / height]
                    boxes += [min(max(n, 0), 1) for n in box] if clip else box
    return np.array([[boxes, list(variance) * (len(boxes) // 4)]])


def multi_box_loss(loc, conf, priors, truth, classes, code="CENTER_SIZE", mining="MAX_NEGATIVE",
                   softmax=True, square=False, weight=1, threshold=0.5, ratio=3, below=0.5,
                   sample_size=64, difficult=True):  # fmt: skip
    """One prior and one image at a time, with share_location, divided by the positive priors."""
    images, (boxes, variances) = len(loc), priors.reshape(2, -1, 4)
    total = positives = 0
    for n in range(images):
        rows = [row for row in truth.reshape(-1, 8) if row[0] == n and (difficult or not row[7])]
        found = geometry.match(boxes, [row[3:7] for row in rows], threshold) if rows else None
        index, overlap = found or ([-1] * len(boxes), None)
        labels = [int(rows[i][1]) if i >= 0 else 0 for i in index]
        costs, scores = [], []
        for p, prior in enumerate(boxes):
            cost = 0
            if index[p] >= 0:
                box = rows[index[p]][None, 3:7]
                want = geometry.encode(box, prior[None], code, variances[p][None])[0]
                for d in loc[n].reshape(-1, 4)[p] - want:
                    cost += d * d / 2 if square or abs(d) < 1 else abs(d) - 0.5
            costs.append(cost)
            x = [float(value) for value in conf[n].reshape(-1, classes)[p]]
            if softmax:
                scores.append(math.log(sum(math.exp(v - x[labels[p]]) for v in x)))
            else:
                right = [k == labels[p] and (index[p] >= 0 or mining != "NONE")
                         for k in range(classes)]  # fmt: skip
                scores.append(sum(math.log(1 + math.exp(-v if yes else v))
                                  for v, yes in zip(x, right, strict=True)))  # fmt: skip
        chosen = [p for p in range(len(boxes)) if index[p] >= 0]
        counted = list(range(len(boxes)))
        if mining == "HARD_EXAMPLE":
            worst = sorted(counted, key=lambda p: -(costs[p] + scores[p]))[:sample_size]
            chosen, counted = [p for p in chosen if p in worst], worst if rows else []
        elif mining == "MAX_NEGATIVE":
            able = [p for p in counted if rows and index[p] == -1 and overlap[p] < below]
            able = sorted(able, key=lambda p: -scores[p])[: int(ratio * len(chosen))]
            counted = chosen + able
        total += weight * sum(costs[p] for p in chosen) + sum(scores[p] for p in counted)
        positives += len(chosen)
    return total / max(1, positives)


def detection_output(codes, scores, priors, classes, code="CENTER_SIZE", threshold=0.3,
                     above=-math.inf, top_k=-1, eta=1, keep=-1, background=0,
                     clip=False):  # fmt: skip
    """One class of one image at a time, with share_location."""
    rows, (given, variances) = [], priors.reshape(2, -1, 4)
    for n in range(len(codes)):
        boxes = geometry.decode(codes[n].reshape(-1, 4), given, code, variances)
        boxes = boxes.clip(0, 1) if clip else boxes
        own, found = scores[n].reshape(-1, classes), []
        for k in range(classes):
            if k != background:
                kept = geometry.nms(boxes, own[:, k], threshold, above=above, top_k=top_k, eta=eta)
                found += [(n, k, own[p, k], *boxes[p]) for p in kept]
        if keep >= 0:
            found = sorted(sorted(found, key=lambda row: -row[2])[:keep], key=lambda row: row[1])
        rows += found
    rows = rows or [(n, *[-1] * 6) for n in range(len(codes))]
    return np.array([[rows]], np.float64)


def detection_evaluate(found, truth, classes, threshold=0.5, difficult=True):
    """One box at a time, in fractions of the picture."""
    found, truth = found.reshape(-1, 7), truth.reshape(-1, 8)
    counted = [row for row in truth if row[0] >= 0 and (difficult or not row[7])]
    rows = [(-1, k, sum(row[1] == k for row in counted), -1, -1) for k in range(1, classes)]
    taken, there = set(), {(row[0], row[1]) for row in truth}

    def place(row):  # where there is nothing to be found, the order stays
        return (row[0], row[1], -row[2] * ((row[0], row[1]) in there))

    order = sorted(range(len(found)), key=lambda i: place(found[i]))
    for image, label, score, *box in found[order]:
        if image < 0 or label < 0:
            continue
        overlaps = {i: geometry.iou_of(box, row[3:7]) for i, row in enumerate(truth)
                    if row[0] == image and row[1] == label}  # fmt: skip
        best = max(overlaps, key=overlaps.get, default=None)
        if best is None or overlaps[best] < threshold:
            rows.append((image, label, score, 0, 1))
        elif truth[best][7] and not difficult:
            rows.append((image, label, score, 0, 0))
        else:
            rows.append((image, label, score, best not in taken, best in taken))
            taken.add(best)
    return np.array([[rows]], np.float64)


def pooled(spans, forward, maps, rois, grid, scale, channels, *more):
    """Regions of interest, pooled by the twins of kernels."""
    rois = rois.reshape(-1, 5)
    rows, columns = (
        spans(rois[:, 1 + axis], rois[:, 3 + axis], scale, bins, *more, maps.shape[2 + 1 - axis])
        for axis, bins in zip((1, 0), grid, strict=True)
    )
    y = np.empty((len(rois), channels, *grid))
    forward(maps, rois[:, 0].astype(int), rows, columns, y)
    return y


def roi_pooling(maps, rois, grid, scale):
    def forward(*given):
        pooling.max_forward(*given, np.empty_like(given[-1]))

    return pooled(pooling.max_spans, forward, maps, rois, grid, scale, maps.shape[1])


def psroi_pooling(maps, rois, size, scale):
    spans, forward = pooling.average_spans, pooling.average_forward
    return pooled(spans, forward, maps, rois, (size, size), scale, maps.shape[1] // size**2)


def roi_align(maps, rois, grid, scale, samples=0, pad=0):
    """With the weights of all cells along either axis."""
    rois = rois.copy()
    sides = rois[:, 3:5] - rois[:, 1:3]
    rois[:, 1:3], rois[:, 3:5] = rois[:, 1:3] - pad * sides, rois[:, 3:5] + pad * sides

    def forward(maps, image, rows, columns, y):
        y[...] = np.einsum("rchw,rih,rjw->rcij", maps[image], rows, columns)

    spans = pooling.align_spans
    return pooled(spans, forward, maps, rois, grid, scale, maps.shape[1], samples)


# Detectors in two stages


def anchor(base, ratio, scale, i, j, stride):
    """That of one ratio and one scale at row i and column j."""
    w = np.round(math.sqrt(base * base / ratio))
    sides = w * scale, np.round(w * ratio) * scale
    center = [at * stride + (base - 1) / 2 for at in (j, i)]
    ends = [(c - (side - 1) / 2, c + (side - 1) / 2) for c, side in zip(center, sides, strict=True)]
    return [ends[0][0], ends[1][0], ends[0][1], ends[1][1]]


def proposal(scores, codes, sizes, ratios=(0.5, 1, 2), scales=(8, 16, 32), stride=16, base=16,
             least=16, before=6000, after=300, threshold=0.7):  # fmt: skip
    """One anchor at a time; what is too small scores 0."""
    shapes = [(r, s) for r in ratios for s in scales]
    rows, found = [], []
    for n, (height, width, scale_h, *more) in enumerate(sizes):
        scale_w = more[0] if more else scale_h
        boxes, values = [], []
        for i, j in np.ndindex(scores.shape[2:]):
            for a, shape in enumerate(shapes):
                code = codes[n, 4 * a : 4 * a + 4, i, j]
                [box] = geometry.decode([code], [anchor(base, *shape, i, j, stride)], "RCNN")
                [box] = geometry.clip([box], width - 1, height - 1)
                small = (
                    box[2] - box[0] + 1 < least * scale_w or box[3] - box[1] + 1 < least * scale_h
                )
                boxes.append(box)
                values.append(0 if small else scores[n, len(shapes) + a, i, j])
        kept = geometry.nms(
            boxes, values, threshold, top_k=before or -1, pixels=True, most=after or -1
        )
        rows += [[n, *boxes[k]] for k in kept]
        found += [[values[k]] for k in kept]
    return np.reshape(rows, (-1, 5)), np.reshape(found, (-1, 1))


def anchor_target(scores, truth, sizes, scales=(8, 16, 32), stride=16, border=0, positive=0.7,
                  negative=0.3, clobber=False, weight=-1, inside=(1, 1, 1, 1)):  # fmt: skip
    """One anchor at a time, where so few are object or background that nothing is drawn."""
    shapes = [(r, s) for r in (0.5, 1, 2) for s in scales]
    rows, columns = scores.shape[2:]
    height, width = sizes[0, :2]
    places = [(a, i, j) for a in range(len(shapes)) for i in range(rows) for j in range(columns)]
    boxes = {at: anchor(16, *shapes[at[0]], *at[1:], stride) for at in places}
    boxes = {
        at: box
        for at, box in boxes.items()
        if min(box[:2]) >= -border and box[2] < width + border and box[3] < height + border
    }
    overlaps = {
        at: [geometry.iou_of(np.float64(box), row[:4], True) for row in truth]
        for at, box in boxes.items()
    }
    best = [max(values[k] for values in overlaps.values()) for k in range(len(truth))]
    labels = np.full((len(shapes), rows, columns), -1)
    targets, in_weights, out_weights = np.zeros((3, 4 * len(shapes), rows, columns))
    for at, values in overlaps.items():
        if max(values) < negative:
            labels[at] = 0
        if max(values) >= positive or any(v == b for v, b in zip(values, best, strict=True)):
            labels[at] = 0 if clobber and max(values) < negative else 1
    for at, values in overlaps.items():
        own = slice(4 * at[0], 4 * at[0] + 4), at[1], at[2]
        [targets[own]] = geometry.encode([truth[np.argmax(values), :4]], [boxes[at]], "RCNN")
        if labels[at] == 1:
            in_weights[own] = inside
        if labels[at] >= 0:
            share = weight if labels[at] else 1 - weight
            alike, all_alike = (labels == labels[at]).sum(), (labels >= 0).sum()
            out_weights[own] = share / alike if weight >= 0 else 1 / all_alike
    return labels.reshape(1, 1, -1, columns), targets[None], in_weights[None], out_weights[None]


def proposal_target(rois, truth, classes, foreground=0.5, high=0.5, low=0.1, mean=(0,) * 4,
                    std=(1,) * 4, inside=(1,) * 4):  # fmt: skip
    """One region at a time, where all are taken."""
    regions = [*rois[:, 1:], *truth[:, :4]]
    objects, others = [], []
    for region in regions:
        overlaps = [geometry.iou_of(region, row[:4], True) for row in truth]
        if max(overlaps) >= foreground:
            objects.append((region, truth[np.argmax(overlaps)]))
        elif low <= max(overlaps) < high:
            others.append((region, None))
    count = len(objects) + len(others)
    found, labels, numbers = (
        np.zeros((count, 5)),
        np.zeros(count),
        np.zeros((3, count, 4 * classes)),
    )
    for k, (region, box) in enumerate(objects + others):
        found[k, 1:] = region
        if box is not None:
            labels[k] = box[4]
            own = slice(4 * int(box[4]), 4 * int(box[4]) + 4)
            [code] = geometry.encode([box[:4]], [region], "RCNN")
            numbers[0, k, own] = (code - np.array(mean)) / std
            numbers[1, k, own], numbers[2, k, own] = inside, np.array(inside) > 0
    return found, labels, *numbers


def roi_detection_output(rois, scores, *more, threshold=0.05, overlap=0.3, most=100,
                         agnostic=False):  # fmt: skip
    """One region and class at a time."""
    rows, sizes = [], more[-1]
    codes = more[0] if len(more) > 1 else np.zeros((len(rois), 4 * scores.shape[1]))
    for n, (height, width) in enumerate(sizes[:, :2]):
        found = []
        for label in range(1, scores.shape[1]):
            at = 4 if agnostic else 4 * label
            boxes, values = [], []
            for r in range(len(rois)):
                if rois[r, 0] == n and scores[r].flat[label] > threshold:
                    code = codes[r].flat[at : at + 4]
                    [box] = geometry.decode([code], [rois[r, 1:]], "RCNN")
                    boxes += list(geometry.clip([box], width, height))
                    values.append(scores[r].flat[label])
            kept = geometry.nms(boxes, values, overlap, inclusive=True, pixels=True)
            found += [[n, label, values[k], *boxes[k]] for k in kept]
        found.sort(key=lambda row: -row[2])
        if 0 < most < len(found):
            found = [row for row in found if row[2] >= found[most - 1][2]]
        rows += [
            [*row[:3], row[3] / width, row[4] / height, row[5] / width, row[6] / height]
            for row in found
        ]
    if not rows:
        rows = [[n, -1, -1, -1, -1, -1, -1] for n in range(len(sizes))]
    return np.reshape(rows, (1, 1, -1, 7))
