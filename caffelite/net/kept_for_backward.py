"""Blobs kept for backward: what it reads of a blob that layers in place change afterwards.

A layer in place overwrites its bottom, and what others gave goes with it. Where backward still
reads that, the others fill a blob of their own instead, and the layer reads it there.
"""

from dataclasses import dataclass

import numpy as np

from ..blob import Blob
from .node import Node


@dataclass
class KeptForBackward:
    """`blob` keeps what nodes gave, until backward; users see `shown`, the blob of that name.

    The nodes at the places `writers` fill `blob`. The one at `reader`, in place in the file, reads
    it and fills `shown`. There is one diff for both.
    """

    writers: list[int]
    reader: int
    blob: Blob
    shown: Blob
    nodes: list[Node]

    def show(self):
        """Copy what is kept to where users see it."""
        _copy(self.blob, self.shown)

    def take(self):
        """Copy what users see to where it is kept."""
        _copy(self.shown, self.blob)

    def rejoin(self):
        """Let all nodes use the blob that users see."""
        for index in (*self.writers, self.reader):
            self.nodes[index].replace_blob(self.blob, self.shown)


def keep(nodes, fused, planned):
    """Give nodes blobs to keep for backward; returns a KeptForBackward for each.

    `fused` are the steps by the places of their nodes. See `_find` for `planned`.
    """
    return [_keep(nodes, *found) for found in _find(nodes, fused, planned)]


def _keep(nodes, writers, reader, place):
    shown = nodes[reader].top_blobs[place]
    blob = Blob(shown.shape, shown.dtype)
    blob.share_diff(shown)
    for index in writers:
        nodes[index].replace_blob(shown, blob)
    nodes[reader].bottom_blobs[place] = blob
    return KeptForBackward(writers, reader, blob, shown, nodes)


def _find(nodes, fused, planned):
    """[(writers, reader, place)]: the nodes `writers` give what is to be kept.

    `reader` works in place on their blob, which is its bottom and top at `place`. Where backward
    reads what one of them gave, it must not find what the reader made of it. Where, `planned`, the
    reader itself reads its bottom in backward, it need not copy it in each forward.
    """
    found, writers = [], {}  # by blob name: those since it was last kept
    read = {}  # by blob name: what backward of these writers reads of it
    for index, node in enumerate(nodes):
        inside = index in fused and index > fused[index].first
        for place, name in enumerate(node.top_names):
            before = writers.setdefault(name, [])
            in_place = node.bottom_names[place : place + 1] == [name] and not inside
            if in_place and (
                _spoils(node.layer, read[name])
                or (planned and len(before) == 1 and _saves_a_copy(node, nodes[before[0]]))
            ):
                found.append((before, index, place))
                before = writers[name] = []
            if not before:
                read[name] = set()
            before.append(index)
            if node.needs_backward:
                read[name].add(node.layer.reads_top)
    return found


def _spoils(layer, read):
    """Whether an in-place layer changes what backward of others reads of their top."""
    return "values" in read or ("signs" in read and not layer.keeps_signs)


def _saves_a_copy(node, writer):
    return (
        node.layer.keeps_bottom
        and node.needs_backward
        and len(node.top_names) == 1
        and bool(writer.layer.blobs)
        and writer.bottom_names != writer.top_names
        and not any(writer.loss_weights)
    )


def _copy(source, target):
    target.reshape(*source.shape)
    np.copyto(target.data, source.data)
