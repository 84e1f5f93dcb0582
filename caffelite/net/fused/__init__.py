"""Fused steps: nodes whose work is done at once, so that their blob is written once and not again.

A file of this folder is a fusion. Its `match(nodes, first)` gets a node, which is at place `first`
of the net, and those right after it that work in place on its only top, with nobody looking in
between; it returns a FusedStep for as many of them, from the first on, as it can run at once, or
None. Which layers these can be it asks the layers: what can take an epilogue, what is a map of the
channels, what is an activation. Another fusion is another file.

The nodes go on with one that adds another blob to that top, those in place on the sum, and a Split
of it: in training, and where blobs share memory, so that nobody looks at inner ones. There they go
on with a convolution of it, too.
"""

import functools
import importlib
import pkgutil

_MOST = 8
"""Nodes that are looked at for a step: no fusion takes as many, and chains in place may be long."""


def find_fused(nodes, hides):
    """The fused steps for the nodes of a net, in order; where several match, the longest.

    With `hides`, a step may leave a blob that only itself reads without values.
    """
    found, index = [], 0
    while index < len(nodes):
        chain = _in_place_on_top(nodes, index)
        after = index + len(chain)
        if after < len(nodes) and _adds_to(nodes[index], nodes[after], hides):
            chain += _in_place_on_top(nodes, after)
            chain += _splits_top(chain[-1], nodes[index + len(chain) :][:1])
        elif hides and after < len(nodes) and _convolves(nodes[index], nodes[after]):
            chain += _in_place_on_top(nodes, after)
        matched = [match(chain, index) for match in _matches()] if len(chain) > 1 else []
        step = max(filter(None, matched), key=lambda step: step.last, default=None)
        if step:
            found.append(step)
        index = step.last + 1 if step else index + 1
    return found


@functools.cache
def _matches():
    """The `match` of each file."""
    names = [file.name for file in pkgutil.iter_modules(__path__) if file.name[0] != "_"]
    return [importlib.import_module(f"{__name__}.{name}").match for name in sorted(names)]


def _in_place_on_top(nodes, index):
    """The node at `index` and those right after it that work in place on its only top.

    Nobody sees the difference if these run as one: of a blob only the last value shows.
    """
    head, found = nodes[index], [nodes[index]]
    for node in nodes[index + 1 : index + _MOST]:
        if not (
            node.bottom_names == node.top_names == head.top_names
            and len(node.top_names) == 1
            and not any(head.loss_weights + node.loss_weights)
            and node.needs_backward == head.needs_backward
            and node.propagate_down == [node.needs_backward]
        ):
            break
        found.append(node)
    return found


def _adds_to(head, node, hides):
    """Whether a node adds something else to the only top of `head`.

    Either backward goes on through all of them, or through none of them, and then a step `hides`.
    """
    goes_on = {head.needs_backward, node.needs_backward, *node.propagate_down}
    return (
        node.layer.takes_epilogue == "activation"
        and len(head.top_names) == 1
        and node.bottom_names.count(head.top_names[0]) == 1
        and not any(head.loss_weights + node.loss_weights)
        and goes_on == {not hides}
    )


def _convolves(head, node):
    """Whether a node, which no backward follows, alone reads the only top of `head`, and both may
    run as one."""
    return (
        node.bottom_names == head.top_names
        and head.layer.may_run_into(node.layer)
        and not any(head.loss_weights + node.loss_weights)
        and not (head.needs_backward or node.needs_backward)
    )


def _splits_top(head, following):
    """Those of the `following` nodes, one or none, that give the top of `head` to its readers."""
    return [
        node
        for node in following
        if node.layer.splits
        and node.bottom_names == head.top_names
        and node.propagate_down == [head.needs_backward]
        and not any(node.loss_weights)
    ]
