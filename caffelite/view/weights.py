"""What the page shows of a layer's learned values: a histogram of each blob, and filters."""

import base64
import threading

import numpy as np

from .. import reading
from ..net import convert
from ..net.weights_file import BinaryFile, SavedBlob, is_hdf5
from ..run_log.histogram import histogram, unit_of

MOST_FILTERS = 256
MOST_SIZE = 64  # pixels along a side of a filter; larger ones are no pictures


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
    told = histogram(values)
    if "min" in told:
        told["filters"] = _filters(values, told["min"], told["max"])
    return told


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
    unit = unit_of(low, high)
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
