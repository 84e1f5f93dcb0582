"""What the pictures of a data set have in common: their mean, and how their colors vary."""

import numpy as np


class Statistics:
    """Sums over pictures, channels x height x width, that `add` takes one by one."""

    def __init__(self):
        self.pictures = self.pixels = 0
        self.total = None  # of pictures, place by place; None once their sizes differ
        self.sums = self.products = 0.0  # of channels, and of pairs of channels

    def add(self, picture):
        """Count one more; all have as many channels."""
        x = picture.reshape(len(picture), -1).astype(np.float64)
        if self.pictures == 0:
            self.total = np.zeros(picture.shape)
        if self.total is not None and self.total.shape != picture.shape:
            self.total = None
        if self.total is not None:
            self.total += picture
        self.sums = self.sums + x.sum(axis=1)
        self.products = self.products + x @ x.T
        self.pictures += 1
        self.pixels += x.shape[1]

    def mean(self):
        """The mean picture, float32, 1 x channels x height x width; None if sizes differ."""
        if self.total is None:
            return None
        return (self.total / self.pictures).astype(np.float32)[None]

    def channel_means(self):
        """The mean of each channel over all pixels."""
        return self.sums / self.pixels

    def colors(self):
        """(eigenvalues, eigenvectors) of the covariance of the channels, the largest first.

        Vector k is column k; it has a channel a row, and its largest value is positive.
        Krizhevsky, Sutskever, Hinton 2012 vary the colors of training pictures along them.
        """
        mean = self.channel_means()
        values, vectors = np.linalg.eigh(self.products / self.pixels - np.outer(mean, mean))
        values, vectors = values[::-1].clip(0), vectors[:, ::-1]
        largest = vectors[np.abs(vectors).argmax(axis=0), range(len(values))]
        return values, vectors * np.sign(largest)

    def report(self):
        """All of it but the mean picture, for JSON."""
        values, vectors = self.colors()
        return {
            "pictures": self.pictures,
            "channels": len(values),
            "mean_value": self.channel_means().tolist(),
            "eigenvalues": values.tolist(),
            "eigenvectors": vectors.tolist(),
        }
