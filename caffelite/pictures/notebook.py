"""Nets in Jupyter: a picture, where Graphviz is installed, and a table."""

import html

from google.protobuf import text_format

from ..errors import CaffeliteError
from ..net.unsplit import without_splits
from ..proto import caffe_pb2
from .draw import LayersOfPhase, dot_text
from .graphviz import render


def spec_page(net):
    """HTML of a NetParameter: what each layer reads, makes and was told."""
    rows = [
        (layer.name, layer.type, _names(layer.bottom), _names(layer.top), _options(layer))
        for layer in net.layer
    ]
    return _page(net, None, ("layer", "type", "bottom", "top", "options"), rows)


def net_page(net):
    """HTML of a Net: what each layer reads and makes, with the shapes of blobs."""
    param, nodes, shapes = _as_in_file(net)
    rows = [
        (
            node.layer.name,
            node.layer.type,
            _names(drawn.bottom),
            _names(f"{name} {_shape(b)}" for name, b in _pairs(drawn.top, node.top_blobs)),
            _names(
                f"{name} {_shape(b)}" for name, b in _pairs(node.layer.blob_names, node.layer.blobs)
            ),
        )
        for drawn, node in zip(param.layer, nodes, strict=True)
    ]
    phase = LayersOfPhase("", list(range(len(nodes))), shapes)
    return _page(param, [phase], ("layer", "type", "bottom", "top", "blobs"), rows)


def _as_in_file(net):
    """(NetParameter, its nodes, shapes of tops) without the Splits that were put in."""
    param, nodes, shapes = caffe_pb2.NetParameter(name=net.name), [], {}
    for node, bottoms in without_splits(net.nodes):
        drawn = param.layer.add()
        drawn.CopyFrom(node.layer.param)
        drawn.bottom[:] = bottoms
        drawn.top[:] = node.top_names
        shapes.update({(len(nodes), k): blob.shape for k, blob in enumerate(node.top_blobs)})
        nodes.append(node)
    return param, nodes, shapes


def _pairs(names, blobs):
    return zip(names, blobs, strict=True)


def _shape(blob):
    return "×".join(map(str, blob.shape)) or "scalar"


def _names(names):
    return ", ".join(names)


def _options(layer):
    rest = caffe_pb2.LayerParameter()
    rest.CopyFrom(layer)
    for known in ("name", "type", "bottom", "top", "blobs", "source_line"):
        rest.ClearField(known)
    return text_format.MessageToString(rest, as_one_line=True)


def _page(net, phases, header, rows):
    box = '<div style="max-height: 40em; overflow: auto">'
    head = "".join(f"<th>{word}</th>" for word in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"{box}{_picture(net, phases)}</div>{box}{table}</div>"


def _picture(net, phases):
    try:
        svg = render(dot_text(net, phases), "svg").decode()
    except CaffeliteError as problem:
        return f"<p>{html.escape(str(problem))}</p>"
    return svg[svg.index("<svg") :]
