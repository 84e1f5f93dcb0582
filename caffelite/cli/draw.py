"""Draw a net with Graphviz, as SVG, PNG, PDF or Graphviz text.

    caffelite draw MODEL OUT.svg

The ending of OUT says what to make: .svg, .png, .pdf, or .dot and .gv for the text that Graphviz
reads. Layers that work in place stand below the layer whose output they change. With both phases
in one picture (the default), what belongs to one only is dashed and says which; N is an axis,
usually the batch, in which they differ.

Large nets are read with --fold. A PNG of more than 32,767 pixels is refused: SVG and PDF can be of
any size. Files that the net names need not be there: --data-shape, or the deploy net beside it,
says what to take for its data.
"""

import argparse
import os
import sys

from ..errors import where
from ._flags import UsageError
from ._nets import PHASES, add_net_flags, add_sample_flag, filtered_net, sample

_TEXT = ("dot", "gv")
_PICTURES = ("svg", "png", "pdf")

READS_NETS = True


def add_arguments(parser):
    add_net_flags(parser)
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
        "--fold",
        action="store_true",
        help="draw blocks that repeat, or scopes of names such as inception_4a/, as one box each: "
        "what leaves fewer boxes",
    )
    parser.add_argument("--fold-by", choices=("repeats", "scopes"), help="which of the two to fold")
    parser.add_argument(
        "--display_lrm", action="store_true", help="tell the lr_mult of weights and biases"
    )
    add_sample_flag(parser)


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
    from ..pictures.graphviz import check_length, render
    from ..proto.text import read_net

    net = read_net(model)
    phases = PHASES if args.phase == "ALL" else (args.phase,)
    fold = args.fold_by or ("fewest" if args.fold else None)
    if kind == "png":
        check_length(dot_text(net, fold=fold))
    drawn = _layers_by_phase(net, model, phases, args)
    text = dot_text(net, drawn, args.rankdir, args.shapes, args.display_lrm, fold)
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
    """A LayersOfPhase for each phase; what keeps shapes from being known is told."""
    found, problems, given = [], [], sample(args, model)
    for phase in phases:
        part, problem = _layers_of(filtered_net(net, phase, args), model, given)
        found.append(part)
        problems += problem
    for words in dict.fromkeys(problems):
        print(words, file=sys.stderr)
    return found


def _layers_of(net, model, given):
    """(LayersOfPhase, problems) of a FilteredNet; `given` is what to take for missing data."""
    from ..net.one_by_one import measure
    from ..pictures.draw import LayersOfPhase

    part, problems = LayersOfPhase(net.phase, net.indices), []
    measured = measure(net.layers, net.source, net.state, given, model)
    for index, layer, told in zip(net.indices, net.layers, measured, strict=True):
        for k, top in enumerate(told["top"]):
            if top["shape"] is not None:
                part.shapes[index, k] = tuple(top["shape"])
        part.learnable[index] = told["learnable"]
        if told["problem"]:
            drawn = "" if told["missing"] else "drawn without shapes and counts: "
            place = where(model, layer.source_line)
            problems.append(f'{drawn}{place}: layer "{layer.name}": {told["problem"]}')
    return part, problems
