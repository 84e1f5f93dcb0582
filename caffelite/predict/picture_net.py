"""A net that takes picture files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import rng
from ..data.geometry import resized
from ..data.image import decode, encode
from ..data.image_list import read_picture
from ..data.transform import DataTransformer
from ..errors import DataError, NetError
from ..layers.base import Layer
from ..net import Net
from ..net.weights import check_weights
from ..proto import caffe_pb2
from ..types import Array, Path, Shape
from .answers.classes import Classes
from .deploy import data_layer, deploy
from .preprocessing import Preprocessing, of_test_phase, subtract_from_channels

log = logging.getLogger("caffelite")

_SCALES = (8 / 7, 9 / 7, 10 / 7, 11 / 7)  # 256, 288, 320, 352 to 224
_BATCH = 16


class PictureNet:
    """A net for use, made of one for training if need be, that takes picture files.

    Parameters
    ----------
    model, weights : the files; the net's one input takes pictures, 1 or 3 channels
    preprocessing : what the pictures go through
    crops : "1", the middle; "10", corners and middle, and these mirrored; "multi", such ten at four
        sizes, whose short sides are 8/7 to 11/7 of the net's input
    output : the blob of the scores [the last output]
    force_backward : whether gradients are to reach the picture
    allow_missing : whether layers that the weights lack may keep what their fillers gave them
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        preprocessing: Preprocessing,
        crops: str = "1",
        output: str | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
        force_backward: bool = False,
        allow_missing: bool = False,
    ) -> None:
        check_weights(weights)
        param = of_test_phase(model, level, stages)
        if data_layer(param) is not None:
            if preprocessing.shape is None:
                raise NetError(
                    f"{model}: neither mean_file nor the data tell the size of the pictures; give "
                    "the net for use, deploy.prototxt"
                )
            param = deploy(param, preprocessing.shape, model)
        self.complete(param, model)
        param.force_backward = force_backward
        self.net = Net.from_param(param, model)
        self.net.only_look()
        self.net.copy_from(weights, missing="warn" if allow_missing else "refuse")
        self.input, self.shape = self._input(model)
        self.output = self._output(model, output)
        self.size, self.transformer = self._transformer(preprocessing, crops)

    def complete(self, param: caffe_pb2.NetParameter, model: str) -> None:
        """Add what the net lacks to answer what it is asked, before it is built, or refuse it."""

    def _input(self, model: str) -> tuple[str, Shape]:
        shapes = {name: self.net.blobs[name].shape for name in self.net.inputs}
        name, shape = next(iter(shapes.items()), ("", ()))
        if len(shapes) != 1 or len(shape) != 4 or shape[1] not in (1, 3):
            raise NetError(
                f"{model}: expected one input, of pictures with 1 or 3 channels, not {shapes}"
            )
        return name, shape[1:]

    def _output(self, model: str, wanted: str | None) -> str:
        tops = [name for node in self.net.nodes for name in node.top_names]
        outputs = [name for name in tops if name in self.net.outputs] or tops  # all may be read
        if wanted is not None and wanted not in tops:
            raise NetError(f'{model}: has no blob "{wanted}"; its outputs are {", ".join(outputs)}')
        return wanted or outputs[-1]

    def _transformer(self, preprocessing: Preprocessing, crops: str) -> tuple[Any, DataTransformer]:
        """The size to read pictures in, or None, and the DataTransformer for them."""
        transform = caffe_pb2.TransformationParameter()
        transform.CopyFrom(preprocessing.transform)
        cropped = bool(transform.crop_size or transform.crop_h)
        for name in ("mirror", "crop_size", "force_color", "force_gray"):
            transform.ClearField(name)
        height, width = transform.crop_h, transform.crop_w = self.shape[1:]
        if transform.HasField("resize_param") and not cropped:
            transform.resize_param.height, transform.resize_param.width = height, width
        size = preprocessing.size or (height, width)
        if cropped and not (preprocessing.size or transform.HasField("resize_param")):
            size = round(height * _SCALES[0]), round(width * _SCALES[0])
            log.warning(
                "%s crops, and of what size pictures were before is not known: taking %d x %d",
                *(preprocessing.origin, *size),
            )
        transform.ten_crop = crops != "1"
        if crops == "10" and size == (height, width):
            raise NetError(
                f"10 crops of {height} x {width} take larger pictures; give a size to resize to"
            )
        if crops == "multi":
            transform.test_size.extend(round(max(height, width) * scale) for scale in _SCALES)
            subtract_from_channels(transform)
        native = crops == "multi" or transform.HasField("resize_param")
        transformer = DataTransformer(transform, train=False)
        if native:
            return None, transformer
        transformer.output_shape((self.shape[0], *size))  # does the mean fit?
        return size, transformer

    def crops(self, picture: str | Array, boxes: Any = None) -> Any:
        """What the net sees of a picture: crops x channels x height x width.

        The picture is a file, or uint8 pixels, 3 x height x width, blue first. `boxes`, Boxes or a
        WayBack, follow what is done to it, if it is one crop.
        """
        try:
            if isinstance(picture, str):
                pixels = read_picture(picture, self.shape[0] == 3, self.size)
            else:
                pixels = self._read(picture)
            images = self.transformer.prepare(pixels, rng.generator(0), boxes)
            shapes = [self.transformer.output_shape(image.shape) for image in images]
        except DataError as problem:
            name = picture if isinstance(picture, str) else "a picture"
            raise DataError(f"{name}: {problem}") from None
        out = np.empty((self.transformer.crops_per_sample, *shapes[0]), np.float32)
        followers = None if boxes is None else [boxes]
        self.transformer.transform(images, rng.generator(0), out, followers)
        return out

    def _read(self, pixels: Array) -> Array:
        """Pixels as `read_picture` would give them, of a picture that holds them."""
        if self.shape[0] == 1:
            pixels = decode(encode(pixels, "png"), color=False)
        return resized(pixels, *self.size) if self.size else pixels

    def outputs(self, crops: Sequence[Array]) -> Array:
        """pictures x crops x the output for one, of a list of what `crops` gives."""
        return self.blobs([self.output], crops)[0]

    def blobs(self, names: Sequence[str], crops: Sequence[Array]) -> list[Array]:
        """Of blobs: pictures x crops x the values for one, of a list of what `crops` gives."""
        batch = np.concatenate(crops)
        blob = self.net.blobs[self.input]
        if len(blob.data) != min(_BATCH, len(batch)):
            blob.reshape(min(_BATCH, len(batch)), *self.shape)
            self.net.reshape()
        found = self.net.forward_all(names, **{self.input: batch})
        for name in names:
            if len(found[name]) != len(batch):
                raise NetError(
                    f'the blob "{name}" has {len(found[name])} rows for {len(batch)} pictures; '
                    "expected one each"
                )
        shape = len(crops), self.transformer.crops_per_sample
        return [found[name].reshape(*shape, *found[name].shape[1:]) for name in names]

    def scores(self, crops: Sequence[Array]) -> Array:
        """pictures x classes: the mean over the crops of each, of a list of what `crops` gives."""
        return Classes.values(self.outputs(crops))

    def answering(self) -> tuple[Layer, Shape]:
        """The layer that makes the output, and the output's shape."""
        nodes = (node for node in reversed(self.net.nodes) if self.output in node.top_names)
        return next(nodes).layer, self.net.blobs[self.output].shape
