"""Convert weights between .caffemodel, HDF5 and safetensors.

    caffelite convert lenet.caffemodel lenet.h5
    caffelite convert lenet.h5 lenet.safetensors

What IN is shows in the file; what OUT is to be, in its ending: .caffemodel, .h5 or .safetensors.
Values are copied bit for bit, gradients are left behind. Old .caffemodels do not say how many axes
a blob has: they need --model, the net. A .caffemodel that is made here has layers' names and
weights, which is all that nets load. Files of caffelite have a checksum, and one whose weights
are others is refused; OUT has one that is right.
"""

from ..json_text import json_text
from ._flags import UsageError
from ._nets import PHASES, add_python_flag, add_state_flags, open_net

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("source", metavar="IN", help="the weights to read")
    flag("out", metavar="OUT", help="the file to make")
    flag("--model", metavar="FILE", help="the net's prototxt, for .caffemodels of before 2015")
    flag("--phase", default="TEST", type=str.upper, choices=PHASES, help="of the net [TEST]")
    flag("--unchecked", action="store_true", help="convert even if IN's checksum is not right")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    from ..net import convert

    if not args.out.endswith(convert.ENDINGS):
        raise UsageError(
            f"{args.out}: the ending says what to make; expected one of "
            f"{', '.join(convert.ENDINGS)}"
        )
    net = open_net(args.model, args.phase, args) if args.model else None
    layers = convert.read(args.source, net, args.unchecked)
    convert.write(args.out, layers)
    count = sum(array.size for blobs in layers.values() for array in blobs.values())
    if args.json:
        print(json_text({"file": args.out, "layers": len(layers), "values": count}))
    else:
        print(f"{args.out}: {len(layers)} layers, {count:,} values")
    return 0
