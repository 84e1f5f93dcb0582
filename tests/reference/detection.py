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


def roi_align(maps, rois, grid, scale, samples=0):
    """With the weights of all cells along either axis."""

    def forward(maps, image, rows, columns, y):
        y[...] = np.einsum("rchw,rih,rjw->rcij", maps[image], rows, columns)

    spans = pooling.align_spans
    return pooled(spans, forward, maps, rois, grid, scale, maps.shape[1], samples)
