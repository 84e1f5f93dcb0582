"""What a net's layers come to: shapes, values learned and kept, multiply-adds, memory, fields.

`summarize` counts without running anything; `plan` tells how the net would run.
"""

from . import memory
from .receptive import input_of, receptive_fields, seen
from .unsplit import without_splits

COUNTS = ("learnable", "statistics", "macs", "memory")


def counts(node, own):
    """{"learnable", "statistics", "macs", "memory"} of a node; see COUNTS.

    The first two are numbers of values, "memory" the number of those of its tops and its blobs.
    `own` says for each learnable blob whether it is counted here: of those that share values, one
    is. Tops that share memory with a bottom count as none.
    """
    layer, (bottoms, tops) = node.layer, node.shapes
    kept = {"learnable": 0, "statistics": 0}
    for name, blob, counted in zip(layer.blob_names, layer.blobs, own, strict=True):
        if counted:
            kept["statistics" if name in layer.statistics else "learnable"] += blob.count
    own_tops = sum(
        top.count
        for top in node.top_blobs
        if not any(top.shares_data_with(bottom) for bottom in node.bottom_blobs)
    )
    return {
        **kept,
        "macs": int(layer.macs(bottoms, tops)),
        "memory": own_tops + sum(kept.values()),
    }


def counts_in(net, node):
    """The `counts` of one of a net's nodes, with values that layers share at the first of them."""
    return counts(node, [net.owner_of(blob) is blob for blob in node.layer.blobs])


def tops(node):
    """[{"name", "shape"}] of a node's tops."""
    return [
        {"name": name, "shape": list(blob.shape)}
        for name, blob in zip(node.top_names, node.top_blobs, strict=True)
    ]


def summarize(net):
    """A dict for each layer of the file: names, shapes, its `counts`, memory in bytes.

    "receptive_field" is what values of its tops see of the input along the axes of space, as `seen`
    tells it: [] where that is nothing.
    """
    layers, fields, (_, shape) = [], receptive_fields(net.nodes), input_of(net.nodes)
    for node, bottoms in without_splits(net.nodes):
        found = counts_in(net, node)
        found["memory"] *= net.dtype.itemsize
        found["receptive_field"] = list(map(seen, fields.get(node, ()), shape[2:]))
        named = {"name": node.layer.name, "type": node.layer.type}
        layers.append({**named, "bottom": bottoms, "top": tops(node), **found})
    return layers


def batch_of(layers):
    """How many samples a pass takes, of dicts such as `summarize` makes; None if that is not clear.

    It is the first axis of what the first layer makes, if layers that compute keep it.
    """
    made = [layer["top"][0]["shape"] for layer in layers if layer["top"] and not layer["bottom"]]
    counting = [layer["top"][0]["shape"] for layer in layers if layer["macs"]]
    batches = {shape[0] if shape else None for shape in made[:1] + counting}
    return batches.pop() if len(batches) == 1 else None


def plan(net, forward_only):
    """How a net runs in `caffelite train`, or, `forward_only`, in `caffelite test`.

    It is changed as these do: its blobs use memory in turn from then on.
    """
    in_step_with = {}
    for step in net.steps:
        first, *others = (node.layer.name for node in step.nodes)
        in_step_with |= dict.fromkeys(others, first)
    paths = {node.layer.name: node.layer.path(*node.shapes) for node in net.nodes}
    kind = "data" if forward_only else "diff"
    apart = memory.size(net.nodes, kind)
    net.economize(forward_only=forward_only)
    in_turn = memory.size(net.nodes, kind)
    return {
        "in_step_with": in_step_with,
        "path": {name: path for name, path in paths.items() if path},
        "shared": kind,
        "bytes_apart": apart * net.dtype.itemsize,
        "bytes_in_turn": in_turn * net.dtype.itemsize,
    }
