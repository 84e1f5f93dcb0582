"""A net for use as two: what looks at something once, and what goes on about it word by word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..data.text import Vocabulary
from ..errors import NetError
from ..layers.data.input import Input
from ..net import Net
from ..proto.caffe_pb2 import LayerParameter, NetParameter
from ..types import Path, Shape
from .text_net import TextNet


def apart(param: NetParameter, model: str) -> tuple[NetParameter, str]:
    """(what depends on words, the one blob that it sees of the rest); the rest is left in `param`.

    Words, and their cont, are the inputs of one step, 1 x streams.
    """
    first: list[LayerParameter] = []
    words: list[LayerParameter] = []
    told: set[str] = set()  # the blobs that depend on words
    for layer in _with_an_input_each(param.layer):
        if layer.type == Input.type:
            of_words = is_of_one_step(layer.input_param.shape[0].dim)
        else:
            of_words = not told.isdisjoint(layer.bottom)
        (words if of_words else first).append(layer)
        told.update(layer.top if of_words else [])
    seen = {bottom for layer in words for bottom in layer.bottom} - told
    if len(seen) != 1:
        found = ", ".join(sorted(seen)) or "none"
        raise NetError(
            f"{model}: says nothing about what it has seen: expected inputs for pictures, or for a "
            "text of several steps, inputs for words and cont, of one step, and layers over words "
            "that see one blob of what is not, as models/captions/deploy.prototxt or "
            f"models/seq2seq/deploy.prototxt; found such blobs: {found}"
        )
    rest = NetParameter(name=param.name, layer=words)
    rest.state.CopyFrom(param.state)
    del param.layer[:]
    param.layer.extend(first)
    return rest, *seen


def is_of_one_step(shape: Sequence[int]) -> bool:
    return len(shape) == 2 and shape[0] == 1


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


def text_net(
    words: NetParameter,
    seen: str,
    shape: Shape,
    weights: Path,
    vocabulary: Vocabulary,
    name: str,
    model: str,
    missing: str,
) -> TextNet:
    """The TextNet of what `apart` gave, which is told rows of `shape` of the blob `seen`."""
    made = words.layer.add(name=f"{seen} as input", type=Input.type, top=[seen])
    made.input_param.shape.add(dim=[1, *shape])
    words.layer.insert(0, words.layer.pop())
    net = Net.from_param(words, model)
    net.only_look()
    net.copy_from(weights, missing=missing)
    return TextNet(net, vocabulary, name, about=seen)
