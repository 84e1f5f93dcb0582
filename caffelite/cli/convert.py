"""Convert weights between .caffemodel, HDF5 and safetensors.

    caffelite convert lenet.caffemodel lenet.h5
    caffelite convert lenet.h5 lenet.safetensors
    caffelite convert yolov3.cfg yolov3.prototxt
    caffelite convert yolov3.weights yolov3.caffemodel --model yolov3.cfg

What IN is shows in the file; what OUT is to be, in its ending: .caffemodel, .h5 or .safetensors.
Values are copied bit for bit, gradients are left behind. Old .caffemodels do not say how many axes
a blob has: they need --model, the net. A .caffemodel that is made here has layers' names and
weights, which is all that nets load. Files of caffelite have a checksum, and one whose weights
are others is refused; OUT has one that is right.

A .cfg of Darknet becomes a prototxt, the net for use, from pictures to boxes; what Caffe's layers
cannot do exactly is refused. Section N makes the layers layerN-conv, layerN-bn, ... Its .weights
need the .cfg as --model. The net takes what Darknet's takes: red, green, blue, from 0 to 1; the
prototxt says so for the commands that look at pictures.
"""

from ..json_text import json_text
from ._flags import UsageError
from ._nets import PHASES, add_python_flag, add_state_flags, open_net

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("source", metavar="IN", help="the weights to read")
    flag("out", metavar="OUT", help="the file to make")
    flag(
        "--model",
        metavar="FILE",
        help="the net's prototxt, for .caffemodels of before 2015; the .cfg, for .weights",
    )
    flag("--partial", action="store_true", help="take .weights that end behind some layer")
    flag("--phase", default="TEST", type=str.upper, choices=PHASES, help="of the net [TEST]")
    flag("--unchecked", action="store_true", help="convert even if IN's checksum is not right")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    from ..net import convert
    from ..proto.darknet import cfg

    if cfg.is_cfg(args.source):
        return _net_of_darknet(args)
    if args.source.endswith(".cfg"):
        raise UsageError(f"{args.source}: expected [net] or [network], with which a .cfg begins")
    if not args.out.endswith(convert.ENDINGS):
        raise UsageError(
            f"{args.out}: the ending says what to make; expected one of "
            f"{', '.join(convert.ENDINGS)}"
        )
    layers = _read(args)
    convert.write(args.out, layers)
    count = sum(array.size for blobs in layers.values() for array in blobs.values())
    if args.json:
        print(json_text({"file": args.out, "layers": len(layers), "values": count}))
    else:
        print(f"{args.out}: {len(layers)} layers, {count:,} values")
    return 0


def _read(args):
    """{layer name: {index of the blob: array}} of IN."""
    from ..net import convert, darknet_weights
    from ..proto.darknet import cfg

    if args.model and cfg.is_cfg(args.model):
        return darknet_weights.read(args.source, args.model, args.partial)
    if args.source.endswith(".weights"):
        raise UsageError(f"{args.source}: weights of Darknet need their .cfg: give it as --model")
    if args.partial:
        raise UsageError("--partial is for weights of Darknet, whose .cfg is given as --model")
    net = open_net(args.model, args.phase, args) if args.model else None
    return convert.read(args.source, net, args.unchecked)


def _net_of_darknet(args):
    """Write the prototxt of a .cfg."""
    from ..atomic import write_atomically
    from ..proto.darknet.maker import DarknetNet
    from ..proto.text import to_text

    if not args.out.endswith((".prototxt", ".pt", ".prototext")):
        raise UsageError(
            f"{args.source} is the text of a Darknet net: a prototxt is made of it, and "
            f"{args.out} is no name of one"
        )
    net = DarknetNet(args.source)
    write_atomically(args.out, to_text(net.param).encode())
    count = len(net.param.layer)
    if args.json:
        print(json_text({"file": args.out, "layers": count}))
    else:
        print(f"{args.out}: {count} layers")
    return 0
