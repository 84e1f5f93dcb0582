"""Draw a net with Graphviz, as SVG, PNG, PDF or Graphviz text.

    caffelite draw MODEL OUT.svg

The ending of OUT says what to make: .svg, .png, .pdf, or .dot and .gv for the text that Graphviz
reads. Layers that work in place stand below the layer whose output they change. With both phases
in one picture (the default), what belongs to one only is dashed and says which; N is an axis,
usually the batch, in which they differ.
"""

import argparse
import os
import sys

from ..errors import CaffeliteError
from ._flags import UsageError
from ._nets import PHASES, add_net_flags, open_net, stages

_TEXT = ("dot", "gv")
_PICTURES = ("svg", "png", "pdf")


def add_arguments(parser):
    add_net_flags(parser, positional=True)
    parser.add_argument("picture", nargs="?", metavar="OUT", help="the file to make")
    parser.add_argument("--out", metavar="FILE", help="the same, as a flag")
    parser.add_argument(
        "--phase", default="ALL", type=str.upper, choices=("ALL", *PHASES), help="[ALL]"
    )
    parser.add_argument(
        "--rankdir",
        default="TB",
        type=str.upper,
        choices=("TB", "LR", "BT", "RL"),
        help="where the data flows: from top to bottom, from left to right, ... [TB]",
    )
    parser.add_argument(
        "--shapes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="tell the shapes of the blobs",
    )
    parser.add_argument(
        "--display_lrm", action="store_true", help="tell the lr_mult of weights and biases"
    )


def run(args):
    model, out = _files(args)
    kind = os.path.splitext(out)[1].lstrip(".").lower()
    if kind not in _TEXT + _PICTURES:
        raise UsageError(
            f"{out}: the ending says what to draw; expected one of "
            f"{', '.join('.' + known for known in _PICTURES + _TEXT)}"
        )
    from ..atomic import write_atomically
    from ..pictures.draw import dot_text
    from ..pictures.graphviz import render
    from ..proto.text import read_net

    net = read_net(model)
    phases = PHASES if args.phase == "ALL" else (args.phase,)
    text = dot_text(
        net, _layers_by_phase(net, model, phases, args), args.rankdir, args.shapes, args.display_lrm
    )
    write_atomically(out, text.encode() if kind in _TEXT else render(text, kind))
    print(out)
    return 0


def _files(args):
    given = [args.model, *(x for x in (args.net, args.picture) if x), args.out]
    found = [x for x in given if x]
    if len(found) != 2:
        raise UsageError("expected the net's prototxt and the file to make: MODEL OUT.svg")
    return found


def _layers_by_phase(net, model, phases, args):
    drawn, problems = [], []
    for phase in phases:
        part = _layers_of(net, phase, args)
        try:
            _measure(part, net, open_net(model, phase, args))
        except CaffeliteError as problem:
            problems.append(str(problem))
        drawn.append(part)
    for words in dict.fromkeys(problems):
        print(f"drawn without shapes and counts: {words}", file=sys.stderr)
    return drawn


def _layers_of(net, phase, args):
    """Which layers the net has in this phase."""
    from ..net.passes import filter_layers
    from ..pictures.draw import LayersOfPhase
    from ..proto import caffe_pb2

    single = caffe_pb2.NetParameter()
    single.state.CopyFrom(net.state)
    single.state.phase = caffe_pb2.Phase.Value(phase)
    single.state.level = args.level
    single.state.stage.extend(stages(args))
    kept = []
    for index, layer in enumerate(net.layer):
        del single.layer[:]
        single.layer.add().CopyFrom(layer)
        try:
            if filter_layers(single).layer:
                kept.append(index)
        except CaffeliteError:  # building the net says what is wrong
            kept.append(index)
    return LayersOfPhase(phase, kept)


def _measure(part, net, built):
    """Take shapes and counts from the built net, whose layers are the part's and Splits."""
    from ..net.summary import counts_in

    nodes = iter(built.nodes)
    for index in part.layers:
        wanted = net.layer[index]
        node = next(n for n in nodes if (n.layer.name, n.layer.type) == (wanted.name, wanted.type))
        for k, blob in enumerate(node.top_blobs[: len(wanted.top)]):
            part.shapes[index, k] = blob.shape
        part.learnable[index] = counts_in(built, node)["learnable"]
    built.close()
