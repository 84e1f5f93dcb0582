"""From a .cfg to a NetParameter, and to the order in which .weights hold its blobs."""

import os

from ...errors import did_you_mean
from .. import caffe_pb2
from . import cfg
from .made import Made, Stored, name_of
from .options import check_unread
from .sections import MISSING, SECTIONS, mask_of

_ACTIVATIONS = {
    "leaky": ("ReLU", {"relu_param": {"negative_slope": 0.1}}),
    "relie": ("ReLU", {"relu_param": {"negative_slope": 0.01}}),
    "relu": ("ReLU", {}),
    "relu6": ("ReLU6", {}),
    "logistic": ("Sigmoid", {}),
    "tanh": ("TanH", {}),
    "elu": ("ELU", {}),
    "swish": ("Swish", {}),
    "hardtan": ("Clip", {"clip_param": {"min": -1, "max": 1}}),
}


class DarknetNet:
    """The net of a .cfg: `param`, a NetParameter, and `stored`, its blobs in the order of .weights.

    It is for use, from an Input to boxes or to what the last section makes.
    """

    def __init__(self, path):
        net, *self.sections = cfg.read(path)
        self.path, self.stored, self.made, self._heads = path, [], [], []
        name = os.path.splitext(os.path.basename(path))[0]
        self.param = caffe_pb2.NetParameter(name=name)
        self._input(net)
        for section in self.sections:
            make = SECTIONS.get(section.name)
            if make is None:
                raise section.error(
                    f"has no layer here{did_you_mean(section.name, SECTIONS)}"
                    if section.name not in MISSING
                    else f"has no layer here: {MISSING[section.name]}"
                )
            self.made.append(make(self, section))
            check_unread(section)
        check_unread(net)
        self._detect()

    def _input(self, net):
        sizes = channels, height, width = [
            net.whole(key, default)
            for key, default in (("channels", 3), ("height", 0), ("width", 0))
        ]
        if not all(sizes):
            raise net.error(f"width, height, channels: {width}, {height}, {channels}: give all")
        self.size = height, width
        self.data = Made("data", (channels, height, width))
        layer = self.add("Input", "data", [], input_param={"shape": [{"dim": [1, *sizes]}]})
        if channels == 3:
            layer.transform_param.CopyFrom(_as_darknet_reads(height, width))

    def add(self, type, name, bottoms, top=None, **options):
        """Add a layer, whose top is called like it if nothing else is said."""
        return self.param.layer.add(
            type=type, name=name, bottom=bottoms, top=[top or name], **options
        )

    def before(self, section):
        """What the section before this one makes."""
        return self.made[-1] if self.made else self.data

    def picture(self, section):
        """That, which must be maps."""
        made = self.before(section)
        if len(made.shape) != 3:
            raise section.error("stands behind a dense layer, which has no maps")
        return made

    def at(self, section, number, key):
        """What section `number` makes, negative: counted back from this one."""
        index = number if number >= 0 else section.index + number
        if not 0 <= index < section.index:
            raise section.error(
                f"{key}={number}: there are {section.index} layers before this one", key
            )
        return self.made[index]

    def store(self, section, layer, *blobs):
        """Note blobs, (index, shape), in the order of .weights."""
        self.stored += [Stored(section, layer, index, shape) for index, shape in blobs]

    def normalize(self, section, blob, channels):
        """BatchNorm and the Scale that it lacks, in place; the names of the two."""
        names = bn, scale = [f"{name_of(section)}-{end}" for end in ("bn", "scale")]
        self.add("BatchNorm", bn, [blob], blob)
        self.add("Scale", scale, [blob], blob, scale_param={"bias_term": True})
        self.stored.append(Stored(section, bn, 2, (1,), always=1))
        return names

    def activate(self, section, made, default="linear"):
        """The section's activation, in place where it is one layer."""
        word = section.word("activation", default)
        if word == "linear":
            return made
        name = f"{name_of(section)}-act"
        if word == "mish":  # x tanh(log(1 + exp(x)))
            self.add("BNLL", f"{name}-softplus", [made.blob])
            self.add("TanH", f"{name}-tanh", [f"{name}-softplus"], f"{name}-softplus")
            product = {"operation": "PROD"}
            self.add("Eltwise", name, [made.blob, f"{name}-softplus"], eltwise_param=product)
            return made._replace(blob=name)
        if word == "loggy":  # 2 / (1 + exp(-x)) - 1, which is tanh(x / 2)
            self.add("Power", f"{name}-half", [made.blob], made.blob, power_param={"scale": 0.5})
            word = "tanh"
        if word not in _ACTIVATIONS:
            known = ["linear", "mish", "loggy", *_ACTIVATIONS]
            raise section.error(
                f"activation={word} has no layer here{did_you_mean(word, known)}", "activation"
            )
        type, options = _ACTIVATIONS[word]
        self.add(type, name, [made.blob], made.blob, **options)
        return made

    # Boxes

    def head(self, section, made, classes, coords, boxes):
        """Note maps that hold boxes, once their number of channels is right."""
        wanted = boxes * (coords + 1 + classes)
        if made.shape[0] != wanted:
            raise section.error(
                f"expected {boxes} * ({coords} + 1 + {classes}) = {wanted} channels, "
                f'and "{made.blob}" has {made.shape[0]}'
            )
        self._heads.append((section, made, classes))

    def _detect(self):
        """The layer that makes boxes of all [yolo] sections."""
        yolo = [head for head in self._heads if head[0].name == "yolo"]
        if not yolo:
            return
        section, _, classes = yolo[0]
        biases = section.numbers("anchors")
        options = caffe_pb2.Yolov3DetectionOutputParameter(
            num_classes=classes, biases=biases, per_image=True, per_class=True
        )
        options.mask_group_num, options.num_box = len(yolo), len(mask_of(section))
        for other, made, others in yolo:
            if others != classes or other.numbers("anchors") != biases:
                raise other.error("has other classes or anchors than the first [yolo]")
            if len(mask_of(other)) != options.num_box:
                raise other.error("has more or fewer boxes in its mask than the first [yolo]")
            scales = {size // side for size, side in zip(self.size, made.shape[1:], strict=True)}
            if len(scales) != 1:
                raise other.error("is not as many times smaller in height as in width")
            options.anchors_scale.append(scales.pop())
            options.mask.extend(mask_of(other))
        bottoms = [made.blob for _, made, _ in yolo]
        name = "detection_out"
        self.add("Yolov3DetectionOutput", name, bottoms, yolov3_detection_output_param=options)


def _as_darknet_reads(height, width):
    """Red first, 0 to 1, the whole picture in the middle of gray."""
    return caffe_pb2.TransformationParameter(
        scale=1 / 255,
        bgr2rgb=True,
        resize_param={
            "resize_mode": "FIT_LARGE_SIZE_AND_PAD",
            "height": height,
            "width": width,
            "pad_mode": "CONSTANT",
            "pad_value": [127.5],
        },
    )
