"""Which layers run backward, which run as one step, which blobs are kept apart."""


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
        wants = [needs_gradient[name] for name in node.bottom_names]
        need = any(wants) or any(lr)
        needed.append(need)
        bottoms.append(list(node.layer.param.propagate_down) or wants)
        for name in node.top_names:
            needs_gradient[name] = need or needs_gradient.get(name, False)
    return needed, bottoms


def _reverse_sweep(nodes, needed, bottoms):
    under_loss, skipped = set(), set()
    for i in reversed(range(len(nodes))):
        node = nodes[i]
        contributes = any(
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


def find_chains(nodes):
    """{index: followers}: in-place layers whose work the layer before them does in one step.

    Nobody sees the difference: of layers on one blob only the last value shows.
    """
    chains, index = {}, 0
    while index < len(nodes):
        head, followers = nodes[index], []
        for node in nodes[index + 1 :]:
            absorbed = tuple(follower.layer for follower in followers)
            if not _is_on_top_of(head, node) or not head.layer.absorb(node.layer, absorbed):
                break
            followers.append(node)
        if followers:
            chains[index] = followers
        index += 1 + len(followers)
    return chains


def _is_on_top_of(head, node):
    return (
        node.bottom_names == node.top_names == head.top_names
        and len(node.top_names) == 1
        and not any(head.loss_weights + node.loss_weights)
        and node.needs_backward == head.needs_backward
        and node.propagate_down == [node.needs_backward]
    )


def find_apart(nodes, chains, planned):
    """[(writers, reader, place)]: what the layers `writers` give is better kept apart.

    `reader` works in place on their blob, which is its bottom and top at `place`. Where backward
    reads what one of them gave, it must not find what the reader made of it. Where, `planned`, the
    reader itself reads its bottom in backward, it need not copy it in each forward.
    """
    absorbed = {head + 1 + i for head, rest in chains.items() for i in range(len(rest))}
    apart, writers = [], {}  # by blob name: those since it was last kept apart
    read = {}  # by blob name: what backward of these writers reads of it
    for index, node in enumerate(nodes):
        for place, name in enumerate(node.top_names):
            before = writers.setdefault(name, [])
            in_place = node.bottom_names[place : place + 1] == [name] and index not in absorbed
            if in_place and (
                _spoils(node.layer, read[name])
                or (planned and len(before) == 1 and _saves_a_copy(node, nodes[before[0]]))
            ):
                apart.append((before, index, place))
                before = writers[name] = []
            if not before:
                read[name] = set()
            before.append(index)
            if node.needs_backward:
                read[name].add(node.layer.reads_top)
    return apart


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
