"""What changed from one net, or solver, to another: layers, and fields of layers."""

import difflib
from dataclasses import dataclass, field

from google.protobuf.descriptor import FieldDescriptor

_WIRES = ("name", "bottom", "top")


@dataclass
class Change:
    """What happened to a layer, or (with no name) to fields outside of layers.

    `kind` is added, removed, changed or moved. `fields` are those that differ, {name: (old, new)},
    as text, with None where there is none: a layer that is added has no old values. A layer that is
    renamed is changed in its field "name". Lines are 0 where the layer is not.
    """

    kind: str
    layer: str = ""
    type: str = ""
    old_line: int = 0
    new_line: int = 0
    fields: dict = field(default_factory=dict)


def compare(old, new):
    """The Changes from one NetParameter to another, or from one SolverParameter to another.

    A field that says what is so without it is no difference.
    """
    changes = [Change("changed", fields=_differences(fields(old), fields(new)))]
    if hasattr(old, "layer"):
        changes += _compare_layers(list(old.layer), list(new.layer))
    return [change for change in changes if change.fields or change.kind != "changed"]


def _compare_layers(old, new):
    pairs = _pairs(old, new)
    partner = dict(pairs)
    moved = _moved(pairs)
    for i in range(len(old)):
        if i not in partner:
            yield _change("removed", old[i], None)
    taken = {j: i for i, j in pairs}
    for j in range(len(new)):
        if j not in taken:
            yield _change("added", None, new[j])
        else:
            before = old[taken[j]]
            yield _change("changed", before, new[j])
            if j in moved:
                behind = f'behind "{new[j - 1].name}"' if j else "to the front"
                yield Change("moved", new[j].name, new[j].type, before.source_line,
                             new[j].source_line, {"place": (None, behind)})  # fmt: skip


def _change(kind, old, new):
    one = new if new is not None else old
    lines = [layer.source_line if layer is not None else 0 for layer in (old, new)]
    sides = [fields(layer) if layer is not None else {} for layer in (old, new)]
    return Change(kind, one.name, one.type, *lines, _differences(*sides))


def _pairs(old, new):
    """[(place in old, place in new)] of layers that are the same one.

    By name and rules, since a net may have two layers "data" for its two phases; then by name;
    then, renamed, by all but name and top, or all but name and bottom.
    """
    keys = [
        lambda layer: (layer.name, str(layer.include), str(layer.exclude)),
        lambda layer: layer.name,
        lambda layer: (layer.type, str(layer.bottom), _options(layer)),
        lambda layer: (layer.type, str(layer.top), _options(layer)),
    ]
    pairs, left = [], (dict(enumerate(old)), dict(enumerate(new)))
    for key in keys:
        free = {}
        for j, layer in left[1].items():
            free.setdefault(key(layer), []).append(j)
        for i, layer in list(left[0].items()):
            if places := free.get(key(layer)):
                pairs.append((i, places.pop(0)))
                del left[0][i], left[1][pairs[-1][1]]
    return sorted(pairs, key=lambda pair: pair[1])


def _options(layer):
    return str({k: v for k, v in fields(layer).items() if k.split("[")[0] not in _WIRES})


def _moved(pairs):
    """Places in the new net of layers that overtook others: all but a longest run in old order."""
    order = [i for i, _ in pairs]
    matcher = difflib.SequenceMatcher(None, sorted(order), order, autojunk=False)
    kept = {
        b for _, start, size in matcher.get_matching_blocks() for b in range(start, start + size)
    }
    return {j for k, (_, j) in enumerate(pairs) if k not in kept}


def _differences(old, new):
    names = list(dict.fromkeys([*old, *new]))
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


def fields(message, prefix=""):
    """{"convolution_param.stride": "2", ...}, without layers, weights and what is so by default."""
    found = {}
    for one, value in message.ListFields():
        if one.name in ("layer", "layers", "blobs", "source_line"):
            continue
        name = prefix + one.name
        if one.message_type:
            many = hasattr(value, "append")
            for index, inner in enumerate(value if many else [value]):
                path = f"{name}[{index}]" if many else name
                found |= fields(inner, path + ".")
        elif hasattr(value, "append"):
            found[name] = ", ".join(_shown(one, item) for item in value)
        elif not (one.has_default_value and value == one.default_value):
            found[name] = _shown(one, value)
    return found


def _shown(one, value):
    if one.enum_type:
        return one.enum_type.values_by_number[value].name
    if one.type == FieldDescriptor.TYPE_FLOAT:
        return f"{value:.7g}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
