"""Anchors: the sizes of boxes that a detector starts from, by k-means on those of a data set.

The distance of two sizes is 1 - IoU, of boxes whose middles are one place: Redmon, Farhadi 2016,
arXiv:1612.08242 (YOLO v2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import rng
from ..errors import DataError
from ..kernels import boxes
from ..types import Array

ROUNDS = 300  # at most, of one start
AT_ONCE = 1 << 22  # overlaps that are in memory at once


class Anchors(NamedTuple):
    """Sizes (width, height), the smallest area first, and how well boxes fit them."""

    sizes: Array
    average_iou: float  # of each box with the anchor that it fits best
    shares: Array  # of the boxes that fit each one best


def sizes_of(
    samples: Sequence[Any], progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> Array:
    """The (width, height) of all boxes of an AnnotatedSource, in fractions of the pictures."""
    found = [samples.label(number).corners for number in progress(range(len(samples)))]  # type: ignore[attr-defined]
    corners = np.concatenate([*found, np.empty((0, 4))]).astype(np.float64)
    return corners[:, 2:] - corners[:, :2]


def overlaps(sizes: Array, others: Array) -> Array:
    """The IoU of each of `sizes` with each of `others`, of boxes with one middle."""
    return np.asarray(boxes.iou(_centered(sizes), _centered(others)))


def _centered(sizes: Array) -> Array:
    return np.concatenate([-sizes / 2, sizes / 2], axis=1)


def cluster(sizes: Array, count: int, seed: int = 0, starts: int = 10) -> Anchors:
    """The `count` sizes with the largest average IoU that k-means finds from `starts` starts.

    A start takes boxes at random, those more likely that fit none yet (k-means++). Same seed, same
    anchors.
    """
    distinct = len(np.unique(sizes, axis=0))
    if distinct < count:
        raise DataError(f"{count} anchors of boxes of {distinct} different sizes: ask for fewer")
    generator = rng.generator(seed)
    return max(
        (_from(_start(sizes, count, generator), sizes) for _ in range(starts)),
        key=lambda anchors: anchors.average_iou,
    )


def _start(sizes: Array, count: int, generator: np.random.Generator) -> Array:
    chosen = [sizes[generator.integers(len(sizes))]]
    while len(chosen) < count:
        far = 1 - _best(sizes, np.array(chosen))[1]
        far[far < 1e-12] = 0
        chosen.append(sizes[generator.choice(len(sizes), p=far / far.sum())])
    return np.array(chosen)


def _from(anchors: Array, sizes: Array) -> Anchors:
    """The best anchors of a run of k-means: a mean is not what fits best, so it may get worse."""
    best = None
    for _ in range(ROUNDS):
        nearest, iou = _best(sizes, anchors)
        shares = np.bincount(nearest, minlength=len(anchors))
        if best is None or iou.mean() > best.average_iou:
            best = Anchors(anchors, float(iou.mean()), shares / len(sizes))
        sums = [np.bincount(nearest, sizes[:, axis], len(anchors)) for axis in (0, 1)]
        moved = np.stack(sums, axis=1) / np.maximum(shares, 1)[:, None]
        moved[shares == 0] = anchors[shares == 0]
        if np.array_equal(moved, anchors):
            break
        anchors = moved
    assert best is not None
    order = np.argsort(best.sizes.prod(axis=1), kind="stable")
    return best._replace(sizes=best.sizes[order], shares=best.shares[order])


def _best(sizes: Array, anchors: Array) -> tuple[Array, Array]:
    """Of each size: which anchor fits it best, and their IoU."""
    rows = max(1, AT_ONCE // len(anchors))
    parts = [overlaps(sizes[i : i + rows], anchors) for i in range(0, len(sizes), rows)]
    nearest = np.concatenate([part.argmax(axis=1) for part in parts])
    return nearest, np.concatenate([part.max(axis=1) for part in parts])
