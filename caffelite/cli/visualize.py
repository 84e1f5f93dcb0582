"""Make pictures of what a net has learned, and of what it sees in a picture.

    caffelite visualize filters OUT.png --weights W [--layer conv1]
    caffelite visualize features OUT.png --weights W --model NET --picture CAT [--layer pool1]
    caffelite visualize occlusion OUT.png --weights W --model NET --picture CAT [--class 281]
    caffelite visualize saliency OUT.png --weights W --model NET --picture CAT [--class 281]
    caffelite visualize gradcam OUT.png --weights W --model NET --picture CAT [--class 281]
    caffelite visualize guided OUT.png --weights W --model NET --picture CAT [--class 281]
    caffelite visualize guided OUT.png --weights W --model NET --picture CAT --layer conv5 [--map 7]
    caffelite visualize field OUT.png --weights W --model NET --picture CAT --layer conv5 [--map 7]

filters: those of a convolution, by default the first. features: the maps that a layer makes of the
picture, by default the first convolution. occlusion: where hiding a part of the picture lowers the
score of the class most. saliency: by which pixels the score of the class changes most. gradcam:
where the maps of a layer, by default the last that has height and width, speak for the class
(Grad-CAM). guided: what speaks for the class, or for one of the maps of a layer where that is
largest, by guided backpropagation, which leaves out what speaks against. field: the receptive field
of a unit, which is all that it can see, at --place or where a map of a layer is largest. The class
is by default the one that the net finds likeliest, the map the one with the largest value. What is
found stands between the picture and the part of it that it points out.

What the picture goes through before the net sees it is found as for caffelite classify, or given by
the flags that tell.
"""

from ..errors import CaffeliteError, did_you_mean
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_state_flags,
    stages,
    use_device,
)
from ._pictures import add_preprocessing_flags, preprocessing_of

_KINDS = ("filters", "features", "occlusion", "saliency", "gradcam", "guided", "field")
_OF_SOME = {  # flags that not all of them read
    "layer": ("filters", "features", "gradcam", "guided", "field"),
    "map": ("guided", "field"),
    "place": ("field",),
    "index": ("occlusion", "saliency", "gradcam", "guided"),
    "window": ("occlusion",),
    "stride": ("occlusion",),
}

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("what", choices=_KINDS, metavar="WHAT", help=", ".join(_KINDS))
    flag("out", metavar="OUT.png", help="the picture to make")
    flag("--weights", required=True, metavar="FILE", help="the weights")
    add_missing_flag(parser)
    flag("--model", metavar="FILE", help="the net's prototxt")
    flag("--picture", metavar="FILE", help="the picture that the net is to see")
    flag("--layer", metavar="NAME", help="the layer to look at [the first convolution]")
    flag(
        "--map",
        type=int32,
        metavar="N",
        help="the map to look for [the one with the largest value]",
    )
    flag(
        "--place",
        type=int32,
        nargs=2,
        metavar=("ROW", "COLUMN"),
        help="the place in the map to look at [where it is largest]",
    )
    flag(
        "--class",
        type=int32,
        dest="index",
        metavar="N",
        help="the class to look for [the likeliest]",
    )
    flag(
        "--window",
        type=int32,
        metavar="N",
        help="side of what hides a part [a fifth of the picture]",
    )
    flag("--stride", type=int32, metavar="N", help="how far it moves [a quarter of the window]")
    flag("--json", action="store_true", help="print JSON")
    add_preprocessing_flags(parser)
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    if not args.out.lower().endswith(".png"):
        raise UsageError(
            f"{args.out}: expected the name of the .png to make"
            + ("" if args.picture else "; the picture to look at is given with --picture")
        )
    if args.what != "filters" and not (args.model and args.picture):
        raise UsageError(f"{args.what} needs --model and --picture")
    for name, kinds in _OF_SOME.items():
        if getattr(args, name) is not None and args.what not in kinds:
            flag = {"index": "class"}.get(name, name)
            raise UsageError(f"--{flag} is for {', '.join(kinds)}, not for {args.what}")
    if args.what == "guided" and args.map is not None and not args.layer:
        raise UsageError("--map is for guided, with --layer, and for field")
    if args.what == "guided" and args.layer and args.index is not None:
        raise UsageError("guided takes --class, or --layer and --map, not both")
    for name in ("window", "stride"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}")
    pixels, told = _filters(args) if args.what == "filters" else _of_a_picture(args)
    _write(args.out, pixels)
    told = {"file": args.out, **told}
    print(json_text(told) if args.json else "\n".join(f"{k}: {v}" for k, v in told.items()))
    return 0


def _filters(args):
    from ..net import convert
    from ..pictures.arrays import filters

    found = {
        name: blobs[0]
        for name, blobs in convert.read(args.weights).items()
        if 0 in blobs and blobs[0].ndim == 4
    }
    large = [name for name, weight in found.items() if max(weight.shape[2:]) > 1]
    name = args.layer or next(iter(large or found), None)
    if name not in found:
        wanted = f'no convolution "{name}"' if name else "no convolution"
        hint = did_you_mean(name or "", found) or f"; it has {', '.join(found)}" * bool(found)
        raise CaffeliteError(f"{args.weights}: holds {wanted}{hint}")
    shape = " x ".join(map(str, found[name].shape))
    return filters(found[name]), {"layer": name, "shape": shape}


def _of_a_picture(args):
    from ..glog import start_logging
    from ..net.weights import check_weights
    from ..predict.picture_net import PictureNet

    log = start_logging(quiet=True)
    use_device(args)
    check_weights(args.weights)
    net = PictureNet(
        args.model,
        args.weights,
        preprocessing_of(args, args.model, log),
        level=args.level,
        stages=stages(args),
        force_backward=args.what in ("saliency", "gradcam", "guided"),
        allow_missing=args.allow_missing,
    )
    x = net.crops(args.picture)[0]
    if args.what == "features":
        return _features(args, net, x)
    from ..pictures.arrays import picture_of, side_by_side

    if args.what == "field":
        find = _field
    elif args.what == "guided" and args.layer:
        find = _guided_unit
    else:
        find = _of_a_class
    values, told = find(args, net, x)
    return side_by_side(picture_of(x), values), told


def _of_a_class(args, net, x):
    """What bears on the score of a class, and what to tell of it."""
    scores = net.scores([x[None]])[0]
    index = int(scores.argmax()) if args.index is None else args.index
    if not 0 <= index < len(scores):
        raise UsageError(f"--class: expected 0 to {len(scores) - 1}, not {index}")
    find = {
        "occlusion": _occlusion,
        "saliency": _saliency,
        "gradcam": _grad_cam,
        "guided": _guided,
    }[args.what]
    return find(args, net, x, index), {"class": index, "score": float(scores[index])}


def _features(args, net, x):
    from ..pictures.arrays import feature_maps

    name, maps = _maps(args, net, x)
    return feature_maps(maps), {"layer": name, "shape": " x ".join(map(str, maps.shape))}


def _maps(args, net, x):
    """(name of the layer, its maps of x) of the layer that is asked for."""
    layers = net.net.layer_dict
    first = next((name for name, layer in layers.items() if layer.windows and layer.learns), None)
    name = args.layer or first
    layer = _layer(args, net, name)
    net.net.blobs[net.input].reshape(1, *x.shape)
    net.net.reshape()
    net.net.forward(end=name, **{net.input: x[None]})
    tops = [net.net.blobs[top] for top in net.net.top_names[name]]
    if not tops or len(tops[0].shape) != 4:
        raise layer.error("makes no maps: its top has no height and width")
    return name, tops[0].data[0]


def _layer(args, net, name):
    """The layer of that name."""
    layers = net.net.layer_dict
    if name not in layers:
        hint = did_you_mean(name or "", layers)
        raise CaffeliteError(f'{args.model}: has no layer "{name or "of type Convolution"}"{hint}')
    return layers[name]


def _occlusion(args, net, x, index):
    from tqdm import tqdm

    from ..glog import on_terminal
    from ..predict.sensitivity import occlusion, occlusion_count

    window = args.window or max(1, min(x.shape[1:]) // 5)
    stride = args.stride or max(1, window // 4)
    total = occlusion_count(x.shape, window, stride)
    with tqdm(total=total, desc="squares", leave=False, disable=not on_terminal()) as bar:

        def scores(batch):
            return net.scores(list(batch[:, None]))[:, index]

        return occlusion(scores, x, window, stride, bar.update)


def _saliency(args, net, x, index):
    from ..predict.sensitivity import saliency

    layer, top = _scores(net)
    return saliency(net.net, net.input, x, layer, index, top)


def _grad_cam(args, net, x, index):
    from ..predict.sensitivity import grad_cam

    layer, top = _scores(net)
    maps = _layer(args, net, args.layer) if args.layer else None
    return grad_cam(net.net, net.input, x, layer, index, top, maps)


def _guided(args, net, x, index):
    layer, top = _scores(net)
    return _speaks_for(net, x, layer, index, top)


def _guided_unit(args, net, x):
    """What speaks for the unit of a map where it is largest, and what to tell of it."""
    name, index, values = _map(args, net, x)
    told = {"layer": name, "map": index, "value": float(values.max())}
    return _speaks_for(net, x, net.net.layer_dict[name], index), told


def _field(args, net, x):
    """The receptive field of a unit as a map of ones, and what to tell of it."""
    import numpy as np

    from ..net.receptive import inside, receptive_fields

    name, index, values = _map(args, net, x)
    place = args.place or np.unravel_index(values.argmax(), values.shape)
    row, column = map(int, place)
    if not (0 <= row < len(values) and 0 <= column < len(values[0])):
        shape = " x ".join(map(str, values.shape))
        raise UsageError(f"--place: the maps have {shape} places from 0 0 on, not {row} {column}")
    fields = {node.layer.name: fields for node, fields in receptive_fields(net.net.nodes).items()}
    if name not in fields:
        raise net.net.layer_dict[name].error("does not see the picture")
    ends = list(map(inside, fields[name], (row, column), x.shape[1:]))
    seen = np.zeros(x.shape[1:])
    seen[tuple(slice(first, last + 1) for first, last in ends)] = 1
    rows, columns = (f"{first} to {last}" for first, last in ends)
    told = {"layer": name, "map": index, "place": f"{row} {column}"}
    return seen, {**told, "value": float(values[row, column]), "rows": rows, "columns": columns}


def _map(args, net, x):
    """(name of the layer, number of the map, its values) that are asked for."""
    name, maps = _maps(args, net, x)
    largest = maps.max(axis=(1, 2))
    index = int(largest.argmax()) if args.map is None else args.map
    if not 0 <= index < len(maps):
        raise UsageError(f"--map: expected 0 to {len(maps) - 1}, not {index}")
    return name, index, maps[index]


def _speaks_for(net, x, layer, index, top=0):
    from ..predict.sensitivity import guided_backpropagation

    return abs(guided_backpropagation(net.net, net.input, x, layer, index, top)).max(axis=0)


def _scores(net):
    """(layer, number of its top) of the scores before they become probabilities, one for one."""
    from ..layers.utility.split import Split

    name = net.output
    for node in reversed(net.net.nodes):
        if name in node.top_names:
            alike = node.layer.role == "result" and node.shapes[0] == node.shapes[1]
            if not (alike or isinstance(node.layer, Split)):
                return node.layer, node.top_names.index(name)
            name = node.bottom_names[0]
    raise AssertionError(f"no layer makes {name}")


def _write(path, pixels):
    """A .png of height x width, or of height x width x 3: red, green, blue."""
    import numpy as np

    from ..atomic import write_atomically
    from ..data.image import encode

    write_atomically(path, encode(np.atleast_3d(pixels).transpose(2, 0, 1)[::-1], "png"))
