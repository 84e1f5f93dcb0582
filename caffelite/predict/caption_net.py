"""Nets that say in words what is in pictures: a part that looks, and one that goes word by word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..data.image import lettered
from ..data.text import Vocabulary, join
from ..errors import NetError
from ..layers.data.input import Input
from ..net import Net
from ..pictures.arrays import picture_of
from ..proto.caffe_pb2 import LayerParameter, NetParameter
from ..types import Array, Path
from .answers.base import Answer
from .picture_net import PictureNet
from .preprocessing import Preprocessing
from .text_net import Symbol, TextNet

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
        seen = self.net.blobs[self.output].shape
        name_of_none = f"{self.output} of the picture"  # in files of weights
        made = self.words.layer.add(name=name_of_none, type=Input.type, top=[self.output])
        made.input_param.shape.add(dim=[1, *seen[1:]])
        self.words.layer.insert(0, self.words.layer.pop())
        net = Net.from_param(self.words, model)
        net.only_look()
        missing = "warn" if options.get("allow_missing") else "refuse"
        net.copy_from(weights, missing=missing)
        self.text = TextNet(net, vocabulary, name, about=self.output)

    def complete(self, param: NetParameter, model: str) -> None:
        """Leave what looks at pictures in `param`; `words` becomes the rest."""
        pictures: list[LayerParameter] = []
        rest: list[LayerParameter] = []
        told: set[str] = set()  # the blobs that depend on words
        for layer in _with_an_input_each(param.layer):
            if layer.type == Input.type:
                of_words = len(layer.input_param.shape[0].dim) != 4
            else:
                of_words = not told.isdisjoint(layer.bottom)
            (rest if of_words else pictures).append(layer)
            told.update(layer.top if of_words else [])
        seen = {bottom for layer in rest for bottom in layer.bottom} - told
        if len(seen) != 1:
            found = ", ".join(sorted(seen)) or "none"
            raise NetError(
                f"{model}: does not put pictures into words: expected inputs for pictures, words "
                "and cont, and layers over words that see one blob of the picture, as "
                f"models/captions/deploy.prototxt; found such blobs: {found}"
            )
        (self.seen,) = seen
        self.words = NetParameter(name=param.name, layer=rest)
        self.words.state.CopyFrom(param.state)
        del param.layer[:]
        param.layer.extend(pictures)

    def _output(self, model: str, wanted: str | None) -> str:
        return self.seen

    def caption(self, features: Array, length: int, beam: int) -> list[Symbol]:
        """A sentence of at most so many words about a picture, whose `features` are a row."""
        self.text.tell(features)
        if beam == 1:
            return list(self.text.sample([], length, temperature=0))
        return self.text.beam([], length, beam)


def _with_an_input_each(layers: Sequence[LayerParameter]) -> Iterator[LayerParameter]:
    """The layers, an Input of several tops as one for each."""
    for layer in layers:
        if layer.type != Input.type or len(layer.top) == 1:
            yield layer
            continue
        shapes = layer.input_param.shape
        for k, top in enumerate(layer.top):
            one = LayerParameter(name=top, type=Input.type, top=[top])
            one.input_param.shape.add().CopyFrom(shapes[k if len(shapes) > 1 else 0])
            yield one


class Caption(Answer):
    """A sentence, and how likely the net held each of its words for."""

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
    """Asks a CaptionNet what pictures show, in at most `length` words, by a beam of so many."""

    kind = Caption
    batch_size = 16

    def __init__(self, net: CaptionNet, length: int, beam: int = 1) -> None:
        self.net, self.length, self.beam = net, length, beam

    def read(self, path: str) -> Array:
        return self.net.crops(path)

    def predict(self, read: Sequence[tuple[str, Array]]) -> list[Caption]:
        rows = self.net.outputs([crops for _, crops in read])[:, 0]
        return [Caption(self.net.caption(row, self.length, self.beam)) for row in rows]

    def shown_picture(self, found: Any) -> Array:
        """The picture as the net sees it, its values stretched from black to white."""
        return picture_of(found.read[0])
