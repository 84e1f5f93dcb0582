"""The text of a net -> what the page draws and tells of it, as JSON can say it."""

from dataclasses import asdict

from google.protobuf import text_format

from ..errors import CaffeliteError
from ..lint.filtered_net import FilteredNet
from ..net.one_by_one import measure
from ..net.summary import batch_of
from ..pictures import fold
from ..pictures.draw import facts, kind
from ..proto import caffe_pb2
from ..proto.scan import LineIndex, Mistake
from ..proto.text import parse_or_mistake, with_plain_newlines, without_lines
from ..proto.upgrade import upgrade_net

FAR = 15  # boxes, from which on a label is named at its reader instead of drawn as an edge


def describe(text, state, sample=None):
    """What the page shows of the net that `text` defines; {"mistake": ...} if it defines none.

    Parameters
    ----------
    state : NetState, the phase, level and stages; the net's own are added
    sample : net.missing_data.Sample, what to take for data that is not there, or None
    """
    text = with_plain_newlines(text)
    try:
        net = upgrade_net(parse_or_mistake(text, caffe_pb2.NetParameter))
    except Mistake as mistake:
        lines = LineIndex(text)
        line, column = lines.line(mistake.offset), lines.column(mistake.offset)
        return {"mistake": {"line": line, "column": column, "message": mistake.what}}
    except CaffeliteError as problem:
        line, column = max(problem.line, 1), max(problem.column, 1)
        return {"mistake": {"line": line, "column": column, "message": problem.without_line}}
    layers = _layers(FilteredNet(net, _joined(net.state, state)), sample)
    boxes = _boxes(layers)
    edges = _edges(layers, boxes)
    return {
        "name": net.name,
        "layers": [layer.facts for layer in layers],
        "batch": batch_of([layer.facts for layer in layers]),
        "boxes": boxes,
        "edges": edges,
        "folds": _folds(layers, boxes, edges),
    }


def _layers(net, sample):
    measured = measure(net.layers, net.source, net.state, sample)
    sources = [
        [net.source.get((i, j)) for j in range(len(param.bottom))]
        for i, param in enumerate(net.layers)
    ]
    return list(map(_Layer, net.layers, sources, measured))


def _joined(ours, given):
    state = caffe_pb2.NetState()
    state.CopyFrom(ours)
    state.phase = given.phase
    state.level = given.level
    state.stage.extend(given.stage)
    return state


class _Layer:
    """A layer of the file: its message, who wrote its bottoms, and what is to be shown."""

    def __init__(self, param, sources, measured):
        self.param = param
        self.sources = sources  # for each bottom, the (layer, top) that wrote it, or None
        self.facts = {
            "name": param.name,
            "type": param.type,
            "kind": kind(param.type),
            "line": param.source_line,
            "facts": facts(param),
            "options": _options(param),
            **measured,
        }


def _options(param):
    """What a layer's text says apart from its name, type and wiring."""
    rest = without_lines(param)
    for field in ("name", "type", "bottom", "top", "blobs"):
        rest.ClearField(field)
    return text_format.MessageToString(rest, as_utf8=True)


def _boxes(layers):
    """[[layer, ...]]: each layer with those after it that work in place on its only top."""
    boxes, box_of = [], []
    for index, layer in enumerate(layers):
        param = layer.param
        source = layer.sources[0] if layer.sources else None
        in_place = list(param.bottom) == list(param.top) and len(param.top) == 1
        if in_place and source and len(layers[source[0]].param.top) == 1:
            box_of.append(box_of[source[0]])
            boxes[box_of[-1]].append(index)
        else:
            box_of.append(len(boxes))
            boxes.append([index])
    return boxes


def _edges(layers, boxes):
    """[{from, to, name, shape, far}] between boxes."""
    box_of = {layer: box for box, members in enumerate(boxes) for layer in members}
    edges = []
    for index, layer in enumerate(layers):
        for name, source in zip(layer.param.bottom, layer.sources, strict=True):
            if source is None or box_of[source[0]] == box_of[index]:
                continue
            tail, head = box_of[source[0]], box_of[index]
            tops = layers[source[0]].facts["top"]
            edges.append(
                {
                    "from": tail,
                    "to": head,
                    "name": name,
                    "shape": tops[source[1]]["shape"],
                    "far": len(tops) > 1 and head - tail > FAR,
                }
            )
    return edges


def _folds(layers, boxes, edges):
    """{"repeats", "scopes"}: [{first, period, count, names}] in boxes; see `fold`."""
    params = [[layers[index].param for index in members] for members in boxes]
    wires = [fold.Edge(edge["from"], edge["to"], edge["name"], edge["far"]) for edge in edges]
    names = [box[0].name for box in params]
    found = {"repeats": fold.repeated_blocks(params, wires), "scopes": fold.scopes(names)}
    return {kind: [asdict(one) for one in folds] for kind, folds in found.items()}
