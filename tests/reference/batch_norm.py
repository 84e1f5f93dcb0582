import numpy as np


def forward(x, eps, gamma, beta, mean, variance, y):
    for c in range(x.shape[1]):
        mean[c] = x[:, c].mean()
        variance[c] = ((x[:, c] - mean[c]) ** 2).mean()
        y[:, c] = gamma[c] * (x[:, c] - mean[c]) / np.sqrt(variance[c] + eps) + beta[c]


def backward(dy, x, mean, variance, eps, gamma, dx, dgamma, dbeta):
    for c in range(x.shape[1]):
        deviation = np.sqrt(variance[c] + eps)
        xhat = (x[:, c] - mean[c]) / deviation
        dbeta[c] = dy[:, c].sum()
        dgamma[c] = (dy[:, c] * xhat).sum()
        inner = dy[:, c] - dy[:, c].mean() - xhat * (dy[:, c] * xhat).mean()
        dx[:, c] = gamma[c] * inner / deviation
