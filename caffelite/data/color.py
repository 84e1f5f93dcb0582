"""Steps that change the values of a picture: brightness, contrast, saturation, hue, noise."""

import numpy as np

from .. import reading, rng
from ..errors import DataError
from ..kernels import hsv


class Distort:
    """Brightness, contrast, saturation, hue and the order of channels, each with its probability.

    Adds U(-brightness_delta, brightness_delta); multiplies by U(contrast_lower, contrast_upper);
    multiplies the saturation by U(saturation_lower, saturation_upper); adds U(-hue_delta,
    hue_delta) to the hue, in half degrees; shuffles the channels; makes 255 - v of the values of a
    channel, drawn for each by itself. Values are rounded and kept from 0 to 255 after each. By the
    toss of a coin, contrast comes second or fourth. Howard 2013, arXiv:1312.5402, as in Liu et al.
    2016, SSD, arXiv:1512.02325; opposites are ours.
    """

    def __init__(self, param):
        self.param = param
        for option in ("brightness_delta", "hue_delta"):
            if not 0 <= getattr(param, option) <= 255:
                raise DataError(
                    f"distort_param: {option}: {getattr(param, option):g}, expected 0 to 255"
                )
        for kind in ("contrast", "saturation"):
            low, high = getattr(param, f"{kind}_lower"), getattr(param, f"{kind}_upper")
            if getattr(param, f"{kind}_prob") and not 0 <= low <= high < np.inf:
                raise DataError(
                    f"distort_param: {kind}_lower: {low:g}, {kind}_upper: {high:g}: expected "
                    f"0 <= {kind}_lower <= {kind}_upper"
                )

    def __call__(self, image, random, boxes=None):
        p = self.param
        colored = any(prob > 0 for prob in (p.saturation_prob, p.hue_prob, p.random_order_prob))
        if colored and len(image) != 3:
            raise DataError(
                f"has {len(image)} channels; saturation, hue and order of distort_param are for "
                "blue, green and red"
            )
        early = random.random() < 0.5
        values = None  # what is to become of values, before more is done
        if random.random() < p.brightness_prob:
            delta = rng.uniform(random, -p.brightness_delta, p.brightness_delta)
            values = linear(1, delta)
        if early:
            values = self._contrast(values, random)
        if random.random() < p.saturation_prob:
            factor = rng.uniform(random, p.saturation_lower, p.saturation_upper)
            image, values = hsv.adjust(image, factor, values=values), None
        if random.random() < p.hue_prob:
            delta = rng.uniform(random, -p.hue_delta, p.hue_delta)
            if delta:
                image, values = hsv.adjust(image, delta=delta, values=values), None
        if not early:
            values = self._contrast(values, random)
        if values is not None:
            image = hsv.lookup(image, values)
        if random.random() < p.random_order_prob:
            image = image[random.permutation(3)]
        if p.invert_prob > 0:
            image = image ^ _inverting(random.random(len(image)) < p.invert_prob)
        return image

    def _contrast(self, values, random):
        p = self.param
        if random.random() < p.contrast_prob:
            changed = linear(rng.uniform(random, p.contrast_lower, p.contrast_upper), 0)
            values = changed if values is None else changed[values]
        return values


def _inverting(channels):
    """What makes 255 - v of the values of these channels, by exclusive or."""
    return np.where(channels, np.uint8(255), np.uint8(0))[:, None, None]


def linear(factor, offset):
    """What becomes of the values 0 to 255: factor v + offset, rounded, from 0 to 255."""
    return np.rint(np.arange(256) * factor + offset).clip(0, 255).astype(np.uint8)


class Lighting:
    """x + sum over i of a_i s_i e_i, the same for all pixels of a picture; a_i ~ N(0, std).

    e_i and s_i^2 are the eigenvectors and eigenvalues of the covariance of the channels over the
    data set, as the statistics.json of `caffelite dataset` holds them: the light of a picture
    varies as the pictures do. Krizhevsky, Sutskever, Hinton 2012, section 4.1; they write s_i^2
    for s_i, but used s_i, which has the unit of x.
    """

    def __init__(self, param):
        if not 0 <= param.std < np.inf:
            raise DataError(f"lighting_param: std: {param.std:g}, expected a number from 0 on")
        self.std, self.axes = param.std, read_axes(param.pca_file)

    def __call__(self, x, scale, random, boxes=None):
        if len(x) != len(self.axes):
            raise DataError(
                f"has {len(x)} channels, but pca_file of lighting_param is for {len(self.axes)}"
            )
        change = random.normal(0, self.std, len(x)) @ self.axes
        x += (scale * change).astype(x.dtype)[:, None, None]


def read_axes(path):
    """s_i e_i as row i, from the "eigenvalues" and "eigenvectors" (in columns) of a JSON file."""
    wanted = 'JSON with "eigenvalues" and "eigenvectors", as in a statistics.json'
    content = reading.json_object(reading.text(path, wanted=wanted, takes=("JSON",)), path, wanted)
    try:
        values = np.array(content["eigenvalues"], float)
        vectors = np.array(content["eigenvectors"], float)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise DataError(f"{path}: expected {wanted}") from None
    count = values.size
    if values.shape != (count,) or vectors.shape != (count, count):
        raise DataError(
            f"{path}: has eigenvalues of shape {values.shape} and eigenvectors of shape "
            f"{vectors.shape}, expected one and a column for each channel"
        )
    if not (np.isfinite(vectors).all() and (values >= 0).all() and np.isfinite(values).all()):
        raise DataError(f"{path}: has an eigenvalue below 0, or something that is no number")
    return np.sqrt(values)[:, None] * vectors.T


class ColorShift:
    """x + u, one u ~ U(-color_shift, color_shift) for blue, one for green and one for red.

    The bounds are one number, or one for each channel. They count in levels of pixels, from 0 to
    255, and values may go beyond these, as with `Lighting`. A gray picture has no colors to shift:
    its level is what brightness of distort_param changes.
    """

    def __init__(self, bounds):
        if len(bounds) not in (1, 3):
            raise DataError(f"color_shift: given {len(bounds)} times, expected 1 or 3")
        for bound in bounds:
            if not 0 <= bound <= 255:
                raise DataError(f"color_shift: {bound:g}, expected 0 to 255")
        self.bounds = np.array(bounds)

    def __call__(self, x, scale, random, boxes=None):
        if len(x) != 3:
            raise DataError(
                f"has {len(x)} channels; color_shift is for blue, green and red. For gray, write "
                "distort_param with brightness_prob and brightness_delta"
            )
        shift = self.bounds * (2 * random.random(3) - 1)
        x += (scale * shift).astype(x.dtype)[:, None, None]


class Noise:
    """x + e, with e ~ N(0, noise_std) for each value anew."""

    def __init__(self, std):
        if not 0 < std < np.inf:
            raise DataError(f"noise_std: {std:g}, expected a number from 0 on")
        self.std = std

    def __call__(self, x, scale, random, boxes=None):
        x += x.dtype.type(scale * self.std) * random.standard_normal(x.shape, x.dtype)


class MirrorVertical:
    """x upside down, every other time."""

    def __call__(self, x, scale, random, boxes=None):
        if random.random() < 0.5:
            x[...] = x[:, ::-1].copy()
            if boxes is not None:
                boxes.mirror_vertical()
