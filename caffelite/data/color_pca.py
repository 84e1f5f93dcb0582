"""How the colors of a data set vary: the covariance of its channels, and its principal axes."""

import numpy as np

from ..errors import DataError
from . import binaryproto


class ColorStatistics:
    """Mean and covariance of the channels, over all pixels of the pictures added."""

    def __init__(self, channels=3):
        self.count = 0
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))

    def add(self, pixels):
        """Count a picture in, channels x height x width; the sums of 8-bit pixels are exact."""
        x = pixels.reshape(len(pixels), -1).astype(np.float64)
        self.count += x.shape[1]
        self._sum += x.sum(1)
        self._products += x @ x.T

    @property
    def mean(self):
        return self._sum / self.count

    @property
    def covariance(self):
        return self._products / self.count - np.outer(self.mean, self.mean)


def write(path, covariance):
    """Make a .binaryproto, 1 x 1 x (channels + 1) x channels, of a covariance matrix.

    Row 0 holds its eigenvalues, largest first; row i the eigenvector of the i-th, of length 1.
    """
    values, vectors = np.linalg.eigh(covariance)
    rows = np.vstack([values[::-1].clip(0), vectors.T[::-1]])
    binaryproto.write(path, rows[None, None])


def read(path):
    """The principal axes in such a file: row i is eigenvector i times its standard deviation."""
    rows = binaryproto.read(path)
    channels = rows.shape[-1]
    if rows.shape != (1, 1, channels + 1, channels):
        raise DataError(
            f"{path}: has the shape {rows.shape}, expected 1 x 1 x (channels + 1) x channels, "
            "as the PCA of a data set's colors has"
        )
    values, vectors = rows[0, 0, 0], rows[0, 0, 1:]
    if not (np.isfinite(rows).all() and values.min() >= 0):
        raise DataError(f"{path}: has eigenvalues {values}, expected numbers from 0 on")
    return np.sqrt(values)[:, None] * vectors
