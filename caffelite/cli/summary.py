"""Print a net's layers with their shapes, learnable values, multiply-adds and memory.

    caffelite summary MODEL

Multiply-adds are those of one forward pass. Memory is that of the values of tops and blobs, what
shares memory counted once; training needs as much again for gradients. No weights are made and no
data is read beyond the first record, which tells the shape.

--wiring shows the bottoms, tops and options of the layers of all phases instead: of param its name,
x and the lr_mult, Dx and the decay_mult, of tops their loss_weight, where they are not the default.
Files that the net names need not be there.

--plan shows how the net will run: which way a convolution takes, which layers run in one step with
the layer before them, and how little memory blobs need that use it in turn.
"""

import json

from ._flags import UsageError
from ._nets import PHASES, add_net_flags, learnable_count, open_net
from ._table import file_size, table

_WIRING = ("layer", "type", "param", "bottom", "top", "options")


def add_arguments(parser):
    add_net_flags(parser, positional=True)
    parser.add_argument("--phase", default="TEST", type=str.upper, choices=PHASES, help="[TEST]")
    parser.add_argument("--wiring", action="store_true", help="show bottoms, tops and options")
    parser.add_argument("--plan", action="store_true", help="show how the net will run, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args):
    model = args.net or args.model
    if not model or (args.net and args.model):
        raise UsageError("expected one net's prototxt: MODEL")
    if args.wiring:
        layers = list(_wiring(model))
        rows = [tuple(layer[column] for column in _WIRING) for layer in layers]
        lines = table(_WIRING, rows, left=len(_WIRING))
        print(json.dumps(layers) if args.json else "\n".join(lines))
        return 0
    net = open_net(model, args.phase, args)
    from ..net.passes import is_inserted

    splits = {
        name: node.bottom_names[0]
        for node in net.nodes
        if is_inserted(node.layer)
        for name in node.top_names
    }
    layers = [_facts(net, node, splits) for node in net.nodes if not is_inserted(node.layer)]
    plan = _plan(net, args.phase) if args.plan else None
    net.close()
    totals = {
        key: sum(layer[key] for layer in layers)
        for key in ("learnable", "statistics", "macs", "memory")
    }
    if args.json:
        report = {"net": net.name, "phase": args.phase, "layers": layers, "totals": totals}
        report |= {"plan": plan} if plan else {}
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(_lines(net, args.phase, layers, totals)))
        if plan:
            print("\n".join(_plan_lines(plan, layers)))
    return 0


def _plan(net, phase):
    """How the net runs in `caffelite train` or `test`; changes the net as these do."""
    steps = {}
    for step in net.steps:
        first, *others = (node.layer.name for node in step.nodes)
        steps |= dict.fromkeys(others, first)
    paths = {}
    for node in net.nodes:
        paths[node.layer.name] = node.layer.path(*node.shapes)
    from ..net import memory

    kind = "diff" if phase == "TRAIN" else "data"
    apart = memory.size(net.nodes, kind)
    net.economize(forward_only=phase == "TEST")
    in_turn = memory.size(net.nodes, kind)
    return {
        "in_step_with": steps,
        "path": {name: path for name, path in paths.items() if path},
        "shared": kind,
        "bytes_apart": apart * net.dtype.itemsize,
        "bytes_in_turn": in_turn * net.dtype.itemsize,
    }


def _plan_lines(plan, layers):
    rows = [
        (layer["name"], layer["type"], plan["path"].get(layer["name"], ""),
         plan["in_step_with"].get(layer["name"], ""))
        for layer in layers
    ]  # fmt: skip
    yield ""
    yield from table(("layer", "type", "path", "in one step with"), rows, left=4)
    what = "gradients" if plan["shared"] == "diff" else "values"
    apart, in_turn = file_size(plan["bytes_apart"]), file_size(plan["bytes_in_turn"])
    yield f"{what} of blobs, which use memory in turn, need {in_turn} instead of {apart}"


def _wiring(model):
    """What each layer of a file reads, makes and is told, of both phases."""
    from ..pictures.draw import facts
    from ..proto.caffe_pb2 import Phase
    from ..proto.text import read_net

    for layer in read_net(model).layer:
        specs = [_spec(spec) for spec in layer.param]
        weights = [f"{w:g} * " for w in layer.loss_weight] or [""] * len(layer.top)
        phases = [Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")]
        yield {
            "layer": layer.name,
            "type": layer.type,
            "param": ", ".join(spec or "x1" for spec in specs) if any(specs) else "",
            "bottom": ", ".join(layer.bottom),
            "top": ", ".join(w + top for w, top in zip(weights, layer.top, strict=False)),
            "options": ", ".join([*facts(layer), *(f"in {phase}" for phase in phases)]),
        }


def _spec(spec):
    """What a param of a layer says that is not the default."""
    words = [spec.name] if spec.name else []
    words += [f"x{spec.lr_mult:g}"] if spec.lr_mult != 1 else []
    return " ".join(words + ([f"Dx{spec.decay_mult:g}"] if spec.decay_mult != 1 else []))


def _facts(net, node, splits):
    layer, (bottoms, tops) = node.layer, node.shapes
    learnable = learnable_count(net, layer)
    owned = sum(blob.count for blob in layer.blobs if net.owner_of(blob) is blob)
    own_tops = sum(
        top.count
        for top in node.top_blobs
        if not any(top.shares_data_with(bottom) for bottom in node.bottom_blobs)
    )
    return {
        "name": layer.name,
        "type": layer.type,
        "bottom": [splits.get(name, name) for name in layer.param.bottom],
        "top": [{"name": n, "shape": list(s)} for n, s in zip(node.top_names, tops, strict=True)],
        "learnable": learnable,
        "statistics": owned - learnable,
        "macs": int(layer.macs(bottoms, tops)),
        "memory": (own_tops + owned) * net.dtype.itemsize,
    }


def _lines(net, phase, layers, totals):
    header = ("layer", "type", "top", "learnable", "multiply-adds", "memory")
    rows = [
        (
            layer["name"],
            layer["type"],
            ", ".join(_shape(top["shape"]) for top in layer["top"]),
            *_numbers(layer),
        )
        for layer in layers
    ]
    total = (f"{len(layers)} layers", "", "", *_numbers(totals))
    yield f"{net.name or 'net'}, {phase} phase"
    yield ""
    yield from table(header, rows, left=3, total=total)
    if totals["statistics"]:
        yield f"and {totals['statistics']:,} values of statistics that are kept but not learned"


def _shape(shape):
    return "×".join(map(str, shape)) or "scalar"


def _numbers(facts):
    return f"{facts['learnable']:,}", f"{facts['macs']:,}", file_size(facts["memory"])
