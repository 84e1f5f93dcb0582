"""What the page shows of a layer's learned values: a histogram of each blob, and filters."""

import base64
import threading

import numpy as np

from .. import reading
from ..net import convert
from ..net.weights_file import BinaryFile, SavedBlob, is_hdf5

BINS = 64
PIECE = 2**20  # values looked at together
MOST_FILTERS = 256
MOST_SIZE = 64  # pixels along a side of a filter; larger ones are no pictures
LARGE = 1e15  # values beyond it are scaled: their squares and differences would overflow


class Weights:
    """The weights file of `caffelite view`; values are read from it when a layer is looked at."""

    def __init__(self, path):
        self.path, self._one_at_a_time = path, threading.Lock()
        if is_hdf5(path) or path.endswith(".safetensors"):
            found = convert.read(path)
            self.layers = {name: [blobs[k] for k in sorted(blobs)] for name, blobs in found.items()}
        else:
            file = BinaryFile(path)  # open as long as a blob refers to it
            file.check()
            self.layers = {name: saved for name, saved in reversed(file.layers) if saved}

    def describe(self, layer):
        """[{shape, histogram, ...}] for each blob of a layer, or None if the file has no such."""
        blobs = self.layers.get(layer)
        with self._one_at_a_time:
            return None if blobs is None else [_describe(_values(blob)) for blob in blobs]


def _values(blob):
    return blob.read().reshape(_shape(blob)) if isinstance(blob, SavedBlob) else blob


def _shape(blob):
    """A blob's shape; where it is of the wrong size, that of a flat array."""
    return (-1,) if reading.shape(blob.shape, blob.data.size) is None else blob.shape


def _describe(values):
    told = {"shape": list(values.shape), "count": int(values.size)}
    parts = [(p.size, p.min(), p.max(), np.count_nonzero(p)) for p in _finite(values) if p.size]
    counts, least, most, others = zip(*parts, strict=True) if parts else [()] * 4
    told["not_finite"] = told["count"] - sum(counts)
    if not parts:
        return told
    low, high = float(min(least)), float(max(most))
    unit = _unit(low, high)
    ends = low / unit, high / unit
    mean = sum(float(p.sum(dtype=np.float64)) for p in _finite(values, unit)) / sum(counts)
    heights, squares = np.zeros(BINS, int), 0.0
    for part in _finite(values, unit):
        heights += np.histogram(part, BINS, ends)[0]
        squares += float(np.square(part - mean, dtype=np.float64).sum())
    return told | {
        "min": low,
        "max": high,
        "mean": mean * unit,
        "std": (squares / sum(counts)) ** 0.5 * unit,
        "zeros": int(sum(counts) - sum(others)),
        "histogram": heights.tolist(),
        "filters": _filters(values, low, high),
    }


def _unit(low, high):
    """What to divide values by: 1, unless they are so large that computing with them overflows."""
    largest = max(abs(low), abs(high))
    return largest if largest > LARGE else 1


def _finite(values, unit=1):
    """The finite values, piece by piece: dense layers have hundreds of megabytes."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        piece = piece[np.isfinite(piece)]
        yield piece if unit == 1 else piece / np.float64(unit)


def _filters(values, low, high):
    """Planes of a convolution as bytes, scaled together from black to white; RGB where it reads 3.

    Data is BGR, as in Caffe.
    """
    if values.ndim != 4 or not 1 < max(values.shape[2:]) <= MOST_SIZE:
        return None
    color = values.shape[1] == 3
    if color:
        planes = values[:MOST_FILTERS, ::-1].transpose(0, 2, 3, 1)
    else:
        planes = values.reshape(-1, *values.shape[2:])[:MOST_FILTERS]
    unit = _unit(low, high)
    if unit != 1:
        planes, low, high = planes / np.float64(unit), low / unit, high / unit
    gray = np.nan_to_num((planes - low) / ((high - low) or 1), nan=0, posinf=1, neginf=0)
    pixels = np.clip(np.rint(gray * 255), 0, 255).astype(np.uint8)
    return {
        "count": len(pixels),
        "of": values.shape[0] if color else values.shape[0] * values.shape[1],
        "height": values.shape[2],
        "width": values.shape[3],
        "color": color,
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
    }
