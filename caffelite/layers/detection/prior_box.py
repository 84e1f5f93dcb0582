import numpy as np

from ...kernels import boxes as geometry
from ..base import Layer, register

SAME = 1e-6  # ratios that differ by less are one


@register("PriorBox")
class PriorBox(Layer):
    """At each place of a map the same boxes, around its center, from which a detector starts.

    For each min_size s there are a square of side s, with max_size t a square of side sqrt(s t),
    and for each ratio r but 1 a box of width s sqrt(r) and height s / sqrt(r), in this order. The
    places are those of the map, row by row. Place (i, j) has its center at ((j + offset) step_w,
    (i + offset) step_h), in pixels of the picture; the boxes are in fractions of it. As in SSD's
    Caffe, fractions of min_size and max_size are cut off: 30.7 is 30.

    Bottom
        0: the map, (N, C, height, width); only its size counts
        1: the picture, (N, C, height, width); only its size counts
    Top
        0: (1, 2, places * boxes * 4): boxes (xmin, ymin, xmax, ymax), then a variance for each of
            these numbers, by which codes of boxes are divided
    Options (prior_box_param)
        min_size: sides of squares, in pixels of the picture
        max_size: a larger side for each min_size
        aspect_ratio: widths to heights beside 1; one that is there already adds nothing
        flip: whether 1 / r comes with each ratio r [true]
        clip: whether boxes are cut off at the borders of the picture [false]
        variance: one number for all, or four [0.1]
        img_size, img_h, img_w: the size of the picture [that of bottom 1]
        step, step_h, step_w: pixels from place to place [size of the picture / size of the map]
        offset: of the center in its place, in steps [0.5]
    Source
        Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016, arXiv:1512.02325 (SSD)
    """

    options_field = "prior_box_param"
    drawn_as = "boxes"
    bottoms = 2
    no_gradient = shape_only = (0, 1)

    @property
    def boxes_per_place(self):
        options = self.options
        return len(options.min_size) * (1 + len(self._ratios())) + len(options.max_size)

    def setup(self, bottom_shapes):
        options = self.options
        self._check_sizes(list(options.min_size), list(options.max_size))
        if len(options.variance) not in (0, 1, 4) or not all(v > 0 for v in options.variance):
            raise self.error(
                f"variance is {_told(options.variance)}, expected one number above 0, or four"
            )
        for one, both in (("img_size", ("img_h", "img_w")), ("step", ("step_h", "step_w"))):
            self._check_pair(one, both)
        if not all(r > 0 for r in options.aspect_ratio):
            raise self.error(
                f"aspect_ratio is {_told(options.aspect_ratio)}, expected numbers above 0"
            )
        self.sides = self._sides()
        variance = np.asarray(options.variance or [0.1], self.dtype)
        self.variance = np.broadcast_to(variance, 4)

    def _check_sizes(self, least, most):
        if not least:
            raise self.error("min_size is missing: the sides of squares, in pixels of the picture")
        for size in least:
            if not size >= 1:
                raise self.error(
                    f"min_size is {size:g}, expected at least 1 pixel; fractions are cut off"
                )
        if most and len(most) != len(least):
            raise self.error(
                f"has {len(most)} max_size, expected none, or one for each min_size: {len(least)}"
            )
        for small, large in zip(least, most, strict=False):
            if not large > small:
                raise self.error(f"max_size is {large:g}, expected more than min_size {small:g}")

    def _check_pair(self, one, both):
        given = [name for name in (one, *both) if self.options.HasField(name)]
        if one in given and len(given) > 1:
            raise self.error(f"has {one} and {given[1]}, expected one of the two forms")
        if len(given) == 1 and one not in given:
            missing = both[given == [both[0]]]
            raise self.error(f"has {given[0]} alone; write {missing}, too, or {one} for both")
        for name in given:
            if not getattr(self.options, name) > 0:
                raise self.error(
                    f"{name} is {getattr(self.options, name):g}, expected a number above 0"
                )

    def _ratios(self):
        """Widths to heights of boxes that are no squares."""
        ratios = [1.0]
        for ratio in self.options.aspect_ratio:
            if ratio > 0 and all(abs(ratio - other) >= SAME for other in ratios):
                ratios += [ratio, 1 / ratio] if self.options.flip else [ratio]
        return [ratio for ratio in ratios if abs(ratio - 1) >= SAME]

    def _sides(self):
        """(width, height) in pixels of the boxes of a place."""
        ratios, sides = self._ratios(), []
        for index, size in enumerate(map(np.trunc, self.options.min_size)):
            sides.append((size, size))
            if self.options.max_size:
                sides.append((np.sqrt(size * np.trunc(self.options.max_size[index])),) * 2)
            sides += [(size * np.sqrt(r), size / np.sqrt(r)) for r in ratios]
        return sides

    def infer_shapes(self, bottom_shapes):
        for index, shape in enumerate(bottom_shapes):
            if len(shape) != 4 or not all(shape[2:]):
                raise self.shape_error(index, shape, "(N, C, height, width)")
        rows, columns = bottom_shapes[0][2:]
        return [(1, 2, rows * columns * len(self.sides) * 4)]

    def forward(self, bottom, top):
        options, places = self.options, bottom[0].shape[2:]
        size = np.array(_pair(options, "img_size", "img_h", "img_w") or bottom[1].shape[2:])
        steps = _pair(options, "step", "step_h", "step_w") or size / places
        y, x = (
            (np.arange(n) + options.offset) * step for n, step in zip(places, steps, strict=True)
        )
        center = np.stack(np.meshgrid(x, y), axis=-1)[:, :, None]  # rows, columns, 1, (x, y)
        half = np.array(self.sides) / 2
        boxes = np.concatenate([center - half, center + half], axis=-1) / np.tile(size[::-1], 2)
        boxes = geometry.clip(boxes) if options.clip else boxes
        top[0].data[0, 0] = boxes.reshape(-1)
        top[0].data[0, 1].reshape(-1, 4)[...] = self.variance

    def backward(self, top, propagate_down, bottom):
        """Nothing to do: only sizes of the bottoms count."""


def _pair(options, one, first, second):
    """Two numbers from an option that has both, or from one for each; None if none is given."""
    if options.HasField(one):
        return (getattr(options, one),) * 2
    return (getattr(options, first), getattr(options, second)) if options.HasField(first) else None


def _told(numbers):
    return ", ".join(f"{n:g}" for n in numbers)
