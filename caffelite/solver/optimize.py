"""A blob of a net as the thing that is learned: an input, for styles, dreams and visualisations."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..blob import Blob
from ..errors import SolverError, did_you_mean
from ..net import Net
from ..net.learnable import Learnable
from ..net.node import Node
from ..proto import caffe_pb2
from ..types import Array, ArrayLike
from . import lbfgs, lr_policy, regularize
from .base import unread
from .policies import POLICIES
from .rules import RULES
from .update import Update

Counts: TypeAlias = "ArrayLike | Callable[[Array], tuple[ArrayLike, ArrayLike]]"
"""What counts of a blob: weights of a sum, or a function of values that gives (loss, gradient)."""

OPTIONS = {"weight_decay", "regularization_type", "clip_gradients", "lr_policy"}
OPTIONS |= {"warmup_iter", "warmup_start_lr", "min_lr"}


def optimize(
    net: Net,
    blob: str,
    *,
    iterations: int,
    base_lr: float | None = None,
    solver: str | None = None,
    loss: Mapping[str, Counts] | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    callback: Callable[[int, float], object] | None = None,
    jitter: int = 0,
    normalize: bool = False,
    seed: int = 0,
    **options: Any,
) -> list[float]:
    """Move the values of a blob so that a loss falls; returns the losses, one an iteration.

    It starts from what the blob holds. The layers after it run forward and backward, as often as
    `iterations` says; weights, their diffs and the statistics of BatchNorm stay as they are. Each
    layer between the blob and the loss must pass the gradient on, which `force_backward: true` in
    the net's prototxt sees to. Layers of phase TRAIN, Dropout for instance, do what they do there.

    Parameters
    ----------
    net : the Net
    blob : its name; the values are those that the layers after its last writer read
    iterations, base_lr : how many updates, and their learning rate
    solver : the type of an update rule, as `type` in a solver prototxt, with the same default; or
        "LBFGS", by scipy, which goes without base_lr, remembers `memory` gradients [10], and ends
        early where no step lowers the loss
    loss : what is to fall; by default the net's own losses. Else {name of a blob: what counts of
        it}: weights, a number or an array, of a weighted sum of its values; or a function of its
        values that returns (loss, gradient). Several add up; `blob` itself may be one of them.
    bounds : (least, most) that the values are kept within: numbers, or arrays that fit the blob
    callback : called with (iterations done, loss) after each update; ends it by returning True
    jitter : before each update, roll the last two axes by up to so many places, at random, and
        back after it, as DeepDream does, so that nothing settles on a grid; `seed` is of that
    normalize : divide the gradient by the mean of its absolute values, as DeepDream does
    options : further fields of a SolverParameter, which have the defaults that they have there
    """
    _check(loss, bounds)
    first = _first(net, blob)
    losses: list[float] = []

    def told(value: float) -> object:
        losses.append(value)
        return callback is not None and callback(len(losses), value)

    if solver == lbfgs.NAME:
        memory = _memory(base_lr, jitter, normalize, options)
        gradient = _Gradient(net, blob, first, loss)
        values = net.blobs[blob].data
        with _weights_held(net), gradient:

            def compute() -> tuple[float, Array]:
                return gradient.compute_finite(len(losses)), net.blobs[blob].diff

            lbfgs.minimize(values, compute, iterations, bounds, memory, told)
        return losses
    update, param = _update(net, blob, solver, iterations, base_lr, options)
    gradient = _Gradient(net, blob, first, loss)
    random, step = np.random.default_rng(seed), 0
    with _weights_held(net), gradient:
        for i in range(iterations):
            with _rolled(net.blobs[blob], jitter, random):
                value = gradient.compute_finite(i)
            if normalize:
                diff = net.blobs[blob].diff
                diff /= np.abs(diff).mean() or 1
            rate, step = lr_policy.rate_at(param, i, step)
            update.apply(rate, i + 1)
            if bounds is not None:
                np.clip(net.blobs[blob].data, *bounds, out=net.blobs[blob].data)
            if told(value):
                break
    return losses


def _first(net: Net, blob: str) -> int:
    """The place of the first layer after the blob's last writer."""
    if blob not in net.blobs:
        raise SolverError(f'the net has no blob "{blob}"{did_you_mean(blob, net.blobs)}')
    return 1 + max((k for k, node in enumerate(net.nodes) if blob in node.top_names), default=-1)


def _memory(base_lr: float | None, jitter: int, normalize: bool, options: Mapping[str, Any]) -> int:
    """How many gradients L-BFGS is to remember; a SolverError for what it does not do."""
    given = {"base_lr": base_lr is not None, "jitter": jitter, "normalize": normalize}
    given |= dict.fromkeys(options.keys() - {"memory"}, True)
    for name in sorted(name for name, value in given.items() if value):
        raise SolverError(f"{lbfgs.NAME} does not look at {name}; take it away, or another solver")
    memory: int = options.get("memory", lbfgs.MEMORY)
    if memory < 1:
        raise SolverError(f"memory: expected at least 1, not {memory}")
    return memory


@contextlib.contextmanager
def _rolled(blob: Blob, most: int, random: np.random.Generator) -> Iterator[None]:
    """Roll the last two axes at random, and back, with the diff."""
    if not most:
        yield
        return
    by = tuple(int(places) for places in random.integers(-most, most + 1, 2))
    blob.data[...] = np.roll(blob.data, by, (-2, -1))
    yield
    for array in (blob.data, blob.diff):
        array[...] = np.roll(array, (-by[0], -by[1]), (-2, -1))


def _check(loss: object, bounds: tuple[Any, Any] | None) -> None:
    """Raise a SolverError for what would be passed over, or be the same for all values."""
    if loss is not None and not (isinstance(loss, Mapping) and loss):
        raise SolverError(f"loss: expected {{name of a blob: what counts of it}}, not {loss!r}")
    least, most = bounds or (None, None)
    if least is not None and most is not None and np.any(np.greater(least, most)):
        raise SolverError(f"bounds: expected (least, most), not {bounds}")


def _update(
    net: Net,
    blob: str,
    solver: str | None,
    iterations: int,
    base_lr: float | None,
    options: Mapping[str, Any],
) -> tuple[Update, caffe_pb2.SolverParameter]:
    """The Update of the blob, and its SolverParameter."""
    solver = caffe_pb2.SolverParameter().type if solver is None else solver
    if solver not in RULES:
        raise SolverError(f'unknown solver type "{solver}"{RULES.instead_of(solver)}')
    if base_lr is None:
        raise SolverError(f"{solver} needs base_lr, the learning rate")
    known = OPTIONS | RULES.all_reads() | POLICIES.all_reads()
    for name in sorted(options.keys() - known):
        raise SolverError(f'there is no option "{name}" here{did_you_mean(name, known)}')
    given = {"type": solver, "base_lr": base_lr, "lr_policy": "fixed", "max_iter": iterations}
    param = caffe_pb2.SolverParameter(**{**given, **options})
    rule = RULES[solver](param)
    for check in (lr_policy.check, regularize.check, lambda _: rule.check()):
        check(param)
    for _, words in (*unread(param), *lr_policy.missing(param)):
        raise SolverError(words)
    return Update(param, rule, [Learnable(net.blobs[blob], "", 0)], net.dtype), param


class _Gradient:
    """Computes the loss, and its gradient into the diff of a blob. A context, in which the net's
    own losses do not count if others are given."""

    def __init__(self, net: Net, name: str, first: int, loss: Mapping[str, Counts] | None) -> None:
        self.net, self.name, self.first = net, name, first
        self.last = len(net.nodes) - 1
        own = [node for node in net.nodes[first:] if any(node.loss_weights)]
        self.targets: list[_Target] = []
        self.silenced: list[Node] = []
        if loss is None:
            tops = {top for node in own for top in node.top_names}
            _check_way(net, name, first, "the net's own losses", tops)
            return
        self.silenced = own
        for target, counts in loss.items():
            if target not in net.blobs:
                raise SolverError(
                    f'the net has no blob "{target}"{did_you_mean(target, net.blobs)}'
                )
            _check_way(net, name, first, f'"{target}"', {target})
            self.targets.append(_Target(net, target, counts))
        self.targets.sort(key=lambda target: target.writer, reverse=True)

    def __enter__(self) -> _Gradient:
        return self

    def __exit__(self, *problem: object) -> None:
        for node in self.silenced:
            node.weigh()  # lets backward start from the losses again

    def compute_finite(self, iteration: int) -> float:
        """One pass; returns the loss, or raises a SolverError if that is no finite number."""
        loss = self.compute()
        if not math.isfinite(loss):
            raise SolverError(
                f'iteration {iteration}: the loss is {loss:g}; "{self.name}" holds what it came '
                "to. A lower base_lr, clip_gradients or bounds are the usual way out"
            )
        return loss

    def compute(self) -> float:
        """One pass; returns the loss."""
        net = self.net
        loss = net._forward(self.first, self.last, [target.name for target in self.targets])
        if not self.targets:
            net._backward(self.last, self.first)
            return loss
        for node in self.silenced:
            for top in node.top_blobs:
                top.diff[...] = 0
        for name in net.outputs:
            net.blobs[name].diff[...] = 0
        loss, start = 0.0, self.last
        for target in self.targets:
            end = max(target.writer + 1, self.first)
            if start >= end:
                net._backward(start, end)
                start = end - 1
            loss += target.add()
        if start >= self.first:
            net._backward(start, self.first)
        return loss


class _Target:
    """A blob that counts in the loss, by a function of its values or by weights of them."""

    def __init__(self, net: Net, name: str, counts: Counts) -> None:
        self.name, self.blob = name, net.blobs[name]
        self.counts = counts if callable(counts) else self._weighted_sum
        self.weights: Any = counts
        self.writer = max(k for k, node in enumerate(net.nodes) if name in node.top_names)
        self.has_reader = any(
            node.needs_backward and wants and bottom == name
            for node in net.nodes[self.writer + 1 :]
            for bottom, wants in zip(node.bottom_names, node.propagate_down, strict=True)
        )

    def _weighted_sum(self, values: Array) -> tuple[ArrayLike, ArrayLike]:
        try:
            weights = np.broadcast_to(self.weights, values.shape)
        except ValueError:
            raise SolverError(
                f'loss of "{self.name}": has weights of the shape {np.shape(self.weights)}, '
                f"expected that of the blob, {values.shape}"
            ) from None
        return np.vdot(weights, values), weights

    def add(self) -> float:
        """Add the gradient to that which the layers after this blob gave; returns the loss."""
        loss, gradient = self.counts(self.blob.data)
        loss, gradient = np.asarray(loss), np.asarray(gradient)
        if loss.shape:
            raise SolverError(
                f'loss of "{self.name}": expected a number, not an array of the shape {loss.shape}'
            )
        if gradient.shape not in ((), self.blob.shape):
            raise SolverError(
                f'loss of "{self.name}": its gradient has the shape {gradient.shape}, expected '
                f"that of the blob, {self.blob.shape}"
            )
        if not self.has_reader:
            self.blob.diff[...] = 0
        self.blob.diff[...] += gradient
        return float(loss)


def _carries(net: Net, name: str, first: int, unread: Container[tuple[int, int]]) -> set[str]:
    """Names of the blobs from which backward brings the gradient down to blob `name`.

    Bottoms (place of a node, index) that are `unread` get none.
    """
    found = {name}
    for place, node in enumerate(net.nodes[first:], first):
        wanted = zip(node.bottom_names, node.propagate_down, strict=True)
        if node.needs_backward and any(
            wants and bottom in found and (place, index) not in unread
            for index, (bottom, wants) in enumerate(wanted)
        ):
            found.update(node.top_names)
        else:
            found.difference_update(node.top_names)
    return found


def _check_way(net: Net, name: str, first: int, goal: str, tops: set[str]) -> None:
    """Raise a SolverError unless the gradient of one of these blobs, the goal, comes to a blob."""
    unread = net._left_out.standing(first)
    if not tops.isdisjoint(_carries(net, name, first, unread)):
        return
    way_out = (
        "it is not computed from that blob, or a layer between them does not run backward. Write "
        "force_backward: true into the net's prototxt, and do not economize a net that is to run "
        "backward"
    )
    if not tops.isdisjoint(_carries(net, name, first, ())):
        layers = ", ".join(sorted({f'"{net.layers[place].name}"' for place, _ in unread}))
        way_out = (
            f"it lies in a block that {layers} left out in the last pass, and others start behind "
            "that choice. Run net.forward() again, or take a net of phase TEST"
        )
    raise SolverError(f'no gradient of {goal} comes to blob "{name}": {way_out}')


@contextlib.contextmanager
def _weights_held(net: Net) -> Iterator[None]:
    """Let backward write the gradients of weights elsewhere, and tell nobody that they are ready;
    let forward keep statistics."""
    before, final = [], net.gradients_are_final
    net.gradients_are_final = False
    for layer in net.layers:
        for blob in layer.blobs:
            own = Blob(blob.shape, blob.dtype)
            own.share_diff(blob)
            before.append((blob, own))
            blob.share_diff(Blob(blob.shape, blob.dtype))
    wanted = [layer.param_propagate_down for layer in net.layers]
    for layer in net.layers:
        layer.param_propagate_down = [False] * len(layer.param_propagate_down)
    kept = [
        (blob, blob.data.copy())
        for layer in net.layers
        for name, blob in zip(layer.blob_names, layer.blobs, strict=True)
        if name in layer.statistics
    ]
    try:
        yield
    finally:
        net.gradients_are_final = final
        for blob, own in before:
            blob.share_diff(own)
        for layer, wants in zip(net.layers, wanted, strict=True):
            layer.param_propagate_down = wants
        for blob, values in kept:
            blob.data[...] = values
