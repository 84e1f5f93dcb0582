"""Print a net's layers with their shapes, learnable values, multiply-adds and memory.

    caffelite summary MODEL

Multiply-adds are those of one forward pass. Memory is that of the values of tops and blobs, what
shares memory counted once; training needs as much again for gradients. No weights are made and no
data is read beyond the first record, which tells the shape. Where the data is not there, the deploy
net beside the file, or --data-shape, tells it; what nobody tells is "unknown".

A value at place y of a top sees `field` places of the net's input, from stride * y + offset on: a
window of which a part may lie beyond the borders. There is no stride where all values see the same,
or may do so, since a layer before them moves values about. Two numbers are of height and width.

--wiring shows the bottoms, tops and options of the layers of all phases instead: of param its name,
x and the lr_mult, Dx and the decay_mult, of tops their loss_weight, where they are not the default.
Files that the net names need not be there.

--plan shows how the net will run: which way a convolution takes, which layers run in one step with
the layer before them, and how little memory blobs need that use it in turn.
"""

import sys

from ..errors import CaffeliteError, where
from ..json_text import json_text
from ..table import file_size, table
from ._nets import (
    PHASES,
    add_net_flags,
    add_sample_flag,
    add_set_flag,
    changed,
    measured_net,
    model_of,
    open_net,
)

_SEEN = ("size", "stride", "offset")
_WIRING = ("layer", "type", "param", "bottom", "top", "options")

READS_NETS = True


def add_arguments(parser):
    add_net_flags(parser)
    add_set_flag(parser, "layer[conv1].convolution_param.num_output=8")
    parser.add_argument("--phase", default="TEST", type=str.upper, choices=PHASES, help="[TEST]")
    parser.add_argument("--wiring", action="store_true", help="show bottoms, tops and options")
    parser.add_argument("--plan", action="store_true", help="show how the net will run, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_sample_flag(parser)


def run(args):
    model = model_of(args)
    return _show_wiring(model, args) if args.wiring else _show_summary(model, args)


def _show_wiring(model, args):
    from ..pictures.wiring import wiring
    from ..proto.text import read_net

    layers = list(wiring(changed(read_net(model), args.set)))
    rows = [tuple(layer.values()) for layer in layers]
    lines = table(_WIRING, rows, left=len(_WIRING))
    print(json_text(layers) if args.json else "\n".join(lines))
    return 0


def _show_summary(model, args):
    from ..net.summary import COUNTS, batch_of

    name, layers, planned = _counted(model, args)
    totals = {key: _sum(layer[key] for layer in layers) for key in COUNTS}
    batch = batch_of(layers)
    if args.json:
        report = {"net": name, "phase": args.phase, "batch": batch}
        report |= {"layers": layers, "totals": totals}
        report |= {"plan": planned} if planned else {}
        print(json_text(report, indent=1))
    else:
        print(f"{name or 'net'}, {args.phase} phase")
        print(_of_what(batch, totals["macs"]))
        print("\n".join(_lines(layers, totals)))
        if planned:
            print("\n".join(_plan_lines(planned, layers)))
    return 0


def _counted(model, args):
    """(name of the net, what `summarize` tells of its layers, the plan or None)."""
    try:
        net = open_net(model, args.phase, args)
    except CaffeliteError as problem:
        return _without_data(model, args, problem)
    if any(node.layer.role == "input" and node.layer.told_shapes() for node in net.nodes):
        net.close()
        return _without_data(model, args, None)
    return _count(net, args)


def _count(net, args):
    from ..net.summary import plan, summarize

    layers = summarize(net)
    planned = plan(net, forward_only=args.phase == "TEST") if args.plan else None
    net.close()
    return net.name, layers, planned


def _without_data(model, args, problem):
    """As `_counted`, of a net whose data is not there; raises the problem if it is another one."""
    from ..net import Net
    from ..net.one_by_one import with_inputs

    net, measured, missing = measured_net(model, args.phase, args)
    if not missing:
        raise problem
    for i in missing:
        place = where(model, net.layers[i].source_line)
        print(f'{place}: layer "{net.layers[i].name}": {measured[i]["problem"]}', file=sys.stderr)
    if all(top["shape"] for i in missing for top in measured[i]["top"]):
        name, layers, planned = _count(Net.from_param(with_inputs(net, measured), model), args)
        types = {layer.name: layer.type for layer in net.layers}
        return name, [{**layer, "type": types[layer["name"]]} for layer in layers], planned
    if args.plan:
        raise CaffeliteError("--plan needs the shapes of the data; --data-shape C,H,W tells them")
    return net.param.name, [_known(*pair) for pair in zip(net.layers, measured, strict=True)], None


def _known(layer, measured):
    """What is known of a layer, as `summarize` tells it."""
    from ..net.summary import COUNTS

    return {
        "name": layer.name,
        "type": layer.type,
        "bottom": list(layer.bottom),
        "top": measured["top"],
        **{key: measured[key] for key in COUNTS},
        "receptive_field": [],
    }


def _sum(numbers):
    """Their sum, None if one of them is not known."""
    numbers = list(numbers)
    return None if None in numbers else sum(numbers)


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


def _of_what(batch, macs):
    """What multiply-adds and memory are counted of."""
    if batch is None:
        return "multiply-adds and memory are of one pass"
    each = "" if macs is None or batch < 2 else f"; of one sample {macs // batch:,} multiply-adds"
    return f"multiply-adds and memory are of a batch of {batch:,}{each}"


def _lines(layers, totals):
    header = ("layer", "type", "top", "field", *_SEEN[1:], "learnable", "multiply-adds", "memory")
    rows = [
        (
            layer["name"],
            layer["type"],
            ", ".join(_shape(top["shape"]) for top in layer["top"]),
            *_field(layer["receptive_field"]),
            *_numbers(layer),
        )
        for layer in layers
    ]
    total = (f"{len(layers)} layers", "", "", "", "", "", *_numbers(totals))
    yield from table(header, rows, left=3, total=total)
    if totals["statistics"]:
        yield f"and {totals['statistics']:,} values of statistics that are kept but not learned"


def _field(axes):
    """What values see, as cells."""
    moves = any(axis["stride"] for axis in axes)
    return [_sides([axis[key] for axis in axes] if moves or key == "size" else []) for key in _SEEN]


def _sides(numbers):
    return "×".join(map(str, numbers if len({*numbers}) > 1 else numbers[:1]))


def _shape(shape):
    return "unknown" if shape is None else "×".join(map(str, shape)) or "scalar"


def _numbers(facts):
    shown = {"learnable": "{:,}".format, "macs": "{:,}".format, "memory": file_size}
    return ["unknown" if facts[key] is None else show(facts[key]) for key, show in shown.items()]
