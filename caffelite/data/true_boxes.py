"""Pictures and true boxes as detectors in two stages take them: boxes in pixels of what a net sees.

Girshick's code counts corners in pixels of the stored picture, the last of which belongs to the
box, and multiplies them by the factor that the picture is resized by.
"""

import numpy as np

from ..errors import DataError
from .annotated import AnnotatedSource
from .annotated_transform import AnnotatedTransformer
from .box_labels import Rows
from .boxes import WHOLE, Boxes, BoxesWith
from .geometry import resized


class TrueBoxesSource(AnnotatedSource):
    """The records of a database that have a box which is not difficult, without those that are.

    All records are read once, when it is first asked for one.
    """

    _wanted = None

    def wanted(self):
        """The numbers of these records."""
        if self._wanted is None:
            labels = (super(TrueBoxesSource, self).read_record(n) for n in range(len(self.records)))
            self._wanted = np.flatnonzero([not own.difficult.all() for _, own in labels])
            if not len(self._wanted):
                raise DataError(
                    f"{self.records.path}: none of its {len(self.records)} records has a box that "
                    "is not difficult: there is nothing to learn from"
                )
        return self._wanted

    def read_record(self, record):
        datum, boxes = super().read_record(record)
        boxes.keep(~boxes.difficult)
        return datum, boxes

    def __len__(self):
        return self.order.pass_size(len(self.wanted()))

    def drawn_for(self):
        return len(self.wanted()) if self.order.shuffle else None

    def record(self, number):
        return int(self.wanted()[self.order.index(number, len(self.wanted()), self.seed)])


class ScaledBoxes(BoxesWith):
    """The Boxes of a picture that is stored with this (height, width), and by what it was resized.

    `size` is what the net sees of it, `scale` the factor. `regions` follow along; what is cut off
    from one is lost to it, but `emit` leaves none out.
    """

    def __init__(self, boxes, stored):
        super().__init__(boxes, boxes.regions.copy() if boxes.regions else Boxes())
        self.regions = self.other
        self.stored, self.size, self.scale = stored, stored, None

    def finish(self, window, mirrored, size=None):
        super().finish(window, mirrored, size)
        self.regions._stretch(window, *self.stretch)
        self.size = size or self.size
        if self.scale is None:
            self.scale = self.size[0] / self.stored[0]

    def in_pixels(self, stored=False):
        """boxes x 5: xmin, ymin, xmax, ymax, label; `stored`: in pixels before it was resized."""
        corners = self._in_pixels(self.corners, stored)
        return np.column_stack([corners, self.labels.astype(np.float32)])

    def regions_in_pixels(self, stored=False):
        """regions x 5: 0, xmin, ymin, xmax, ymax; the whole picture, where none is left."""
        corners = self.regions.corners if len(self.regions) else np.float32([WHOLE])
        corners = self._in_pixels(corners, stored)
        return np.column_stack([np.zeros(len(corners), np.float32), corners])

    def _in_pixels(self, corners, stored):
        (height, width), scale = (self.stored, 1) if stored else (self.size, self.scale)
        corners = corners * np.float32([width, height, width, height])
        corners[:, 2:] -= np.float32(scale)
        corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
        return corners


class ShortSide:
    """The picture with its short side `scale` pixels long, unless the long one passes `max_size`.

    Of several scales one is drawn for each picture; a `max_size` of 0 is no bound.
    """

    def __init__(self, scales, max_size):
        self.scales, self.max_size = scales, max_size

    def __call__(self, image, random, boxes=None):
        number = random.integers(len(self.scales)) if len(self.scales) > 1 else 0
        sides = image.shape[1:]
        factor = self.factor(sides, self.scales[number])
        if boxes is not None:
            boxes.scale = factor
        return resized(image, *(max(1, round(side * factor)) for side in sides))

    def factor(self, sides, scale):
        """What the sides of such a picture are multiplied by."""
        factor = scale / min(sides)
        if self.max_size and round(factor * max(sides)) > self.max_size:
            factor = self.max_size / max(sides)
        return factor


class ScaledTransformer(AnnotatedTransformer):
    """An AnnotatedTransformer that ends with a ShortSide; `short_side` is one, or None."""

    def __init__(self, *arguments, short_side=None, **options):
        self.short_side = short_side
        super().__init__(*arguments, **options)

    def _resizing(self, param, train):
        return super()._resizing(param, train) + ([self.short_side] if self.short_side else [])


class TrueBoxes:
    """Arrays for ScaledBoxes of a batch: height, width and factor of each, and its boxes.

    The boxes are boxes x 5, see `ScaledBoxes.in_pixels`, or with `rows` those of `Rows`. With
    `regions`, those come last.
    """

    def __init__(self, rows=False, regions=False):
        self.rows, self.regions = rows, regions

    def __call__(self, boxes):
        sizes = np.array([(*own.size, own.scale) for own in boxes], np.float32)
        made = [sizes, *(Rows()(boxes) if self.rows else [self._of(boxes[0])])]
        return made + ([boxes[0].regions_in_pixels()] if self.regions else [])

    def _of(self, boxes):
        if not len(boxes):
            raise DataError(
                "a picture is left without a box by what is done to it: choose crops that keep one "
                "(sample_constraint, emit_constraint)"
            )
        return boxes.in_pixels()

    def shapes(self, batch, boxes):
        """The tops' shapes for so many pictures and boxes."""
        own = Rows().shapes(batch, boxes) if self.rows else [(max(1, boxes), 5)]
        return [(batch, 3), *own, *([(1, 5)] if self.regions else [])]


def stored_boxes(boxes):
    """Arrays for the ScaledBoxes of one picture: its factor, its true boxes and its regions.

    These are in pixels of the stored picture, where Girshick's code compares them.
    """
    (own,) = boxes
    return [np.float64([own.scale]), own.in_pixels(True), own.regions_in_pixels(True)[:, 1:]]
