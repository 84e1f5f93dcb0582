"""COCO's matching of boxes, box by box, as pycocotools does it."""

import numpy as np

OVERLAPS = np.linspace(0.5, 0.95, 10)


def count(found, true, crowd, within, most):
    """{class: (positives, scores, right, wrong)}, the best score first; as `_coco.count`."""
    area = np.prod(true[:, 4:] - true[:, 2:4], axis=1)
    ignored = crowd | (area < within[0]) | (area > within[1])
    result = {}
    for one in sorted({*true[:, 1]}):
        positives, parts = 0, []
        for image in sorted({*true[:, 0], *found[:, 0]}):
            own = np.flatnonzero((true[:, 0] == image) & (true[:, 1] == one))
            own = own[np.argsort(ignored[own], kind="stable")]
            rows = np.flatnonzero((found[:, 0] == image) & (found[:, 1] == one))
            rows = rows[np.argsort(-found[rows, 2], kind="stable")][:most]
            positives += int((~ignored[own]).sum())
            judged = [_judge(found[rows], true[own], ignored[own], crowd[own], t) for t in OVERLAPS]
            size = np.prod(found[rows, 5:] - found[rows, 3:5], axis=1)
            outside = (size < within[0]) | (size > within[1])
            right, wrong = np.array(judged).reshape(len(OVERLAPS), 2, -1).swapaxes(0, 1)
            parts.append((found[rows, 2], right, wrong & ~outside))
        if positives:
            scores, right, wrong = (
                np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)
            )
            order = np.argsort(-scores, kind="stable")
            result[int(one)] = positives, scores[order], right[:, order], wrong[:, order]
    return result


def _judge(found, true, ignored, crowd, overlap):
    """(right, wrong) of the boxes of an image and class at one overlap."""
    taken = np.zeros(len(true), bool)
    right, wrong = np.zeros((2, len(found)), bool)
    for k, box in enumerate(found[:, 3:]):
        best, match = min(overlap, 1 - 1e-10), None
        for g, other in enumerate(true[:, 2:]):
            if taken[g] and not crowd[g]:
                continue
            if match is not None and not ignored[match] and ignored[g]:
                break
            share = _share(box, other, crowd[g])
            if share >= best:
                best, match = share, g
        if match is None:
            wrong[k] = True
        else:
            right[k], taken[match] = not ignored[match], True
    return right, wrong


def _share(box, other, of_box):
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common, a, b = max(sides[0], 0) * max(sides[1], 0), _area(box), _area(other)
    return common / (a if of_box else a + b - common)


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])
