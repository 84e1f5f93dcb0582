"""YOLO's layers, one cell and one box at a time. A box is x, y, w, h; arrays are float64."""

import itertools

import numpy as np

ANCHORS = (0.6, 0.7, 1.3, 1.1, 1.9, 2.2)  # in cells
PIXELS = (20, 37, 49, 94, 73, 201, 143, 265)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def edges(box, cut=False):
    x, y, w, h = box
    found = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    if cut:
        found = [max(found[0], 0), max(found[1], 0), min(found[2], 1), min(found[3], 1)]
    return found


def area(left, top, right, bottom):
    return (right - left) * (bottom - top) if right > left and bottom > top else 0


def shared(a, b):
    return area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))


def iou(a, b, cut=False):
    a, b = edges(a, cut), edges(b, cut)
    both = shared(a, b)
    return both / (area(*a) + area(*b) - both) if both else 0


def around(a, b):
    a, b = edges(a), edges(b)
    return max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])


def giou(a, b):
    w, h = around(a, b)
    union = a[2] * a[3] + b[2] * b[3] - shared(edges(a), edges(b))
    return iou(a, b) - (w * h - union) / (w * h)


def distance(a, b):
    w, h = around(a, b)
    return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (w**2 + h**2)


def diou(a, b):
    return iou(a, b) - distance(a, b) ** 0.6


def ciou(a, b):
    v = 4 / np.pi**2 * (np.arctan(b[2] / b[3]) - np.arctan(a[2] / a[3])) ** 2
    return iou(a, b) - distance(a, b) - v * v / (1 - iou(a, b) + v + 1e-6)


COUNTED = {"MSE": iou, "IOU": diou, "GIOU": giou, "DIOU": diou, "CIOU": ciou}


def pull(p, t, kind):
    """What darknet takes for the derivatives of an overlap in x, y, w, h of p."""
    (pl, pt, pr, pb), (tl, tt, tr, tb) = edges(p), edges(t)
    width, height = min(pr, tr) - max(pl, tl), min(pb, tb) - max(pt, tt)
    inner = width * height
    union = p[2] * p[3] + t[2] * t[3] - inner
    cw, ch = around(p, t)
    own = [-(pb - pt), -(pr - pl), pb - pt, pr - pl]  # left, top, right, bottom
    inside = [
        -height if pl > tl else 0,
        -width if pt > tt else 0,
        height if pr < tr else 0,
        width if pb < tb else 0,
    ]
    outside = [pl < tl, pt < tt, pr > tr, pb > tb]
    hull = [-ch * outside[0], -cw * outside[1], ch * outside[2], cw * outside[3]]
    apart, edge = width <= 0 or height <= 0, []
    for k in range(4):
        d_union = own[k] - inside[k]
        value = (union * inside[k] - inner * d_union) / union**2
        if kind == "GIOU":
            away = (cw * ch * d_union - union * hull[k]) / (cw * ch) ** 2
            value = away if apart else value + away
        edge.append(value)
    found = np.array([edge[0] + edge[2], edge[1] + edge[3], edge[2] - edge[0], edge[3] - edge[1]])
    if kind not in ("DIOU", "CIOU"):
        return found
    diagonal, square = cw**2 + ch**2, (p[0] - t[0]) ** 2 + (p[1] - t[1]) ** 2
    away = np.zeros(4)
    for k, side in ((0, cw), (1, ch)):
        grows = 2 * side * (outside[k + 2] * 1.0 - outside[k])
        away[k] = (2 * (t[k] - p[k]) * diagonal - grows * square) / diagonal**2
        away[k + 2] = side * (outside[k + 2] * 1.0 + outside[k]) * square / diagonal**2
    if kind == "CIOU":
        angle = np.arctan(t[2] / t[3]) - np.arctan(p[2] / p[3])
        v = 4 / np.pi**2 * angle**2
        alpha = v / (1 - inner / union + v + 1e-6)
        away[2] += alpha * 8 / np.pi**2 * angle * p[3]
        away[3] -= alpha * 8 / np.pi**2 * angle * p[2]
    return away if apart else found + away


def rows_of(labels, picture):
    """(class from 0, box) of a picture, of any of the three forms of labels."""
    if labels.shape[-1] == 8:
        for row in labels.reshape(-1, 8):
            if int(row[0]) == picture:
                low, high = row[3:5], row[5:7]
                yield int(row[1]) - 1, np.array([*(low + high) / 2, *(high - low)])
        return
    for row in labels[picture].reshape(-1, 5):
        if row[1] == 0 or row[3] == 0:
            return
        yield int(row[0]), row[1:]


def boxes_of(numbers, sizes, n, j, i):
    """The box of anchor n in cell (j, i), whose x and y are already between 0 and 1."""
    _, _, height, width = numbers.shape
    x, y, w, h = numbers[n, :4, j, i]
    box = [(i + x) / width, (j + y) / height, np.exp(w) * sizes[n][0], np.exp(h) * sizes[n][1]]
    return np.array(box)


def region_loss(
    x,
    labels,
    form="mobilenet",
    anchors=ANCHORS,
    object_scale=1,
    noobject_scale=0.5,
    class_scale=1,
    coord_scale=5,
    thresh=0.2,
    bias_match=True,
    rescore=True,
    step=0,
):
    """(L, gradient of x)"""
    samples, _, height, width = x.shape
    anchors = np.reshape(anchors, (-1, 2))
    numbers = x.reshape(samples, len(anchors), -1, height, width).copy()
    for c in (0, 1, 4):
        numbers[:, :, c] = sigmoid(numbers[:, :, c])
    sizes, g, cut = anchors / [width, height], np.zeros_like(numbers), form == "gklz"
    for b in range(samples):
        truths = list(rows_of(labels, b))
        for n, j, i in itertools.product(range(len(anchors)), range(height), range(width)):
            box, o = boxes_of(numbers[b], sizes, n, j, i), numbers[b, n, 4, j, i]
            if not any(iou(box, true, cut) > thresh for _, true in truths):
                g[b, n, 4, j, i] = noobject_scale * o * o * (1 - o)
            if cut and step < 12800 // samples:
                p = numbers[b, n, :4, j, i]
                g[b, n, :2, j, i] = 0.01 * (p[:2] - 0.5) * p[:2] * (1 - p[:2])
                g[b, n, 2:4, j, i] = 0.01 * p[2:]
        for label, true in truths:
            i, j = int(true[0] * width), int(true[1] * height)
            shapes = [
                sizes[n] if bias_match else boxes_of(numbers[b], sizes, n, j, i)[2:]
                for n in range(len(anchors))
            ]
            n = np.argmax([iou([0, 0, *s], [0, 0, *true[2:]], cut) for s in shapes])
            p = numbers[b, n, :, j, i]
            target = [true[0] * width - i, true[1] * height - j, *np.log(true[2:] / sizes[n])]
            error = p[:4] - target
            if form == "intel":
                error = np.clip(error, -1, 1)
            scale = coord_scale
            if form == "mobilenet" and not rescore:
                scale *= 2 - true[2] * true[3]
            slope = p * (1 - p)
            g[b, n, :4, j, i] = scale * error * [slope[0], slope[1], 1, 1]
            wanted = 1
            if form == "mobilenet" and rescore:
                wanted = iou(boxes_of(numbers[b], sizes, n, j, i), true)
            error = -2 * (1 - p[4]) ** 3 if form == "intel" else p[4] - wanted
            g[b, n, 4, j, i] = object_scale * error * slope[4]
            likely = np.exp(p[5:]) / np.exp(p[5:]).sum()
            likely[label] -= 1
            g[b, n, 5:, j, i] = class_scale * likely
    total = (g**2).sum()
    return total / samples if form == "mobilenet" else total, (g / samples).reshape(x.shape)


def yolov3(
    x,
    labels,
    mask,
    scale,
    sizes=PIXELS,
    thresh=0.2,
    class_scale=1,
    coord_scale=5,
    object_scale=1,
    logic=False,
    focal=False,
    kind="MSE",
    weight=0.25,
    iou_thresh=0.5,
    most=10,
    adds=True,
    eps=0.1,
):
    """(L, gradient of x)"""
    samples, _, height, width = x.shape
    numbers = x.reshape(samples, len(mask), -1, height, width).copy()
    raw = numbers.copy()
    for c in range(numbers.shape[2]):
        if c not in (2, 3):
            numbers[:, :, c] = sigmoid(numbers[:, :, c])
    sizes = np.reshape(sizes, (-1, 2)) / [width * scale, height * scale]
    own, g, missed = [sizes[k] for k in mask], np.zeros_like(numbers), []
    for b in range(samples):
        truths = list(rows_of(labels, b))
        for n, j, i in itertools.product(range(len(mask)), range(height), range(width)):
            box = boxes_of(numbers[b], own, n, j, i)
            if not any(iou(box, true) > thresh for _, true in truths):
                g[b, n, 4, j, i] = numbers[b, n, 4, j, i]
        for label, true in truths:
            i, j = int(true[0] * width), int(true[1] * height)
            alike = [iou([0, 0, *s], [0, 0, *true[2:]]) for s in sizes]
            best = int(np.argmax(alike))
            learns = [best] if best in mask else []
            passed = mask.index(best) if best in mask else best  # a place, among anchors
            for k in range(len(sizes)):
                if k in mask and k != passed and iou_thresh < 1 and alike[k] > iou_thresh:
                    learns.append(k)
            for k in learns:
                n = mask.index(k)
                p, d = numbers[b, n, :, j, i], g[b, n, :, j, i]
                box = boxes_of(numbers[b], own, n, j, i)
                if kind == "MSE":
                    target = [true[0] * width - i, true[1] * height - j, *np.log(true[2:] / own[n])]
                    d[:4] = coord_scale * (2 - true[2] * true[3]) * (p[:4] - target)
                else:
                    step = -weight * pull(box, true, kind) * [1, 1, *np.exp(p[2:4])]
                    d[:4] = np.clip(step, -most, most) + (d[:4] if adds else 0)
                d[4] = (p[4] - 1) * (object_scale if logic else 1)
                one = np.eye(len(p) - 5)[label]
                smooth = class_scale * (p[5:] - one * (1 - eps) - eps / 2)
                q = p[5 + label]
                focus = -(1 - q) * (2 * q * np.log(q) + q - 1) / 2
                if d[5 + label]:
                    d[5 + label] = smooth[label]
                else:
                    d[5:] = class_scale * (p[5:] - one) * focus if focal else smooth
                missed.append(1 - COUNTED[kind](box, true))
    total = (g**2).sum()
    if kind != "MSE":
        total = (g[:, :, 4:] ** 2).sum() + (weight * np.mean(missed) if missed else 0)
    if logic:
        at = numbers if kind == "MSE" else raw
        g[:, :, :2] *= at[:, :, :2] * (1 - at[:, :, :2])
        g[:, :, 4:] *= numbers[:, :, 4:] * (1 - numbers[:, :, 4:])
    return total / samples, (g / samples).reshape(x.shape)


def v1_box(numbers, row, column, side, sqrt, constriant):
    x, y, w, h = numbers
    if constriant:
        x, y = (column + x) / side, (row + y) / side
    return [x, y, w * w, h * h] if sqrt else [x, y, w, h]


def detection_loss(
    x,
    labels,
    side,
    classes,
    boxes,
    sqrt=True,
    constriant=False,
    object_scale=1,
    noobject_scale=0.5,
    class_scale=1,
    coord_scale=5,
):
    """(L, gradient of x)"""
    cells, g = side * side, np.zeros((len(x), (classes + 5 * boxes) * side * side))
    flat, terms, empty, objects = x.reshape(len(x), -1), 0.0, [], 0
    for b, cell in itertools.product(range(len(x)), range(cells)):
        row, column = divmod(cell, side)

        def at(plane, cell=cell):
            return plane * cells + cell

        there, label = labels[b].flat[cells + cell], int(labels[b].flat[2 * cells + cell])
        true = labels[b].ravel()[3 * cells + 4 * cell :][:4]
        best = None
        if there:
            objects += 1
            found = []
            for k in range(boxes):
                numbers = [flat[b, at(classes + boxes + 4 * k + c)] for c in range(4)]
                found.append(v1_box(numbers, row, column, side, sqrt, constriant))
            alike = [iou(f, true) for f in found]
            off = [np.linalg.norm(np.subtract(f, true)) for f in found]
            best = int(np.argmax(alike) if max(alike) > 0 else np.argmin(off))
            target = list(true)
            if constriant:
                target[:2] = true[0] * side - column, true[1] * side - row
            if sqrt:
                target[2:] = np.sqrt(true[2:])
            for c in range(classes):
                error = flat[b, at(c)] - (c == label)
                terms += class_scale * error**2
                g[b, at(c)] = class_scale * error
            for c in range(4):
                plane = at(classes + boxes + 4 * best + c)
                error = flat[b, plane] - target[c]
                terms += coord_scale * error**2
                g[b, plane] = coord_scale * error
        for k in range(boxes):
            o = flat[b, at(classes + k)]
            if k == best:
                terms += object_scale * (o - 1) ** 2
                g[b, at(classes + k)] = object_scale * (o - alike[k])
            else:
                empty.append(noobject_scale * o**2)
                g[b, at(classes + k)] = noobject_scale * o
    total = terms / max(1, objects) + np.sum(empty) / max(1, len(empty))
    return total, (g / len(x)).reshape(x.shape)


def suppressed(found, threshold, cut=False):
    """Of (score, ..., box) best first, those that no better one overlaps by so much."""
    kept = []
    for one in sorted(found, key=lambda f: -f[0]):
        if all(iou(one[-1], other[-1], cut) < threshold for other in kept):
            kept.append(one)
    return kept


def detections(found, samples, threshold, per_image=False, per_class=False):
    """Rows of (score, picture, label from 0, box), as (1, 1, rows, 7)."""
    groups = {}
    for one in found:
        key = (one[1] if per_image else 0, one[2] if per_class else 0)
        groups.setdefault(key, []).append(one)
    rows = []
    for picture in range(samples if per_image else 1):
        kept = [
            k
            for key, group in groups.items()
            if key[0] == picture
            for k in suppressed(group, threshold)
        ]
        for score, _, label, box in sorted(kept, key=lambda k: -k[0]):
            rows.append([picture, label + 1, score, *edges(box)])
    if not rows:
        rows = [[n, *[-1] * 6] for n in range(samples)]
    return np.array(rows, float).reshape(1, 1, -1, 7)


def region_boxes(x, anchors, least):
    """(score, picture, label, box) of the likeliest class of each box, cell by cell."""
    samples, _, height, width = x.shape
    anchors = np.reshape(anchors, (-1, 2))
    numbers = x.reshape(samples, len(anchors), -1, height, width).copy()
    for c in (0, 1, 4):
        numbers[:, :, c] = sigmoid(numbers[:, :, c])
    for b, j, i, n in np.ndindex(samples, height, width, len(anchors)):
        p = np.exp(numbers[b, n, 5:, j, i])
        p /= p.sum()
        score = numbers[b, n, 4, j, i] * p.max()
        if score >= least:
            yield (
                score,
                b,
                int(p.argmax()),
                boxes_of(numbers[b], anchors / [width, height], n, j, i),
            )


def yolo_detection_output(*maps, anchors=ANCHORS, least=0.01, threshold=0.45, **how):
    found = [f for x in maps for f in region_boxes(x, anchors, least)]
    return detections(found, len(maps[0]), threshold, **how)


def yolov3_detection_output(*maps, sizes, mask, scales, least=0.01, threshold=0.45, **how):
    sizes, found = np.reshape(sizes, (-1, 2)), []
    each = len(mask) // len(maps)
    for k, x in enumerate(maps):
        samples, _, height, width = x.shape
        own = sizes[list(mask[k * each :][:each])] / [width * scales[k], height * scales[k]]
        numbers = x.reshape(samples, each, -1, height, width).copy()
        p = sigmoid(numbers[:, :, 4:])
        numbers[:, :, :2] = sigmoid(numbers[:, :, :2])
        for b, j, i, n in np.ndindex(samples, height, width, each):
            for c in range(p.shape[2] - 1):
                score = p[b, n, 0, j, i] * p[b, n, c + 1, j, i]
                if score > least:
                    found.append((score, b, c, boxes_of(numbers[b], own, n, j, i)))
    return detections(found, len(maps[0]), threshold, **how)


def v1_numbers(x, side, classes, boxes, planes):
    """(p of classes, o of boxes, numbers of boxes) of each picture and cell."""
    flat, cells = x.reshape(len(x), -1), side * side
    for b, cell in itertools.product(range(len(x)), range(cells)):
        v = flat[b]
        if planes:
            at = v.reshape(-1, cells)[:, cell]
            yield b, cell, at[:classes], at[classes : classes + boxes], at[classes + boxes :]
        else:
            p = v[cell * classes :][:classes]
            o = v[cells * classes + cell * boxes :][:boxes]
            yield b, cell, p, o, v[cells * (classes + boxes) + cell * boxes * 4 :][: 4 * boxes]


def v1_output(
    x,
    side,
    classes,
    boxes,
    planes=True,
    sqrt=True,
    constriant=False,
    least=0.01,
    threshold=0.45,
    **how,
):
    found = []
    for b, cell, p, o, numbers in v1_numbers(x, side, classes, boxes, planes):
        for k, c in itertools.product(range(boxes), range(classes)):
            if o[k] * p[c] >= least:
                at = numbers[4 * k :][:4]
                box = v1_box(at, *divmod(cell, side), side, sqrt, constriant)
                found.append((o[k] * p[c], b, c, box))
    return detections(found, len(x), threshold, **how)


def evaluated(found, truths, classes, room, threshold, missed):
    """A row of EvalDetection: counts of classes, then label, score, tp, fp of boxes."""
    counts = np.zeros(classes)
    for label, _, difficult in truths:
        counts[label] += not difficult
    rows, taken = [], set()
    for score, label, box in sorted(found, key=lambda f: f[1]):
        own = [k for k, true in enumerate(truths) if true[0] == label]
        right = wrong = 0
        if not own:
            wrong = 1
        else:
            best = max(own, key=lambda k: iou(box, truths[k][1]))
            if iou(box, truths[best][1]) < threshold:
                wrong = missed
            elif not truths[best][2]:
                right, wrong = best not in taken, best in taken
                taken.add(best)
        rows.append([label, score, right, wrong])
    flat = np.zeros(room)
    flat[: 4 * len(rows)] = np.ravel(rows)
    return [*counts, *flat]


def eval_first(x, labels, side, classes, boxes, threshold=0.5, nms=-1, score="MULTIPLY"):
    """EvalDetection of the first YOLO, with sqrt and constriant."""
    cells, found, result = side * side, {b: [] for b in range(len(x))}, []
    for b, cell, p, o, numbers in v1_numbers(x, side, classes, boxes, planes=True):
        for k in range(boxes):
            value = {"OBJ": o[k], "PROB": p.max(), "MULTIPLY": o[k] * p.max()}[score]
            box = v1_box(numbers[4 * k :][:4], *divmod(cell, side), side, True, True)
            found[b].append((value, int(p.argmax()), box))
    for b in range(len(x)):
        v = labels[b].ravel()
        truths = [
            (int(v[2 * cells + c]), v[3 * cells + 4 * c :][:4], v[c] == 1)
            for c in range(cells)
            if v[cells + c]
        ]
        kept = suppressed(found[b], nms) if nms >= 0 else sorted(found[b], key=lambda f: -f[0])
        result.append(evaluated(kept, truths, classes, 4 * boxes * cells, threshold, missed=1))
    return np.array(result)
