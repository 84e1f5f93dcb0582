"""What a net that makes pictures of noise is fed, and which of its outputs they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import NetError
from ..types import Array
from .net import Net


class ClassInput(NamedTuple):
    """An input of a net that takes the numbers of classes, and how many it tells apart."""

    name: str
    classes: int


def class_input(net: Net) -> ClassInput | None:
    """The first input that an Embed, say, picks rows by, if there is one."""
    for node in net.nodes:
        for name in net.inputs:
            if node.layer.picks_from and node.bottom_blobs[0].shares_data_with(net.blobs[name]):
                return ClassInput(name, node.layer.picks_from)
    return None


def inputs_of_noise(net: Net, seed: int, count: int | None = None) -> dict[str, Array]:
    """{name: array} for the inputs of a net, of `count` samples [a batch]: standard normal noise;
    for that of classes, one after the other."""
    random = np.random.default_rng(seed)
    asked = class_input(net)
    made: dict[str, Array] = {}
    for name in net.inputs:
        batch, *rest = net.blobs[name].shape
        shape = batch if count is None else count, *rest
        if asked and name == asked.name:
            made[name] = np.resize(np.arange(asked.classes, dtype=net.dtype), shape)
        else:
            made[name] = random.standard_normal(shape, net.dtype)
    return made


def outputs_of_pictures(net: Net) -> list[str]:
    """The names of a net's outputs that are batches of pictures, of 1 channel or 3."""
    shapes = {name: net.blobs[name].shape for name in net.outputs}
    return [name for name, shape in shapes.items() if len(shape) == 4 and shape[1] in (1, 3)]


def output_of_pictures(net: Net) -> str:
    """The first of these; a NetError if there is none."""
    found = outputs_of_pictures(net)
    if found:
        return found[0]
    shapes = ", ".join(f'"{name}" {net.blobs[name].shape}' for name in net.outputs)
    raise NetError(
        f"{net.file}: expected an output of pictures, N x 1 or 3 x height x width; it has {shapes}"
    )
