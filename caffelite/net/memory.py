"""Memory that blobs use in turn: what is never needed at the same time need not lie apart."""

import math
import os
from collections import Counter
from typing import NamedTuple

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

    For nets that run forward only. What one step reads and writes is needed at the same time, but
    for tops that may lie where a bottom does that nobody needs any more. Tops of layers without
    bottoms stay apart: some are written once and for all.
    """
    parts = [(step, part) for step in steps for part in step.steps]
    lives = _lives_of_data(parts, kept)
    for time, (_, part) in enumerate(parts):
        for top, bottom in part.may_lie_in:
            lives.join(top, bottom, time)
    _lives_of_data(parts, kept).share()


def sets_of_data(nodes):
    """[blobs that share memory for data], of all that are between layers."""
    found = {}
    for node in nodes:
        for blob in (*node.bottom_blobs, *node.top_blobs):
            found.setdefault(blob._data, set()).add(blob)
    return list(found.values())


def part_data(sets, needed, kept):
    """Give these sets of blobs, where others use their memory, too, one of their own again.

    Blobs that are `needed` stay where they lie, and have their values. So do those that are `kept`
    and of whose memory somebody holds an array, one where several share it.
    """
    users, owners = Counter(next(iter(blobs))._data for blobs in sets), {}
    for blob in (*needed, *(blob for blob in kept if blob._data.is_held())):
        owners.setdefault(blob._data, blob)
    for blobs in sets:
        first, *others = blobs
        if users[first._data] > 1 and owners.get(first._data) not in blobs:
            first.part_data()
            for blob in others:
                blob.share_data(first)


def needed_by(nodes):
    """Names of blobs that these nodes, run one after the other, read before they give them."""
    needed, given = set(), set()
    for node in nodes:
        needed.update(name for name in node.bottom_names if name not in given)
        given.update(node.top_names)
    return needed


def _lives_of_data(parts, kept):
    """The lives of data where (step, part of it that runs by itself) run one after the other."""
    lives = _Lives([node for step, _ in parts for node in step.nodes], kept, diff=False)
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
    return lives


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
        self.pieces = {}  # by blob
        self.fixed = set()
        for node in nodes:
            for blob in node.layer.blobs:
                self.fixed.add(self._piece(blob))
            for blob, weight in zip(node.top_blobs, node.loss_weights, strict=True):
                if weight:
                    self.fixed.add(self._piece(blob))
            names = (*node.bottom_names, *node.top_names)
            for name, blob in zip(names, (*node.bottom_blobs, *node.top_blobs), strict=True):
                self.pieces[blob] = self._piece(blob)
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

    def join(self, top, bottom, time):
        """Let `top`, of this time, lie where `bottom` does, if that one is not needed later.

        Lives stay as they were before any were joined.
        """
        above, below = (self.pieces[blob] for blob in (top, bottom))
        ends = below in self.span and self.span[below][1] == time
        if ends and not {above, below} & self.fixed and top.count == bottom.count:
            for blob in self.blobs[above]:
                blob.share_data(bottom)

    def share(self):
        """Let pieces that are never in use at the same time be one, the largest of them first.

        So what is chosen for a piece is at least as large, the smallest that there is.
        """
        homes = []
        moving = [(self._size(piece), piece) for piece in self.span if piece not in self.fixed]
        for _, piece in sorted(moving, key=lambda item: -item[0]):
            span, blobs = self.span[piece], self.blobs[piece]
            home = next((home for home in reversed(homes) if home.is_free(*span)), None)
            if home is None:
                home = _Home(next(iter(blobs)), [])
                homes.append(home)
            home.spans.append(span)
            for blob in blobs:
                (blob.share_diff if self.diff else blob.share_data)(home.owner)

    def _size(self, piece):
        return max(blob.count for blob in self.blobs[piece])


class _Home(NamedTuple):
    """Memory to move into: that of `owner`, and when it is in use."""

    owner: Blob
    spans: list

    def is_free(self, start, end):
        """Whether nobody uses it from `start` to `end`, both included."""
        return all(end < first or last < start for first, last in self.spans)
