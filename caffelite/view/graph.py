"""The text of a net -> what the page draws and tells of it, as JSON can say it.

Each layer is built alone, behind an Input layer with the shapes of its bottoms: a mistake in one
leaves the others their shapes, which an editor needs, where nets are unfinished most of the time.
"""

from google.protobuf import text_format

from ..errors import CaffeliteError, NetError
from ..layers import layer_class
from ..layers.data.input import Input
from ..lint.filtered_net import FilteredNet
from ..net import Net
from ..net.summary import counts, tops
from ..pictures.draw import facts, kind
from ..proto import caffe_pb2
from ..proto.scan import LineIndex, Mistake
from ..proto.text import parse_or_mistake, with_plain_newlines, without_lines
from ..proto.upgrade import upgrade_net
from .fold import repeats

FAR = 15  # boxes, from which on a label is named at its reader instead of drawn as an edge


def describe(text, state, sample=None):
    """What the page shows of the net that `text` defines; {"mistake": ...} if it defines none.

    Parameters
    ----------
    state : NetState, the phase, level and stages; the net's own are added
    sample : shape to assume of a sample, C x H x W, where data cannot be read; by default as far
        as a crop tells
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
    layers = _ShapeInference(FilteredNet(net, _joined(net.state, state)), sample).layers
    boxes = _boxes(layers)
    edges = _edges(layers, boxes)
    return {
        "name": net.name,
        "layers": [layer.facts for layer in layers],
        "boxes": boxes,
        "edges": edges,
        "folds": _folds(layers, boxes, edges),
    }


def _joined(ours, given):
    state = caffe_pb2.NetState()
    state.CopyFrom(ours)
    state.phase = given.phase
    state.level = given.level
    state.stage.extend(given.stage)
    return state


class _Layer:
    """A layer of the file: its message, who wrote its bottoms, and what is to be shown."""

    def __init__(self, param, sources):
        self.param = param
        self.sources = sources  # for each bottom, the (layer, top) that wrote it, or None
        self.facts = {
            "name": param.name,
            "type": param.type,
            "kind": kind(param.type),
            "line": param.source_line,
            "facts": facts(param),
            "options": _options(param),
            "bottom": [{"name": name, "shape": None} for name in param.bottom],
            "top": [{"name": name, "shape": None} for name in param.top],
            "blobs": [],
            "learnable": 0,
            "statistics": 0,
            "macs": 0,
            "memory": 0,
            "problem": "",
        }


class _ShapeInference:
    """Finds shapes and counts, layer after layer."""

    def __init__(self, net, sample):
        self.state = net.state
        self.shared = set()  # names of learnable blobs met so far
        self.layers = []
        for i, param in enumerate(net.layers):
            sources = [net.source.get((i, j)) for j in range(len(param.bottom))]
            layer = _Layer(param, sources)
            try:
                self._infer(layer)
            except CaffeliteError as problem:
                layer.facts["problem"] = _of_layer(problem, param)
                _assume(layer, sample)
            self.layers.append(layer)

    def _infer(self, layer):
        for bottom, source in zip(layer.facts["bottom"], layer.sources, strict=True):
            if source is None:
                raise NetError(f'no layer before it produces "{bottom["name"]}"')
            bottom["shape"] = self.layers[source[0]].facts["top"][source[1]]["shape"]
        shapes = [bottom["shape"] for bottom in layer.facts["bottom"]]
        if None in shapes:
            return  # the layer that spoiled it says why
        net = Net.from_param(self._alone(layer.param, shapes), seed=0)
        try:
            self._tell(net, net.nodes[-1], layer.facts)
        finally:
            net.close()

    def _alone(self, param, shapes):
        """A net of this layer and an Input layer with its bottoms."""
        net = caffe_pb2.NetParameter(state=self.state)
        bottoms = dict(zip(param.bottom, shapes, strict=True))
        if bottoms:
            inputs = net.layer.add(type=Input.type, top=list(bottoms))
            for shape in bottoms.values():
                inputs.input_param.shape.add(dim=shape)
        net.layer.add().CopyFrom(param)
        net.layer[-1].ClearField("include")
        net.layer[-1].ClearField("exclude")
        return net

    def _tell(self, net, node, told):
        layer = node.layer
        told["top"] = tops(node)
        told["blobs"] = [
            {"name": name, "shape": list(blob.shape)}
            for name, blob in zip(layer.blob_names, layer.blobs, strict=True)
        ]
        names = [spec.name for spec in layer.param.param] + [""] * len(layer.blobs)
        own = [name not in self.shared for name in names[: len(layer.blobs)]]
        told.update(counts(node, own))
        told["memory"] *= net.dtype.itemsize
        self.shared |= {name for name in names if name}


def _options(param):
    """What a layer's text says apart from its name, type and wiring."""
    rest = without_lines(param)
    for field in ("name", "type", "bottom", "top", "blobs"):
        rest.ClearField(field)
    return text_format.MessageToString(rest, as_utf8=True)


def _of_layer(problem, param):
    """A message without the line and the layer, which the page shows beside it."""
    return problem.words if problem.layer == param.name else str(problem)


def _assume(layer, sample):
    """Give data that cannot be read the shape `sample`, or the one that its crop suggests."""
    param = layer.param
    source = layer_class(param.type)(param)
    if source.role != "source" or not getattr(source.options, "batch_size", 0):
        return
    told, *others = source.told_shapes() or [(...,)]
    channels, *size = told[1:] if ... not in told else (0, 0, 0)
    if all(size):
        gray = param.transform_param.force_gray
        sample = channels or (sample[0] if sample else 1 if gray else 3), *size
    if not sample:
        layer.facts["problem"] += "; --data-shape tells the page what to assume instead"
        return
    layer.facts["problem"] += f"; shown as if samples were {'×'.join(map(str, sample))}"
    batch = source.options.batch_size
    shapes = [[batch, *sample], *(_label_shape(other, batch, sample) for other in others)]
    for top, shape in zip(layer.facts["top"], shapes, strict=False):
        top["shape"] = shape


def _label_shape(told, batch, sample):
    """A shape that a source tells of its labels, with the size of the sample where it has that."""
    if ... in told:
        return [batch]
    return [size or sample[axis - 1] for axis, size in enumerate(told)]


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
    """[{first, period, count}] in boxes: blocks alike in all but names and numbers of outputs."""
    wiring, last = [[] for _ in boxes], {}
    for edge in edges:
        tail, head = edge["from"], edge["to"]
        wiring[head].append(edge["name"] if edge["far"] else tail - head)
        if not edge["far"]:
            last[tail, edge["name"]] = head
    cuts = [0] * (len(boxes) + 1)
    for (tail, _), head in last.items():
        for box in range(tail + 1, head + 1):
            cuts[box] += 1
    signatures = [
        (*(_signature(layers[index].param) for index in members), *wiring[box])
        for box, members in enumerate(boxes)
    ]
    return [
        {"first": first, "period": period, "count": count}
        for first, period, count in repeats(signatures, cuts)
    ]


def _signature(param):
    """A layer's type and options without what differs from one block to the next."""
    rest = caffe_pb2.LayerParameter(type=param.type)
    for field, value in param.ListFields():
        if field.name.endswith("_param") and field.message_type:
            getattr(rest, field.name).CopyFrom(value)
            for name in ("num_output", "weight_filler", "bias_filler", "filler"):
                if name in field.message_type.fields_by_name:
                    getattr(rest, field.name).ClearField(name)
    return rest.SerializeToString(deterministic=True)
