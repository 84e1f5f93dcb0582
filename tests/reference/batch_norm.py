import numpy as np


def affine_forward(x, center, slope, offset, y):
    for n, c, i in np.ndindex(x.shape):
        y[n, c, i] = (x[n, c, i] - center[c]) * slope[c] + offset[c]


def affine_backward(dy, x, center, slope, dx, dslope, doffset):
    affine_sums(dy, x, center, dslope, doffset)
    for n, c, i in np.ndindex(x.shape):
        dx[n, c, i] = slope[c] * dy[n, c, i]


def affine_sums(dy, x, center, dslope, doffset):
    dslope[...] = doffset[...] = 0
    for n, c, i in np.ndindex(x.shape):
        dslope[c] += dy[n, c, i] * (x[n, c, i] - center[c])
        doffset[c] += dy[n, c, i]


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
