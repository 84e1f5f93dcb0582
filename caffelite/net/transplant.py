"""Net surgery: the weights of one net for another, some of whose layers are made otherwise.

Layers are matched by name. Weights move where they mean the same: a dense layer and a convolution
whose rows multiply parts of one shape have one another's. Whatever would only fit by its number of
values is an error, which says the way out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..blob import Blob
from ..errors import CaffeliteError, WeightsError, did_you_mean
from ..layers.base import Layer
from ..types import Array, Shape
from .net import Net
from .node import Node

COPIED, TRANSPOSED, BILINEAR = "copied", "copied, transposed", "bilinear upsampling"
TO_WINDOWS, TO_DENSE = "dense layer to convolution", "convolution to dense layer"
LEFT = "left out"

SPREAD, KEEP = "spread", "keep"
CHANNELS = (SPREAD, KEEP)
"""How weights come by another number of channels. Spread: each new channel gets the sum over the
old ones, divided by the number of the new ones, so that pictures whose channels are all alike give
what they gave. Keep: the old channels come first, and the others get 0."""


@dataclass
class Row:
    """What became of one layer of the target."""

    layer: str
    source: str
    shapes: list[Shape]  # of its blobs
    source_shapes: list[Shape]
    outcome: str


@dataclass
class Transplant:
    """Weights for a target, {layer name: {index of the blob: array}}, and how they came about.

    `rows` tell of each layer of the target that has blobs, `unused` are (name, shapes) of the
    source's layers that went nowhere.
    """

    layers: dict[str, dict[int, Array]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    unused: list[tuple[str, list[Shape]]] = field(default_factory=list)


def transplant(
    source: Net,
    target: Net,
    names: Sequence[tuple[str, str]] = (),
    channels: Mapping[str, str] | None = None,
    skip: Collection[str] = (),
    lacking: Collection[str] = (),
) -> Transplant:
    """The weights that `target` can have from `source`.

    A layer of the target that is not in the source is left out: it has what its filler gives. But
    a Deconvolution whose filler would leave it at 0 upsamples bilinearly.

    Parameters
    ----------
    names : (name in the source, name in the target) of layers that are called otherwise
    channels : {name in the target: one of CHANNELS} of convolutions of another number of channels
    skip : names in the target of layers that are left out whatever the source has
    lacking : names in the source of layers that have no values of any file
    """
    return _Surgery(source, target, names, channels or {}, skip, lacking).done()


class _Surgery:
    def __init__(self, source, target, names, channels, skip, lacking):
        self.source, self.target = source, target
        self.channels, self.skip, self.lacking = channels, skip, lacking
        self.donors, self.takers = _with_weights(source), _with_weights(target)
        self._check_names("source", [old for old, _ in names], self.donors, source)
        for names_of_target in ([new for _, new in names], channels, skip):
            self._check_names("target", names_of_target, self.takers, target)
        self.names = {}
        for old, new in names:
            if self.names.setdefault(new, old) != old:
                raise WeightsError(
                    f'layer "{new}" cannot be both "{self.names[new]}" and "{old}" of {source.file}'
                )
        self.given = {}  # {blob of the target that owns its values: (array, layer)}
        self.result = Transplant()

    @staticmethod
    def _check_names(which, names, known, net):
        for name in names:
            if name not in known:
                raise WeightsError(
                    f'{net.file}: the {which} has no layer "{name}" with weights'
                    f"{did_you_mean(name, known)}"
                )

    def done(self):
        """Go through the target; a net that gets nothing is an error."""
        rows = self.result.rows = [self._row(node) for node in self.takers.values()]
        used = {row.source for row in rows}
        self.result.unused = [
            (name, _shapes(node.layer)) for name, node in self.donors.items() if name not in used
        ]
        if not any(row.source for row in rows):
            raise WeightsError(
                f"{self.target.file}: none of its layers with weights is called as one of "
                f'{self.source.file}; --map OLD=NEW says which is which, such as "'
                f'{next(iter(self.donors), "")}"'
            )
        return self.result

    def _row(self, node):
        layer = node.layer
        donor = self._donor(layer)
        if donor is None:
            outcome, arrays = self._without(layer)
        else:
            outcome, arrays = _Pair(donor, node, self).moved()
        if arrays:
            self._give(layer, arrays)
        name, shapes = ("", []) if donor is None else (donor.layer.name, _shapes(donor.layer))
        return Row(layer.name, name, _shapes(layer), shapes, outcome)

    def _donor(self, layer):
        name = self.names.get(layer.name, layer.name)
        if layer.name in self.skip or name not in self.donors:
            return None
        if name in self.lacking:
            raise layer.error(
                f'the weights have nothing for layer "{name}" of {self.source.file}; '
                f"--skip {layer.name} leaves it out",
                WeightsError,
            )
        return self.donors[name]

    def _without(self, layer):
        """(outcome, arrays) of a layer that gets nothing from the source."""
        if layer.name in self.channels:
            raise layer.error("--channels names it, and it gets nothing", WeightsError)
        if layer.name in self.skip:
            return f"{LEFT}: --skip", {}
        filler = _filler(layer)
        if layer.windows != "top" or filler not in ("constant 0", "bilinear"):
            return f"{LEFT}: not in the source{'; its filler: ' * bool(filler)}{filler}", {}
        weights = layer.bilinear()
        if weights is not None:
            rest = [blob.data for blob in layer.blobs[1:]]  # what the filler of a bias gives
            return BILINEAR, dict(enumerate([weights, *rest]))
        if filler == "constant 0":
            raise layer.error(
                f"there is nothing for it, its filler leaves it at 0, and its weights, of the "
                f"shape {layer.blobs[0].shape}, cannot upsample bilinearly: that takes as many "
                "outputs as channels, and a square kernel of twice the stride, or one less; give "
                f"it a weight_filler, or --skip {layer.name}",
                WeightsError,
            )
        return f"{LEFT}: not in the source; its filler: {filler}", {}

    def _give(self, layer, arrays):
        """Note the arrays for a layer, unless another with the same blobs was given others."""
        for index, array in arrays.items():
            owner = self.target.owner_of(layer.blobs[index])
            values, first = self.given.setdefault(owner, (array, layer.name))
            if values is not array and not np.array_equal(values, array):
                raise layer.error(
                    f'shares blob {index} with layer "{first}", which gets other weights; '
                    f"--skip {layer.name} leaves it to that one",
                    WeightsError,
                )
        self.result.layers[layer.name] = arrays


class _Pair:
    """A layer of the source, and the one of the target that gets its weights."""

    def __init__(self, donor: Node, taker: Node, surgery: _Surgery) -> None:
        self.donor, self.layer = donor.layer, taker.layer
        self.how = surgery.channels.get(self.layer.name)
        self.at = f'layer "{self.donor.name}" ({self.donor.type}) of {surgery.source.file}'
        self.old, self.new = _rows(donor, surgery.source), _rows(taker, surgery.target)

    def moved(self) -> tuple[str, dict[int, Array]]:
        """(outcome, arrays)."""
        old, new = (len(layer.blobs) for layer in (self.donor, self.layer))
        if old != new:
            raise self._error(f"which has {old} blobs, and this one has {new}{_bias_hint(old)}")
        if self.old and self.new:
            outcome, weights = self._weights()
            arrays = [weights, *(blob.data for blob in self.donor.blobs[1:])]
        else:
            outcome, arrays = self._alike()
        for index, (array, blob) in enumerate(zip(arrays, self.layer.blobs, strict=True)):
            if array.shape != blob.shape:
                raise self._misfit(index, array.shape, blob)
        return outcome, dict(enumerate(arrays))

    def _alike(self) -> tuple[str, list[Array]]:
        """Blobs as they are, of two layers of one type."""
        if self.how:
            raise self._error("and --channels is for convolutions")
        if self.donor.type != self.layer.type:
            raise self._error("whose weights mean something else")
        group = getattr(self.donor, "group", 1)
        if group != getattr(self.layer, "group", 1):
            raise self._error(f"which has group: {group}")
        return COPIED, [blob.data for blob in self.donor.blobs]

    def _weights(self) -> tuple[str, Array]:
        """The weights of the one as those of the other."""
        old, new, blob = self.old, self.new, self.layer.blobs[0]
        rows = old.of(self.donor.blobs[0].data)
        outcome = self._outcome()
        if self.how:
            rows = self._with_channels(rows)
            outcome = f"{outcome}, {old.shape[0]} channels to {new.shape[0]}: {self.how}"
        elif not self._one_shape():
            raise self._other_shape()
        if len(rows) * rows.shape[1] != blob.count:
            raise self._misfit(0, self.donor.blobs[0].shape, blob)
        return outcome, new.laid(rows, blob.shape)

    def _outcome(self) -> str:
        old, new = (len(layer.blobs[0].shape) for layer in (self.donor, self.layer))
        if old != new:
            return TO_WINDOWS if old < new else TO_DENSE
        return COPIED if self.old.upright == self.new.upright else TRANSPOSED

    def _one_shape(self) -> bool:
        """Whether rows of both multiply the same.

        Between dense layers, flat samples are of any shape of so many values.
        """
        old, new = _trimmed(self.old.shape), _trimmed(self.new.shape)
        if self.old.group != self.new.group:
            return False
        dense = len(self.donor.blobs[0].shape) == len(self.layer.blobs[0].shape) == 2
        flat = dense and 1 in (len(old), len(new))
        return old == new or (flat and math.prod(old) == math.prod(new))

    def _only_channels_differ(self) -> bool:
        old, new = self.old, self.new
        same = old.shape[1:] == new.shape[1:] and old.shape != new.shape and len(new.shape) > 1
        return same and old.group == new.group == 1

    def _other_shape(self) -> CaffeliteError:
        """The error for rows that multiply something else, with what to do about it."""
        (old, *_), (new, *_) = self.old.shape, self.new.shape
        if not self._only_channels_differ():
            return self._error(
                f"whose rows multiply {_by(self.old)}, and those of this one {_by(self.new)}"
            )
        name = self.layer.name
        return self._error(
            f"which has {old} channels, and this one {new}; --channels {name}={SPREAD} gives each "
            f"the sum over the old ones, divided by their new number; {name}={KEEP} keeps the old "
            "ones and gives the others 0"
        )

    def _with_channels(self, rows: Array) -> Array:
        """Rows for another number of channels."""
        if not self._only_channels_differ():
            raise self._error(
                f"whose rows multiply {_by(self.old)}, and those of this one {_by(self.new)}: "
                "--channels is for layers without groups whose channels alone differ in number"
            )
        (old, *space), (new, *_) = self.old.shape, self.new.shape
        windows = rows.reshape(len(rows), old, *space)
        if self.how == SPREAD:
            each = windows.sum(axis=1, keepdims=True) / new
            return np.repeat(each, new, axis=1).reshape(len(rows), -1)
        if new < old:
            raise self._error(
                f"which has {old} channels, and --channels {self.layer.name}={KEEP} would lose all "
                f"but {new}; {self.layer.name}={SPREAD} takes their sum"
            )
        made = np.zeros((len(rows), new, *space), rows.dtype)
        made[:, :old] = windows
        return made.reshape(len(rows), -1)

    def _misfit(self, index: int, shape: Shape, blob: Blob) -> CaffeliteError:
        name = self.layer.blob_names[index]
        return self._error(
            f'whose blob {index} ("{name}") has the shape {shape}, and this one needs {blob.shape}'
        )

    def _error(self, words: str) -> CaffeliteError:
        name = self.layer.name
        return self.layer.error(
            f"cannot take the weights of {self.at}, {words}; to start it afresh: --skip {name}",
            WeightsError,
        )


def _with_weights(net: Net) -> dict[str, Node]:
    """{layer name: node} of layers with blobs; of those with one name the first has the weights."""
    found: dict[str, Node] = {}
    for node in net.nodes:
        if node.layer.blobs:
            found.setdefault(node.layer.name, node)
    return found


def _rows(node: Node, net: Net) -> Any:
    """The Rows of a layer's weights, by the shape that its bottom has before it is flattened."""
    if not node.bottom_blobs:
        return None
    shape = node.bottom_blobs[0].shape
    rows = node.layer.weight_rows(shape)
    if rows is None or len(rows.shape) != 1:
        return rows
    for before in _before(node, net):
        if before[0] != shape[0] or math.prod(before) != math.prod(shape):
            break
        if len(before) > len(shape) == 2:
            return node.layer.weight_rows(before)
    return rows


def _before(node: Node, net: Net) -> Iterator[Shape]:
    """Shapes of blobs before a node's bottom, as long as values stay in their order."""
    nodes, name = net.nodes[: net.nodes.index(node)], node.bottom_names[0]
    for earlier in reversed(nodes):
        if name not in earlier.top_names:
            continue
        layer = earlier.layer
        if not earlier.bottom_names or not (layer.keeps_order or layer.pointwise):
            return
        name = earlier.bottom_names[0]
        yield earlier.bottom_blobs[0].shape


def _trimmed(shape: Shape) -> Shape:
    """A shape without the axes of length 1 at its end: 4096 and 4096 x 1 x 1 are the same."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _by(rows: Any) -> str:
    """What rows multiply, for people."""
    of = f" in {rows.group} groups" if rows.group > 1 else ""
    return "x".join(map(str, rows.shape)) + of


def _shapes(layer: Layer) -> list[Shape]:
    return [blob.shape for blob in layer.blobs]


def _filler(layer: Layer) -> str:
    """What the filler of blob 0 is, in short; "" where the layer has no option for it."""
    param = getattr(layer.options, "weight_filler", None)
    if param is None:
        return ""
    return f"constant {param.value:g}" if param.type == "constant" else str(param.type)


def _bias_hint(count: int) -> str:
    return " (bias_term: false says that there is no bias)" if count == 1 else ""
