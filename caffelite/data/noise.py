"""What noise_param does to 8-bit pictures, in the arithmetic of OpenCV as far as rounding goes."""

import numpy as np

from ..errors import DataError
from ..kernels import hsv, warp
from .geometry import per_channel
from .image import decode, encode

BLUR = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.5**2))  # 7 pixels, with a deviation of 1.5
TILES, LIMIT = 8, 4  # of clahe: tiles along a side, and how high counts may be, in means
STEP = 64  # of posterize
COLORED = "decolorize", "convert_to_hsv"


class Degrade:
    """Each of what noise_param names, in this order, on every picture: `prob` does nothing.

    decolorize: gray, in all channels. gauss_blur: a Gaussian of 1.5 pixels. hist_eq: each
    brightness about as often as any other. clahe: the same within tiles, of limited contrast
    (Zuiderveld 1994). jpeg: to a JPEG of that quality and back. erode: the least of a pixel and the
    four beside it. posterize: four levels. inverse: 255 - v. saltpepper: `value` at random pixels,
    `fraction` of them. convert_to_hsv: hue (half degrees), saturation and value as the channels.
    As in SSD's Caffe, whose convert_to_lab gives bytes of floats, and is refused.
    """

    def __init__(self, param):
        self.param = param
        pepper = param.saltpepper_param
        if param.convert_to_lab:
            raise DataError(
                "noise_param: convert_to_lab would make floats, of which bytes were read; convert "
                "the pictures before"
            )
        if param.jpeg > 100:
            raise DataError(f"noise_param: jpeg: {param.jpeg:g}, expected a quality up to 100")
        if param.saltpepper and not (0 <= pepper.fraction <= 1 and pepper.value):
            raise DataError(
                "noise_param: saltpepper needs saltpepper_param with a fraction from 0 to 1, and "
                "value, one or one for each channel"
            )

    def __call__(self, image, random, boxes=None):
        p = self.param
        if len(image) != 3 and any(getattr(p, name) for name in COLORED):
            raise DataError(f"has {len(image)} channels; noise_param: {COLORED} are for three")
        if p.decolorize:
            image = np.broadcast_to(gray(image), image.shape)
        if p.gauss_blur:
            image = blurred(image)
        if p.hist_eq:
            image = _of_brightness(equalized, image)
        if p.clahe:
            image = _of_brightness(equalized_by_tiles, image)
        if p.jpeg > 0:
            image = decode(encode(image, "jpg", int(p.jpeg)), len(image) == 3)
        if p.erode:
            image = eroded(image)
        if p.posterize:
            image = image // STEP * STEP + STEP // 2
        if p.inverse:
            image = 255 - image
        if p.saltpepper:
            image = self._peppered(image, random)
        return _hsv(image) if p.convert_to_hsv else image

    def _peppered(self, image, random):
        pepper, image = self.param.saltpepper_param, image.copy()
        values = per_channel(list(pepper.value), image, "saltpepper_param: value")
        height, width = image.shape[1:]
        count = int(pepper.fraction * height * width)
        at = random.integers(height, size=count), random.integers(width, size=count)
        image[(slice(None), *at)] = values.astype(np.uint8)[:, None]
        return image


def gray(image):
    """0.299 red + 0.587 green + 0.114 blue."""
    weights = np.array([0.114, 0.587, 0.299], np.float32)
    return np.rint(np.tensordot(weights, image, 1)).astype(np.uint8)


def _of_brightness(change, image):
    """A picture with changed brightness (Y of Y, Cr, Cb); one channel is brightness itself."""
    if len(image) == 1:
        return change(image[0])[None]
    blue, _, red = image.astype(np.float32)
    y = gray(image).astype(np.float32)
    cr, cb = np.rint((red - y) * np.float32(0.713)), np.rint((blue - y) * np.float32(0.564))
    cr, cb = cr.clip(-128, 127), cb.clip(-128, 127)
    y = change(y.astype(np.uint8)).astype(np.float32)
    colors = [y + 1.773 * cb, y - 0.714 * cr - 0.344 * cb, y + 1.403 * cr]
    return np.rint(colors).clip(0, 255).astype(np.uint8)


def blurred(image):
    """A Gaussian of 7 x 7 pixels; beyond the edges is the mirror image."""
    out, weights = np.empty(image.shape, np.uint8), (BLUR / BLUR.sum()).astype(np.float32)
    smoothed = np.empty(image.shape[1:], np.float32)
    for plane, target in zip(image, out, strict=True):
        warp.smooth(_mirrored(plane, 3, 3, 3, 3).astype(np.float32), weights, smoothed)
        target[...] = np.rint(smoothed).clip(0, 255)
    return out


def _mirrored(plane, *borders):
    """A plane with so many lines of its mirror image above, below, left, right."""
    top, bottom, left, right = borders
    mode = "reflect" if min(plane.shape) > 1 else "edge"
    return np.pad(plane, [(top, bottom), (left, right)], mode)


def equalized(plane):
    """Values by how many others are less: 0 for the least one, 255 for the largest."""
    counts = np.bincount(plane.reshape(-1), minlength=256)
    least = counts[np.flatnonzero(counts)[0]]
    if least == plane.size:
        return plane
    share = (counts.cumsum() - least) / (plane.size - least)
    return hsv.lookup(plane, np.rint(255 * share).clip(0, 255).astype(np.uint8))


def equalized_by_tiles(plane):
    """Values as their tile has them equalized, with limits, linear between the tiles' middles."""
    height, width = plane.shape
    rest = [-size % TILES for size in plane.shape]
    rest = [0, 0] if rest == [0, 0] else [r or TILES for r in rest]
    padded = _mirrored(plane, 0, rest[0], 0, rest[1])
    h, w = (size // TILES for size in padded.shape)
    tables = np.empty((TILES, TILES, 256), np.float32)
    for i, j in np.ndindex(TILES, TILES):
        tables[i, j] = _limited(padded[i * h : (i + 1) * h, j * w : (j + 1) * w])
    (up, down, v), (left, right, u) = _between_tiles(height, h), _between_tiles(width, w)
    corners = [
        tables[rows[:, None], columns, plane] for rows in (up, down) for columns in (left, right)
    ]
    v = v[:, None]
    upper, lower = corners[0] * (1 - u) + corners[1] * u, corners[2] * (1 - u) + corners[3] * u
    return np.rint(upper * (1 - v) + lower * v).clip(0, 255).astype(np.uint8)


def _limited(tile):
    """The table of a tile: counts above the limit are spread over all values."""
    counts = np.bincount(tile.reshape(-1), minlength=256)
    limit = max(int(LIMIT * tile.size / 256), 1)
    over = int((counts - limit).clip(0).sum())
    counts = np.minimum(counts, limit) + over // 256
    if rest := over % 256:
        counts[:: max(256 // rest, 1)][:rest] += 1
    return np.rint(counts.cumsum() * np.float32(255 / tile.size)).clip(0, 255)


def _between_tiles(size, tile):
    """For each place: the tile before it, the one behind it, and how far it is towards that."""
    at = np.arange(size, dtype=np.float32) / np.float32(tile) - np.float32(0.5)
    before = np.floor(at).astype(int)
    return before.clip(0), (before + 1).clip(None, TILES - 1), at - before


def eroded(image):
    """The least of each pixel, those above and below, left and right."""
    out = image.copy()
    for axis in (1, 2):
        first, last = ((slice(None),) * axis + (part,) for part in (np.s_[:-1], np.s_[1:]))
        out[first] = np.minimum(out[first], image[last])
        out[last] = np.minimum(out[last], image[first])
    return out


def _hsv(image):
    """Hue in half degrees, saturation and value, as OpenCV has them."""
    b, g, r = image.astype(np.float32)
    v = image.max(axis=0).astype(np.float32)
    span = v - image.min(axis=0)
    safe = np.maximum(span, 1)
    sixths = np.select([v == r, v == g], [(g - b) / safe, 2 + (b - r) / safe], 4 + (r - g) / safe)
    h, s = np.rint(sixths * 30), np.rint(255 * span / np.maximum(v, 1))
    return np.stack([np.where(h < 0, h + 180, h), s, v]).astype(np.uint8)
