"""Which classes are likeliest in a picture."""

import numpy as np

from ...data.image import lettered
from ...errors import NetError
from ...layers.utility.arg_max import ArgMax
from .base import Answer, register

MOST_DRAWN = 5


@register("classes")
class Classes(Answer):
    """A score for each class, the mean over crops and places; of nets of no other kind."""

    @classmethod
    def check(cls, layer):
        if isinstance(layer, ArgMax):
            raise NetError(
                f"{layer.at}: an ArgMax tells which values are largest, and of classes the scores "
                f'are needed: take its bottom as the output, --output "{layer.param.bottom[0]}"'
            )

    @classmethod
    def values(cls, outputs):
        return outputs.reshape(*outputs.shape[:3], -1).mean(axis=(1, -1))

    @property
    def scores(self):
        return self.given

    def as_json(self, count=5):
        """{"top": [{label, name, score}]}, the highest score first."""
        best = (-self.scores).argsort(kind="stable")[:count]
        return {
            "top": [
                {"label": int(k), "name": self.name(k), "score": float(self.scores[k])}
                for k in best
            ]
        }

    def lines(self, count=5):
        return [f"  {one['score']:.4f}  {one['name']}" for one in self.as_json(count)["top"]]

    def draw(self, picture):
        """The picture, and below it the classes."""
        words = [line.strip() for line in self.lines(MOST_DRAWN)]
        return np.concatenate([picture, lettered(words, picture.shape[1])])
