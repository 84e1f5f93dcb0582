"""YOLO v3 for digits in scenes: three maps, the finer ones seeing the coarser; logistic classes."""

from caffelite.models.blocks import concat, conv, gaussian
from caffelite.models.detection import TRAINED, evaluate, in_test
from caffelite.models.program import Program
from caffelite.models.scenes import CLASSES, SHAPE, Scenes, trunk, unit
from caffelite.models.yolo import FIVE_NUMBERS
from caffelite.net_spec import layers as L

# In pixels, by `caffelite anchors data/scenes_train_lmdb --count 9 --size 128`, rounded.
ANCHORS = [7, 14, 12, 15, 11, 31, 18, 20, 22, 29, 25, 44, 34, 34, 38, 51, 56, 55]
MAPS = {"fourth": 4, "eighth": 8, "sixteenth": 16}  # pixels in a cell
EACH = 3  # anchors of a map


def net(n):
    fourth, eighth, sixteenth = trunk(n)
    sixteenth = unit(n, "4_3", sixteenth, 128)
    eighth = joined(n, "5", sixteenth, eighth, 64, 96)
    fourth = joined(n, "6", eighth, fourth, 32, 64)
    maps = []
    for number, (name, top) in enumerate(zip(MAPS, (fourth, eighth, sixteenth), strict=True)):
        n[f"{name}_out"] = conv(top, EACH * (5 + CLASSES), 1, gaussian(0.01))
        maps.append(n[f"{name}_out"])
        if "label" in n.tops:
            n[f"{name}_loss"] = loss(n, maps[-1], number, MAPS[name])
    n.detection_out = L.Yolov3DetectionOutput(
        *maps,
        yolov3_detection_output_param={
            "num_classes": CLASSES,
            "num_box": EACH,
            "biases": ANCHORS,
            "mask": [*range(EACH * len(MAPS))],
            "mask_group_num": len(MAPS),
            "anchors_scale": [*MAPS.values()],
            "confidence_threshold": 0.01,
            "nms_threshold": 0.45,
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, CLASSES)


def joined(n, name, coarse, fine, narrow, width):
    """The finer map with what the coarser one says of each of its places, made one."""
    top = unit(n, f"{name}_1", coarse, narrow, 1)
    n[f"up{name}"] = L.Upsample(top, scale=2)
    top = concat(n, f"join{name}", n[f"up{name}"], fine)
    top = unit(n, f"{name}_2", top, width * 2 // 3, 1)
    return unit(n, f"{name}_3", top, width)


def loss(n, top, number, pixels):
    return L.Yolov3(
        top,
        n.label,
        loss_weight=1,
        yolov3_param={
            "num_class": CLASSES,
            "num": EACH,
            "biases": ANCHORS,
            "mask": [EACH * number + i for i in range(EACH)],
            "anchors_scale": pixels,
            "coord_scale": 1,
            "thresh": 0.6,
            "iou_thresh": 0.2,
            "label_smooth_eps": 0.0,
        },
        **TRAINED,
    )


program = Program("YOLO-v3-digits", net, Scenes(trained=FIVE_NUMBERS), SHAPE)
