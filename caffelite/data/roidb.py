"""The list of dicts that scripts of py-faster-rcnn give to their data layer, as a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..types import Array, Shape
from .boxes import Boxes
from .image import decode, decoded_shape
from .order import Order
from .source import Source


class RoidbSource(Source):
    """Pictures with their true boxes; a sample is (pixels, Boxes), in another order in each pass.

    Each entry has `image`, a file; `boxes`, n x 4 pixels of which the last belongs to the box;
    `gt_classes`, n numbers, 0 for what is no true box; and perhaps `flipped`: the boxes are those
    of the mirrored picture.
    """

    def __init__(self, roidb: Sequence[Mapping[str, Any]]) -> None:
        self.entries = [entry for entry in roidb if np.any(entry["gt_classes"])]
        if not self.entries:
            raise DataError(f"none of the {len(roidb)} entries of the roidb has a true box")
        self.order = Order(shuffle=True)

    def __len__(self) -> int:
        return len(self.entries)

    def drawn_for(self) -> int:
        return len(self.entries)

    def _entry(self, number: int) -> Mapping[str, Any]:
        return self.entries[self.order.index(number, len(self.entries), self.seed)]

    def sample(self, number: int) -> tuple[Array, Boxes]:
        entry = self._entry(number)
        pixels = decode(entry["image"], True)
        if entry.get("flipped"):
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        classes = np.asarray(entry["gt_classes"])
        corners = np.asarray(entry["boxes"], np.float64)[classes > 0] + [0, 0, 1, 1]
        height, width = pixels.shape[1:]
        return pixels, Boxes(corners / [width, height, width, height], classes[classes > 0])

    def label(self, number: int) -> Boxes:
        return self.sample(number)[1]

    def shape(self, number: int) -> Shape:
        return decoded_shape(self._entry(number)["image"], True)

    def name(self, number: int) -> str:
        return str(self._entry(number)["image"])
