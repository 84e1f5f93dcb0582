"""What each layer of a net comes to, built alone: a mistake in one leaves the others their shapes.

An editor needs that, where nets are unfinished most of the time; and nets whose data is not there.
"""

from ..errors import CaffeliteError, DataError, NetError
from ..layers.base import layer_facts
from ..layers.data.input import Input
from ..proto import caffe_pb2
from . import missing_data
from .net import Net
from .summary import COUNTS, counts, tops


def measure(layers, source, state, sample=None, file=""):
    """A dict for each layer: what `summarize` tells of it, its blobs, and what is wrong with it.

    "bottom" and "top" are [{"name", "shape"}], "blobs" as well. Shapes, and the `counts`, are None
    where they are not known. "problem" is what keeps the layer from being built, "" if nothing;
    "missing" whether that is only its data, which is not there: its shapes are then those that
    `sample` tells, if it does.

    Parameters
    ----------
    layers : the LayerParameters that a net has in one state, upgraded
    source : {(layer, bottom): (layer, top)}, by their places in `layers`
    state : NetState
    sample : missing_data.Sample, what to take for data that is not there
    file : the net's, for warnings
    """
    if sample is not None and not sample.is_about(layers):
        sample = None
    return _OneByOne(layers, source, state, sample, file).measured


def with_inputs(net, measured):
    """A NetParameter that has Inputs in place of data that is not there; `net` has one state."""
    result = caffe_pb2.NetParameter()
    result.CopyFrom(net.param)
    del result.layer[:]
    for param, told in zip(net.layers, measured, strict=True):
        result.layer.add().CopyFrom(_inputs(param, told["top"]) if told["missing"] else param)
    return result


def _inputs(param, tops):
    """An Input in place of a layer that brings samples."""
    made = caffe_pb2.LayerParameter(name=param.name, type=Input.type, top=param.top)
    for top in tops:
        made.input_param.shape.add(dim=top["shape"])
    return made


class _OneByOne:
    """Builds layer after layer."""

    def __init__(self, layers, source, state, sample, file):
        self.state, self.sample, self.file = state, sample, file
        self.shared = set()  # names of learnable blobs met so far
        self.measured = []
        labels = _read_as_labels(layers, source)
        for i, param in enumerate(layers):
            told = {
                "bottom": [{"name": name, "shape": None} for name in param.bottom],
                "top": [{"name": name, "shape": None} for name in param.top],
                "blobs": [],
                **dict.fromkeys(COUNTS),
                "problem": "",
                "missing": False,
            }
            try:
                self._build(param, [source.get((i, j)) for j in range(len(param.bottom))], told)
            except CaffeliteError as problem:
                told["problem"] = _of_layer(problem, param)
                self._assume(param, told, isinstance(problem, DataError), (i, 0) in labels)
            self.measured.append(told)

    def _build(self, param, sources, told):
        for bottom, source in zip(told["bottom"], sources, strict=True):
            if source is None:
                raise NetError(f'no layer before it produces "{bottom["name"]}"')
            bottom["shape"] = self.measured[source[0]]["top"][source[1]]["shape"]
        shapes = [bottom["shape"] for bottom in told["bottom"]]
        if None in shapes:
            return  # the layer that spoiled it says why
        facts = layer_facts(param)
        if facts.role == "input" and facts.told_shapes():
            raise DataError("its shape is given when it is used")
        net = Net.from_param(self._alone(param, shapes), self.file, seed=0)
        try:
            self._tell(net, net.nodes[-1], told)
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

    def _assume(self, param, told, only_missing, are_labels):
        """Give data that is not there the shape of the sample, where that can be known."""
        facts = layer_facts(param)
        if facts.role not in ("source", "input"):
            return
        told["missing"] = only_missing
        found = missing_data.assumed_shapes(facts, self.sample, are_labels)
        if found is None:
            told["problem"] += "; --data-shape C,H,W says what to take for it"
            return
        shapes, source = found
        told["problem"] += f"; {missing_data.words_of(shapes, source)}"
        self._build(_inputs(param, [{"shape": shape} for shape in shapes]), [], told)


def _read_as_labels(layers, source):
    """The places (layer, top) of what layers read as labels, and nothing else reads."""
    roles = {}
    for (i, j), place in source.items():
        is_label = j in layer_facts(layers[i]).labels
        roles[place] = is_label and roles.get(place, True)
    return {place for place, is_label in roles.items() if is_label}


def _of_layer(problem, param):
    """A message without the line and the layer, which are told beside it."""
    return problem.words if problem.layer == param.name else str(problem)
