import numpy as np

from .epilogue import slopes


def backward(y, dy, epilogue, db):
    dy *= slopes(y, epilogue)
    for n, c, i in np.ndindex(dy.shape):
        db[c] += dy[n, c, i]
