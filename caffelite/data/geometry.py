"""Steps that move the pixels of a picture: resizing, random crops of any shape, warping.

Those that put a border around it are in `borders`.

A step is called with a uint8 picture, channels x height x width, a numpy Generator, and a Follower,
the picture's Boxes or PixelLabels, if it has any; it returns such a picture, and moves these along.
"""

import math

import numpy as np

from .. import rng
from ..errors import DataError
from ..kernels import resize, warp
from ..proto.caffe_pb2 import ResizeParameter, TransformationParameter

MOST_PIXELS = 1 << 26  # of a picture that is made: a thin one, blown up, would fill the memory

_MODES = {
    ResizeParameter.LINEAR: resize.bilinear,
    ResizeParameter.AREA: resize.area,
    ResizeParameter.NEAREST: resize.nearest,
    ResizeParameter.CUBIC: resize.cubic,
    ResizeParameter.LANCZOS4: resize.lanczos4,
}
_BORDERS = {
    ResizeParameter.CONSTANT: (warp.CONSTANT, "constant"),
    ResizeParameter.MIRRORED: (warp.MIRRORED, "reflect"),
    ResizeParameter.REPEAT_NEAREST: (warp.NEAREST, "edge"),
}


_ALGORITHMS = {
    TransformationParameter.INTER_NEAREST: ResizeParameter.NEAREST,
    TransformationParameter.INTER_LINEAR: ResizeParameter.LINEAR,
    TransformationParameter.INTER_CUBIC: ResizeParameter.CUBIC,
    TransformationParameter.INTER_AREA: ResizeParameter.AREA,
    TransformationParameter.INTER_LANCZOS4: ResizeParameter.LANCZOS4,
}


def resized(image, height, width, interp_mode=(), random=None):
    """The picture in another size, by one of the modes listed, drawn at random; none: LINEAR."""
    if resized_shape(image.shape, height, width) == image.shape:
        return image
    mode = interp_mode[0] if interp_mode else ResizeParameter.LINEAR
    if len(interp_mode) > 1:
        mode = interp_mode[random.integers(len(interp_mode))]
    return _MODES[mode](image, height, width)


def resized_shape(shape, height, width):
    """The shape of what `resized` makes of a picture of this shape."""
    if height * width > MOST_PIXELS:
        raise DataError(f"{shape[1]} x {shape[2]} pixels would become {height} x {width}")
    return shape[0], height, width


def with_short_side(shape, size):
    """(height, width) of a picture of this shape whose short side is to be `size`."""
    height, width = shape[1:]
    if height < width:
        return size, int(np.float32(width) / np.float32(height) * np.float32(size))
    return int(np.float32(height) / np.float32(width) * np.float32(size)), size


def within(shape, least, most):
    """(height, width) of a picture of this shape, in proportion, between bounds, 0 for none.

    The shorter side is not below `least`, unless the longer one were above `most` then.
    """
    sides = shape[1:]
    factor = np.float32(1)
    if least and min(sides) < least:
        factor = np.float32(least) / np.float32(min(sides))
    if most and int(factor * np.float32(max(sides))) > most:
        factor = np.float32(most) / np.float32(max(sides))
    return tuple(max(1, round(side * float(factor))) for side in sides)


class Resize:
    """height x width: squeezed (WARP), covering it (FIT_SMALL_SIZE), or within it and padded.

    FIT_LARGE_SIZE_AND_PAD puts the picture in the middle, with pad_value (CONSTANT), its mirror
    image (MIRRORED) or its outermost pixels (REPEAT_NEAREST) around it. With height_scale and
    width_scale, FIT_SMALL_SIZE gives boxes in fractions of these. As in Liu et al. 2016, SSD,
    arXiv:1512.02325.
    """

    def __init__(self, param):
        if not (param.height and param.width):
            raise DataError("resize_param: give height and width")
        self.size = param.height, param.width
        if param.height * param.width > MOST_PIXELS:
            raise DataError(f"resize_param: {param.height} x {param.width} pixels are too many")
        self.mode, self.interp_mode = param.resize_mode, list(param.interp_mode)
        self.pad_mode, self.pad_value = param.pad_mode, list(param.pad_value)
        self.scales = param.height_scale, param.width_scale

    def __call__(self, image, random, boxes=None):
        if boxes is not None:
            self._move(boxes, *image.shape[1:])
        image = resized(image, *self._fitting(*image.shape[1:]), self.interp_mode, random)
        if self.mode != ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
            return image
        return self._padded(image, boxes)

    def _move(self, boxes, old_height, old_width):
        """Let boxes follow, in the arithmetic of SSD's Caffe, which knows no whole pixels here."""
        aspect, (height, width) = old_width / old_height, self.size
        if self.mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
            boxes.resize(min(1, aspect * height / width), min(1, width / aspect / height))
            return
        boxes.resize()
        if self.mode == ResizeParameter.FIT_SMALL_SIZE and all(self.scales):
            height, width = max(height, width / aspect), max(width, aspect * height)
            boxes.stretch = width / self.scales[1], height / self.scales[0]

    def _fitting(self, old_height, old_width):
        if self.mode == ResizeParameter.WARP:
            return self.size
        height, width = self.size
        aspect = np.float32(old_width) / np.float32(old_height)
        wider = aspect > np.float32(width) / np.float32(height)
        if wider == (self.mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD):
            return max(1, int(np.float32(width) / aspect)), width
        return height, max(1, int(aspect * np.float32(height)))

    def _padded(self, image, boxes):
        missing = [new - old for new, old in zip(self.size, image.shape[1:], strict=True)]
        pads = [(0, 0), *((n // 2, n - n // 2) for n in missing)]
        if boxes is not None:
            boxes.pad(window(-pads[1][0], -pads[2][0], *self.size, image.shape))
        if self.pad_mode != ResizeParameter.CONSTANT:
            return np.pad(image, pads, _BORDERS[self.pad_mode][1])
        out = np.empty((len(image), *self.size), np.uint8)
        out[...] = per_channel(self.pad_value, image, "resize_param: pad_value")[:, None, None]
        top, left = pads[1][0], pads[2][0]
        out[:, top : top + image.shape[1], left : left + image.shape[2]] = image
        return out


def per_channel(values, image, option):
    """A value a channel, float32, from none (0), one, or as many as the picture has channels."""
    if len(values) not in (0, 1, len(image)):
        raise DataError(
            f"has {len(image)} channels, but there are {len(values)} of {option}, "
            f"expected 1 or {len(image)}"
        )
    if not all(0 <= value <= 255 for value in values):
        raise DataError(f"{option}: {', '.join(f'{v:g}' for v in values)}: expected 0 to 255")
    return np.broadcast_to(np.float32(values or [0]), len(image)).copy()


def window(top, left, height, width, shape):
    """xmin, ymin, xmax, ymax of a part of a picture of this shape, in fractions of its sides."""
    _, whole_height, whole_width = shape
    return (
        left / whole_width,
        top / whole_height,
        (left + width) / whole_width,
        (top + height) / whole_height,
    )


class RandomResize:
    """The short side becomes a number from min_size to max_size, all alike; proportions stay.

    In TEST it is halfway between the two. Simonyan, Zisserman 2014, arXiv:1409.1556, sections 3.1
    (scale jittering) and 3.2.
    """

    def __init__(self, param, train):
        self.least, self.most = param.min_size, param.max_size
        if not 0 < self.least <= self.most:
            raise DataError(
                f"random_resize_param: min_size: {self.least}, max_size: {self.most}: expected "
                "min_size above 0, and max_size no less"
            )
        if not train:
            self.least = self.most = (self.least + self.most) // 2
        self.interp_mode = list(param.resize_param.interp_mode)

    def __call__(self, image, random, boxes=None):
        size = int(random.integers(self.least, self.most + 1))
        return resized(image, *with_short_side(image.shape, size), self.interp_mode, random)


def at_least(shape, height, width):
    """(height, width) of a picture of this shape, in proportion, so that it has at least these.

    One that is below either becomes as high or as wide as that, whichever lacks more pixels.
    """
    old_height, old_width = shape[1:]
    if old_height >= height and old_width >= width:
        return old_height, old_width
    if width - old_width > height - old_height:
        return int(
            np.float32(width) * (np.float32(old_height) / np.float32(old_width)) + 0.5
        ), width
    return height, int(np.float32(height) * (np.float32(old_width) / np.float32(old_height)) + 0.5)


class RandomStretch:
    """A random short side, other proportions, and stretches of either side, as NVCaffe has them.

    The short side becomes a whole number from img_rand_resize_lower to upper; then the long side is
    ratio times the short one, with ratio ~ U(rand_resize_ratio_lower, upper), and of a square
    either may be; then the height gets a factor ~ U(vertical_stretch_lower, upper), and the width
    one ~ U(horizontal_stretch_lower, upper). Each of these only where it is given. No side falls
    below crop_size, and with allow_upscale: false none grows. It is the same in TRAIN and TEST.
    """

    def __init__(self, param):
        sizes = _bounds(param, "img_rand_resize") or _bounds(param, "var_sz_img_rand_resize")
        self.sizes = sizes and tuple(map(int, sizes))
        self.ratio = _bounds(param, "rand_resize_ratio", least=1)
        self.vertical = _bounds(param, "vertical_stretch")
        self.horizontal = _bounds(param, "horizontal_stretch")
        self.crop_size, self.grows = param.crop_size, param.allow_upscale
        self.down = _ALGORITHMS[param.interpolation_algo_down]
        self.up = _ALGORITHMS[param.interpolation_algo_up]

    @property
    def is_on(self):
        return bool(self.sizes or self.ratio or self.vertical or self.horizontal)

    def __call__(self, image, random, boxes=None):
        old = image.shape[1:]
        new = [max(self.crop_size, int(side + 0.5)) for side in self._sides(*old, random)]
        if not self.grows:
            new = [min(pair) for pair in zip(new, old, strict=True)]
        shrinks = all(n <= o for n, o in zip(new, old, strict=True))
        return resized(image, *new, [self.down if shrinks else self.up])

    def _sides(self, height, width, random):
        """(height, width) as numbers with fractions."""
        short = min(height, width)
        size = int(random.integers(self.sizes[0], self.sizes[1] + 1)) if self.sizes else short
        height, width = height * size / short, width * size / short
        if self.ratio:
            ratio = random.uniform(*self.ratio)
            if width > height or (width == height and random.random() < 0.5):
                width = height * ratio
            else:
                height = width * ratio
        if self.vertical:
            height *= random.uniform(*self.vertical)
        if self.horizontal:
            width *= random.uniform(*self.horizontal)
        return height, width


def _bounds(param, stem, least=0):
    """(lower, upper) of an option that is given by both, or None if it is not given."""
    lower, upper = getattr(param, f"{stem}_lower"), getattr(param, f"{stem}_upper")
    if not (lower or upper):
        return None
    if not (least <= lower <= upper < np.inf and lower > 0):
        raise DataError(
            f"transform_param: {stem}_lower: {lower:g}, {stem}_upper: {upper:g}: expected a lower "
            f"bound {f'of at least {least}' if least else 'above 0'}, and an upper one no less"
        )
    return lower, upper


class RandomAspectRatio:
    """A crop with a random part of the area and random proportions, resized to crop_size.

    With area A, part p ~ U(min_area_ratio, max_area_ratio) and a ~ U(c, 1/c), c being
    aspect_ratio_change, it has the sides a sqrt(p A) and sqrt(p A) / a, which is which by the toss
    of a coin, and lies anywhere. One that does not fit is drawn again; after max_attempt draws the
    short side becomes crop_size. Szegedy et al. 2014, arXiv:1409.4842, section 6: p from 0.08,
    proportions from 3/4 to 4/3 (c = 0.866).
    """

    def __init__(self, param, crop):
        self.crop, self.change = crop, param.aspect_ratio_change
        self.parts = param.min_area_ratio, param.max_area_ratio
        if not all(crop):
            raise DataError("random_aspect_ratio_param needs crop_size: crops are resized to it")
        if not 0 < self.parts[0] <= self.parts[1] <= 1:
            raise DataError(
                f"random_aspect_ratio_param: min_area_ratio: {self.parts[0]:g}, max_area_ratio: "
                f"{self.parts[1]:g}: expected 0 < min_area_ratio <= max_area_ratio <= 1"
            )
        if not 0 < self.change <= 1:
            raise DataError(
                f"random_aspect_ratio_param: aspect_ratio_change: {self.change:g}, expected a "
                "factor above 0, up to 1"
            )
        if param.max_attempt > 1000:
            raise DataError(
                f"random_aspect_ratio_param: max_attempt: {param.max_attempt}, expected up to 1000"
            )
        self.attempts = param.max_attempt
        self.interp_mode = list(param.resize_param.interp_mode)

    def __call__(self, image, random, boxes=None):
        for _ in range(self.attempts):
            height, width = self._draw(image.shape, random)
            room_h, room_w = image.shape[1] - height, image.shape[2] - width
            if room_h >= 0 and room_w >= 0:
                top, left = random.integers(room_h + 1), random.integers(room_w + 1)
                cut = image[:, top : top + height, left : left + width]
                if boxes is not None:
                    boxes.cut(window(top, left, height, width, image.shape))
                return resized(cut, *self.crop, self.interp_mode, random)
        scale = max(new / old for new, old in zip(self.crop, image.shape[1:], strict=True))
        height, width = (
            max(new, int(old * scale)) for new, old in zip(self.crop, image.shape[1:], strict=True)
        )
        return resized(image, height, width, self.interp_mode, random)

    def _draw(self, shape, random):
        side = math.sqrt(shape[1] * shape[2] * rng.uniform(random, *self.parts))
        change = rng.uniform(random, self.change, 1 / self.change)
        sides = max(1, int(side * change)), max(1, int(side / change))
        return sides if random.random() < 0.5 else sides[::-1]


class Warp:
    """y = x at the places M (i, j) + d(i, j), linear between pixels.

    M undoes a shear of columns against each other by U(-shear, shear) degrees, a rotation by
    U(-rotation, rotation) degrees, a zoom by (1 + zoom)^U(-1, 1), all about the middle, and a shift
    by U(-shift, shift) of the sides, one after the other. d is the local warp: numbers from U(-1,
    1), smoothed by a Gaussian of local_sigma pixels, times `local`; along each axis the root of its
    mean square is local / (local_sigma sqrt(12 pi)) pixels. Simard, Steinkraus, Platt 2003, Best
    practices for convolutional neural networks applied to visual document analysis: for digits,
    local 34 and local_sigma 4.

    With a `prob` below 1, other pictures stay as they are. A warp is smooth between pixels: where
    all are warped, noise is weaker in training than in tests.
    """

    def __init__(self, param):
        self.rotation, self.shear = math.radians(param.rotation), math.radians(param.shear)
        self.shift, self.local, self.zoom = param.shift, param.local, param.zoom
        self.prob = param.prob
        sigma = param.local_sigma
        for option in ("rotation", "shear", "shift", "local", "zoom"):
            value = getattr(param, option)
            if not 0 <= value <= 1e6:
                raise DataError(f"warp_param: {option}: {value:g}, expected a number from 0 on")
        if param.shear >= 90:
            raise DataError(f"warp_param: shear: {param.shear:g}, expected less than 90 degrees")
        if not 0 <= param.prob <= 1:
            raise DataError(f"warp_param: prob: {param.prob:g}, expected 0 to 1")
        if param.zoom > 15:
            raise DataError(f"warp_param: zoom: {param.zoom:g}, expected 0 to 15")
        if not 0 < sigma <= 100:
            raise DataError(f"warp_param: local_sigma: {sigma:g}, expected above 0, up to 100")
        at = np.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1)
        weights = np.exp(-(at**2) / (2 * sigma**2))
        self.weights = (weights / weights.sum()).astype(np.float32)
        self.border, self.pad_value = _BORDERS[param.pad_mode][0], list(param.pad_value)

    def __call__(self, image, random, boxes=None):
        fill = per_channel(self.pad_value, image, "warp_param: pad_value")
        if self.prob < 1 and random.random() >= self.prob:
            return image
        out = np.empty(image.shape, np.uint8)
        matrix, away = self._matrix(image.shape[1:], random), self._away(image.shape[1:], random)
        warp.warp(image, matrix, away, self.border, fill, out)
        if boxes is not None:
            boxes.warp(matrix, away, image.shape[1:])
        return out

    def _matrix(self, size, random):
        angle, shear = random.uniform(-1, 1, 2) * (self.rotation, self.shear)
        shift = random.uniform(-1, 1, 2) * self.shift * size
        cos, sin, tan = math.cos(angle), math.sin(angle), math.tan(shear)
        forth = np.array([[cos, -sin], [sin, cos]]) @ [[1, 0], [tan, 1]]  # of (row, column)
        if self.zoom:
            forth *= (1 + self.zoom) ** random.uniform(-1, 1)
        back = np.linalg.inv(forth)
        middle = (np.array(size) - 1) / 2
        return np.column_stack([back, middle - back @ (middle + shift)])

    def _away(self, size, random):
        if self.local == 0:
            return np.empty((2, 0, 0), np.float32)
        more = len(self.weights) - 1
        noise = random.random((2, size[0] + more, size[1] + more), np.float32)
        noise -= np.float32(0.5)
        noise *= np.float32(2 * self.local)
        away = np.empty((2, *size), np.float32)
        for plane, smoothed in zip(noise, away, strict=True):
            warp.smooth(plane, self.weights, smoothed)
        return away
