import numpy as np


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def relu(x, slope=0.0):
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def tanh(x):
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)


def abs_val(x):
    return np.where(x < 0, -x, x)


def bnll(x):
    return np.log(1 + np.exp(x))


def clip(x, low, high):
    return np.maximum(low, np.minimum(x, high))


def exp(x, base=np.e, scale=1.0, shift=0.0):
    return base ** (shift + scale * x)


def log(x, base=np.e, scale=1.0, shift=0.0):
    return np.log(shift + scale * x) / np.log(base)


def power(x, power=1.0, scale=1.0, shift=0.0):
    return (shift + scale * x) ** power


def prelu(x, slope):
    slope = np.broadcast_to(slope, x.shape[1])
    return np.stack([relu(x[:, c], slope[c]) for c in range(x.shape[1])], axis=1)


def relu6(x, slope=0.0, limit=6):
    return np.minimum(relu(x, slope), limit)


def selu(x, alpha=1.67326324):
    return 1.050700987 * elu(x, alpha)


def swish(x, beta=1.0):
    return x * sigmoid(beta * x)


def threshold(x, threshold=0.0):
    return np.where(x > threshold, 1, 0)
