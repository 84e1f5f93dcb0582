"""Nodes: what a net is made of. A layer computes; its node knows which blobs it reads and makes,
and what the net wants of it."""

from __future__ import annotations

import numpy as np

from ..blob import Blob
from ..layers.base import Layer
from ..types import Shape


class Node:
    """A layer in its place in a net.

    Attributes
    ----------
    layer : the Layer
    bottom_names, bottom_blobs : what it reads
    top_names, top_blobs : what it makes; a blob is bottom and top where the layer works in place
    loss_weights : how much each top counts in the loss of the net, mostly 0
    propagate_down : for each bottom, whether backward is to give its gradient
    reshaped_for, ran_for : shapes of all blobs, learnable ones too, at the last reshape and forward
    checked_at : `Blob.reshapes` when both were found to be the shapes there are, or -1
    left_out : whether the last pass did without the layer, see `left_out.py`
    """

    def __init__(
        self,
        layer: Layer,
        bottom_names: list[str],
        bottom_blobs: list[Blob],
        top_names: list[str],
        top_blobs: list[Blob],
    ) -> None:
        self.layer = layer
        self.bottom_names, self.bottom_blobs = bottom_names, bottom_blobs
        self.top_names, self.top_blobs = top_names, top_blobs
        self.loss_weights = [0.0] * len(top_names)
        self.propagate_down = [False] * len(bottom_names)
        self.reshaped_for: list[Shape] | None = None
        self.ran_for: list[Shape] | None = None
        self.checked_at = -1
        self.left_out = False

    # Before running

    @property
    def needs_backward(self) -> bool:
        """Whether the net's backward runs this layer."""
        return self.layer.needs_backward

    @property
    def shapes(self) -> list[list[Shape]]:
        """([shape of each bottom], [shape of each top])."""
        return [[b.shape for b in blobs] for blobs in (self.bottom_blobs, self.top_blobs)]

    def plan(
        self,
        needs_backward: bool,
        propagate_down: list[bool],
        param_propagate_down: list[bool],
    ) -> None:
        """Settle which gradients are wanted; the layer is told what it cannot do without."""
        self.propagate_down = propagate_down
        self.layer.needs_backward = needs_backward
        self.layer.param_propagate_down = param_propagate_down

    def plan_no_backward(self) -> None:
        """From now on only forward runs."""
        self.propagate_down = [False] * len(self.bottom_names)
        self.layer.needs_backward, self.layer.spares_memory = False, True

    def weigh(self) -> None:
        """Take the loss weights of the layer's definition and let backward start from them."""
        self.loss_weights = _loss_weights(self.layer, len(self.top_names))
        self._seed_losses()

    def reshape(self) -> None:
        """Give the tops their shapes."""
        self.layer.check_blobs()
        self.layer.reshape(self.bottom_blobs, self.top_blobs)
        self.reshaped_for = self._shapes()

    def _shapes(self) -> list[Shape]:
        """Those of all its blobs: users may reshape a bottom, to go on with that, and others."""
        blobs = (*self.bottom_blobs, *self.top_blobs, *self.layer.blobs)
        return [blob.shape for blob in blobs]

    def _seed_losses(self) -> None:
        """Fill the diff of each top that counts as a loss with its weight: backward starts so."""
        for blob, weight in zip(self.top_blobs, self.loss_weights, strict=True):
            if weight:
                blob.diff[...] = weight

    # Running

    def refresh(self) -> None:
        """Reshape and seed the losses again, before a net's pass or between two."""
        self.reshape()
        self._seed_losses()

    def prepare(self) -> None:
        """Before forward: reshape where a shape has changed, or always if the layer asks for it."""
        if self.layer.always_reshape or (
            self.checked_at != Blob.reshapes and self.reshaped_for != self._shapes()
        ):
            self.refresh()

    def forward(self) -> None:
        """Run the layer's forward, unless it is left out."""
        if self.left_out:
            self._give_nothing()
            return
        self.layer.forward(self.bottom_blobs, self.top_blobs)

    def _give_nothing(self) -> None:
        """Let the tops hold 0, but for those that are a bottom's memory."""
        for blob in self.top_blobs:
            if not any(blob.shares_data_with(bottom) for bottom in self.bottom_blobs):
                blob.data[...] = 0

    def mark_run(self) -> None:
        """Take note that forward ran: backward is for the shapes that blobs have now."""
        if self.checked_at != Blob.reshapes:
            self.ran_for = self._shapes()
            same = self.ran_for == self.reshaped_for
            self.checked_at = Blob.reshapes if same else -1

    def loss(self) -> float:
        """What the tops of this node add to the loss of the net."""
        if not any(self.loss_weights):
            return 0.0
        return sum(
            float(np.vdot(blob.data, blob.diff))
            for blob, weight in zip(self.top_blobs, self.loss_weights, strict=True)
            if weight
        )

    def check_run(self) -> None:
        """Raise an error if blobs have other shapes than in forward."""
        if self.ran_for not in (None, self._shapes()):
            raise self.layer.error(
                "a bottom or top has another shape than in forward; run forward first"
            )

    def backward(self) -> None:
        """Run the layer's backward, if it can: not all need that forward has run."""
        if self.left_out:
            self._pass_nothing()
            return
        try:
            self.layer.backward(self.top_blobs, self.propagate_down, self.bottom_blobs)
        except AttributeError as problem:
            if self.ran_for is not None:
                raise
            raise self.layer.error(
                "backward needs what forward leaves; run forward first"
            ) from problem

    def _pass_nothing(self) -> None:
        """Backward of a layer that is left out: from gradients of 0 come gradients of 0."""
        for name, blob in zip(self.top_names, self.top_blobs, strict=True):
            if blob.diff_allocated and blob.diff.any():
                raise self.layer.error(
                    "a gradient comes to this layer, which the last forward left out; "
                    f'forward(blobs=["{name}"]) makes it run in any case',
                    blob=name,
                )
        for blob, wanted in zip(self.bottom_blobs, self.propagate_down, strict=True):
            if wanted:
                blob.diff[...] = 0

    def replace_blob(self, old: Blob, new: Blob) -> None:
        """Read and fill the blob `new` instead of `old`."""
        for blobs in (self.bottom_blobs, self.top_blobs):
            blobs[:] = [new if blob is old else blob for blob in blobs]
        self.checked_at = -1


def _loss_weights(layer: Layer, tops: int) -> list[float]:
    """One weight per top: as given, else 1 for the only top of a loss, else 0."""
    given = list(layer.param.loss_weight)
    if given and len(given) != tops:
        raise layer.error(
            f"has {len(given)} loss_weight entries, expected none or one per top, {tops}"
        )
    if not given and layer.role == "loss" and tops:
        given = [1.0] + [0.0] * (tops - 1)
        layer.param.loss_weight.extend(given)
    return given or [0.0] * tops
