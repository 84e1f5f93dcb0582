"""The learnable blobs of a net: who owns the values of those that share them by name."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..blob import Blob
from ..layers.base import Layer
from ..proto import caffe_pb2

log = logging.getLogger("caffelite")


@dataclass
class Learnable:
    """A learnable blob that owns its values, with what the solver needs to know about it."""

    blob: Blob
    layer: str
    index: int  # among the layer's blobs
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    lr_given: bool = False
    decay_given: bool = False


class LearnableBlobs:
    """All learnable blobs of a net; `entries` has a Learnable for each that owns its values."""

    def __init__(self) -> None:
        self.entries: list[Learnable] = []
        self._owners: dict[int, Blob] = {}  # by id of a blob
        self._named: dict[str, Learnable] = {}  # by the name in `param`
        self._filled: set[int] = set()  # ids of owners with values of a file or another net

    def add(self, layer: Layer) -> None:
        """Enter a layer's learnable blobs; of several with one name, the first owns the values."""
        specs = layer.param.param
        for what, items in (("param entries", specs), ("blobs in the net file", layer.param.blobs)):
            if len(items) > len(layer.blobs):
                raise layer.error(
                    f"has {len(items)} {what}, but only {len(layer.blobs)} learnable blobs"
                )
        for index, blob in enumerate(layer.blobs):
            spec = specs[index] if index < len(specs) else caffe_pb2.ParamSpec()
            entry = Learnable(
                blob,
                layer.name,
                index,
                spec.lr_mult,
                spec.decay_mult,
                spec.HasField("lr_mult"),
                spec.HasField("decay_mult"),
            )
            owner = self._named.setdefault(spec.name, entry) if spec.name else entry
            self._owners[id(blob)] = owner.blob
            if index < len(layer.param.blobs):
                self._filled.add(id(owner.blob))
            if owner is entry:
                self.entries.append(entry)
            else:
                _adopt(layer, index, owner, entry, spec)

    def freeze(self, layers: Collection[str]) -> None:
        """Let what layers of these names own not learn, whatever their files say."""
        for entry in self.entries:
            if entry.layer in layers:
                entry.lr_mult = 0.0

    def share_named(self, layers: Iterable[Layer]) -> None:
        """Give each blob that shares by name its owner's memory."""
        for layer in layers:
            for blob in layer.blobs:
                blob.share_data(self.owner_of(blob))
                blob.share_diff(self.owner_of(blob))

    def owner_of(self, blob: Blob) -> Blob:
        """The blob whose values a learnable blob uses; itself, unless it shares by name."""
        return self._owners[id(blob)]

    def mark_filled(self, blobs: Iterable[Blob]) -> None:
        """Take note that these blobs have values of a file or another net."""
        self._filled.update(id(self.owner_of(blob)) for blob in blobs)

    def unfilled(
        self, layers: Iterable[Layer], coming: Iterable[Blob]
    ) -> list[tuple[Layer, list[Blob]]]:
        """[(layer, those of its blobs with values of no file or other net)], but for `coming`."""
        filled = self._filled.union(id(self.owner_of(blob)) for blob in coming)
        found = [
            (layer, [b for b in layer.blobs if b.count and id(self.owner_of(b)) not in filled])
            for layer in layers
        ]
        return [(layer, blobs) for layer, blobs in found if blobs]


def _adopt(
    layer: Layer, index: int, owner: Learnable, sharer: Learnable, spec: caffe_pb2.ParamSpec
) -> None:
    """Check a blob that shares by name against its owner, and take over options it adds."""
    same = (
        owner.blob.count == sharer.blob.count
        if spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        else owner.blob.shape == sharer.blob.shape
    )
    if not same:
        raise layer.error(
            f'blob {index} shares "{spec.name}" with layer "{owner.layer}" but has shape '
            f"{sharer.blob.shape}, expected {owner.blob.shape}"
        )
    log.info(
        "Sharing parameters '%s' owned by layer '%s', param index %d",
        spec.name,
        owner.layer,
        owner.index,
    )
    for option, is_given in (("lr_mult", "lr_given"), ("decay_mult", "decay_given")):
        if not getattr(sharer, is_given):
            continue
        if getattr(owner, is_given) and getattr(owner, option) != getattr(sharer, option):
            raise layer.error(
                f'blob {index} shares "{spec.name}" with layer "{owner.layer}", which has '
                f"{option} {getattr(owner, option):g}, expected the same, not "
                f"{getattr(sharer, option):g}"
            )
        setattr(owner, option, getattr(sharer, option))
        setattr(owner, is_given, True)
