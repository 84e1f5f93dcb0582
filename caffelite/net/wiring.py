"""Wiring: each layer of a net gets the blobs that it names, and becomes a node."""

import logging
from collections import OrderedDict

from ..blob import Blob
from .node import Node

log = logging.getLogger("caffelite")

AUTOMATIC = "(automatic)"  # the name of a loss's anonymous top


class Wiring:
    """Makes nodes of layers, taken in the order of the net; `blobs` are those made so far."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.blobs = OrderedDict()
        self._producers = {}  # {blob name: the layer that made it first}

    def connect(self, layer):
        """The node of the next layer: with blobs of layers before it, and new ones for its tops."""
        param = layer.param
        bottoms = list(param.bottom)
        for name in bottoms:
            log.info("%s <- %s", layer.name, name)
        tops = list(param.top)
        tops += [AUTOMATIC] * (layer.num_tops - len(tops))
        problem = count_problem("bottom", layer.bottoms, len(bottoms))
        if problem := problem or count_problem("top", layer.tops, len(tops)):
            raise layer.error(problem)
        top_blobs = [self._top(layer, bottoms, k, name) for k, name in enumerate(tops)]
        if len(param.propagate_down) not in (0, len(param.bottom)):
            raise layer.error(
                f"propagate_down has {len(param.propagate_down)} entries, expected none "
                f"or one per bottom, {len(param.bottom)}"
            )
        return Node(layer, bottoms, [self.blobs[name] for name in bottoms], tops, top_blobs)

    def _top(self, layer, bottoms, index, name):
        if bottoms[index : index + 1] == [name]:
            log.info("%s -> %s (in-place)", layer.name, name)
            return self.blobs[name]
        log.info("%s -> %s", layer.name, name)
        blob = Blob(dtype=self.dtype)
        if name == AUTOMATIC:
            self.blobs.setdefault(name, blob)
            return blob
        if name in self.blobs:
            raise layer.error(
                f'top[{index}] "{name}" is already a top of {self._producers[name].at}; '
                "a blob has one producer: rename one of the two, or, to compute in place, "
                f'put "{name}" at the same place among bottoms and tops, with no other reader '
                "of it before this layer",
                blob=name,
            )
        self.blobs[name] = blob
        self._producers[name] = layer
        return blob


def count_problem(kind, allowed, count):
    """What is wrong with `count` of a "bottom" or "top": a number or (least, most) is allowed.

    "" if nothing is; `most` None is no limit.
    """
    least, most = (allowed, allowed) if isinstance(allowed, int) else allowed
    if count >= least and (most is None or count <= most):
        return ""
    if least == most:
        expected = str(least)
    else:
        expected = f"at least {least}" if most is None else f"{least} to {most}"
    return f"has {count} {kind}s, expected {expected}"


def check_in_place(node):
    """Raise an error if a layer that cannot work in place is to: known once it is set up."""
    for index, blob in enumerate(node.top_blobs):
        if not node.layer.in_place and any(blob is b for b in node.bottom_blobs):
            name = node.top_names[index]
            raise node.layer.error(
                f'top[{index}] "{name}" is its bottom, too, but with these '
                "options the layer cannot compute in place; give the top a name of its own",
                blob=name,
            )


def unread_tops(nodes):
    """Names of the tops that no later layer reads, sorted by their bytes."""
    unread = set()
    for node in nodes:
        unread.difference_update(node.bottom_names)
        unread.update(node.top_names)
    return sorted(unread - {AUTOMATIC}, key=str.encode)
