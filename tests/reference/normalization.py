import numpy as np


def along(array, shape, axis):
    """`array` with axes of size 1 added, to repeat over `shape` from `axis` on."""
    before, after = axis, len(shape) - axis - array.ndim
    return array.reshape((1,) * before + array.shape + (1,) * after)


def others(x):
    """All axes but the channels'."""
    return tuple(i for i in range(x.ndim) if i != 1)


def batch_norm(x, *blobs, eps=1e-5):
    """With the statistics of the batch; blobs 3 and 4, if there, are scale and bias."""
    mean = x.mean(others(x), keepdims=True)
    variance = ((x - mean) ** 2).mean(others(x), keepdims=True)
    y = (x - mean) / np.sqrt(variance + eps)
    return affine(y, *blobs[3:]) if len(blobs) > 3 else y


def instance_norm(x, eps=1e-5):
    return np.concatenate([batch_norm(sample[None], eps=eps) for sample in x])


def batch_norm_stored(x, mean, variance, factor, *scale_bias, eps=1e-5):
    share = 0 if factor[0] == 0 else 1 / factor[0]
    y = x - along(mean * share, x.shape, 1)
    y = y / np.sqrt(along(variance * share, x.shape, 1) + eps)
    return affine(y, *scale_bias) if scale_bias else y


def affine(x, scale, bias):
    return x * along(scale, x.shape, 1) + along(bias, x.shape, 1)


def scale(x, *operands, axis=1):
    y = x * along(operands[0], x.shape, axis)
    return y + along(operands[1], x.shape, axis) if len(operands) > 1 else y


def bias(x, b, axis=1):
    return x + along(b, x.shape, axis)


def normalize(x, scale, across_spatial=True, eps=1e-10):
    axes = tuple(range(1, x.ndim)) if across_spatial else 1
    norm = np.sqrt((x**2).sum(axes, keepdims=True) + eps)
    return along(scale, x.shape, 1) * x / norm


def mvn(x, variance=True, across=False, eps=1e-9):
    y = x.reshape(x.shape + (1,) * (4 - x.ndim)).copy()
    groups = y if across else y.reshape(-1, *y.shape[2:])
    for values in groups:
        values -= values.mean()
        if variance:
            values /= np.sqrt((values**2).mean()) + eps
    return y


def bn(x, slope, bias, *averages, eps=1e-5):
    return batch_norm(x, None, None, None, slope.ravel(), bias.ravel(), eps=eps)


def bn_stored(x, slope, bias, mean, variance, eps=1e-5):
    rest = [a.ravel() for a in (mean, variance, np.ones(1), slope, bias)]
    return batch_norm_stored(x, *rest, eps=eps)


def bn_with_statistics(x, slope, bias):
    mean, variance = x.mean(others(x)), x.var(others(x))
    return [bn(x, slope, bias, eps=1e-9), *(a.reshape(1, -1, 1, 1) for a in (mean, variance))]
