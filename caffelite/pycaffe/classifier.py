"""Classifier: a net that says what is in pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import NetError
from ..net import Net
from ..net.old_calls import set_mean
from ..net.weights import check_weights
from ..proto.caffe_pb2 import TEST
from ..types import Array, ArrayLike, Path
from . import io, old_options


class Classifier(Net):
    """A net in TEST phase with what its pictures go through first.

    Parameters
    ----------
    model_file, pretrained_file : the net's prototxt, and its weights
    image_dims : (height, width) to resize pictures to before cropping [the net's own]
    mean, input_scale, raw_scale, channel_swap : see `caffelite.io.Transformer`
    allow_missing : whether layers that the weights lack may keep what their fillers gave them
    words : the same from `mean` on without their names, in this order, or that of 2014
    gpu, mean_file : of 2014: where to run, and a mean in a file, before there was a raw_scale
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        image_dims: Sequence[int] | None = None,
        *words: Any,
        mean: ArrayLike | Path | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        allow_missing: bool | None = None,
        gpu: bool | None = None,
        mean_file: Path | None = None,
    ) -> None:
        named = dict(mean=mean, input_scale=input_scale, raw_scale=raw_scale)
        named.update(channel_swap=channel_swap, allow_missing=allow_missing)
        named.update(gpu=gpu, mean_file=mean_file)
        options = old_options.sort("Classifier", words, ["allow_missing"], named)
        check_weights(pretrained_file)
        super().__init__(model_file, TEST)
        self.copy_from(pretrained_file, "warn" if options.pop("allow_missing", 0) else "refuse")
        self.transformer = transformer_for(self, **options)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims: Any = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Iterable[ArrayLike], oversample: bool = True) -> Array:
        """Scores of pictures, one row each: N x classes, of the net's first output.

        Parameters
        ----------
        inputs : N pictures, height x width x channels
        oversample : average over 10 crops: corners, centre, and these mirrored; else the centre
        """
        images = [io.resize_image(image, self.image_dims) for image in inputs]
        crops = io.oversample(images, self.crop_dims)
        if not oversample:
            crops = crops[4::10]  # the centre, of each ten
        in_ = self.inputs[0]
        batch = np.array([self.transformer.preprocess(in_, crop) for crop in crops])
        scores = self.forward_all(**{in_: batch})[self.outputs[0]]
        return scores.reshape(len(images), len(crops) // len(images), -1).mean(1)


def transformer_for(
    net: Net,
    mean: ArrayLike | Path | None = None,
    input_scale: float | None = None,
    raw_scale: float | None = None,
    channel_swap: Sequence[int] | None = None,
) -> io.Transformer:
    """The Transformer of a net's first input for pictures, height x width x channels."""
    if not net.inputs:
        raise NetError("the net has no input that takes pictures; give the net for use")
    in_ = net.inputs[0]
    transformer = io.Transformer({in_: net.blobs[in_].shape})
    transformer.set_transpose(in_, (2, 0, 1))
    given: tuple[tuple[Any, Callable[[str, Any], None]], ...] = (
        (mean, partial(set_mean, transformer)),
        (input_scale, transformer.set_input_scale),
        (raw_scale, transformer.set_raw_scale),
        (channel_swap, transformer.set_channel_swap),
    )
    for value, assign in given:
        if value is not None:
            assign(in_, value)
    return transformer
