"""Calls of the pycaffe of 2014 and 2015 that nets have no more: each warns, and does what it did.

The phase and the mode were the whole program's then, and a net knew what its pictures go through.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import mean_file
from ..errors import NetError
from ..layers.base import TEST, TRAIN
from ..types import Array, ArrayLike, Path
from .left_out import LeftOut
from .schedule import Schedule

if TYPE_CHECKING:
    from collections import OrderedDict

    from ..blob import Blob
    from ..pycaffe.io import Transformer
    from .node import Node

NO_GPU = "there is no GPU support here, running on the CPU"

_phase = {"of nets to come": TEST}


class OldCall(DeprecationWarning):
    """A call of the pycaffe of 2014 or 2015, which goes on working."""


def warn(call: str, instead: str, depth: int = 1) -> None:
    """Warn of a call; it is that of a function `depth` calls above the one that warns."""
    words = f"{call} is a call of the pycaffe of 2014: {instead}"
    warnings.warn(words, OldCall, stacklevel=depth + 2)


def tell_once() -> None:
    """Show each of these warnings, wherever it comes from, and not again."""
    warnings.filterwarnings("once", category=OldCall)


def default_phase() -> int:
    """The phase of nets that are built without one: what `set_phase` was told last, or TEST."""
    return _phase["of nets to come"]


def set_phase(phase: int) -> None:
    """Let nets that are built without a phase have this one, as from then on in 2014."""
    _phase["of nets to come"] = phase


class OfTransformer:
    """{input: setting}, as nets had it; a script may assign something else to that name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, net: OldCalls | None, owner: type) -> Any:
        if net is None:
            return self
        warn(f"net.{self.name}", f"use caffe.io.Transformer, and its {self.name}")
        return getattr(net.transformer, self.name)


class OldCalls:
    """A base of Net, which has `blobs`, `inputs`, `phase`, `nodes` and a Schedule."""

    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    outputs: list[str]
    nodes: list[Node]
    phase: int
    _schedule: Schedule
    _left_out: LeftOut

    mean, raw_scale, input_scale = OfTransformer(), OfTransformer(), OfTransformer()
    channel_swap = OfTransformer()

    if TYPE_CHECKING:

        def forward(self, **kwargs: Any) -> dict[str, Array]: ...

        def backward(self, **kwargs: Any) -> dict[str, Array]: ...

    # Phase and mode

    def set_phase_test(self: OldCalls | None = None) -> None:
        """Let layers do what they do in TEST; caffe.Net.set_phase_test() tells nets to come."""
        warn("set_phase_test()", "give the phase, caffe.Net(file, caffe.TEST)")
        _set_phase_of(self, TEST)

    def set_phase_train(self: OldCalls | None = None) -> None:
        """Let layers do what they do in TRAIN; caffe.Net.set_phase_train() tells nets to come."""
        warn("set_phase_train()", "give the phase, caffe.Net(file, caffe.TRAIN)")
        _set_phase_of(self, TRAIN)

    @staticmethod
    def set_mode_cpu() -> None:
        """Nothing: nets always run on the CPU."""
        warn("net.set_mode_cpu()", "use caffe.set_mode_cpu()")

    @staticmethod
    def set_mode_gpu() -> None:
        """Warn that nets run on the CPU."""
        warn("net.set_mode_gpu()", f"use caffe.set_mode_gpu(); {NO_GPU}")

    @staticmethod
    def set_device(device_id: int) -> None:
        """Warn that nets run on the CPU."""
        warn("net.set_device()", f"use caffe.set_device(); {NO_GPU}")

    # What pictures go through

    @cached_property
    def transformer(self) -> Transformer:
        """What pictures, height x width x channels, go through on their way to the inputs."""
        from ..pycaffe.io import Transformer

        shapes = {name: self.blobs[name].shape for name in self.inputs}
        made = Transformer(shapes)
        for name, shape in shapes.items():
            if len(shape) == 4:
                made.set_transpose(name, (2, 0, 1))
        return made

    def set_mean(self, in_: str, mean: ArrayLike | Path, mode: str = "elementwise") -> None:
        """What is subtracted: an array, or a file of one, .npy or .binaryproto.

        `mode` is "elementwise" (or "image"), or "channel": the mean of each channel.
        """
        warn("net.set_mean()", "use caffe.io.Transformer, and its set_mean")
        set_mean(self.transformer, in_, mean, mode)

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is subtracted; before, where that came as a file.

        So did the pycaffe that took files, until the summer of 2014, when raw_scale came.
        """
        warn("net.set_input_scale()", "use caffe.io.Transformer, and its set_input_scale")
        self.transformer.set_input_scale(in_, scale)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is subtracted."""
        warn("net.set_raw_scale()", "use caffe.io.Transformer, and its set_raw_scale")
        self.transformer.set_raw_scale(in_, scale)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels."""
        warn("net.set_channel_swap()", "use caffe.io.Transformer, and its set_channel_swap")
        self.transformer.set_channel_swap(in_, order)

    def preprocess(self, in_: str, data: ArrayLike) -> Array:
        """A picture as input `in_` takes it, without the batch axis."""
        warn("net.preprocess()", "use caffe.io.Transformer, and its preprocess")
        return self._transformer_now().preprocess(in_, data)

    def deprocess(self, in_: str, data: ArrayLike) -> Array:
        """The picture that became `data` in `preprocess`, in the size it has there."""
        warn("net.deprocess()", "use caffe.io.Transformer, and its deprocess")
        return self._transformer_now().deprocess(in_, data)

    def format_image(self, in_: str, image: ArrayLike) -> Array:
        """As `preprocess`, with a batch axis of 1."""
        warn("net.format_image()", "use caffe.io.Transformer, and its preprocess")
        return self._transformer_now().preprocess(in_, image)[None]

    def decaffeinate_image(self, in_: str, image: ArrayLike) -> Array:
        """As `deprocess`."""
        warn("net.decaffeinate_image()", "use caffe.io.Transformer, and its deprocess")
        return self._transformer_now().deprocess(in_, image)

    def _transformer_now(self) -> Transformer:
        """The Transformer, for inputs in the shapes that they have now."""
        self.transformer.inputs.update((name, self.blobs[name].shape) for name in self.inputs)
        return self.transformer

    # Passes of the first months

    def Forward(self, bottoms: Sequence[Array], tops: Sequence[Array]) -> None:
        """Run forward from arrays for the inputs into arrays for the outputs."""
        warn("net.Forward()", "use net.forward(name=array)")
        found = self.forward(**dict(zip(self.inputs, bottoms, strict=True)))
        for name, top in zip(self.outputs, tops, strict=True):
            top[...] = found[name]

    def Backward(self, tops: Sequence[Array], bottoms: Sequence[Array]) -> None:
        """Run backward from arrays for the outputs' diffs into arrays for the inputs'."""
        warn("net.Backward()", "use net.backward(name=array)")
        found = self.backward(**dict(zip(self.outputs, tops, strict=True)))
        for name, bottom in zip(self.inputs, bottoms, strict=True):
            bottom[...] = found[name]

    def forward_prefilled(self) -> dict[str, Array]:
        """Run forward on what the inputs hold."""
        warn("net.forward_prefilled()", "use net.forward()")
        return self.forward()

    def backward_prefilled(self) -> dict[str, Array]:
        """Run backward from what the outputs' diffs hold."""
        warn("net.backward_prefilled()", "use net.backward()")
        return self.backward()

    ForwardPrefilled, BackwardPrefilled = forward_prefilled, backward_prefilled


def _set_phase_of(net: OldCalls | None, phase: int) -> None:
    if net is None:
        set_phase(phase)
    elif net.phase != phase:
        net.phase = phase
        for node in net.nodes:
            node.layer.phase = phase
        net._schedule.rejoin()
        net._left_out, net._schedule = LeftOut(net.nodes), Schedule(net.nodes)


def set_mean(transformer: Transformer, in_: str, mean: Any, mode: str = "elementwise") -> None:
    """Set the mean of an input from an array or a file, as it is or its mean of each channel."""
    if mode not in ("elementwise", "image", "channel"):
        raise NetError(f'set_mean: expected the mode "elementwise" or "channel", not {mode!r}')
    if isinstance(mean, (str, os.PathLike)):
        mean = mean_file.read(mean)
        transformer.scaled_first.add(in_)
    else:
        transformer.scaled_first.discard(in_)
    values = np.asarray(mean)
    if mode == "channel" and values.ndim != 1:
        if values.ndim != 3:
            raise NetError(
                f"set_mean: expected a mean of channels x height x width, got the shape "
                f"{values.shape}{'; give mean[0]' * (values.ndim == 4)}"
            )
        values = values.mean((1, 2))
    transformer.set_mean(in_, values)
