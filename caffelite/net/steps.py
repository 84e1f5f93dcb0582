"""The steps in which a net's layers run: several may be one, and what they give be kept apart."""

import os
from dataclasses import dataclass

import numpy as np

from ..blob import Blob
from .plan import find_apart, find_chains


@dataclass
class Apart:
    """Layers `writers` fill the blob `kept`, from which `reader` fills the one that users see."""

    writers: list[int]
    reader: int
    kept: Blob
    seen: Blob


class Steps:
    """Iterates over steps forward and backward, for any part of a net.

    A chain runs as one step where all of it is to run and nobody looks in between; else its layers
    run one by one. CAFFELITE_PLAN=off in the environment runs all layers one by one, always.
    """

    def __init__(self, nodes):
        self.nodes = nodes
        planned = os.environ.get("CAFFELITE_PLAN", "on") != "off"
        self.chains = find_chains(nodes) if planned else {}
        self.heads = {
            index + 1 + i: index
            for index, followers in self.chains.items()
            for i in range(len(followers))
        }
        self.apart = [self._keep(*found) for found in find_apart(nodes, self.chains, planned)]

    def _keep(self, writers, reader, place):
        seen = self.nodes[reader].top_blobs[place]
        kept = Blob(seen.shape, seen.dtype)
        kept.share_diff(seen)
        for index in writers:
            self.nodes[index].replace_blob(seen, kept)
        self.nodes[reader].bottom_blobs[place] = kept
        return Apart(writers, reader, kept, seen)

    def rejoin(self):
        """Let all layers use the blobs that users see."""
        for apart in self.apart:
            for index in (*apart.writers, apart.reader):
                self.nodes[index].replace_blob(apart.kept, apart.seen)

    def forward(self, start, end, one_by_one):
        """Yield (index, nodes) of each step to run, nodes[0] being the one that does the work."""
        for apart in self.apart:
            if apart.writers[0] < start <= apart.reader:
                _copy(apart.seen, apart.kept)
        index = start
        while index <= end:
            followers = () if one_by_one else self.chains.get(index, ())
            if index + len(followers) > end:
                followers = ()
            self._release(self.heads.get(index))
            self.nodes[index].layer.followers = [node.layer for node in followers]
            yield index, self.nodes[index : index + 1 + len(followers)]
            index += 1 + len(followers)

    def show(self, start, end):
        """Let users see what layers `start` to `end` gave, where its reader is still to come."""
        for apart in self.apart:
            if apart.reader > end and any(start <= writer <= end for writer in apart.writers):
                _copy(apart.kept, apart.seen)

    def backward(self, start, end, one_by_one):
        """Yield the index of each step to run, the last one first; it runs as forward did."""
        index = start
        while index >= end:
            head = self.heads.get(index, index)
            last = head + len(self.nodes[head].layer.followers)
            if one_by_one or head < end or last != index:
                self._release(head)
            elif self.nodes[head].layer.followers:
                index = head
            yield index
            index -= 1

    def _release(self, head):
        """Let the layers of a chain that ran as one go on one by one."""
        if head is not None and self.nodes[head].layer.followers:
            self.nodes[head].layer.release()
            self.nodes[head].layer.followers = ()


def _copy(source, target):
    target.reshape(*source.shape)
    np.copyto(target.data, source.data)
