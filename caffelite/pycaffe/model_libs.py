"""Bodies and heads of detectors for NetSpec, by the names that SSD's scripts call.

from caffe.model_libs import * also brings `os`, `caffe_pb2`, `L` and `P`, which such scripts take
from there. A body adds layers to `net` behind the top `from_layer`; sizes, names and fillers are
those of the prototxts that the SSD branch publishes. Liu et al. 2016, arXiv:1512.02325.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..proto import caffe_pb2
from .net_spec import NetSpec, Top
from .net_spec import layers as L
from .net_spec import params as P

_WEIGHTS: dict[str, Any] = {
    "param": [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}],
    "weight_filler": {"type": "xavier"},
    "bias_filler": {"type": "constant", "value": 0},
}
_STILL = {"lr_mult": 0, "decay_mult": 0}


def check_if_exist(path: str) -> bool:
    """Whether there is something at a path."""
    return os.path.exists(path)


def make_if_not_exist(path: str) -> None:
    """Make a folder, with those above it, unless it is there."""
    os.makedirs(path, exist_ok=True)


def UnpackVariable(var: Any, num: int) -> list[Any]:
    """`num` values: those of a list of as many, else one value again and again."""
    if not isinstance(var, list):
        return [var] * num
    if len(var) not in (1, num):
        raise ValueError(f"{var}: expected a value, or a list of 1 or {num}")
    return var if len(var) == num else var * num


def ConvBNLayer(
    net: NetSpec,
    from_layer: str,
    out_layer: str,
    use_bn: bool,
    use_relu: bool,
    num_output: int,
    kernel_size: Any,
    pad: Any,
    stride: Any,
    dilation: int = 1,
    use_scale: bool = True,
    lr_mult: float = 1,
    conv_prefix: str = "",
    conv_postfix: str = "",
    bn_prefix: str = "",
    bn_postfix: str = "_bn",
    scale_prefix: str = "",
    scale_postfix: str = "_scale",
    bias_prefix: str = "",
    bias_postfix: str = "_bias",
    **bn_params: Any,
) -> None:
    """A Convolution, with `use_bn` BatchNorm and Scale (or Bias), with `use_relu` a ReLU behind it.

    `kernel_size`, `pad` and `stride` are numbers, or lists of height and width. Of `bn_params`,
    BatchNorm takes eps [0.001], moving_average_fraction [0.999] and use_global_stats.
    """
    name = f"{conv_prefix}{out_layer}{conv_postfix}"
    window = {"kernel": kernel_size, "pad": pad, "stride": stride}
    sides = {key: UnpackVariable(value, 2) for key, value in window.items()}
    if sides["kernel"][0] == sides["kernel"][1]:
        window = {"kernel_size": sides["kernel"][0], "pad": sides["pad"][0]}
        window["stride"] = sides["stride"][0]
    else:
        window = {f"{key}_{s}": v for key, pair in sides.items() for s, v in zip("hw", pair)}  # noqa: B905
    if use_bn:
        options: dict[str, Any] = {
            "param": [{"lr_mult": lr_mult, "decay_mult": 1}],
            "weight_filler": {"type": "gaussian", "std": 0.01},
            "bias_term": False,
        }
    else:
        rates = [{"lr_mult": lr_mult, "decay_mult": 1}, {"lr_mult": 2 * lr_mult, "decay_mult": 0}]
        options = {**_WEIGHTS, "param": rates}
    net[name] = L.Convolution(net[from_layer], num_output=num_output, **window, **options)
    if dilation > 1:
        net.update(name, {"dilation": dilation})
    if use_bn:
        bn_name = f"{bn_prefix}{out_layer}{bn_postfix}"
        if use_scale:
            behind = f"{scale_prefix}{out_layer}{scale_postfix}"
        else:
            behind = f"{bias_prefix}{out_layer}{bias_postfix}"
        _normalize(net, name, bn_name, behind, use_scale, lr_mult, bn_params)
    if use_relu:
        net[f"{name}_relu"] = L.ReLU(net[name], in_place=True)


def _normalize(
    net: NetSpec,
    name: str,
    bn_name: str,
    behind: str,
    use_scale: bool,
    lr_mult: float,
    bn_params: Mapping[str, Any],
) -> None:
    """BatchNorm, and Scale or Bias under the name `behind`, of the blob `name`, in place."""
    statistics: dict[str, Any] = {"param": [_STILL] * 3, "eps": bn_params.get("eps", 0.001)}
    if bn_params.get("use_global_stats", False):
        statistics["use_global_stats"] = True
        lr_mult = 0  # they stay as they are, like the statistics
    else:
        statistics["moving_average_fraction"] = bn_params.get("moving_average_fraction", 0.999)
    net[bn_name] = L.BatchNorm(net[name], in_place=True, **statistics)
    rate, nothing = {"lr_mult": lr_mult, "decay_mult": 0}, {"type": "constant", "value": 0.0}
    if use_scale:
        net[behind] = L.Scale(
            net[bn_name],
            in_place=True,
            bias_term=True,
            param=[rate, rate],
            filler={"type": "constant", "value": 1.0},
            bias_filler=nothing,
        )
    else:
        net[behind] = L.Bias(net[bn_name], in_place=True, param=[rate], filler=nothing)


def ResBody(
    net: NetSpec,
    from_layer: str,
    block_name: str,
    out2a: int,
    out2b: int,
    out2c: int,
    stride: int,
    use_branch1: bool,
    dilation: int = 1,
    **bn_param: Any,
) -> None:
    """A block of ResNet, res{block_name}: three convolutions and a shortcut, or branch1.

    The stride is that of the first, of 1 x 1; `dilation` that of the second, of 3 x 3.
    """

    def convolve(bottom: str, branch: str, num_output: int, relu: bool, **window: Any) -> str:
        affixes: dict[str, Any] = {
            f"{key}_{end}": f"{start}{block_name}_" if end == "prefix" else ""
            for key, start in (("conv", "res"), ("bn", "bn"), ("scale", "scale"))
            for end in ("prefix", "postfix")
        }
        ConvBNLayer(net, bottom, branch, True, relu, num_output, **window, **affixes, **bn_param)
        return f"res{block_name}_{branch}"

    shortcut = from_layer
    one = {"kernel_size": 1, "pad": 0}
    if use_branch1:
        shortcut = convolve(from_layer, "branch1", out2c, False, **one, stride=stride)
    last = convolve(from_layer, "branch2a", out2a, True, **one, stride=stride)
    three = {"kernel_size": 3, "pad": dilation, "dilation": dilation}
    last = convolve(last, "branch2b", out2b, True, **three, stride=1)
    last = convolve(last, "branch2c", out2c, False, **one, stride=1)
    name = f"res{block_name}"
    net[name] = L.Eltwise(net[shortcut], net[last])
    net[f"{name}_relu"] = L.ReLU(net[name], in_place=True)


def ResNet101Body(
    net: NetSpec,
    from_layer: str,
    use_pool5: bool = True,
    use_dilation_conv5: bool = False,
    **bn_param: Any,
) -> NetSpec:
    """ResNet-101 up to res5c, or pool5; conv5 may keep the stride of 16, dilated."""
    return _resnet(net, from_layer, (4, 23), use_pool5, use_dilation_conv5, bn_param)


def ResNet152Body(
    net: NetSpec,
    from_layer: str,
    use_pool5: bool = True,
    use_dilation_conv5: bool = False,
    **bn_param: Any,
) -> NetSpec:
    """ResNet-152 up to res5c, or pool5; conv5 may keep the stride of 16, dilated."""
    return _resnet(net, from_layer, (8, 36), use_pool5, use_dilation_conv5, bn_param)


def _resnet(
    net: NetSpec,
    from_layer: str,
    counts: tuple[int, int],
    use_pool5: bool,
    dilated: bool,
    bn_param: Mapping[str, Any],
) -> NetSpec:
    """conv1 to res5c, with `counts` blocks in the stages 3 and 4."""
    affixes: dict[str, Any] = {
        "bn_prefix": "bn_",
        "bn_postfix": "",
        "scale_prefix": "scale_",
        "scale_postfix": "",
    }
    ConvBNLayer(net, from_layer, "conv1", True, True, 64, 7, 3, 2, **affixes, **bn_param)
    net.pool1 = L.Pooling(net.conv1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    stages = [
        ["2a", "2b", "2c"],
        ["3a", *(f"3b{i}" for i in range(1, counts[0]))],
        ["4a", *(f"4b{i}" for i in range(1, counts[1]))],
        ["5a", "5b", "5c"],
    ]
    last = "pool1"
    for number, blocks in enumerate(stages):
        width, is_last = 64 << number, number == 3
        for block in blocks:
            first = block == blocks[0]
            stride = 2 if first and number and not (is_last and dilated) else 1
            dilation = 2 if is_last and dilated else 1
            sizes = width, width, 4 * width
            ResBody(net, last, block, *sizes, stride, first, dilation, **bn_param)
            last = f"res{block}"
    if use_pool5:
        net.pool5 = L.Pooling(net.res5c, pool=P.Pooling.AVE, global_pooling=True)
    return net


def InceptionTower(
    net: NetSpec,
    from_layer: str,
    tower_name: str,
    layer_params: Sequence[Mapping[str, Any]],
    **bn_param: Any,
) -> Top:
    """Layers one behind the other, TOWER/NAME each; those with "pool" in the name are Poolings."""
    for options in layer_params:
        own = dict(options)
        name = f"{tower_name}/{own.pop('name')}"
        if "pool" in name:
            net[name] = L.Pooling(net[from_layer], **own)
        else:
            ConvBNLayer(net, from_layer, name, True, True, use_scale=False, **own, **bn_param)
        from_layer = name
    return net[from_layer]


def _conv(name: str, num_output: int, kernel: Any = 1, pad: Any = 0, stride: Any = 1) -> Any:
    return {
        "name": name,
        "num_output": num_output,
        "kernel_size": kernel,
        "pad": pad,
        "stride": stride,
    }


def _across(name: str, num_output: int, size: int) -> Any:
    return _conv(name, num_output, [1, size], [0, size // 2], [1, 1])


def _down(name: str, num_output: int, size: int) -> Any:
    return _conv(name, num_output, [size, 1], [size // 2, 0], [1, 1])


def _pool(kind: Any, pad: int, stride: int) -> Any:
    return {"name": "pool", "pool": kind, "kernel_size": 3, "pad": pad, "stride": stride}


def InceptionV3Body(
    net: NetSpec, from_layer: str, output_pred: bool = False, **bn_param: Any
) -> NetSpec:
    """Inception v3 up to mixed_10/join, or, with output_pred, to softmax_prob of 1008 classes."""
    average, greatest = P.Pooling.AVE, P.Pooling.MAX

    def stem(name: str, *sizes: Any) -> None:
        nonlocal from_layer
        options = {**bn_param, "use_scale": False}
        ConvBNLayer(net, from_layer, name, True, True, *sizes, **options)
        from_layer = name

    def shrink(name: str) -> None:
        nonlocal from_layer
        net[name] = L.Pooling(net[from_layer], pool=greatest, kernel_size=3, stride=2, pad=0)
        from_layer = name

    def tower(below: str, name: str, *layers: Any) -> Top:
        return InceptionTower(net, below, name, layers, **bn_param)

    def module(name: str, towers: Sequence[Any]) -> None:
        """Towers, each (what is added to the name, layers) or a function, side by side."""
        nonlocal from_layer
        tops = [
            one(name) if callable(one) else tower(from_layer, name + one[0], *one[1:])
            for one in towers
        ]
        from_layer = f"{name}/join"
        net[from_layer] = L.Concat(*tops, axis=1)

    stem("conv", 32, 3, 0, 2)
    stem("conv_1", 32, 3, 0, 1)
    stem("conv_2", 64, 3, 1, 1)
    shrink("pool")
    stem("conv_3", 80, 1, 0, 1)
    stem("conv_4", 192, 3, 0, 1)
    shrink("pool_1")
    for name, width in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        three = _conv("conv_1", 96, 3, 1), _conv("conv_2", 96, 3, 1)
        towers = [
            ("", _conv("conv", 64)),
            ("/tower", _conv("conv", 48), _conv("conv_1", 64, 5, 2)),
            ("/tower_1", _conv("conv", 64), *three),
            ("/tower_2", _pool(average, 1, 1), _conv("conv", width)),
        ]
        module(name, towers)
    towers = [
        ("", _conv("conv", 384, 3, 0, 2)),
        ("/tower", _conv("conv", 64), _conv("conv_1", 96, 3, 1), _conv("conv_2", 96, 3, 0, 2)),
        ("", _pool(greatest, 0, 2)),
    ]
    module("mixed_3", towers)
    for number, width in ((4, 128), (5, 160), (6, 160), (7, 192)):
        narrow = _conv("conv", width)
        long = [_down("conv_1", width, 7), _across("conv_2", width, 7), _down("conv_3", width, 7)]
        towers = [
            ("", _conv("conv", 192)),
            ("/tower", narrow, _across("conv_1", width, 7), _down("conv_2", 192, 7)),
            ("/tower_1", narrow, *long, _across("conv_4", 192, 7)),
            ("/tower_2", _pool(average, 1, 1), _conv("conv", 192)),
        ]
        module(f"mixed_{number}", towers)
    seven = _across("conv_1", 192, 7), _down("conv_2", 192, 7)
    towers = [
        ("/tower", _conv("conv", 192), _conv("conv_1", 320, 3, 0, 2)),
        ("/tower_1", _conv("conv", 192), *seven, _conv("conv_3", 192, 3, 0, 2)),
        ("", _pool(greatest, 0, 2)),
    ]
    module("mixed_8", towers)

    def forked(ending: str, *layers: Any) -> Any:
        """A tower whose last layer two others share, joined as TOWER/mixed."""

        def build(name: str) -> Top:
            below = f"{name}{ending}"
            tower(from_layer, below, *layers)
            last, mixed = f"{below}/{layers[-1]['name']}", f"{below}/mixed"
            pair = (
                tower(last, mixed, _across("conv", 384, 3)),
                tower(last, mixed, _down("conv_1", 384, 3)),
            )
            net[mixed] = L.Concat(*pair, axis=1)
            return net[mixed]

        return build

    for number, kind in ((9, average), (10, greatest)):
        towers = [
            ("", _conv("conv", 320)),
            forked("/tower", _conv("conv", 384)),
            forked("/tower_1", _conv("conv", 448), _conv("conv_1", 384, 3, 1)),
            ("/tower_2", _pool(kind, 1, 1), _conv("conv", 192)),
        ]
        module(f"mixed_{number}", towers)
    if output_pred:
        net.pool_3 = L.Pooling(net[from_layer], pool=average, kernel_size=8, pad=0, stride=1)
        net.softmax = L.InnerProduct(net.pool_3, num_output=1008)
        net.softmax_prob = L.Softmax(net.softmax)
    return net


def CreateAnnotatedDataLayer(
    source: str,
    batch_size: int = 32,
    backend: int = P.Data.LMDB,
    output_label: bool = True,
    train: bool = True,
    label_map_file: str = "",
    anno_type: int | None = None,
    transform_param: Mapping[str, Any] | None = None,
    batch_sampler: Sequence[Mapping[str, Any]] = ({},),
) -> Any:
    """An AnnotatedData layer "data" of a phase: its top, or those of data and label."""
    own: dict[str, Any] = {"label_map_file": label_map_file, "batch_sampler": batch_sampler}
    if anno_type is not None:
        own["anno_type"] = anno_type
    return L.AnnotatedData(
        name="data",
        annotated_data_param=own,
        data_param={"batch_size": batch_size, "backend": backend, "source": source},
        ntop=2 if output_label else 1,
        include={"phase": caffe_pb2.TRAIN if train else caffe_pb2.TEST},
        transform_param=transform_param or {},
    )


def ZFNetBody(
    net: NetSpec,
    from_layer: str,
    need_fc: bool = True,
    fully_conv: bool = False,
    reduced: bool = False,
    dilated: bool = False,
    dropout: bool = True,
    need_fc8: bool = False,
    freeze_layers: Sequence[str] = (),
) -> NetSpec:
    """The net of Zeiler and Fergus up to conv5, fc7 or, with need_fc8, prob."""
    _refuse_unknown(net, from_layer)
    last = from_layer
    for number, width, pad, kernel in ((1, 96, 3, 7), (2, 256, 2, 5)):
        convolution = {"num_output": width, "pad": pad, "kernel_size": kernel, "stride": 2}
        net[f"conv{number}"] = L.Convolution(net[last], **convolution, **_WEIGHTS)
        net[f"relu{number}"] = L.ReLU(net[f"conv{number}"], in_place=True)
        net[f"norm{number}"] = L.LRN(
            net[f"relu{number}"],
            local_size=3,
            alpha=0.00005,
            beta=0.75,
            norm_region=P.LRN.WITHIN_CHANNEL,
            engine=P.LRN.CAFFE,
        )
        last = f"pool{number}"
        net[last] = L.Pooling(
            net[f"norm{number}"], pool=P.Pooling.MAX, pad=1, kernel_size=3, stride=2
        )
    for number, width in ((3, 384), (4, 384), (5, 256)):
        last = _convolution(net, last, f"conv{number}", width)
    if need_fc:
        stride = 1 if dilated else 2
        net.pool5 = L.Pooling(net[last], pool=P.Pooling.MAX, pad=1, kernel_size=3, stride=stride)
        width, kernel, dilation = (1024, 3, 2) if reduced else (4096, 6, 1)
        if dilated:
            dilation = 5 if reduced else 2
        pad = 5 if dilated else 2
        last = _fully_connected(
            net, "pool5", fully_conv, reduced, dropout, width, kernel, pad, dilation
        )
    if need_fc8:
        if fully_conv:
            net.fc8 = L.Convolution(net[last], num_output=1000, kernel_size=1, **_WEIGHTS)
        else:
            net.fc8 = L.InnerProduct(net[last], num_output=1000)
        net.prob = L.Softmax(net.fc8)
    return _frozen(net, freeze_layers)


def VGGNetBody(
    net: NetSpec,
    from_layer: str,
    need_fc: bool = True,
    fully_conv: bool = False,
    reduced: bool = False,
    dilated: bool = False,
    nopool: bool = False,
    dropout: bool = True,
    freeze_layers: Sequence[str] = (),
    dilate_pool4: bool = False,
) -> NetSpec:
    """VGG-16 up to conv5_3, or fc7; SSD takes fully_conv, reduced and dilated, without dropout.

    With nopool, convolutions of stride 2 take the place of Poolings. With dilate_pool4, pool4 keeps
    the stride of 8, and what follows is dilated twice as much. Simonyan, Zisserman 2014,
    arXiv:1409.1556; the reduced fc6 is that of Chen et al. 2015, arXiv:1412.7062.
    """
    _refuse_unknown(net, from_layer)
    last, dilation = from_layer, 2 if dilate_pool4 and not nopool else 1
    for block, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        more = {"pad": dilation, "dilation": dilation} if block == 5 else {}
        for number in range(1, count + 1):
            last = _convolution(net, last, f"conv{block}_{number}", width, **more)
        if block == 5 and not need_fc:
            break
        stride = 1 if block == 5 and dilated else 2
        if nopool:
            last, below = f"conv{block}_{count + 1}", last
            window = {"pad": 1, "kernel_size": 3, "stride": stride}
            net[last] = L.Convolution(net[below], num_output=width, **window, **_WEIGHTS)
            continue
        keeps = stride == 1 or (block == 4 and dilate_pool4)
        window = {"kernel_size": 3, "stride": 1, "pad": 1} if keeps else {"kernel_size": 2}
        last, below = f"pool{block}", last
        net[last] = L.Pooling(net[below], pool=P.Pooling.MAX, **{"stride": 2, **window})
    if need_fc:
        width, kernel = (1024, 3) if reduced else (4096, 7)
        dilation *= {(1, 1): 6, (1, 0): 2, (0, 1): 3, (0, 0): 1}[dilated, reduced]
        pad = dilation * (kernel - 1) // 2
        _fully_connected(net, last, fully_conv, reduced, dropout, width, kernel, pad, dilation)
    return _frozen(net, freeze_layers)


def _refuse_unknown(net: NetSpec, from_layer: str) -> None:
    if from_layer not in net.keys():
        raise ValueError(f'the net has no "{from_layer}"; it has {", ".join(net.keys())}')


def _convolution(net: NetSpec, bottom: str, name: str, num_output: int, **more: Any) -> str:
    """A Convolution of 3 x 3 and its ReLU, whose name is returned."""
    options = {"pad": 1, "kernel_size": 3, **more}
    net[name] = L.Convolution(net[bottom], num_output=num_output, **options, **_WEIGHTS)
    relu = name.replace("conv", "relu")
    net[relu] = L.ReLU(net[name], in_place=True)
    return relu


def _fully_connected(
    net: NetSpec,
    bottom: str,
    fully_conv: bool,
    reduced: bool,
    dropout: bool,
    width: int,
    kernel: int,
    pad: int,
    dilation: int,
) -> str:
    """fc6 and fc7 with ReLUs and Dropouts, as Convolutions or InnerProducts; the last name."""
    for number in (6, 7):
        fc, relu = f"fc{number}", f"relu{number}"
        if not fully_conv:
            net[fc] = L.InnerProduct(net[bottom], num_output=4096)
        elif number == 6:
            window = {"pad": pad, "kernel_size": kernel, "dilation": dilation}
            net[fc] = L.Convolution(net[bottom], num_output=width, **window, **_WEIGHTS)
        else:
            net[fc] = L.Convolution(net[bottom], num_output=width, kernel_size=1, **_WEIGHTS)
        net[relu] = L.ReLU(net[fc], in_place=True)
        bottom = last = relu
        if dropout:
            last = f"drop{number}"
            net[last] = L.Dropout(net[relu], dropout_ratio=0.5, in_place=True)
    return last


def _frozen(net: NetSpec, layers: Sequence[str]) -> NetSpec:
    """The net, with lr_mult and decay_mult 0 of these layers, those that it has."""
    for name in layers:
        if name in net.keys():
            net.update(name, {**_WEIGHTS, "param": [_STILL, _STILL]})
    return net


def CreateMultiBoxHead(
    net: NetSpec,
    data_layer: str = "data",
    num_classes: int = 0,
    from_layers: Sequence[str] = (),
    use_objectness: bool = False,
    normalizations: Sequence[float] = (),
    use_batchnorm: bool = True,
    lr_mult: float = 1,
    use_scale: bool = True,
    min_sizes: Sequence[Any] = (),
    max_sizes: Sequence[Any] = (),
    prior_variance: Sequence[float] = (0.1,),
    aspect_ratios: Sequence[Any] = (),
    steps: Sequence[float] = (),
    img_height: int = 0,
    img_width: int = 0,
    share_location: bool = True,
    flip: bool = True,
    clip: bool = True,
    offset: float = 0.5,
    inter_layer_depth: Sequence[int] = (),
    kernel_size: Any = 1,
    pad: Any = 0,
    conf_postfix: str = "",
    loc_postfix: str = "",
    **bn_param: Any,
) -> list[Top]:
    """SSD's heads on `from_layers`, joined: [mbox_loc, mbox_conf, mbox_priorbox].

    Of each, min_sizes, max_sizes and aspect_ratios have a number or a list; normalizations has the
    scale of a Normalize in front, or -1 for none, and inter_layer_depth the channels of one more
    convolution there, or 0. With use_objectness, mbox_objectness comes last.
    """
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(
            f"num_classes: {num_classes}: expected a number of classes, with background"
        )
    if data_layer not in net.keys():
        raise ValueError(f'data_layer: the net has no "{data_layer}"')
    lists = {
        "min_sizes": (min_sizes, True),
        "max_sizes": (max_sizes, False),
        "aspect_ratios": (aspect_ratios, False),
        "steps": (steps, False),
        "normalizations": (normalizations, False),
        "inter_layer_depth": (inter_layer_depth, False),
    }
    for name, (values, needed) in lists.items():
        if (values or needed) and len(values) != len(from_layers):
            raise ValueError(
                f"{name} has {len(values)} values, expected {len(from_layers)}, as from_layers has"
            )
    heads: dict[str, list[Top]] = {"loc": [], "conf": [], "priorbox": []}
    if use_objectness:
        heads["objectness"] = []

    def predict(below: str, kind: str, postfix: str, num_output: int) -> None:
        name = f"{below}_mbox_{kind}{postfix}"
        ConvBNLayer(
            *(net, below, name, use_batchnorm, False, num_output, kernel_size, pad, 1),
            lr_mult=lr_mult,
            **bn_param,
        )
        net[f"{name}_perm"] = L.Permute(net[name], order=[0, 2, 3, 1])
        net[f"{name}_flat"] = L.Flatten(net[f"{name}_perm"], axis=1)
        heads[kind].append(net[f"{name}_flat"])

    for i, below in enumerate(from_layers):
        if normalizations and normalizations[i] != -1:
            filler = {"type": "constant", "value": normalizations[i]}
            options = {"scale_filler": filler, "across_spatial": False, "channel_shared": False}
            net[f"{below}_norm"] = L.Normalize(net[below], **options)
            below = f"{below}_norm"
        if inter_layer_depth and inter_layer_depth[i] > 0:
            name, depth = f"{below}_inter", inter_layer_depth[i]
            ConvBNLayer(
                net, below, name, use_batchnorm, True, depth, 3, 1, 1, lr_mult=lr_mult, **bn_param
            )
            below = name
        least, most = _listed(min_sizes[i]), _listed(max_sizes[i] if max_sizes else [])
        ratios = _listed(aspect_ratios[i] if aspect_ratios else [])
        if most and len(most) != len(least):
            raise ValueError(f"max_sizes: {most}: expected as many as min_sizes: {least}")
        priors = len(least) * (1 + bool(most) + len(ratios) * (2 if flip else 1))
        predict(below, "loc", loc_postfix, priors * 4 * (1 if share_location else num_classes))
        predict(below, "conf", conf_postfix, priors * num_classes)
        prior = f"{below}_mbox_priorbox"
        options = {"min_size": least, "clip": clip, "variance": prior_variance, "offset": offset}
        options |= {"max_size": most} if most else {}
        options |= {"aspect_ratio": ratios, "flip": flip} if ratios else {}
        options |= {"step": steps[i]} if steps and steps[i] else {}
        if img_height and img_width:
            same = img_height == img_width
            sides = {"img_h": img_height, "img_w": img_width}
            options |= {"img_size": img_height} if same else sides
        net[prior] = L.PriorBox(net[below], net[data_layer], **options)
        heads["priorbox"].append(net[prior])
        if use_objectness:
            predict(below, "objectness", "", priors * 2)
    for kind, tops in heads.items():
        net[f"mbox_{kind}"] = L.Concat(*tops, axis=2 if kind == "priorbox" else 1)
    return [net[f"mbox_{kind}"] for kind in heads]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
