"""What is in boxes of a picture."""

from ...data.image import lettered
from ...errors import NetError
from ...pictures.palette import color_of
from .base import Answer, register

MOST_DRAWN = 20  # boxes; of thousands, one would see none
LINE = 2  # pixels


@register("boxes")
class Boxes(Answer):
    """Boxes (ymin, xmin, ymax, xmax), and a score for each class in each of them.

    Parameters
    ----------
    values : (boxes, scores): as many of both
    """

    def __init__(self, values, names=()):
        super().__init__(values, names)
        self.boxes, self.scores = values

    @classmethod
    def values(cls, outputs):
        raise NetError(
            "a net with one output tells no boxes; caffelite detect asks what is in given ones"
        )

    def rows(self, file):
        """What tables of detections take, as `Detector.detect_windows` gives it."""
        return [
            {"window": box, "prediction": scores, "filename": file}
            for box, scores in zip(self.boxes, self.scores, strict=True)
        ]

    def as_json(self):
        """{"boxes": [{box, label, name, score}]}: the likeliest class of each, the best first."""
        found = [(float(s.max()), int(s.argmax()), box) for s, box in self._pairs()]
        found.sort(key=lambda one: -one[0])
        return {
            "boxes": [
                {"box": list(box), "label": label, "name": self.name(label), "score": score}
                for score, label, box in found
            ]
        }

    def _pairs(self):
        return zip(self.scores, self.boxes, strict=True)

    def lines(self):
        return [
            f"  {one['score']:.4f}  {one['name']}  {', '.join(f'{x:g}' for x in one['box'])}"
            for one in self.as_json()["boxes"]
        ]

    def draw(self, picture):
        """The best boxes, each in the color of its class, with its name and score."""
        best = self.as_json()["boxes"][:MOST_DRAWN]
        told = [(b["box"], b["label"] + 1, f"{b['name']} {b['score']:.2f}") for b in best]
        return draw_boxes(picture, told)  # 0 is black


def draw_boxes(picture, told):
    """A copy of the picture with boxes: (ymin, xmin, ymax, xmax), number of a color, words or "".

    The first lies on top of the others; -1 is white.
    """
    picture = picture.copy()
    for box, number, words in reversed(told):
        color = color_of(number % 256)
        _frame(picture, box, color)
        if not words:
            continue
        y, x = (max(0, round(place)) for place in box[:2])
        label = lettered([words], color=color)
        space = picture[y : y + len(label), x : x + label.shape[1]]
        space[...] = label[: space.shape[0], : space.shape[1]]
    return picture


def _frame(picture, box, color):
    """Draw the edge of a box, as far as it is in the picture."""
    top, left, bottom, right = (max(0, round(place)) for place in box)
    inside = picture[top:bottom, left:right]
    for side in (inside[:LINE], inside[-LINE:], inside[:, :LINE], inside[:, -LINE:]):
        side[...] = color
