"""YOLO v2 for digits in scenes: one map, five anchors in each of its cells, a class for each."""

from caffelite.models.blocks import conv, gaussian
from caffelite.models.detection import TRAINED, evaluate, in_test
from caffelite.models.program import Program
from caffelite.models.scenes import CLASSES, SHAPE, Scenes, one_map
from caffelite.models.yolo import FIVE_NUMBERS
from caffelite.net_spec import layers as L

# In cells, by `caffelite anchors data/scenes_train_lmdb --count 5 --grid 16`, rounded.
ANCHORS = [1.1, 1.9, 1.9, 2.5, 2.9, 3.5, 3.7, 5.2, 6, 6.6]
EACH = len(ANCHORS) // 2


def net(n):
    n.anchors_out = conv(one_map(n), EACH * (5 + CLASSES), 1, gaussian(0.01))
    if "label" in n.tops:
        n.loss = L.RegionLoss(
            n.anchors_out,
            n.label,
            loss_weight=1,
            region_loss_param={
                "num_class": CLASSES,
                "num": EACH,
                "biases": ANCHORS,
                "object_scale": 5,
                "noobject_scale": 1,
                "class_scale": 1,
                "coord_scale": 1,
                "thresh": 0.6,
                "rescore": 0,
            },
            **TRAINED,
        )
    n.detection_out = L.YoloDetectionOutput(
        n.anchors_out,
        yolo_detection_output_param={
            "num_classes": CLASSES,
            "num_box": EACH,
            "biases": ANCHORS,
            "confidence_threshold": 0.01,
            "nms_threshold": 0.45,
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, CLASSES)


program = Program("YOLO-v2-digits", net, Scenes(trained=FIVE_NUMBERS), SHAPE)
