"""Layers whose batch is shared out to processes come to what one process comes to.

Rows of tests/cases whose bottoms are batches run with a batch as a whole, and as parts of it, in
threads that stand for the processes.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tests.cases  # noqa: F401  (fills the table)
from caffelite.data.source import Shard
from tests.test_layers import ROWS, differentiable, has_backward, shapes_with

RANKS = 2
BATCH = 4 * RANKS
FAR = {"rtol": 1e-6, "atol": 1e-8}
# What comes to other values; docs/pages/parallel.md tells of what users notice.
NUMBERS = ("Accuracy", "SegAccuracy", "DetectionLoss", "RegionLoss", "Yolov3")  # which are told
OF_ROWS = ("ROIPooling", "ROIAlign", "PSROIPooling", "MultiBoxLoss")  # a bottom names some
MIXING = ("Concat", "Slice", "Filter", "Proposal", "DetectionOutput", "Lstm", "Reverse", "Python")
SHARING = ("Flatten", "Reshape")  # one diff is bottom's and top's
DRAWING = ("Dropout", "Pooling", "SPP", "SeLuDropout", "SpatialDropout")  # the others are slow


def rows():
    """{type: rows that are shared out}"""
    apart = {*NUMBERS, *OF_ROWS, *MIXING, *SHARING}
    found = {}
    for row in ROWS:
        is_batch = row.bottom_shapes and row.batch_axis == 0 and "axis: 0" not in row.options
        if is_batch and row.type not in apart:
            found.setdefault(row.type, []).append(row)
    return found


class Gathering:
    """What each thread calls `gathered` with, for all of them."""

    def __init__(self):
        self.barrier, self.values = threading.Barrier(RANKS, timeout=60), [None] * RANKS

    def of(self, rank):
        def gathered(value):
            self.values[rank] = np.asarray(value)
            self.barrier.wait()
            every = np.stack(self.values)
            self.barrier.wait()
            return every

        return gathered


def part(values, rank):
    """The rows of a rank, of what has rows of the batch."""
    return values[rank::RANKS] if values.shape[:1] == (BATCH,) else values


def forward(layer, bottom, top):
    layer.seek(0)
    layer.reshape(bottom, top)
    layer.forward(bottom, top)


def backward(layer, bottom, top, slopes):
    for blob, slope in zip(top, slopes, strict=True):
        blob.diff[...] = slope
    for blob in layer.blobs:
        blob.diff[...] = 0
    layer.backward(top, differentiable(layer), bottom)


def check(row):
    shapes = shapes_with(row, BATCH)
    layer, bottom, top = row.build(shapes=shapes)
    given = [blob.data.copy() for blob in bottom]
    forward(layer, bottom, top)
    random = np.random.default_rng(3)
    slopes = [random.standard_normal(blob.shape) for blob in top]
    if has_backward(row):
        backward(layer, bottom, top, slopes)

    gathering, small = Gathering(), shapes_with(row, BATCH // RANKS)

    def of_rank(rank):
        own, x, y = row.build(shapes=small)
        for blob, values in zip(x, given, strict=True):
            blob.assign(part(values, rank))
        for blob, of_all in zip(own.blobs, layer.blobs, strict=True):
            blob.assign(of_all.data)
        own.whole_statistics = True
        own.share_out(Shard(rank, RANKS), gathering.of(rank))
        forward(own, x, y)
        if has_backward(row):  # the mean over ranks is taken of what they come to
            dy = [part(s, rank) * (RANKS if s.shape[:1] == (BATCH,) else 1) for s in slopes]
            backward(own, x, y, dy)
        return own, x, y

    with ThreadPoolExecutor(RANKS) as threads:
        parts = list(threads.map(of_rank, range(RANKS)))

    def compare(whole, theirs, what, scale=1):
        if whole.shape[:1] == (BATCH,):
            for rank, values in enumerate(theirs):
                np.testing.assert_allclose(values / scale, part(whole, rank), **FAR, err_msg=what)
        else:
            np.testing.assert_allclose(np.mean(theirs, axis=0), whole, **FAR, err_msg=what)

    for k, blob in enumerate(top):
        compare(blob.data, [y[k].data for _, _, y in parts], f"{row}: top {k}")
    if has_backward(row):
        for k, blob in enumerate(layer.blobs):
            mean = np.mean([own.blobs[k].diff for own, _, _ in parts], axis=0)
            np.testing.assert_allclose(mean, blob.diff, **FAR, err_msg=f"{row}: blob {k}")
        for k, wanted in enumerate(differentiable(layer)):
            if wanted:
                theirs = [x[k].diff for _, x, _ in parts]
                compare(bottom[k].diff, theirs, f"{row}: bottom {k}", RANKS)


@pytest.mark.parametrize(
    "type_",
    [
        name if name in DRAWING else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(rows())
    ],
)
def test_parts_of_a_batch_come_to_the_whole(type_):
    for row in rows()[type_]:
        check(row)
