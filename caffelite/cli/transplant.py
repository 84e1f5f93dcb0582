"""Give a net the weights of another, some of whose layers are made otherwise: net surgery.

    caffelite transplant vgg16.prototxt vgg16.caffemodel fcn32s.prototxt fcn32s.caffemodel
    caffelite transplant A.prototxt A.caffemodel B.prototxt OUT.caffemodel --map fc6=fc6-conv
    caffelite transplant rgb.prototxt rgb.caffemodel gray.prototxt OUT.caffemodel \\
        --channels conv1=spread

Layers are matched by their names; --map says which are called otherwise. A dense layer becomes a
convolution whose kernels see what it saw (fc6 of 25088 inputs: 512x7x7), and a convolution a dense
layer. A Deconvolution that the first net does not have, and that its filler leaves at 0, gets
kernels that upsample bilinearly. What would fit by its number of values alone, or by chance, is an
error that says the way out. The table says what went where.

Layers that get nothing are left out of OUT: training starts them by their fillers, and commands
that need weights tell that they are missing. OUT may be a .caffemodel, .h5 or .safetensors.

Nobody reads data: of a net that is trained, --data-shape, or the deploy net beside it, may tell
the shape of what is not there.
"""

import os

from ..json_text import json_text
from ..table import table
from ._flags import UsageError
from ._nets import PHASES, add_python_flag, add_sample_flag, add_state_flags, open_for_shapes

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("source", metavar="FROM.prototxt", help="the net that the weights are of")
    flag("weights", metavar="FROM.caffemodel", help="its weights")
    flag("target", metavar="TO.prototxt", help="the net that they are for")
    flag("out", metavar="OUT.caffemodel", help="the file to make")
    flag(
        "--map",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="layer NEW of the second net is OLD of the first; may be given several times",
    )
    flag(
        "--channels",
        action="append",
        default=[],
        metavar="LAYER=HOW",
        help="how a layer comes by another number of channels: spread, each the sum over the old "
        "ones divided by their new number; keep, the old ones first, 0 for the others",
    )
    flag(
        "--skip",
        action="append",
        default=[],
        metavar="LAYER",
        help="leave out a layer of the second net; may be given several times",
    )
    flag("--phase", default="TEST", type=str.upper, choices=PHASES, help="of the nets [TEST]")
    flag("--json", action="store_true", help="print JSON instead of a table")
    add_sample_flag(parser)
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    from ..net import convert
    from ..net.transplant import CHANNELS, transplant
    from ..net.weights import check_weights

    channels = dict(_pair(words, "--channels", "LAYER=HOW") for words in args.channels)
    for how in channels.values():
        if how not in CHANNELS:
            raise UsageError(f"--channels: {how}: expected {' or '.join(CHANNELS)}")
    if not args.out.endswith(convert.ENDINGS):
        raise UsageError(f"{args.out}: expected one of {', '.join(convert.ENDINGS)} at its end")
    names = [_pair(words, "--map", "OLD=NEW") for words in args.map]
    check_weights(args.weights)
    if os.path.exists(args.out) and os.path.samefile(args.out, args.weights):
        raise UsageError(f"{args.out}: is what the weights are read from, and would go")
    source, target = (
        open_for_shapes(path, args.phase, args) for path in (args.source, args.target)
    )
    report = source.copy_from(args.weights, missing="report")
    moved = transplant(source, target, names, channels, args.skip, report.missing)
    convert.write(args.out, moved.layers)
    if args.json:
        print(json_text({"file": args.out, **_told(moved)}, indent=1))
    else:
        print("\n".join(_lines(moved, args.out)))
    return 0


def _pair(words, flag, form):
    first, equals, second = words.partition("=")
    if not (first and equals and second):
        raise UsageError(f"{flag}: expected {form}, not {words!r}")
    return first, second


def _told(moved):
    return {
        "layers": [
            {"layer": row.layer, "from": row.source, "shapes": row.shapes,
             "from_shapes": row.source_shapes, "outcome": row.outcome}
            for row in moved.rows
        ],
        "not_used": [{"layer": name, "shapes": shapes} for name, shapes in moved.unused],
    }  # fmt: skip


def _lines(moved, out):
    rows = [(row.layer, _shapes(row.shapes), _origin(row), row.outcome) for row in moved.rows]
    yield from table(("layer", "shapes", "from", "what"), rows, left=4)
    if moved.unused:
        unused = ", ".join(f"{name} ({_shapes(shapes)})" for name, shapes in moved.unused)
        yield f"not used: {unused}"
    count = sum(array.size for blobs in moved.layers.values() for array in blobs.values())
    left_out = len(moved.rows) - len(moved.layers)
    yield f"{out}: {len(moved.layers)} layers, {count:,} values" + (
        f"; {left_out} left out" if left_out else ""
    )


def _origin(row):
    """Where weights come from, in what differs from where they go."""
    shapes = "" if row.shapes == row.source_shapes else _shapes(row.source_shapes)
    return f"{row.source} {shapes}".strip()


def _shapes(shapes):
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
