"""Generators: nets that make pictures of noise, and the pictures that they learned from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import cast

import numpy as np

from .. import rng
from ..data.order import ORDERS
from ..errors import DataError, NetError
from ..layers.base import create_layer, layer_class
from ..layers.data._prefetched import PrefetchedLayer
from ..net import Net
from ..net.generator import class_input, inputs_of_noise, output_of_pictures
from ..net.passes import filter_layers
from ..proto import caffe_pb2
from ..proto.text import read_net
from ..types import Array

_ROWS = 128  # pictures whose distances to all others are computed at once


class TruePictures:
    """The pictures that a net for training sees in a phase, as bytes.

    They are what its data layer makes of them, without chance, and with mean and scale undone; in
    which stage that layer is does not count.

    Raises a NetError if there is no layer whose source is one of pictures.

    Parameters
    ----------
    file : the net's prototxt
    phase : "TRAIN" or "TEST"
    """

    def __init__(self, file: str, phase: str = "TRAIN") -> None:
        param = read_net(file)
        param.state.phase = caffe_pb2.Phase.Value(phase)
        rules = [rule for layer in param.layer for rule in (*layer.include, *layer.exclude)]
        param.state.stage.extend({stage: None for rule in rules for stage in rule.stage})
        found = [one for one in filter_layers(param, file).layer if _has_pictures(one)]
        if not found:
            raise NetError(
                f"{file}: in phase {phase}, no layer brings pictures from a database or a list "
                "(Data, ImageData), whose mean and scale would tell what values stand for"
            )
        layer = cast(PrefetchedLayer, create_layer(found[0], phase=caffe_pb2.TEST))
        for name in ORDERS:  # which picture has which number is not to be of chance
            if name in layer.options.DESCRIPTOR.fields_by_name:
                layer.options.ClearField(name)
        self.transformer = layer.make_transformer()
        self.source = layer.open_source()

    def __enter__(self) -> TruePictures:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.source.close()

    def __len__(self) -> int:
        return len(self.source)

    def pixels(self, numbers: Iterable[int]) -> Array:
        """Those of these numbers: n x channels x height x width, uint8, blue first."""
        found = [self._pixels(number) for number in numbers]
        if len({one.shape for one in found}) > 1:
            raise DataError(f"{self.source.name(0)} and those behind it differ in their shapes")
        return np.stack(found)

    def _pixels(self, number: int) -> Array:
        images = self.transformer.prepare(self.source.sample(number)[0], rng.generator(0))
        out = np.empty((1, *self.transformer.output_shape(images[0].shape)), np.float32)
        self.transformer.transform(images[:1], rng.generator(0), out)
        return self.transformer.undo(out)[0]


def _has_pictures(layer: caffe_pb2.LayerParameter) -> bool:
    return issubclass(layer_class(layer.type), PrefetchedLayer)


class Generator:
    """A net that makes pictures of noise, and of classes if one of its inputs tells which.

    Attributes
    ----------
    classes : how many classes it is told apart, 0 for none

    Parameters
    ----------
    net : with its weights, in phase TEST
    train_val : the net that it was trained in, whose data layer tells what values of pictures stand
        for [train_val.prototxt beside the net's file]
    """

    def __init__(self, net: Net, train_val: str | None = None) -> None:
        self.net, self.output = net, output_of_pictures(net)
        beside = os.path.join(os.path.dirname(net.file), "train_val.prototxt")
        if not (train_val or os.path.isfile(beside)):
            raise NetError(
                f"{net.file}: what values its pictures have, the net tells that it was trained in: "
                "--train_val FILE"
            )
        if not net.inputs:
            raise NetError(f"{net.file}: expected an Input for noise; it has none")
        self.train_val = train_val or beside
        with TruePictures(self.train_val) as true:
            self.transformer = true.transformer
        asked = class_input(net)
        self.class_name, self.classes = asked or ("", 0)

    def noise(self, count: int, seed: int = 0, label: int | None = None) -> dict[str, Array]:
        """{input: array} of noise for so many pictures; of classes in turn, or of one class."""
        made = inputs_of_noise(self.net, seed, count)
        if label is not None:
            if not self.classes:
                raise NetError(f"{self.net.file}: makes pictures of no class: it has no such input")
            if not 0 <= label < self.classes:
                raise NetError(
                    f"{self.net.file}: class {label}: it knows those from 0 to {self.classes - 1}"
                )
            made[self.class_name][...] = label
        return made

    def between(self, count: int, seed: int = 0, label: int | None = None) -> dict[str, Array]:
        """Noise for a strip of pictures, from one noise to another in steps of the same angle.

        A straight line would come too near the middle, where noise never is. All are of one class,
        the first if none is given.
        """
        ends = self.noise(2, seed, 0 if label is None and self.classes else label)
        share = np.linspace(0, 1, count)
        for name, (first, last) in ends.items():
            if name == self.class_name:
                ends[name] = np.repeat(first[None], count, axis=0)
            else:
                ends[name] = _arc(first, last, share)
        return ends

    def labels(self, noise: dict[str, Array]) -> list[int]:
        """The classes that the noise is of, [] if the net knows none."""
        return noise[self.class_name].reshape(-1).astype(int).tolist() if self.classes else []

    def pictures(self, noise: dict[str, Array]) -> Array:
        """What it makes of noise: n x channels x height x width, uint8, blue first."""
        made = self.net.forward_all(**noise)[self.output]
        try:
            return self.transformer.undo(made)
        except DataError as problem:
            raise NetError(f'{self.net.file}: blob "{self.output}": {problem}') from None


def _arc(first: Array, last: Array, share: Array) -> Array:
    """Points between two, by shares of the angle that they span."""
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(last))
    cosine = float((first * last).sum()) / max(lengths, 1e-30)
    angle = np.arccos(np.clip(cosine, -1, 1))
    share = share.reshape(-1, *[1] * first.ndim)
    if np.sin(angle) < 1e-6:
        return (1 - share) * first + share * last
    points = np.sin((1 - share) * angle) * first + np.sin(share * angle) * last
    return points / np.sin(angle)


def nearest(pictures: Array, others: Array, count: int = 1) -> tuple[Array, Array]:
    """Of each picture, the numbers of the `count` others nearest to it, and how far they are.

    Both are n x channels x height x width; distances are root mean squares over all values. The
    result is two arrays, pictures x count, the nearest first.
    """
    if pictures.shape[1:] != others.shape[1:]:
        raise DataError(
            f"pictures of the shape {pictures.shape[1:]} have no distance to those of the shape "
            f"{others.shape[1:]}"
        )
    rows = [array.reshape(len(array), -1).astype(np.float64) for array in (pictures, others)]
    squares = [(array**2).sum(axis=1) for array in rows]
    numbers, distances = [], []
    for first in range(0, len(pictures), _ROWS):
        part = np.s_[first : first + _ROWS]
        all_squares = squares[0][part, None] + squares[1] - 2 * rows[0][part] @ rows[1].T
        best = np.argsort(all_squares, axis=1, kind="stable")[:, :count]
        numbers.append(best)
        distances.append(np.take_along_axis(all_squares, best, axis=1))
    mean_squares = np.concatenate(distances).clip(0) / rows[0].shape[1]
    return np.concatenate(numbers), np.sqrt(mean_squares)
