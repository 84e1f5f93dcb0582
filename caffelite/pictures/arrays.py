"""Pictures of arrays: filters, feature maps, maps of where something is, inputs of nets.

Pictures here are arrays of bytes, height x width x 3, red first; data of nets is
channels x height x width, blue first, as in Caffe.
"""

import math

import numpy as np

from ..errors import NetError

MOST_PLANES = 16384

# Colors of a map from nothing (black) through red and yellow to the most (white).
_HEAT = np.array([[0, 0, 0], [150, 0, 20], [240, 90, 0], [255, 210, 50], [255, 255, 255]], float)


def filters(weight):
    """A picture of a convolution's filters: in color where they read 3 channels, else a plane each.

    All have one scale, as in `batch`.
    """
    if weight.ndim != 4 or not weight.size:
        raise NetError(f"filters have 4 axes, this blob has the shape {weight.shape}")
    return batch(weight)


def batch(values):
    """A picture of several, N x channels x height x width: in color where these have 3 channels,
    else a plane for each channel.

    All have one scale: the least value is black, the largest white. Of more than MOST_PLANES, the
    first are shown.
    """
    if values.shape[1] == 3:
        planes = values[:, ::-1].transpose(0, 2, 3, 1)
    else:
        planes = values.reshape(-1, *values.shape[2:], 1)
    return tiles(_bytes(planes)[:MOST_PLANES])


def feature_maps(values):
    """A picture of what a layer makes of a picture: channels x height x width, a plane each.

    All have one scale: what is 0 or less is black, the largest white.
    """
    return tiles(_bytes(np.maximum(values, 0)[..., None], low=0))


def tiles(planes, least=640, columns=None):
    """Planes, n x height x width x channels, side by side in a picture of about a square, or of so
    many columns.

    Each pixel becomes a square, large enough to make the picture `least` pixels wide; between
    planes there is half as much white.
    """
    n, height, width = planes.shape[:3]
    columns = columns or math.ceil(math.sqrt(n * height / width))
    rows = -(-n // columns)
    factor = -(-2 * least // (columns * (2 * width + 1)))
    gap = max(1, factor // 2)
    planes = planes.repeat(factor, axis=1).repeat(factor, axis=2)
    down, right = height * factor + gap, width * factor + gap
    sheet = np.full((rows * down + gap, columns * right + gap, 3), 255, np.uint8)
    for k, plane in enumerate(planes):
        y, x = k // columns * down, k % columns * right
        sheet[y + gap : y + down, x + gap : x + right] = plane  # one channel becomes three
    return sheet


def heat(values):
    """A map as a picture: 0 and less black, the largest white, over red and yellow between."""
    share = np.maximum(values, 0) / (np.max(values, initial=0) or 1)
    at = share * (len(_HEAT) - 1)
    colors = [np.interp(at, range(len(_HEAT)), channel) for channel in _HEAT.T]
    return np.rint(np.stack(colors, axis=-1)).astype(np.uint8)


def side_by_side(picture, values, gap=8, least=448):
    """A picture, its map, and the picture where the map is: the more, the brighter."""
    share = np.clip(values / (np.max(values, initial=0) or 1), 0, 1)
    dimmed = np.rint(picture * (0.15 + 0.85 * np.sqrt(share))[..., None]).astype(np.uint8)
    factor = max(1, -(-least // picture.shape[1]))
    parts = [p.repeat(factor, 0).repeat(factor, 1) for p in (picture, heat(values), dimmed)]
    white = np.full((len(parts[0]), gap, 3), 255, np.uint8)
    return np.concatenate([parts[0], white, parts[1], white, parts[2]], axis=1)


def picture_of(x):
    """An input of a net as a picture, its values stretched from black to white."""
    planes = x[::-1] if len(x) == 3 else np.repeat(x[:1], 3, axis=0)
    return _bytes(planes.transpose(1, 2, 0))


def _bytes(values, low=None):
    """Bytes from 0, for `low` (by default the least), to 255, for the largest."""
    low = np.min(values, initial=np.inf) if low is None else low
    span = np.max(values, initial=-np.inf) - low
    finite = np.nan_to_num((values - low) / (span if span > 0 else 1), posinf=1, neginf=0)
    return np.rint(np.clip(finite, 0, 1) * 255).astype(np.uint8)
