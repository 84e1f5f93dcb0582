"""Print a net's layers with their shapes, learnable values, multiply-adds and memory.

    caffelite summary MODEL

Multiply-adds are those of one forward pass. Memory is that of the values of tops and blobs, what
shares memory counted once; training needs as much again for gradients. No weights are made and no
data is read beyond the first record, which tells the shape.
"""

import json

from ._flags import UsageError
from ._nets import PHASES, add_net_flags, learnable_count, open_net
from ._table import file_size, table


def add_arguments(parser):
    add_net_flags(parser, positional=True)
    parser.add_argument("--phase", default="TEST", type=str.upper, choices=PHASES, help="[TEST]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args):
    model = args.net or args.model
    if not model or (args.net and args.model):
        raise UsageError("expected one net's prototxt: MODEL")
    net = open_net(model, args.phase, args)
    splits = {n: ly.param.bottom[0] for ly in net.layers if _is_inserted(ly) for n in ly.top_names}
    layers = [_facts(net, layer, splits) for layer in net.layers if not _is_inserted(layer)]
    net.close()
    totals = {
        key: sum(layer[key] for layer in layers)
        for key in ("learnable", "statistics", "macs", "memory")
    }
    if args.json:
        report = {"net": net.name, "phase": args.phase, "layers": layers, "totals": totals}
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(_lines(net, args.phase, layers, totals)))
    return 0


def _is_inserted(layer):
    """Whether a Split is not from the file."""
    return layer.type == "Split" and layer.name.endswith("_split")


def _facts(net, layer, splits):
    bottoms = [blob.shape for blob in layer.bottom_blobs]
    tops = [blob.shape for blob in layer.top_blobs]
    learnable = learnable_count(net, layer)
    owned = sum(blob.count for blob in layer.blobs if net.owner_of(blob) is blob)
    own_tops = sum(
        top.count
        for top in layer.top_blobs
        if not any(top.shares_data_with(bottom) for bottom in layer.bottom_blobs)
    )
    return {
        "name": layer.name,
        "type": layer.type,
        "bottom": [splits.get(name, name) for name in layer.param.bottom],
        "top": [{"name": n, "shape": list(s)} for n, s in zip(layer.top_names, tops, strict=True)],
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
