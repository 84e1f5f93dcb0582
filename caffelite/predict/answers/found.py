"""Boxes that a net finds in a picture."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import NetError
from .base import Answer, register
from .boxes import draw_boxes


class Found(NamedTuple):
    """A box that was found: of which class, how surely, where, in pixels of the picture."""

    label: int
    name: str
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def sides(self) -> tuple[float, float, float, float]:
        return self.xmin, self.ymin, self.xmax, self.ymax


@register("found")
class FoundBoxes(Answer):
    """Boxes that a net finds, a list of Found, the best first."""

    @classmethod
    def fits(cls, layer, shape):
        return layer.finds_boxes

    @classmethod
    def values(cls, outputs):
        raise NetError(
            "rows of boxes say themselves which picture they are of; caffelite detect reads them"
        )

    def as_json(self):
        return {"boxes": [one._asdict() for one in self.given]}

    def lines(self):
        """A line a box: score, xmin, ymin, xmax, ymax, name."""
        return [
            f"  {one.score:.4f}  {''.join(f'{x:8.1f}' for x in one.sides)}  {one.name}"
            for one in self.given
        ]

    def draw(self, picture):
        """The picture with all boxes, each in the color of its class, with its name and score."""
        return draw_boxes(
            picture,
            [
                ((one.ymin, one.xmin, one.ymax, one.xmax), one.label, f"{one.name} {one.score:.2f}")
                for one in self.given
            ],
        )
