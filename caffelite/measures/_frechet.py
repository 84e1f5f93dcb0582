"""How far two sets of features are apart, each taken for a normal distribution."""

import numpy as np

from ..errors import DataError


def frechet(one, other):
    """The squared Frechet distance of two sets of features, samples x features.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of means m and covariances C, with n - 1 (Dowson,
    Landau 1982; Heusel et al. 2017, arXiv:1706.08500, on Inception's features). Of fewer samples it
    is larger: compare distances of as many.
    """
    for features in (one, other):
        if len(features) < 2:
            raise DataError(f"a covariance is of 2 samples or more, not {len(features)}")
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    between = one.mean(axis=0) - other.mean(axis=0)
    first, second = np.atleast_2d(np.cov(one.T)), np.atleast_2d(np.cov(other.T))
    root = _root(first)
    both = root @ second @ root  # as C1 C2, it has the eigenvalues whose roots are summed
    overlap = np.sqrt(np.linalg.eigvalsh((both + both.T) / 2).clip(0)).sum()
    return float(between @ between + np.trace(first) + np.trace(second) - 2 * overlap)


def _root(matrix):
    """The square root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
