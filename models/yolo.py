"""What YOLO's nets share: Darknet's units, and the layers behind their last maps.

Layers are called as converters of Darknet's nets call them, by the number of their section:
layer1-conv, layer1-bn, layer1-scale, layer1-act. So weights that `caffelite convert` makes fit.
"""

from caffelite.models.blocks import XAVIER, conv, conv_without_bias, max_pool
from caffelite.models.detection import TRAINED, Annotated, evaluate, in_test
from caffelite.net_spec import layers as L

UNIT_PIXELS = {"scale": 1 / 255, "bgr2rgb": True}  # red first, 0 to 1
FIVE_NUMBERS = {"yolo_data_type": 1}  # labels of the losses: 300 rows of class, x, y, width, height


def pictures(folder, size, batch_sizes):
    """Pictures with boxes as MobileNet-YOLO's losses take them."""
    return Annotated(folder, size, batch_sizes, UNIT_PIXELS, expand=False, trained=FIVE_NUMBERS)


def leaky(bottom):
    """y = x where x > 0, x / 10 elsewhere."""
    return L.ReLU(bottom, in_place=True, negative_slope=0.1)


class Sections:
    """Darknet's sections, one after the other: each adds layers, and counts, even if it adds none.

    `made[i]` is what section i made, counted from 0 as in a .cfg.
    """

    def __init__(self, n):
        self.n, self.made = n, []

    @property
    def top(self):
        """What the last section made."""
        return self.made[-1] if self.made else self.n.data

    def _add(self, kind, top):
        self.n[f"layer{len(self.made) + 1}-{kind}"] = top
        self.made.append(top)

    def conv(self, width, size=3, stride=1):
        """A convolution that keeps the size at stride 1, normalized, leaky."""
        n, name = self.n, f"layer{len(self.made) + 1}-{{}}".format
        pad = {"pad": size // 2} if size > 1 else {}
        n[name("conv")] = conv_without_bias(self.top, width, size, XAVIER, stride=stride, **pad)
        n[name("bn")] = L.BatchNorm(n[name("conv")], in_place=True)
        n[name("scale")] = L.Scale(n[name("bn")], in_place=True, bias_term=True)
        self._add("act", leaky(n[name("scale")]))

    def convs(self, *widths):
        """3 x 3 ones, and 1 x 1 ones for every other width: wide, narrow, wide, ..."""
        for i, width in enumerate(widths):
            self.conv(width, 1 if i % 2 else 3)

    def last(self, width):
        """A 1 x 1 convolution with biases, whose values are taken as they are."""
        self._add("conv", conv(self.top, width, 1, XAVIER))

    def pool(self, stride=2):
        """The largest of 2 x 2; at stride 1 the map keeps its size, padded below and right."""
        if stride == 2:
            self._add("maxpool", max_pool(self.top, 2, 2))
            return
        name = f"layer{len(self.made) + 1}-maxpool-all"
        self.n[name] = max_pool(self.top, 2, 1, pad=1)
        self._add("maxpool", L.Crop(self.n[name], self.top, axis=2, offset=1))

    def residual(self, narrow, wide):
        """x + f(x), f being a 1 x 1 and a 3 x 3 convolution."""
        shortcut = self.top
        self.conv(narrow, 1)
        self.conv(wide)
        self._add("shortcut", L.Eltwise(shortcut, self.top))

    def route(self, *numbers):
        """What other sections made, beside each other; counted back from here if negative."""
        parts = [self.made[number] for number in numbers]
        if len(parts) == 1:
            self.made.append(parts[0])
        else:
            self._add("route", L.Concat(*parts))

    def upsample(self):
        self._add("upsample", L.Upsample(self.top, scale=2))

    def reorg(self):
        """Four times as many maps of half the size."""
        self._add("reorg", L.Reorg(self.top, stride=2))

    def answer(self):
        """A section that is not a layer: what is made of its bottom stands at the net's end."""
        self.made.append(self.top)
        return self.top


# YOLO v1


SIDE, BOXES = 7, 2


def yolo_v1(n, top, classes):
    """The 7 x 7 x 30 numbers in `top`, in Darknet's order: a loss in training, and boxes."""
    ways = {"side": SIDE, "sqrt": True, "constriant": True}
    if "label" in n.tops:
        n.loss = L.DetectionLoss(
            by_number(n, top, classes),
            n.label,
            loss_weight=1,
            detection_loss_param={
                **ways,
                "num_class": classes,
                "num_object": BOXES,
                "object_scale": 1,
                "noobject_scale": 0.5,
                "class_scale": 1,
                "coord_scale": 5,
            },
            **TRAINED,
        )
    n.detection_out = L.YoloDetectionOutput(
        top,
        yolo_detection_output_param={
            **ways,
            "layout": "CELLS",
            "num_classes": classes,
            "num_box": BOXES,
            "confidence_threshold": 0.01,
            "nms_threshold": 0.5,
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, classes)


def by_number(n, top, classes):
    """A map for each number, as the loss takes them, of numbers cell by cell, as Darknet has them.

    Those are the classes of all cells, then the confidences of their boxes, then the boxes.
    """
    cells, parts = SIDE * SIDE, {"class": classes, "object": BOXES, "box": 4 * BOXES}
    ends = [cells * classes, cells * (classes + BOXES)]
    tops = L.Slice(top, axis=1, slice_point=ends, ntop=3, name="parts", **TRAINED)
    for (name, each), part in zip(parts.items(), tops, strict=True):
        n[f"{name}_part"] = part
        n[f"{name}_rows"] = L.Reshape(part, shape={"dim": [0, cells, each]}, **TRAINED)
        n[f"{name}_maps"] = L.Permute(n[f"{name}_rows"], order=[0, 2, 1], **TRAINED)
    n.maps = L.Concat(*(n[f"{name}_maps"] for name in parts), axis=1, **TRAINED)
    return n.maps


# YOLO v2 and v3


def region(n, top, classes, anchors):
    """YOLO v2: a loss in training, and the boxes of one map; anchors in cells."""
    boxes = len(anchors) // 2
    if "label" in n.tops:
        n.loss = L.RegionLoss(
            top,
            n.label,
            loss_weight=1,
            region_loss_param={
                "num_class": classes,
                "coords": 4,
                "num": boxes,
                "softmax": 1,
                "rescore": 1,
                "object_scale": 5,
                "noobject_scale": 1,
                "class_scale": 1,
                "coord_scale": 1,
                "thresh": 0.6,
                "biases": anchors,
            },
            **TRAINED,
        )
    n.detection_out = L.YoloDetectionOutput(
        top,
        yolo_detection_output_param={
            "num_classes": classes,
            "num_box": boxes,
            "confidence_threshold": 0.01,
            "nms_threshold": 0.45,
            "biases": anchors,
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, classes)


def yolo_v3(n, tops, classes, anchors, scales, masks):
    """A loss for each map in training, and the boxes of all; anchors in pixels.

    `scales` are the pixels of a cell, `masks` which anchors each map has.
    """
    if "label" in n.tops:
        for i, (top, scale, mask) in enumerate(zip(tops, scales, masks, strict=True), 1):
            n[f"loss{i}"] = _yolov3_loss(n, top, classes, anchors, scale, mask)
    n.detection_out = L.Yolov3DetectionOutput(
        *tops,
        yolov3_detection_output_param={
            "num_classes": classes,
            "num_box": len(masks[0]),
            "confidence_threshold": 0.01,
            "nms_threshold": 0.45,
            "biases": anchors,
            "anchors_scale": scales,
            "mask_group_num": len(masks),
            "mask": [number for mask in masks for number in mask],
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, classes)


def _yolov3_loss(n, top, classes, anchors, scale, mask):
    return L.Yolov3(
        top,
        n.label,
        loss_weight=1,
        yolov3_param={
            "num_class": classes,
            "num": len(mask),
            "class_scale": 1,
            "coord_scale": 1,
            "thresh": 0.7,
            "anchors_scale": scale,
            "biases": anchors,
            "mask": mask,
        },
        **TRAINED,
    )
