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


def softmax_with_loss(x, labels, axis=1, ignore=None, normalization="VALID"):
    total = 0.0
    for _, scores, label in samples(x, labels, axis, ignore):
        total -= np.log(np.exp(scores[label]) / np.exp(scores).sum())
    return total / divisor(x, labels, axis, ignore, normalization)


def euclidean_loss(a, b):
    return np.sum((a - np.reshape(b, a.shape)) ** 2) / (2 * len(a))


def accuracy(x, labels, axis=1, ignore=None, top_k=1):
    hits, counts = np.zeros((2, x.shape[axis]))
    for _, scores, label in samples(x, labels, axis, ignore):
        better = [s >= scores[label] for j, s in enumerate(scores) if j != label]
        hits[label] += sum(better) < top_k
        counts[label] += 1
    return [hits.sum() / max(1, counts.sum()), hits / np.maximum(1, counts)]
