"""Which layers run backward, and when the gradients of learnable blobs are final."""


def plan_backward(nodes, lr_mults, force):
    """Decide backward: returns ([layer needed], [[bottom needs its diff]]).

    `lr_mults[i]` are those of layer i's learnable blobs as the net file has them. A first sweep,
    forward, finds what depends on something learnable; a second, backward, drops what no loss
    depends on. `force` is NetParameter.force_backward.
    """
    needed, bottoms = _forward_sweep(nodes, lr_mults)
    _reverse_sweep(nodes, needed, bottoms)
    if force:
        for i, node in enumerate(nodes):
            needed[i] = True
            for j in range(len(bottoms[i])):
                bottoms[i][j] = bottoms[i][j] or j not in node.layer.no_gradient
    return needed, bottoms


def _forward_sweep(nodes, lr_mults):
    needs_gradient = {}  # by blob name: names and blobs are one to one in a wired net
    needed, bottoms = [], []
    for node, lr in zip(nodes, lr_mults, strict=True):
        wants = [
            needs_gradient[name] and j not in node.layer.shape_only
            for j, name in enumerate(node.bottom_names)
        ]
        need = not node.layer.stops_gradient and (any(wants) or any(lr))
        needed.append(need)
        bottoms.append(list(node.layer.param.propagate_down) or wants)
        for name in node.top_names:
            needs_gradient[name] = need or needs_gradient.get(name, False)
    return needed, bottoms


def _reverse_sweep(nodes, needed, bottoms):
    under_loss, skipped = set(), set()
    for i in reversed(range(len(nodes))):
        node = nodes[i]
        contributes = not node.layer.stops_gradient and any(
            weight or name in under_loss
            for weight, name in zip(node.loss_weights, node.top_names, strict=True)
        )
        if needed[i] and all(name in skipped for name in node.top_names):
            needed[i] = False
            bottoms[i] = [False] * len(bottoms[i])
        if not contributes:
            needed[i] = False
        for j, name in enumerate(node.bottom_names):
            if contributes:
                under_loss.add(name)
            else:
                bottoms[i][j] = False
            if not bottoms[i][j]:
                skipped.add(name)


def plan_gradients(nodes, owner_of):
    """{place of a node: learnable blobs}: those that no backward adds to after this node's.

    Blobs that share values have one diff, that of their owner. Backward comes by the node at the
    lowest place last.
    """
    found, known = {}, set()
    for index, node in enumerate(nodes):
        for blob in map(owner_of, _with_gradient(node)):
            if id(blob) not in known:
                known.add(id(blob))
                found.setdefault(index, []).append(blob)
    return found


def _with_gradient(node):
    """The learnable blobs to whose diffs a node's backward adds."""
    layer = node.layer
    wanted = zip(layer.blob_names, layer.blobs, layer.param_propagate_down, strict=True)
    if node.needs_backward:
        yield from (b for name, b, wants in wanted if wants and name not in layer.statistics)
