"""What pictures go through before a net sees them, as the net's files tell it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import json_format

from .. import reading
from ..data.transform import read_mean
from ..data.true_boxes import ShortSide
from ..errors import CaffeliteError, DataError, NetError
from ..layers.base import create_layer
from ..net.passes import filter_layers
from ..proto import caffe_pb2
from ..proto.text import read_net
from ..types import Shape
from .deploy import data_layer

MOST_SIDE = 9999  # pixels, as those of --resize


@dataclass
class Preprocessing:
    """What pictures go through before a net sees them."""

    transform: caffe_pb2.TransformationParameter | None = None
    size: tuple[int, int] | None = None  # (height, width) of the pictures that it was trained on
    shape: tuple[int, ...] | None = None  # channels, height and width of what it takes
    names: str = ""  # the file with the names of its classes
    origin: str = ""  # the file that says so
    short_side: ShortSide | None = None  # how their sides are chosen, where they keep proportions

    @classmethod
    def of_net(
        cls,
        model: str,
        train_val: str | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
    ) -> Preprocessing:
        """That of a net, from the first of these that tells it.

        That is the net `train_val` if it is given; the net's own data layer; the transform_param of
        its Input; that in the card readme.md beside it; the data layer of the train_val.prototxt
        beside it. What the card says of resize and labels counts where a data layer does not tell
        the size or the names.
        """
        param = of_test_phase(train_val or model, level, stages)
        layer = data_layer(param)
        if train_val and layer is None:
            raise NetError(f"{train_val}: has no data layer that a transform_param could be in")
        folder, file = os.path.dirname(model), train_val or model
        card = cls.of_card(os.path.join(folder, "readme.md"))
        for told in param.layer:
            if layer is None and told.HasField("transform_param"):
                card.transform, card.origin = told.transform_param, file
        if layer is None and card.transform is None:
            file = os.path.join(folder, "train_val.prototxt")
            layer = data_layer(of_test_phase(file, level, stages)) if os.path.isfile(file) else None
        if layer is None:
            card.transform = card.transform or caffe_pb2.TransformationParameter()
            return card
        found = cls.of_data(layer, file)
        found.size, found.names = found.size or card.size, found.names or card.names
        return found

    @classmethod
    def of_data(cls, layer: caffe_pb2.LayerParameter, file: str) -> Preprocessing:
        """That of a net's data layer."""
        transform = layer.transform_param
        made = cls(transform, origin=file)
        stored = _stored_shape(layer)
        side = transform.crop_size
        crop = (side, side) if side else (transform.crop_h, transform.crop_w)
        if not all(crop) and transform.HasField("resize_param"):
            crop = transform.resize_param.height, transform.resize_param.width
        if stored:
            made.size = stored[1], stored[2]
            made.shape = (stored[0], *(crop if all(crop) else stored[1:]))
        elif all(crop) and len(transform.mean_value) > 1:
            made.shape = (len(transform.mean_value), *crop)
        facts = create_layer(layer)
        made.names, made.short_side = facts.class_names(), facts.short_side
        return made

    @classmethod
    def of_card(cls, path: str) -> Preprocessing:
        """That which the head of a net's readme.md tells: transform_param, resize, labels."""
        card, made = _card(path), cls()
        try:
            if "transform_param" in card:
                made.transform = json_format.ParseDict(
                    card["transform_param"] or {}, caffe_pb2.TransformationParameter()
                )
                made.origin = path
            made.size = _as_size(card.get("resize"))
        except (json_format.ParseError, AttributeError, TypeError, ValueError) as problem:
            raise DataError(f"{path}: transform_param, resize: {problem}") from None
        if isinstance(card.get("labels"), str):
            made.names = os.path.join(os.path.dirname(path), card["labels"])
        return made


def _card(path: str) -> dict[str, Any]:
    """The facts at the head of a readme.md, {} if it has none or is not there."""
    if not os.path.isfile(path):
        return {}
    before, *parts = reading.text(path, errors="replace").split("---\n", 2)
    if before or len(parts) < 2:
        return {}
    return reading.yaml_mapping(parts[0], f"{path}: cannot be read as a model's card") or {}


def _as_size(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(reading.count(side, MOST_SIDE) for side in sides):
        raise ValueError(f"resize: expected HEIGHT, or [HEIGHT, WIDTH], 1 to {MOST_SIDE}")
    return int(sides[0]), int(sides[1])


def _stored_shape(layer: caffe_pb2.LayerParameter) -> Shape | None:
    """The shape of the pictures that a data layer reads, if its mean or its data are there."""
    transform = layer.transform_param
    try:
        if transform.mean_file:
            return read_mean(transform, np.float32).shape
        return create_layer(layer).stored_shape()
    except CaffeliteError:
        return None


def subtract_from_channels(transform: caffe_pb2.TransformationParameter) -> None:
    """Let the mean picture give way to the means of its channels, which fit any size."""
    if transform.mean_file:
        mean = read_mean(transform, np.float64)
        transform.mean_value.extend(mean.mean(axis=(1, 2)).tolist())
        transform.ClearField("mean_file")


def of_test_phase(path: str, level: int = 0, stages: Sequence[str] = ()) -> caffe_pb2.NetParameter:
    """The NetParameter of a prototxt with the layers of its TEST phase only."""
    param = read_net(path)
    param.state.phase = caffe_pb2.TEST
    param.state.level = level
    param.state.stage.extend(stages)
    return filter_layers(param, path)
