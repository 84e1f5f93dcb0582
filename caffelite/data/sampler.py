"""Crops of a picture that are drawn with a view to its boxes: SSD's batch_sampler."""

import numpy as np

from ..errors import DataError
from ..kernels import windows as _windows
from ..kernels.windows import COLUMNS
from ..proto.caffe_pb2 import EmitConstraint
from .boxes import emitted
from .geometry import resized
from .geometry import window as window_of

MOST_TRIALS = 10_000
MOST_CROPS = 100  # that are drawn where none has the middle of a box
_CENTER = EmitConstraint(emit_type=EmitConstraint.CENTER)

_KINDS = "jaccard_overlap", "sample_coverage", "object_coverage"


class SampleCrop:
    """A random crop that meets the constraints of a batch_sampler, drawn from those of all.

    A trial of a sampler is a window with s ~ U(min_scale, max_scale) and a ~ U(min_aspect_ratio,
    max_aspect_ratio), then kept from s^2 to 1 / s^2; its sides are s sqrt(a) and s / sqrt(a) of the
    picture's, and it lies anywhere within. It counts if some box meets all that sample_constraint
    says; without any, always. Each sampler makes up to max_trials trials, until max_sample count.
    Of all windows that count, one is taken; of none, the whole picture. One with
    use_original_image: false makes none. Liu et al. 2016, SSD, arXiv:1512.02325, section 2.2.

    Where several kinds of constraints are given, SSD's Caffe lets a window count that meets the
    first kind for one box, and the others for none; here, it is all kinds for one box.
    """

    def __init__(self, samplers):
        samplers = [sampler for sampler in samplers if sampler.use_original_image]
        for sampler in samplers:
            _check(sampler)
        self.limits = np.array([_limits(sampler) for sampler in samplers]).reshape(-1, COLUMNS)
        most = [s.max_sample if s.HasField("max_sample") else s.max_trials for s in samplers]
        self.trials = np.array([sampler.max_trials for sampler in samplers], int)
        self.most = np.minimum(np.array(most, int), self.trials)

    def __call__(self, image, random, boxes=None):
        windows = self.windows(boxes.corners, random)
        if not len(windows):
            return image
        return cropped(image, boxes, windows[random.integers(len(windows))])

    def windows(self, corners, random):
        """All windows that count, n x 4, for boxes with these corners."""
        windows = np.empty((self.most.sum() + 1, 4), np.float32)
        draws = random.random((len(self.limits), self.trials.max(initial=0), 4))
        count = _windows.draw(draws, self.limits, self.trials, self.most, corners, windows)
        windows = windows[:count]
        return windows[(windows[:, 2:] > windows[:, :2]).all(axis=1)]  # those of tiny scales


def cropped(image, boxes, window):
    """The part of a picture that a window shows, as SSD's Caffe rounds it; boxes follow."""
    x1, y1, x2, y2 = np.asarray(window, np.float32).clip(0, 1)
    height, width = (np.float32(side) for side in image.shape[1:])
    top, left = int(y1 * height), int(x1 * width)
    bottom = top + max(1, int(y2 * height - y1 * height))
    right = left + max(1, int(x2 * width - x1 * width))
    part = window_of(top, left, bottom - top, right - left, image.shape)
    boxes.cut((x1, y1, x2, y2), part)
    return image[:, top:bottom, left:right]


class JitterCrop:
    """A crop with sides from 1 - jitter to 1 of the picture's, anywhere in it, as MobileNet-YOLO's.

    One picture in five stays whole, and one in five is cropped by half as much. With `keep`, both
    sides are the same share of the picture's.
    """

    def __init__(self, jitter, keep):
        if not 0 <= jitter < 1:
            raise DataError(f"yolo_data_jitter: {jitter:g}, expected 0 up to less than 1")
        self.jitter, self.keep = jitter, keep

    def __call__(self, image, random, boxes=None):
        kind, *draws = random.random(5)
        if kind < 0.2:
            return image
        sides = 1 - (self.jitter / 2 if kind < 0.4 else self.jitter) * np.array(draws[:2])
        if self.keep:
            sides[1] = sides[0]
        start = (1 - sides) * draws[2:]
        return cropped(image, boxes, [*start, *(start + sides)])


class BoxCrop:
    """A crop with sides from 0.71 to 1 of the picture's, in its own size, as yk's BoxData makes it.

    It is drawn until the middle of a box lies in it; boxes whose middles do not are left out.
    """

    def __call__(self, image, random, boxes=None):
        height, width = image.shape[1:]
        for share in 1 - random.integers(0, 30, MOST_CROPS) / 100:
            h, w = max(1, int(height * share) - 1), max(1, int(width * share) - 1)
            top, left = random.integers((height - h + 1, width - w + 1)).tolist()
            part = window_of(top, left, h, w, image.shape)
            if not len(boxes) or emitted(boxes.corners, part, _CENTER).any():
                boxes.cut(part)
                return resized(image[:, top : top + h, left : left + w], height, width)
        return image


def _limits(sampler):
    """A row of what `kernels.windows` has to know of a sampler."""
    own, constraint = sampler.sampler, sampler.sample_constraint
    sides = own.min_scale, own.max_scale, own.min_aspect_ratio, own.max_aspect_ratio
    return [*sides, *shares(constraint)]


def shares(constraint):
    """The least and the most of each share of a SampleConstraint, NaN where it is not given."""
    names = [f"{end}_{kind}" for kind in _KINDS for end in ("min", "max")]
    return [getattr(constraint, n) if constraint.HasField(n) else np.nan for n in names]


def _check(sampler):
    """Raise a DataError for limits that no window can keep."""
    own, constraint = sampler.sampler, sampler.sample_constraint
    if not 0 < own.min_scale <= own.max_scale <= 1:
        raise DataError(
            f"batch_sampler: min_scale: {own.min_scale:g}, max_scale: {own.max_scale:g}: expected "
            "0 < min_scale <= max_scale <= 1"
        )
    if not 0 < own.min_aspect_ratio <= own.max_aspect_ratio < np.inf:
        raise DataError(
            f"batch_sampler: min_aspect_ratio: {own.min_aspect_ratio:g}, max_aspect_ratio: "
            f"{own.max_aspect_ratio:g}: expected 0 < min_aspect_ratio <= max_aspect_ratio"
        )
    if sampler.max_trials > MOST_TRIALS:
        raise DataError(
            f"batch_sampler: max_trials: {sampler.max_trials}, expected up to {MOST_TRIALS}"
        )
    for kind in _KINDS:
        names = f"min_{kind}", f"max_{kind}"
        least, most = (getattr(constraint, name) for name in names)
        if constraint.HasField(names[0]) and least > 1:
            raise DataError(f"batch_sampler: min_{kind}: {least:g}, expected a share, 1 at most")
        if all(map(constraint.HasField, names)) and not least <= most:
            raise DataError(f"batch_sampler: min_{kind}: {least:g} is above max_{kind}: {most:g}")
