"""Nets that say in words what is in pictures: a part that looks, and one that goes word by word."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.image import lettered
from ..data.text import Vocabulary, join
from ..pictures.arrays import picture_of
from ..proto.caffe_pb2 import NetParameter
from ..types import Array, Path
from .answers.base import Answer
from .picture_net import PictureNet
from .preprocessing import Preprocessing
from .text_net import Symbol
from .two_parts import apart, text_net

_LETTER = 6  # pixels that a letter of a drawing takes


class CaptionNet(PictureNet):
    """A net for use whose inputs are pictures, and the words of a sentence and their cont.

    It runs as two: once for a picture what does not depend on words, and for each word the rest,
    which sees one blob of the first part.

    Parameters
    ----------
    model, weights, preprocessing, options : see PictureNet
    vocabulary : the words, by their numbers
    name : what messages call the vocabulary
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        preprocessing: Preprocessing,
        vocabulary: Vocabulary,
        name: str = "the vocabulary",
        **options: Any,
    ) -> None:
        super().__init__(model, weights, preprocessing, **options)
        missing = "warn" if options.get("allow_missing") else "refuse"
        shape = self.net.blobs[self.seen].shape[1:]
        self.text = text_net(
            self.words, self.seen, shape, weights, vocabulary, name, model, missing
        )

    def complete(self, param: NetParameter, model: str) -> None:
        """Leave what looks at pictures in `param`; `words` becomes the rest."""
        self.words, self.seen = apart(param, model)

    def _output(self, model: str, wanted: str | None) -> str:
        return self.seen

    def caption(
        self, features: Array, length: int, beam: int, start: Sequence[str] = ()
    ) -> list[Symbol]:
        """At most so many words behind `start` about a picture, whose `features` are a row."""
        self.text.tell(features)
        return self.text.likeliest(start, length, beam)


class Caption(Answer):
    """A sentence, and how likely the net held each word for that it said of it."""

    @property
    def text(self) -> str:
        return join([one.symbol for one in self.given], words=True)

    def as_json(self) -> dict:
        """{"caption": the sentence, "log2": of its probability}."""
        return {"caption": self.text, "log2": sum(one.log2 for one in self.given)}

    def lines(self) -> list[str]:
        return [f"  {self.text}"]

    def draw(self, picture: Array) -> Array:
        """The picture, and below it the sentence."""
        width = picture.shape[1]
        lines = textwrap.wrap(self.text, max(1, width // _LETTER - 1))
        return np.concatenate([picture, lettered(lines, width)])


class CaptionPredictor:
    """Asks a CaptionNet what pictures show, in at most `length` words, by a beam of so many.

    What it says goes on from the words `start`, a question for instance.
    """

    kind = Caption
    batch_size = 16

    def __init__(
        self, net: CaptionNet, length: int, beam: int = 1, start: Sequence[str] = ()
    ) -> None:
        self.net, self.length, self.beam, self.start = net, length, beam, start

    def read(self, path: str) -> Array:
        return self.net.crops(path)

    def predict(self, read: Sequence[tuple[str, Array]]) -> list[Caption]:
        rows = self.net.outputs([crops for _, crops in read])[:, 0]
        start = [Symbol(word, 0) for word in self.start]
        said = (self.net.caption(row, self.length, self.beam, self.start) for row in rows)
        return [Caption([*start, *words]) for words in said]

    def shown_picture(self, found: Any) -> Array:
        """The picture as the net sees it, its values stretched from black to white."""
        return picture_of(found.read[0])
