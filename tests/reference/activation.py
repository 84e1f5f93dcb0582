import numpy as np


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def relu(x, slope=0.0):
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def tanh(x):
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)
