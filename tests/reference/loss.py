import numpy as np


def softmax(x, axis=1):
    e = np.exp(x)
    return e / e.sum(axis, keepdims=True)


def samples(x, labels, axis=1, ignore=None):
    """(index of the sample's position, its scores, its label) for each that counts."""
    scores = np.moveaxis(x, axis, -1)
    labels = np.reshape(labels, scores.shape[:-1]).astype(int)
    for at in np.ndindex(labels.shape):
        if labels[at] != ignore:
            yield at, scores[at], labels[at]


def divisor(x, labels, axis, ignore, normalization):
    valid = np.sum(np.trunc(labels) != ignore)
    return {
        "FULL": np.size(labels),
        "VALID": max(1, valid),
        "BATCH_SIZE": np.prod(np.shape(x)[:axis]),
        "NONE": 1,
    }[normalization]


def softmax_with_loss(x, labels, axis=1, ignore=None, normalization="VALID", weights=None):
    total = 0.0
    for _, scores, label in samples(x, labels, axis, ignore):
        weight = 1 if weights is None else weights[label]
        total -= weight * np.log(np.exp(scores[label]) / np.exp(scores).sum())
    return total / divisor(x, labels, axis, ignore, normalization)


def softmax_losses(x, labels, ignore=None, normalization="VALID", tops=3):
    """With the tops of OHEM: probabilities, and the loss of each sample."""
    p, each = softmax(x, 1), np.zeros(labels.shape)
    for n, _, i in np.ndindex(labels.shape):
        if labels[n, 0, i] != ignore:
            each[n, 0, i] = -np.log(p[n, int(labels[n, 0, i]), i])
    loss = softmax_with_loss(x, labels, 1, ignore, normalization)
    return [loss, p, each][:tops]


def weighted_softmax_loss(x, labels, w, ignore=None):
    """Of a map, by hand: each pixel's loss by its weight, over the sum of the weights."""
    total = weights = 0.0
    for n, _, i, j in np.ndindex(labels.shape):
        label, scores = int(labels[n, 0, i, j]), x[n, :, i, j]
        if label != ignore and w[n, 0, i, j]:
            total -= w[n, 0, i, j] * np.log(np.exp(scores[label]) / np.exp(scores).sum())
            weights += w[n, 0, i, j]
    return total / max(1, weights)


def focal_loss(x, labels, axis=1, ignore=None, normalization="VALID", alpha=0.25, gamma=2):
    total = 0.0
    for _, scores, label in samples(x, labels, axis, ignore):
        p = softmax(scores, 0)[label]
        total -= alpha * (1 - p) ** gamma * np.log(p)
    return total / divisor(x, labels, axis, ignore, normalization)


def center_loss(x, labels, centers):
    total = sum(
        np.sum((v.ravel() - centers[int(k)]) ** 2) for v, k in zip(x, labels.flat, strict=True)
    )
    return total / (2 * max(1, len(x)))


def triplet_loss(anchors, likes, unlikes, margin=1.0):
    total = 0.0
    for a, p, n in zip(anchors, likes, unlikes, strict=True):
        total += max(0, margin + np.sum((a - p) ** 2) - np.sum((a - n) ** 2))
    return total / (2 * max(1, len(anchors)))


def seg_accuracy(x, labels, ignore=()):
    found, said = [], []
    for _, scores, label in samples(x, labels):
        if label not in ignore:
            found.append(label)
            said.append(max(range(len(scores)), key=lambda k: (scores[k], k)))
    found, said = np.array(found), np.array(said)
    recalls = [np.mean(said[found == k] == k) for k in set(found)]
    overlaps = []
    for k in range(x.shape[1]):
        either = np.sum((found == k) | (said == k))
        overlaps.append(np.sum((found == k) & (said == k)) / either if either else 1)
    accuracy = np.mean(found == said) if len(found) else 0
    recall = np.mean(recalls) if recalls else 0
    return np.reshape([accuracy, recall, np.mean(overlaps)], (1, 1, 1, 3))


def euclidean_loss(a, b):
    return np.sum((a - np.reshape(b, a.shape)) ** 2) / (2 * len(a))


def accuracy(x, labels, axis=1, ignore=None, top_k=1):
    hits, counts = np.zeros((2, x.shape[axis]))
    for _, scores, label in samples(x, labels, axis, ignore):
        better = [s >= scores[label] for j, s in enumerate(scores) if j != label]
        hits[label] += sum(better) < top_k
        counts[label] += 1
    return [hits.sum() / max(1, counts.sum()), hits / np.maximum(1, counts)]


def sigmoid_cross_entropy_loss(x, t, ignore=None, normalization="BATCH_SIZE"):
    t = np.reshape(t, x.shape)
    p = 1 / (1 + np.exp(-x))
    losses = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    total = losses[np.trunc(t) != ignore].sum()
    return total / divisor(x, t, 1, ignore, normalization)


def balanced_cross_entropy_loss(x, t, ignore=None):
    """Equations 2 and 3 of HED, with the share of ones and zeros among those that count."""
    total = 0.0
    for scores, targets in zip(x, np.reshape(t, x.shape), strict=True):
        targets = np.where(np.trunc(targets) == ignore, np.nan, targets)
        ones, zeros = (targets == 1).sum(), (targets == 0).sum()
        p = 1 / (1 + np.exp(-scores))
        total -= zeros / (ones + zeros) * np.log(p[targets == 1]).sum()
        total -= ones / (ones + zeros) * np.log(1 - p[targets == 0]).sum()
    return total / len(x)


def hinge_loss(x, labels, power=1):
    total = 0.0
    for i, scores in enumerate(x.reshape(len(x), -1)):
        for k, score in enumerate(scores):
            sign = -1 if k == int(labels.flat[i]) else 1
            total += max(0, 1 + sign * score) ** power
    return total / max(1, len(x))


def infogain_loss(x, labels, matrix, axis=1, ignore=None, normalization="VALID"):
    matrix = np.reshape(matrix, (x.shape[axis], -1))
    total = 0.0
    for _, scores, label in samples(x, labels, axis, ignore):
        total -= matrix[label] @ np.log(softmax(scores, 0))
    return total / divisor(x, labels, axis, ignore, normalization)


def multinomial_logistic_loss(p, labels):
    rows = p.reshape(len(p), -1)
    total = sum(np.log(row[int(label)]) for row, label in zip(rows, labels.flat, strict=True))
    return -total / max(1, len(p))


def contrastive_loss(a, b, similar, margin=1.0, legacy=False):
    total = 0.0
    for x, y, same in zip(a, b, similar.flat, strict=True):
        square = np.sum((x.ravel() - y.ravel()) ** 2)
        unlike = margin - square if legacy else np.sign(m := margin - np.sqrt(square)) * m**2
        total += square if same else max(unlike, 0)
    return total / (2 * max(1, len(a)))


def smooth_l1_loss(a, b, inside=1.0, outside=1.0, sigma=1.0, divisor=None):
    d = np.abs(inside * (a - b))
    f = np.where(d < 1 / sigma**2, (sigma * d) ** 2 / 2, d - 0.5 / sigma**2)
    return np.sum(outside * f) / (divisor or max(1, len(a)))


def smooth_l1_losses(a, b, inside=1.0):
    """With the second top: the sum of each position, over the channels."""
    one = [[smooth_l1_loss(p[:, [q]], r[:, [q]], w[:, [q]], divisor=1) for q in range(a.shape[2])]
           for p, r, w in zip(a, b, inside, strict=True)]  # fmt: skip
    return smooth_l1_loss(a, b, inside), np.array(one)[:, None]


def softmax_with_cross_entropy_loss(x, t, axis=1, by_position=True):
    p, q = softmax(x, axis), softmax(t, axis)
    count = np.sum(q) if by_position else np.prod(x.shape[:axis])  # q adds up to 1 per position
    return np.sum(q * np.log(q / p)) / max(1, count)


def tv_loss(x, beta=2):
    total = 0.0
    for plane in x.reshape(-1, *x.shape[-2:]):
        for i, j in np.ndindex(plane.shape[0] - 1, plane.shape[1] - 1):
            right, below = plane[i, j] - plane[i, j + 1], plane[i, j] - plane[i + 1, j]
            total += (right**2 + below**2) ** (beta / 2)
    return total


def style_loss(x, style):
    channels, places = x.shape[1], np.prod(x.shape[2:])
    total = 0.0
    for n, sample in enumerate(x.reshape(*x.shape[:2], -1)):
        a = channels * places * style[n % len(style)]
        for i, j in np.ndindex(channels, channels):
            g = sum(sample[i, k] * sample[j, k] for k in range(places))
            total += (g - a[i, j]) ** 2 / (4 * channels**2 * places**2)
    return total / len(x)
