"""Which layers run backward, which run as one step, which blobs are kept apart."""


def plan_backward(layers, lr_mults, force):
    """Decide backward: returns ([layer needed], [[bottom needs its diff]]).

    `layers` are wired (bottom_names, top_names, loss_weights per top); `lr_mults[i]` are those of
    layer i's learnable blobs as the net file has them. A first sweep, forward, finds what depends
    on something learnable; a second, backward, drops what no loss depends on. `force` is
    NetParameter.force_backward.
    """
    needed, bottoms = _forward_sweep(layers, lr_mults)
    _reverse_sweep(layers, needed, bottoms)
    if force:
        for i, layer in enumerate(layers):
            needed[i] = True
            for j in range(len(bottoms[i])):
                bottoms[i][j] = bottoms[i][j] or j not in layer.no_gradient
    return needed, bottoms


def _forward_sweep(layers, lr_mults):
    needs_gradient = {}  # by blob name: names and blobs are one to one in a wired net
    needed, bottoms = [], []
    for layer, lr in zip(layers, lr_mults, strict=True):
        wants = [needs_gradient[name] for name in layer.bottom_names]
        need = any(wants) or any(lr)
        needed.append(need)
        bottoms.append(list(layer.param.propagate_down) or wants)
        for name in layer.top_names:
            needs_gradient[name] = need or needs_gradient.get(name, False)
    return needed, bottoms


def _reverse_sweep(layers, needed, bottoms):
    under_loss, skipped = set(), set()
    for i in reversed(range(len(layers))):
        layer = layers[i]
        contributes = any(
            weight or name in under_loss
            for weight, name in zip(layer.loss_weights, layer.top_names, strict=True)
        )
        if needed[i] and all(name in skipped for name in layer.top_names):
            needed[i] = False
            bottoms[i] = [False] * len(bottoms[i])
        if not contributes:
            needed[i] = False
        for j, name in enumerate(layer.bottom_names):
            if contributes:
                under_loss.add(name)
            else:
                bottoms[i][j] = False
            if not bottoms[i][j]:
                skipped.add(name)


def find_chains(layers):
    """{index: followers}: in-place layers whose work the layer before them does in one step.

    Nobody sees the difference: of layers on one blob only the last value shows.
    """
    chains, index = {}, 0
    while index < len(layers):
        head, followers = layers[index], ()
        for layer in layers[index + 1 :]:
            if not _is_on_top_of(head, layer) or not head.absorb(layer, followers):
                break
            followers += (layer,)
        if followers:
            chains[index] = followers
        index += 1 + len(followers)
    return chains


def _is_on_top_of(head, layer):
    return (
        layer.bottom_names == layer.top_names == head.top_names
        and len(layer.top_names) == 1
        and not any(head.loss_weights + layer.loss_weights)
        and layer.needs_backward == head.needs_backward
        and layer.propagate_down == [layer.needs_backward]
    )


def find_apart(layers, chains, planned):
    """[(writers, reader, place)]: what the layers `writers` give is better kept apart.

    `reader` works in place on their blob, which is its bottom and top at `place`. Where backward
    reads what one of them gave, it must not find what the reader made of it. Where, `planned`, the
    reader itself reads its bottom in backward, it need not copy it in each forward.
    """
    absorbed = {head + 1 + i for head, rest in chains.items() for i in range(len(rest))}
    apart, writers = [], {}  # by blob name: those since it was last kept apart
    read = {}  # by blob name: what backward of these writers reads of it
    for index, layer in enumerate(layers):
        for place, name in enumerate(layer.top_names):
            before = writers.setdefault(name, [])
            in_place = layer.bottom_names[place : place + 1] == [name] and index not in absorbed
            if in_place and (
                _spoils(layer, read[name])
                or (planned and len(before) == 1 and _saves_a_copy(layer, layers[before[0]]))
            ):
                apart.append((before, index, place))
                before = writers[name] = []
            if not before:
                read[name] = set()
            before.append(index)
            if layer.needs_backward:
                read[name].add(layer.reads_top)
    return apart


def _spoils(layer, read):
    """Whether an in-place layer changes what backward of others reads of their top."""
    return "values" in read or ("signs" in read and not layer.keeps_signs)


def _saves_a_copy(layer, writer):
    return (
        layer.keeps_bottom
        and layer.needs_backward
        and len(layer.top_names) == 1
        and bool(writer.blobs)
        and writer.bottom_names != writer.top_names
        and not any(writer.loss_weights)
    )
