"""YOLO v1 for digits in scenes: 16 x 16 cells of two boxes and one class, numbers as they come."""

from caffelite.models.blocks import conv, gaussian
from caffelite.models.detection import TRAINED, evaluate, in_test
from caffelite.models.program import Program
from caffelite.models.scenes import CLASSES, SHAPE, Scenes, one_map
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

SIDE, BOXES = 16, 2
GRID = {"side": SIDE, "sqrt": True, "constriant": True}


def net(n):
    n.out = conv(one_map(n), CLASSES + 5 * BOXES, 1, gaussian(0.01), bias=0.1)
    if "label" in n.tops:
        n.loss = L.DetectionLoss(
            n.out,
            n.label,
            loss_weight=1,
            detection_loss_param={
                **GRID,
                "num_class": CLASSES,
                "num_object": BOXES,
                "object_scale": 1,
                "noobject_scale": 0.5,
                "class_scale": 1,
                "coord_scale": 5,
            },
            **TRAINED,
        )
    n.detection_out = L.YoloDetectionOutput(
        n.out,
        yolo_detection_output_param={
            **GRID,
            "layout": P.YoloDetectionOutput.PLANES,
            "num_classes": CLASSES,
            "num_box": BOXES,
            "confidence_threshold": 0.01,
            "nms_threshold": 0.45,
            "per_image": True,
            "per_class": True,
        },
        **in_test(n),
    )
    evaluate(n, CLASSES)


program = Program("YOLO-v1-digits", net, Scenes(grid=SIDE), SHAPE)
