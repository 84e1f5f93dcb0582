"""NetParameter -> pydot graph: the pictures that pycaffe's caffe.draw makes.

Layers are boxes, blobs octagons, and a layer in place a green box beside its blob. Pictures with
more in them are `dot_text`'s.
"""

from __future__ import annotations

import re
from typing import Any

from ..atomic import write_atomically
from ..errors import missing_extra
from ..layers import layer_class
from ..pictures.draw import LayersOfPhase, dot_text, has_weight_and_bias, kind, lr_mults  # noqa: F401  (all found as caffelite.draw)
from ..pictures.graphviz import render
from ..proto import caffe_pb2
from ..proto.caffe_pb2 import LayerParameter, NetParameter

_COLORS = {"convolution": "#FF5050", "pooling": "#FF9900", "dense": "#CC33FF"}
_IN_PLACE = "#90EE90"
_BLOB = "#E0E0E0"


def get_pooling_types_dict() -> dict[int, str]:
    """{number: name} of the pooling methods."""
    pool = caffe_pb2.PoolingParameter.DESCRIPTOR.enum_types_by_name["PoolMethod"]
    return {value.number: value.name for value in pool.values}


def get_edge_label(layer: LayerParameter) -> str:
    """What is written at a layer's tops: the batch size of data, the outputs of learning layers."""
    found = layer_class(layer.type)
    options: Any = getattr(layer, found.options_field) if found.options_field else None
    if found.role == "source" and hasattr(options, "batch_size"):
        return f"Batch {options.batch_size}"
    if found.learns and hasattr(options, "num_output"):
        return str(options.num_output)
    return '""'


def get_layer_lr_mult(layer: LayerParameter) -> tuple[float, float]:
    """(lr_mult of the weight, of the bias) of a layer that has both."""
    if not has_weight_and_bias(layer.type):
        raise ValueError(f"{layer.type} layers have no weight and bias with an lr_mult")
    return lr_mults(layer)


def get_layer_label(layer: LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """What is written into a layer's box, in double quotes."""
    shown, field = layer.type, layer_class(layer.type).options_field
    window: tuple[str, ...] = ()
    if field == "pooling_param":
        options = layer.pooling_param
        shown += f" {get_pooling_types_dict()[options.pool]}"
        window = _window(options.kernel_size, options.stride, options.pad)
    elif field == "convolution_param":
        options = layer.convolution_param
        lists = (options.kernel_size, 1), (options.stride, 1), (options.pad, 0)
        window = _window(*([*values, default][0] for values, default in lists))
    words = [_escaped(layer.name), f"({shown})", *window]
    if display_lrm and has_weight_and_bias(layer.type):
        words.append("lr mult: {:.1f}, {:.1f}".format(*get_layer_lr_mult(layer)))
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    return f'"{separator.join(words)}"'


def _window(kernel_size: int, stride: int, pad: int) -> tuple[str, ...]:
    return f"kernel size: {kernel_size}", f"stride: {stride}", f"pad: {pad}"


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer that does not work in place."""
    return _COLORS.get(kind(layertype), "#6495ED")


def get_pydot_graph(
    caffe_net: NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The pydot.Dot of a NetParameter.

    Parameters
    ----------
    rankdir : where the data flows: TB, LR, BT or RL
    label_edges : whether to write at the edges
    phase : leave out layers whose rules leave them out of this phase; other rules do not count
    display_lrm : whether to write the lr_mult into learning layers
    """
    try:
        import pydot
    except ImportError:
        raise missing_extra("pydot", "draw") from None
    graph = pydot.Dot(_quoted(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    for layer in caffe_net.layer:
        if phase is not None and not _in_phase(layer, phase):
            continue
        node = _quoted(f"{layer.name}_{layer.type}")
        in_place = len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top)
        color = _IN_PLACE if in_place else choose_color_by_layertype(layer.type)
        label = get_layer_label(layer, rankdir, display_lrm)
        style: dict[str, Any] = dict(shape="record", style="filled", fillcolor=f'"{color}"')
        graph.add_node(pydot.Node(node, label=label, **style))
        for blob in dict.fromkeys([*layer.bottom, *layer.top]):
            if not graph.get_node(_quoted(f"{blob}_blob")):
                style = dict(shape="octagon", style="filled", fillcolor=f'"{_BLOB}"')
                graph.add_node(pydot.Node(_quoted(f"{blob}_blob"), label=_quoted(blob), **style))
        for blob in layer.bottom:
            graph.add_edge(pydot.Edge(_quoted(f"{blob}_blob"), node, label='""'))
        for blob in layer.top:
            label = get_edge_label(layer) if label_edges else '""'
            graph.add_edge(pydot.Edge(node, _quoted(f"{blob}_blob"), label=label))
    return graph


def _in_phase(layer: LayerParameter, phase: int) -> bool:
    if layer.include and layer.exclude:
        raise ValueError(
            f'layer "{layer.name}" has include and exclude rules; one kind is possible'
        )
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return not any(rule.phase == phase for rule in layer.exclude)


def _escaped(words: str) -> str:
    words = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return re.sub(r'([\\"{}|<>])', r"\\\1", words)


def _quoted(words: str) -> str:
    return f'"{_escaped(words)}"'


def draw_net(
    caffe_net: NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture of a NetParameter, as the bytes of a file of the kind `ext`."""
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    return render(graph.to_string(), ext)


def draw_net_to_file(
    caffe_net: NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draw a NetParameter into a file, of the kind that its ending says."""
    ext = filename.rpartition(".")[2]
    write_atomically(filename, draw_net(caffe_net, rankdir, ext, phase, display_lrm))
