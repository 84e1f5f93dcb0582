import numpy as np


def forward(x, eps, gamma, beta, rectify, mean, variance, y):
    for c in range(x.shape[1]):
        mean[c] = x[:, c].mean()
        variance[c] = ((x[:, c] - mean[c]) ** 2).mean()
        y[:, c] = gamma[c] * (x[:, c] - mean[c]) / np.sqrt(variance[c] + eps) + beta[c]
        if rectify:
            y[:, c] = np.maximum(y[:, c], 0)


def backward(y, dy, x, mean, variance, eps, gamma, rectify, dx, dgamma, dbeta):
    dy = np.where(y > 0, dy, 0) if rectify else dy
    for c in range(x.shape[1]):
        deviation = np.sqrt(variance[c] + eps)
        xhat = (x[:, c] - mean[c]) / deviation
        dbeta[c] = dy[:, c].sum()
        dgamma[c] = (dy[:, c] * xhat).sum()
        inner = dy[:, c] - dy[:, c].mean() - xhat * (dy[:, c] * xhat).mean()
        dx[:, c] = gamma[c] * inner / deviation
