"""Memory that blobs use in turn: what is never needed at the same time need not lie apart."""

import bisect
import heapq
import math
import os
from dataclasses import dataclass

from ..blob import Blob


def share_diffs(nodes, kept):
    """Let blobs between layers use common memory for diffs, each while backward needs its own.

    A diff lives from the layer that writes it, the last of its readers in forward order, to the one
    whose top it is. `kept` names blobs whose diffs stay apart.
    """
    lives = _Lives(nodes, kept, diff=True)
    for time, node in enumerate(reversed(nodes)):
        if node.needs_backward:
            for index, blob in enumerate(node.bottom_blobs):
                assigned = node.layer.assigns_diff and index not in node.layer.no_gradient
                if node.propagate_down[index] and assigned:
                    lives.written(blob, time)
            for blob in node.top_blobs:
                lives.read(blob, time)
    lives.share()


def share_data(steps, kept):
    """Let blobs use common memory for data, each while forward needs its own.

    For nets that run forward only. What one step reads and writes is needed at the same time. Tops
    of layers without bottoms stay apart: some are written once and for all.
    """
    lives = _Lives([node for step in steps for node in step.nodes], kept, diff=False)
    parts = [(step, part) for step in steps for part in step.steps]
    for time, (step, part) in enumerate(parts):
        for blob in step.early_tops:
            lives.written(blob, time)
        for node in part.nodes:
            for blob in node.bottom_blobs:
                lives.read(blob, time)
            for blob in node.top_blobs:
                if node.bottom_blobs:
                    lives.written(blob, time)
                else:
                    lives.read(blob, time)
    lives.share()


def size(nodes, kind):
    """Values in the "data" or "diff" of all blobs between layers, those that share memory once."""
    return sum(_largest(nodes, kind).values())


def to_come(nodes):
    """Values in the data of blobs between layers for which there is no memory yet."""
    largest = _largest(nodes, "data")
    has = {piece: 0 if piece.flat is None else piece.flat.size for piece in largest}
    return sum(count for piece, count in largest.items() if count > has[piece])


def _largest(nodes, kind):
    """{piece of memory: how many values the largest of its blobs has}"""
    largest = {}
    for node in nodes:
        for blob in (*node.bottom_blobs, *node.top_blobs):
            piece = blob._diff if kind == "diff" else blob._data
            largest[piece] = max(largest.get(piece, 0), blob.count)
    return largest


def available():
    """Bytes of memory that are free for use, as far as the system tells; else all there are."""
    try:
        with open("/proc/meminfo") as file:
            words = dict(line.split(":") for line in file)
        return 1024 * int(words["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return _installed()


def _installed():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


class _Lives:
    """When each piece of memory is in use. Blobs that share memory already are one piece."""

    def __init__(self, nodes, kept, diff):
        self.diff = diff
        self.blobs, self.span = {}, {}  # by piece of memory
        self.fixed = set()
        for node in nodes:
            for blob in node.layer.blobs:
                self.fixed.add(self._piece(blob))
            for blob, weight in zip(node.top_blobs, node.loss_weights, strict=True):
                if weight:
                    self.fixed.add(self._piece(blob))
            names = (*node.bottom_names, *node.top_names)
            for name, blob in zip(names, (*node.bottom_blobs, *node.top_blobs), strict=True):
                self.blobs.setdefault(self._piece(blob), set()).add(blob)
                if name in kept:
                    self.fixed.add(self._piece(blob))

    def _piece(self, blob):
        return blob._diff if self.diff else blob._data

    def written(self, blob, time):
        """`blob` is assigned at this time."""
        start, _ = self.span.get(self._piece(blob), (time, time))
        self.span[self._piece(blob)] = start, time

    def read(self, blob, time):
        """`blob` is read at this time; if nobody wrote it before, it has to stay as it is."""
        if self._piece(blob) in self.span:
            self.written(blob, time)
        else:
            self.fixed.add(self._piece(blob))

    def share(self):
        """Let each piece move into one that is free again by then, the best fit there is."""
        free, in_use = [], []  # the smallest first; a heap, what is free again soonest on top
        for piece, (start, end) in sorted(self.span.items(), key=lambda item: item[1]):
            if piece in self.fixed:
                continue
            while in_use and in_use[0].until < start:
                bisect.insort(free, heapq.heappop(in_use), key=_Home.room)
            size = max(blob.count for blob in self.blobs[piece])
            fitting = bisect.bisect_left(free, size, key=_Home.room)
            if free:
                home = free.pop(min(fitting, len(free) - 1))
            else:
                home = _Home(next(iter(self.blobs[piece])))
            home.until, home.size = end, max(home.size, size)
            heapq.heappush(in_use, home)
            for blob in self.blobs[piece]:
                (blob.share_diff if self.diff else blob.share_data)(home.owner)


@dataclass(eq=False)
class _Home:
    """Memory to move into: that of `owner`."""

    owner: Blob
    size: int = 0
    until: int = 0

    def room(self):
        """The `size`, to sort by."""
        return self.size

    def __lt__(self, other):
        return self.until < other.until
