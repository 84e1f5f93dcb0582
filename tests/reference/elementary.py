import math

import numpy as np


def exp(x, y):
    y[...] = np.vectorize(math.exp, [float])(x)


def tanh(x, y):
    y[...] = np.vectorize(math.tanh, [float])(x)
