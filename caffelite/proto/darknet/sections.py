"""From a section of a .cfg to layers: a function for each kind.

It gets the DarknetNet and the section, adds layers, notes what .weights hold of them, and returns
a Made. What Caffe's layers cannot do exactly is refused.
"""

import itertools
import math
from collections.abc import Callable

from .made import Made, Stored, name_of, times

SECTIONS: dict[str, Callable[..., Made]] = {}
_BOXES_OF_ITS_OWN = "its boxes are read in a way that no layer here knows"
MISSING = {
    "batchnorm": "forks of Darknet store its values in different orders",
    "deconvolutional": "Darknet stores its weights otherwise than Caffe's Deconvolution takes them",
    "deconv": "Darknet stores its weights otherwise than Caffe's Deconvolution takes them",
    "normalization": "Darknet's window over channels is not the one of Caffe's LRN",
    "lrn": "Darknet's window over channels is not the one of Caffe's LRN",
    "rnn": "it is for text",
    "gru": "it is for text",
    "lstm": "it is for text",
    "crnn": "it is for text",
    "Gaussian_yolo": _BOXES_OF_ITS_OWN,
    "iseg": _BOXES_OF_ITS_OWN,
}


def _section(*names):
    def register(make):
        SECTIONS.update(dict.fromkeys(names, make))
        return make

    return register


def _stride(section, default=1):
    """(stride_y, stride_x)."""
    stride = section.whole("stride", default, least=1)
    return tuple(section.whole(key, stride, least=1) for key in ("stride_y", "stride_x"))


@_section("convolutional", "conv")
def _convolutional(net, section):
    bottom = net.picture(section)
    maps, size = section.whole("filters", 1, least=1), section.whole("size", 1, least=1)
    stride, group = _stride(section), section.whole("groups", 1, least=1)
    dilation = section.whole("dilation", 1, least=1)
    pad = size // 2 if section.whole("pad") else section.whole("padding")
    normalized, flipped = section.whole("batch_normalize"), section.whole("flipped")
    channels, *sides = bottom.shape
    if channels % group or maps % group:
        raise section.error(f"groups={group} divides not both {channels} and {maps} maps", "groups")
    out = [(n + 2 * pad - size) // s + 1 for n, s in zip(sides, stride, strict=True)]
    reach = dilation * (size - 1) + 1
    wide = [(n + 2 * pad * dilation - reach) // s + 1 for n, s in zip(sides, stride, strict=True)]
    if min(out) < 1 or out != wide:
        raise section.error(
            f"a window of {size} with padding {pad} does not fit maps of {times(sides)}"
        )
    name = f"{name_of(section)}-conv"
    options = {"num_output": maps, "kernel_size": [size]}
    if pad:
        options["pad"] = [pad * dilation]
    if stride[0] == stride[1]:
        options["stride"] = [stride[0]]
    else:
        options["stride_h"], options["stride_w"] = stride
    if dilation > 1:
        options["dilation"] = [dilation]
    if group > 1:
        options["group"] = group
    if normalized:
        options["bias_term"] = False
    net.add("Convolution", name, [bottom.blob], convolution_param=options)
    shape = maps, channels // group, size, size
    if normalized:
        bn, scale = net.normalize(section, name, maps)
        net.store(section, scale, (1, (maps,)), (0, (maps,)))
        net.store(section, bn, (0, (maps,)), (1, (maps,)))
    else:
        net.store(section, name, (1, (maps,)))
    rows = math.prod(shape[1:]) if flipped else 0
    net.stored.append(Stored(section, name, 0, shape, rows))
    return net.activate(section, Made(name, (maps, *out)), "logistic")


@_section("connected", "conn")
def _connected(net, section):
    bottom, outputs = net.before(section), section.whole("output", 1, least=1)
    inputs, name = math.prod(bottom.shape), f"{name_of(section)}-fc"
    options, normalized = {"num_output": outputs}, section.whole("batch_normalize")
    if normalized:
        options["bias_term"] = False
    net.add("InnerProduct", name, [bottom.blob], inner_product_param=options)
    weight = (0, (outputs, inputs))
    if normalized:
        bn, scale = net.normalize(section, name, outputs)
        net.store(section, scale, (1, (outputs,)))
        net.store(section, name, weight)
        net.store(section, scale, (0, (outputs,)))
        net.store(section, bn, (0, (outputs,)), (1, (outputs,)))
    else:
        net.store(section, name, (1, (outputs,)), weight)
    return net.activate(section, Made(name, (outputs,)), "logistic")


@_section("local")
def _local(net, section):
    """Each place has a window of its own: the windows as rows, then a convolution group a place."""
    bottom = net.picture(section)
    maps, size = section.whole("filters", 1, least=1), section.whole("size", 1, least=1)
    stride, pad = section.whole("stride", 1, least=1), section.whole("pad", most=1)
    channels, *sides = bottom.shape
    height, width = ((n - (1 if pad else size)) // stride + 1 for n in sides)
    fits = [(n + 2 * pad - size) // stride + 1 for n in sides]
    if [height, width] != fits or min(fits) < 1:
        raise section.error(f"a window of {size} with pad={pad} does not fit {times(sides)}")
    name, places, values = f"{name_of(section)}-local", height * width, channels * size * size
    window = {"num_output": 1, "kernel_size": [size], "stride": [stride], "pad": [pad]}
    net.add("Im2col", f"{name}-windows", [bottom.blob], convolution_param=window)
    order = {"order": [0, 2, 3, 1]}
    net.add("Permute", f"{name}-places", [f"{name}-windows"], permute_param=order)
    rows = {"shape": {"dim": [0, places * values, 1, 1]}}
    net.add("Reshape", f"{name}-rows", [f"{name}-places"], reshape_param=rows)
    options = {"num_output": places * maps, "kernel_size": [1], "group": places}
    net.add("Convolution", name, [f"{name}-rows"], convolution_param=options)
    back = {"shape": {"dim": [0, height, width, maps]}}
    net.add("Reshape", f"{name}-maps-last", [name], reshape_param=back)
    net.add("Permute", f"{name}-maps", [f"{name}-maps-last"], permute_param={"order": [0, 3, 1, 2]})
    net.stored.append(Stored(section, name, 1, (places * maps,), rows=maps))
    net.store(section, name, (0, (places * maps, values, 1, 1)))
    return net.activate(section, Made(f"{name}-maps", (maps, height, width)), "logistic")


@_section("maxpool", "max")
def _maxpool(net, section):
    """Darknet pads less on top and left than below and right, by one where that is odd."""
    bottom = net.picture(section)
    stride = _stride(section)
    size = section.whole("size", section.whole("stride", 1, least=1), least=1)
    padding = section.whole("padding", size - 1)
    channels, *sides = bottom.shape
    out = [(n + padding - size) // s + 1 for n, s in zip(sides, stride, strict=True)]
    if min(out) < 1:
        raise section.error(f"a window of {size} does not fit maps of {times(sides)}")
    name = f"{name_of(section)}-maxpool"
    made = Made(name, (channels, *out))
    before = padding // 2
    for pad, rounding in itertools.product((before, before + 1), ("CEIL", "FLOOR")):
        found = [_pooled(n, size, s, pad, rounding) for n, s in zip(sides, stride, strict=True)]
        options = _pooling(size, stride, pad, rounding)
        if pad >= size:
            continue
        if pad == before and found == out:
            net.add("Pooling", name, [bottom.blob], pooling_param=options)
            return made
        if pad > before and stride == (1, 1) and out == sides and found == [n + 1 for n in sides]:
            net.add("Pooling", f"{name}-all", [bottom.blob], pooling_param=options)
            crop = {"axis": 2, "offset": [1]}  # the windows that begin a row or column too early
            net.add("Crop", name, [f"{name}-all", bottom.blob], crop_param=crop)
            return made
    raise section.error(
        f"size={size} stride={stride[0]} padding={padding} makes {times(out)} of {times(sides)}, "
        "which no Pooling of Caffe does"
    )


def _pooling(size, stride, pad, rounding):
    """The options of a Pooling, without those that it has anyway."""
    options = {"pool": "MAX", "kernel_size": size}
    if stride[0] == stride[1]:
        options["stride"] = stride[0]
    else:
        options["stride_h"], options["stride_w"] = stride
    if pad:
        options["pad"] = pad
    if rounding != "CEIL":
        options["round_mode"] = rounding
    return options


def _pooled(side, size, stride, pad, rounding):
    """How many windows Caffe's Pooling has along an axis."""
    room = side + 2 * pad - size
    count = (room // stride if rounding == "FLOOR" else -(-room // stride)) + 1
    if pad and (count - 1) * stride >= side + pad:
        count -= 1
    return count


@_section("avgpool", "avg")
def _avgpool(net, section):
    bottom, name = net.picture(section), f"{name_of(section)}-avgpool"
    net.add("Pooling", name, [bottom.blob], pooling_param={"pool": "AVE", "global_pooling": True})
    return Made(name, (bottom.shape[0], 1, 1))


@_section("route")
def _route(net, section):
    numbers = section.wholes("layers")
    if not numbers:
        raise section.error("layers: expected numbers of layers")
    parts = [net.at(section, number, "layers") for number in numbers]
    groups, group = section.whole("groups", 1, least=1), section.whole("group_id")
    if len({part.shape[1:] for part in parts}) > 1:
        found = ", ".join(times(part.shape) for part in parts)
        raise section.error(f"joins maps of different sizes: {found}", "layers")
    name = f"{name_of(section)}-route"
    if groups > 1:
        parts = [_share(net, section, name, i, part, groups, group) for i, part in enumerate(parts)]
    if len(parts) == 1:
        return parts[0]
    net.add("Concat", name, [part.blob for part in parts])
    return Made(name, (sum(part.shape[0] for part in parts), *parts[0].shape[1:]))


def _share(net, section, name, i, part, groups, group):
    """Share `group` of the channels of a blob that is cut into `groups`."""
    channels = part.shape[0]
    if channels % groups or group >= groups:
        raise section.error(
            f"groups={groups} group_id={group} of {channels} channels: expected a divisor, and "
            "a group below it",
            "groups",
        )
    return _cut(net, f"{name}{i or ''}", part, 1, group * channels // groups, channels // groups)


def _cut(net, name, made, axis, start, length):
    """`length` entries from `start` on along an axis; the rest goes to a Silence."""
    shape, size = list(made.shape), made.shape[axis - 1]
    points = [point for point in (start, start + length) if 0 < point < size]
    if not points:
        return made
    tops = [f"{name}-before"] * (start > 0) + [f"{name}-part"]
    tops += [f"{name}-behind"] * (start + length < size)
    options = {"axis": axis, "slice_point": points}
    layer = net.add("Slice", f"{name}-slice", [made.blob], tops[0], slice_param=options)
    layer.top.extend(tops[1:])
    rest = [top for top in tops if top != f"{name}-part"]
    net.param.layer.add(type="Silence", name=f"{name}-silence", bottom=rest)
    shape[axis - 1] = length
    return Made(f"{name}-part", tuple(shape))


@_section("shortcut")
def _shortcut(net, section):
    bottom, name = net.before(section), f"{name_of(section)}-shortcut"
    if section.word("weights_type", "none") != "none":
        raise section.error("weights_type: learned shares are not done here", "weights_type")
    section.word("weights_normalization")
    numbers = section.wholes("from")
    parts = [net.at(section, number, "from") for number in numbers]
    if not parts:
        raise section.error("from: expected the number of a layer")
    for part in parts:
        if part.shape != bottom.shape:
            raise section.error(
                f'adds "{part.blob}", {times(part.shape)}, to "{bottom.blob}", '
                f"{times(bottom.shape)}; Darknet adds what they have in common, for which there "
                "is no layer here",
                "from",
            )
    factors = [section.number(key, 1) for key in ("alpha", "beta")]
    options = {} if factors == [1, 1] else {"eltwise_param": {"coeff": factors[::-1]}}
    if options and len(parts) > 1:
        raise section.error("alpha and beta are for one layer in from")
    net.add("Eltwise", name, [*(part.blob for part in parts), bottom.blob], **options)
    return net.activate(section, Made(name, bottom.shape))


@_section("upsample")
def _upsample(net, section):
    bottom, stride = net.picture(section), section.whole("stride", 2, least=1)
    factor, name = section.number("scale", 1), f"{name_of(section)}-upsample"
    net.add("Upsample", name, [bottom.blob], upsample_param={"scale": stride})
    if factor != 1:
        net.add("Power", f"{name}-scale", [name], name, power_param={"scale": factor})
    channels, *sides = bottom.shape
    return Made(name, (channels, *(side * stride for side in sides)))


@_section("reorg")
def _reorg(net, section):
    bottom, stride = net.picture(section), section.whole("stride", 1, least=1)
    reverse, name = bool(section.whole("reverse")), f"{name_of(section)}-reorg"
    channels, height, width = bottom.shape
    squared = stride * stride
    if channels % squared or (not reverse and (height % stride or width % stride)):
        raise section.error(f"stride={stride} does not divide {times(bottom.shape)}", "stride")
    options = {"stride": stride, **({"reverse": True} if reverse else {})}
    net.add("Reorg", name, [bottom.blob], reorg_param=options)
    if reverse:
        return Made(name, (channels // squared, height * stride, width * stride))
    return Made(name, (channels * squared, height // stride, width // stride))


@_section("softmax", "soft")
def _softmax(net, section):
    bottom, name = net.before(section), f"{name_of(section)}-softmax"
    if section.whole("groups", 1) != 1 or section.word("tree"):
        raise section.error("groups and tree are not done here")
    blob, temperature = bottom.blob, section.number("temperature", 1)
    if math.prod(bottom.shape[1:]) > 1:
        net.add("Flatten", f"{name}-row", [blob])
        blob = f"{name}-row"
    if temperature != 1:
        options = {"scale": 1 / temperature}
        net.add("Power", f"{name}-cooled", [blob], power_param=options)
        blob = f"{name}-cooled"
    net.add("Softmax", name, [blob])
    shape = bottom.shape if math.prod(bottom.shape[1:]) == 1 else (math.prod(bottom.shape),)
    return Made(name, shape)


@_section("dropout")
def _dropout(net, section):
    bottom, name = net.before(section), f"{name_of(section)}-dropout"
    ratio = section.number("probability", 0.5)
    options = {"dropout_ratio": ratio}
    net.add("Dropout", name, [bottom.blob], bottom.blob, dropout_param=options)
    return bottom


@_section("crop")
def _crop(net, section):
    """The middle of the picture; 2 x - 1 of it, if noadjust is not given."""
    made, name = net.picture(section), f"{name_of(section)}-crop"
    for key in ("flip", "angle", "saturation", "exposure", "shift"):
        section.word(key)  # of training
    for axis, key in ((2, "crop_height"), (3, "crop_width")):
        length, size = section.whole(key, 1, least=1), made.shape[axis - 1]
        if length > size:
            raise section.error(f"{key}={length} of {size}", key)
        made = _cut(net, f"{name}{axis}", made, axis, (size - length) // 2, length)
    if not section.whole("noadjust"):
        options = {"scale": 2, "shift": -1}
        net.add("Power", name, [made.blob], power_param=options)
        made = made._replace(blob=name)
    return made


@_section("activation")
def _activation(net, section):
    return net.activate(section, net.before(section))


@_section("cost")
def _cost(net, section):
    return net.before(section)  # a loss, which nets for use have not


@_section("region")
def _region(net, section):
    bottom, boxes = net.picture(section), section.whole("num", 1, least=1)
    classes, coords = section.whole("classes", 20, least=1), section.whole("coords", 4)
    if not section.whole("softmax") or section.word("tree") or section.word("map"):
        raise section.error("expected softmax=1, and neither tree nor map")
    if section.whole("background") or coords != 4:
        raise section.error("background and coords other than 4 are not done here")
    biases = section.numbers("anchors") or [0.5] * (2 * boxes)
    if len(biases) != 2 * boxes:
        raise section.error(f"expected {2 * boxes} numbers, found {len(biases)}", "anchors")
    net.head(section, bottom, classes, coords, boxes)
    options = {"num_classes": classes, "num_box": boxes, "coords": coords}
    net.add(
        "YoloDetectionOutput",
        "detection_out",
        [bottom.blob],
        yolo_detection_output_param={
            **options,
            "biases": biases,
            "per_image": True,
            "per_class": True,
        },
    )
    return bottom


@_section("yolo")
def _yolo(net, section):
    bottom, classes = net.picture(section), section.whole("classes", 20, least=1)
    count, mask = section.whole("num", 1, least=1), mask_of(section)
    if len(section.numbers("anchors")) != 2 * count:
        raise section.error(f"expected {2 * count} numbers in anchors", "anchors")
    if not mask or max(mask) >= count:
        raise section.error(f"mask: expected numbers below num={count}", "mask")
    net.head(section, bottom, classes, 4, len(mask))
    return bottom


def mask_of(section):
    """The numbers of the anchors of a [yolo] section."""
    every = range(section.whole("num", 1, least=1))
    return section.wholes("mask", least=0) if "mask" in section else [*every]


@_section("detection")
def _detection(net, section):
    """YOLO v1: the numbers of its last dense layer, cell by cell."""
    bottom = net.before(section)
    side, boxes = section.whole("side", 7, least=1), section.whole("num", 1, least=1)
    classes, coords = section.whole("classes", 1, least=1), section.whole("coords", 1)
    if section.whole("softmax"):
        raise section.error("softmax=1 is not done here", "softmax")
    if coords != 4:
        raise section.error("coords other than 4 are not done here", "coords")
    root = bool(section.whole("sqrt"))
    wanted = side * side * (classes + boxes * (1 + coords))
    if math.prod(bottom.shape) != wanted:
        raise section.error(
            f"expected {side} * {side} * ({classes} + {boxes} * (1 + {coords})) = {wanted} values, "
            f'and "{bottom.blob}" has {math.prod(bottom.shape)}'
        )
    options = {"layout": "CELLS", "side": side, "num_classes": classes, "num_box": boxes}
    options |= {"sqrt": root, "constriant": True, "per_image": True, "per_class": True}
    net.add(
        "YoloDetectionOutput",
        "detection_out",
        [bottom.blob],
        yolo_detection_output_param=options,
    )
    return bottom
