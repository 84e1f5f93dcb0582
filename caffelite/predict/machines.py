"""Machines that learn from features of regions: a support vector machine a class, and boxes.

Both are linear, so that they become weights of InnerProduct layers. Girshick, Donahue, Darrell,
Malik 2014, arXiv:1311.2524 (R-CNN), with the numbers of its appendices and code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import rng
from ..errors import DataError, missing_extra
from ..types import Array
from .region_features import RegionFeatures

NORM = 20.0
"""The mean norm of features once they are scaled."""
BACKGROUND = 0.3
"""A region that overlaps each box of a class by less is none of it."""
BEGIN_WITH = 5_000
MOST_ROUNDS = 5
MOST_NEW = 20_000  # of a round
BETWEEN = 1 << 16  # regions that are scored at once


class Linear(NamedTuple):
    """y = x W' + b: W, outputs x features, and b."""

    weight: Array
    bias: Array


def scale_of(features: Array, seed: int = 0) -> float:
    """The factor that brings the mean norm of features, of up to 10,000 of them, to NORM."""
    some = _some(np.arange(len(features)), 10_000, seed)
    mean = float(np.linalg.norm(features[np.sort(some)], axis=1).mean())
    if not np.isfinite(mean) or mean <= 0:
        raise DataError(f"features of regions have a mean norm of {mean:g}: the net says nothing")
    return NORM / mean


def support_vectors(
    found: RegionFeatures,
    cost: float = 1e-3,
    seed: int = 0,
    progress: Callable[[range], Any] = iter,
) -> Linear:
    """A support vector machine for each class, one against all; outputs of class 0 are 0.

    Its objects are the true boxes of the class; others are regions that overlap each of these by
    less than BACKGROUND. Of those it begins with some, drawn at random, and takes in from round to
    round those that it finds within its margin, until there are none.

    Parameters
    ----------
    cost : C of the hinge loss, of features whose mean norm is NORM; objects count twice
    """
    machine = _sklearn("svm").LinearSVC
    scale, classes = scale_of(found.scores, seed), found.overlaps.shape[1]
    result = Linear(np.zeros((classes, found.scores.shape[1])), np.zeros(classes))
    for label in progress(range(1, classes)):
        objects = np.flatnonzero(found.true == label)
        others = np.flatnonzero(found.overlaps[:, label] < BACKGROUND)
        if not len(objects) or not len(others):
            raise DataError(
                f"class {label} has {len(objects)} true boxes and {len(others)} regions that are "
                "none of it, expected some of both"
            )
        taken = np.zeros(len(found.true), bool)
        taken[_some(others, BEGIN_WITH, seed + label)] = True
        for _ in range(MOST_ROUNDS):
            rows = np.concatenate([objects, np.flatnonzero(taken)])
            svm = machine(
                C=cost,
                loss="hinge",
                class_weight={1: 2},
                intercept_scaling=10,
                random_state=seed,
                max_iter=20_000,
            )
            kind = np.arange(len(rows)) < len(objects)
            svm.fit(np.float64(found.scores[rows]) * scale, kind)
            weight, bias = svm.coef_[0] * scale, float(svm.intercept_[0])
            scores = _scores(found.scores, weight, bias)
            hard = others[(scores[others] > -1) & ~taken[others]]
            hard = hard[np.argsort(-scores[hard], kind="stable")][:MOST_NEW]
            taken &= scores > -1.2
            taken[hard] = True
            if not len(hard):
                break
        result.weight[label], result.bias[label] = weight, bias
    return result


def box_regression(found: RegionFeatures, decay: float = 1000) -> Linear:
    """Four numbers for each class, the codes of its boxes; those of class 0 are 0.

    Ridge regression from the features of regions that overlap a box of the class well, of codes
    that are centred and whitened: T = V (D + 0.001)^(-1/2) V', D and V of their covariance.

    Parameters
    ----------
    decay : lambda, of features whose mean norm is NORM
    """
    ridge = _sklearn("linear_model").Ridge
    scale, classes = scale_of(found.boxes), found.overlaps.shape[1]
    result = Linear(np.zeros((4 * classes, found.boxes.shape[1])), np.zeros(4 * classes))
    for label in range(1, classes):
        rows = np.flatnonzero(found.labels == label)
        if not len(rows):
            continue  # the region itself is the box
        codes = found.codes[rows]
        mean = codes.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov((codes - mean).T, bias=True))
        spread = np.sqrt(np.maximum(spread, 0) + 0.001)
        whiten, back = (axes / spread) @ axes.T, (axes * spread) @ axes.T
        fit = ridge(alpha=decay).fit(np.float64(found.boxes[rows]) * scale, (codes - mean) @ whiten)
        own = slice(4 * label, 4 * label + 4)
        result.weight[own] = back.T @ fit.coef_ * scale
        result.bias[own] = fit.intercept_ @ back + mean
    return result


def _scores(features: Array, weight: Array, bias: float) -> Array:
    """What a machine says of all regions, some at a time."""
    parts: Iterator[Array] = (
        features[at : at + BETWEEN] @ weight.astype(np.float32)
        for at in range(0, len(features), BETWEEN)
    )
    return np.concatenate([*parts]) + bias


def _some(candidates: Array, most: int, seed: int) -> Array:
    if len(candidates) <= most:
        return candidates
    return rng.generator(seed, 8).choice(candidates, most, replace=False)


def _sklearn(name: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{name}")
    except ImportError:
        raise missing_extra("scikit-learn", "detection") from None
