"""What a net with debug_info logs: the mean magnitude of every blob, layer by layer."""

import logging

log = logging.getLogger("caffelite")


def log_forward(node):
    """The tops and learnable blobs of a node whose forward has just run."""
    layer = node.layer
    if node.left_out:
        log.info("    [Forward] Layer %s is left out of this pass", layer.name)
        return
    for name, blob in zip(node.top_names, node.top_blobs, strict=True):
        _log_mean("Forward", layer, f"top blob {name} data", blob.data)
    for index, blob in enumerate(layer.blobs):
        specs = layer.param.param
        name = (specs[index].name if index < len(specs) else "") or index
        _log_mean("Forward", layer, f"param blob {name} data", blob.data)


def log_backward(node):
    """The gradients that a node's backward has just given."""
    layer = node.layer
    if node.left_out:
        log.info("    [Backward] Layer %s is left out of this pass", layer.name)
        return
    bottoms = zip(node.bottom_names, node.bottom_blobs, node.propagate_down, strict=True)
    for name, blob, wanted in bottoms:
        if wanted:
            _log_mean("Backward", layer, f"bottom blob {name} diff", blob.diff)
    for index, blob in enumerate(layer.blobs):
        if layer.param_propagate_down[index]:
            _log_mean("Backward", layer, f"param blob {index} diff", blob.diff)


def log_totals(learnable):
    """The norms of all learnable blobs together, after backward of the whole net."""
    values = [entry.blob.data.ravel() for entry in learnable]
    diffs = [entry.blob.diff.ravel() for entry in learnable]
    l1 = [sum(float(abs(a).sum()) for a in arrays) for arrays in (values, diffs)]
    l2 = [sum(float(a @ a) for a in arrays) ** 0.5 for arrays in (values, diffs)]
    log.error(
        "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)",
        *l1,
        *l2,
    )


def _log_mean(direction, layer, what, values):
    mean = float(abs(values).mean()) if values.size else 0.0
    log.info("    [%s] Layer %s, %s: %g", direction, layer.name, what, mean)
