from functools import partial

import numpy as np

from caffelite.testing import TEST, case

from ..reference import detection as ref
from ..reference import yolo

# YOLO

SIZES = yolo.ANCHORS
SCORES = (2, 24, 4, 5)  # 3 anchors of 5 + 3 numbers
BOXES = [
    [[0, 0.3, 0.4, 0.35, 0.2], [2, 0.35, 0.45, 0.3, 0.5], [1, 0.9, 0.1, 0.15, 0.25]],
    [[1, 0.62, 0.55, 0.5, 0.4], [0, 0, 0, 0, 0], [2, 0.5, 0.5, 0.5, 0.5]],
]


def rows(values, per_picture):
    """A blob of labels: rows of class, x, y, w, h for pictures in turn, 0 behind them."""

    def fill(generator, shape):
        blob = np.zeros((shape[0], per_picture, 5))
        for n in range(shape[0]):
            blob[n, :3] = values[n % len(values)]
        return blob.reshape(shape)

    return fill


def annotated(generator, shape):
    """Rows as AnnotatedData's; the last one is of no picture, and the second is clipped."""
    return [
        [0, 1, 0, 0.1, 0.3, 0.5, 0.5, 0],
        [1, 3, 0, 0.0, 0.2, 0.3, 0.9, 0],
        [0, 2, 0, 0.85, 0.05, 0.95, 0.3, 0],
        [-1, -1, -1, -1, -1, -1, -1, -1],
    ] * np.ones(shape)


def biases(values):
    return " ".join(f"biases: {v}" for v in values)


def region(fields="", num=3, sizes=SIZES):
    given = f"num_class: 3 num: {num} {biases(sizes)} {fields}"
    return f"region_loss_param {{ {given} }}"


def loss(twin, **how):
    """The loss that a twin says; `.gradient` is what it says of the bottom, for test_yolo.py."""

    def number(*blobs):
        return twin(*blobs, **how)[0]

    number.gradient = lambda *blobs: twin(*blobs, **how)[1]
    return number


FIVES = {1: rows(BOXES, 6)}
YOLO = dict(values=FIVES, gradient=False)
"""The gradient is no derivative of the loss: test_yolo.py holds it against the twin's."""

case("RegionLoss", [SCORES, (2, 1, 6, 5)], region(), expect=loss(yolo.region_loss), **YOLO)
case(
    "RegionLoss",
    [SCORES, (2, 1, 6, 5)],
    region("rescore: 0 bias_match: 0 thresh: 0.5 coord_scale: 2 object_scale: 3"),
    expect=loss(
        yolo.region_loss, rescore=False, bias_match=False, thresh=0.5, coord_scale=2, object_scale=3
    ),
    **YOLO,
)
SQUARE = (2, 24, 4, 4)
case(
    "RegionLoss",
    [SQUARE, (2, 150)],
    region("side: 4 noobject_scale: 1"),
    expect=loss(yolo.region_loss, form="gklz", noobject_scale=1),
    values={1: rows(BOXES, 30)},
    gradient=False,
)
case(
    "RegionLoss",
    [SQUARE, (1, 1, 4, 8)],
    region("side: 4 class_scale: 2 bias_match: 0"),
    expect=loss(yolo.region_loss, form="intel", class_scale=2, bias_match=False),
    values={1: annotated},
    gradient=False,
    batch_axis=None,
)
refused = partial(case, "RegionLoss")
refused([(2, 23, 4, 4), (2, 1, 6, 5)], region(), error="(N, 24, H, W): 3 anchors of 5 and 3 class")
refused([SQUARE, (2, 1, 6, 4)], region(), error="expected (N, 1, T, 5), rows of class from 0, x")
refused([SQUARE, (2, 150)], region(), error="expected side, 13, rows and columns; write how")
refused([SQUARE, (2, 1, 6, 5)], region(sizes=SIZES[:4]), error="4 biases, expected a width and a")
refused(
    [SQUARE, (2, 1, 6, 5)], region(sizes=[0, *SIZES[1:]]), error="biases: 0, expected sizes abo"
)
refused([SQUARE, (2, 1, 6, 5)], "region_loss_param { num: 0 }", error="0 boxes a cell of 20 clas")
refused([SQUARE, (2, 1, 6, 5)], region("coords: 8"), error="coords: 8, expected 4: x, y, w, h")
refused([SQUARE, (2, 1, 6, 5)], region('class_map: "m"'), error="class_map is not done; write the")
refused([SQUARE, (2, 1, 6, 5)], region('softmax_tree: "t"'), error="softmax_tree is not done; tra")
for row, words in (
    ([3, 0.5, 0.5, 0.1, 0.1], "row 1, of picture 1, with label 3 and center and sides (0.5, 0.5, "),
    ([-1, 0.5, 0.5, 0.1, 0.1], "names no class, expected 0 to 2"),
    ([0, 0.5, np.nan, 0.1, 0.1], "holds what is no number"),
    ([0, 0.5, 0.5, 0.1, 0], "is a box of no area; leave it out of the data"),
    ([0, 0.5, 0.5, 0.1, -0.1], "is a box of no area"),
    ([0, 1, 0.5, 0.1, 0.1], "has its center outside of the picture"),
):
    good = [0, 0.5, 0.5, 0.2, 0.2]
    bad = {1: rows([[good] * 3, [good, row, good]], 6)}
    refused([SQUARE, (2, 1, 6, 5)], region(), values=bad, error=words)
refused(
    [SQUARE, (1, 1, 1, 8)],
    region("side: 4"),
    values={1: [2, 1, 0, 0.1, 0.1, 0.2, 0.2, 0]},
    error="row 0, of picture 2, with label 1 and center and sides (0.15, 0.15, 0.1, 0.1), is of no",
)
refused(
    [SQUARE, (1, 1, 1, 8)],
    region("side: 4"),
    values={1: [0, 0, 0, 0.1, 0.1, 0.2, 0.2, 0]},
    error="names no class, expected 1 to 3",
)

V3 = [(2, 16, 4, 5), (2, 1, 6, 5)]  # 2 anchors of 5 + 3 numbers


def v3(fields="", mask=(0, 1), scale=32):
    masks = " ".join(f"mask: {k}" for k in mask)
    given = f"num_class: 3 num: {len(mask)} anchors_scale: {scale} {masks} {biases(yolo.PIXELS)}"
    return f"yolov3_param {{ {given} {fields} }}"


def v3_case(fields="", mask=(0, 1), scale=32, **how):
    twin = loss(yolo.yolov3, mask=mask, scale=scale, **how)
    case("Yolov3", V3, v3(fields, mask, scale), expect=twin, **YOLO)


v3_case()
case("Yolov3", V3, v3("iou_loss: GIOU max_delta: -1"), error="max_delta is -1, expected 0 or more")
case(
    "YoloDetectionOutput",
    [SCORES],
    "yolo_detection_output_param { num_classes: 3 num_box: 3 nms_threshold: -1 "
    f"{biases(SIZES)} }}",
    error="nms_threshold is -1, expected 0 or more",
    phase=TEST,
)
v3_case(
    "class_scale: 2 coord_scale: 1 thresh: 0.6 label_smooth_eps: 0",
    class_scale=2,
    coord_scale=1,
    thresh=0.6,
    eps=0,
)
v3_case("use_focal_loss: true iou_thresh: 0.3", focal=True, iou_thresh=0.3)
v3_case("use_logic_gradient: true object_scale: 3", logic=True, object_scale=3)
for name in ("IOU", "GIOU", "DIOU", "CIOU"):
    v3_case(f"iou_loss: {name} iou_thresh: 0.2", mask=(1, 3), scale=24, kind=name, iou_thresh=0.2)
v3_case(
    "iou_loss: GIOU iou_normalizer: 0.7 accumulate: false max_delta: 0.1 use_logic_gradient: true",
    kind="GIOU",
    weight=0.7,
    adds=False,
    most=0.1,
    logic=True,
)
refused = partial(case, "Yolov3")
refused([V3[0], (2, 30)], v3(), error="expected (2, 1, T, 5), rows of class, x, y, w, h")
refused(V3, v3("num: 3"), error="mask names 2 anchors, expected num, 3")
refused(V3, v3(mask=(0, 4)), error="mask: 4, but biases has 4 anchors")
refused([(2, 17, 4, 5), V3[1]], v3(), error="expected (N, 16, H, W): 2 anchors of 5 and 3 classes")

FOUND = dict(phase=TEST, batch_axis=None, gradient=False)


def out(fields="", sizes=SIZES):
    given = f"num_classes: 3 num_box: 3 {biases(sizes)} {fields}"
    return f"yolo_detection_output_param {{ {given} }}"


case(
    "YoloDetectionOutput",
    [SCORES],
    out("per_image: true"),
    expect=partial(yolo.yolo_detection_output, per_image=True),
    **FOUND,
)
case(
    "YoloDetectionOutput",
    [(1, 24, 4, 5), (1, 24, 2, 3)],
    out("confidence_threshold: 0.2 nms_threshold: 0.3"),
    expect=partial(yolo.yolo_detection_output, least=0.2, threshold=0.3),
    **FOUND,
)
case(
    "YoloDetectionOutput",
    [SCORES],
    out("per_class: true per_image: true"),
    expect=partial(yolo.yolo_detection_output, per_image=True, per_class=True),
    **FOUND,
)
case(
    "YoloDetectionOutput",
    [SCORES],
    out("confidence_threshold: 1"),
    shapes=[(1, 1, 2, 7)],
    expect=partial(yolo.yolo_detection_output, least=1),
    **FOUND,
)
for layout in ("PLANES", "CELLS"):
    given = f"num_classes: 3 num_box: 2 side: 3 layout: {layout} per_image: true"
    case(
        "YoloDetectionOutput",
        [(2, 117)],
        f"yolo_detection_output_param {{ {given} }}",
        expect=partial(
            yolo.v1_output, side=3, classes=3, boxes=2, planes=layout == "PLANES", per_image=True
        ),
        **FOUND,
    )
given = (
    "num_classes: 3 num_box: 2 side: 3 layout: PLANES sqrt: false constriant: true per_class: true"
)
case(
    "YoloDetectionOutput",
    [(1, 13, 3, 3)],
    f"yolo_detection_output_param {{ {given} }}",
    positive=True,
    expect=partial(
        yolo.v1_output, side=3, classes=3, boxes=2, sqrt=False, constriant=True, per_class=True
    ),
    **FOUND,
)
refused = partial(case, "YoloDetectionOutput", phase=TEST)
refused([SCORES], "yolo_detection_output_param { num_box: 3 }", error="num_classes is missing")
refused([(2, 25, 4, 5)], out(), error="expected (N, 24, H, W): 3 anchors of 5 and 3 classes")
refused([SCORES], out(sizes=SIZES[:5]), error="5 biases, expected a width and a height for each")
refused([(2, 116)], f"yolo_detection_output_param {{ {given} }}", error="expected 117 numbers a pi")


def v3_out(fields="", maps=2, masks=(2, 3, 0, 1), scales=(32, 16)):
    given = " ".join([f"mask: {k}" for k in masks] + [f"anchors_scale: {s}" for s in scales])
    given += f" num_classes: 3 num_box: 2 mask_group_num: {maps} {biases(yolo.PIXELS)} {fields}"
    return f"yolov3_detection_output_param {{ {given} }}"


MAPS = [(2, 16, 2, 3), (2, 16, 4, 6)]
v3_twin = partial(
    yolo.yolov3_detection_output, sizes=yolo.PIXELS, mask=(2, 3, 0, 1), scales=(32, 16)
)
case(
    "Yolov3DetectionOutput",
    MAPS,
    v3_out("per_image: true"),
    expect=partial(v3_twin, per_image=True),
    **FOUND,
)
case(
    "Yolov3DetectionOutput",
    MAPS,
    v3_out("per_image: true per_class: true confidence_threshold: 0.3"),
    expect=partial(v3_twin, per_image=True, per_class=True, least=0.3),
    **FOUND,
)
case(
    "Yolov3DetectionOutput",
    [(1, 16, 2, 3)],
    v3_out("nms_threshold: 0.2", 1, (1, 3), (20,)),
    expect=partial(
        yolo.yolov3_detection_output, sizes=yolo.PIXELS, mask=(1, 3), scales=(20,), threshold=0.2
    ),
    **FOUND,
)
refused = partial(case, "Yolov3DetectionOutput", phase=TEST)
refused(MAPS, v3_out("gaussian_box: true"), error="gaussian_box is not done: MobileNet-YOLO finds")
refused(MAPS, v3_out(maps=3), error="mask_group_num: 3, but there are 2 maps")
refused(MAPS, v3_out(masks=(2, 3, 0)), error="mask names 3 anchors, expected num_box, 2, for each")
refused(MAPS, v3_out(scales=(32,)), error="anchors_scale: [32], expected the pixels in a cell of 2")
refused(MAPS, v3_out(masks=(2, 9, 0, 1)), error="mask: 9, but biases has 4 anchors")

FIRST = [(2, 117), (2, 63)]  # 9 cells of 3 classes and 2 boxes


def first_labels(generator, shape):
    """Objects in some cells, one of them difficult; the class of others is -1."""
    labels = np.zeros((shape[0], 7, 9))
    labels[:, 2] = -1
    for n in range(shape[0]):
        boxes = np.zeros((9, 4))
        for cell, label, difficult in ((1, 0, 0), (4, 2, 1), (8, 2, 0))[: 1 + n % 3 + n // 1 % 2]:
            labels[n, :3, cell] = difficult, 1, label
            row, column = divmod(cell, 3)
            boxes[cell] = (column + 0.4) / 3, (row + 0.7) / 3, 0.3 + 0.1 * n, 0.5
        labels[n, 3:] = boxes.reshape(4, 9)
    return labels.reshape(shape)


def first(fields="", name="detection_loss_param"):
    return f"{name} {{ side: 3 num_class: 3 num_object: 2 {fields} }}"


V1 = dict(values={1: first_labels})
how = dict(side=3, classes=3, boxes=2)
case("DetectionLoss", FIRST, first(), expect=loss(yolo.detection_loss, **how), gradient=False, **V1)
case(
    "DetectionLoss",
    [(2, 13, 3, 3), (2, 63)],
    first(
        "sqrt: false constriant: true object_scale: 2 noobject_scale: 1 class_scale: 3 "
        "coord_scale: 1"
    ),
    expect=loss(
        yolo.detection_loss,
        sqrt=False,
        constriant=True,
        object_scale=2,
        noobject_scale=1,
        class_scale=3,
        coord_scale=1,
        **how,
    ),
    gradient=False,
    **V1,
)
case(
    "DetectionLoss",
    FIRST,
    first(),
    values={1: [0]},
    expect=loss(yolo.detection_loss, **how),
    gradient=False,
)
refused = partial(case, "DetectionLoss")
refused(
    [(2, 116), (2, 63)], first(), error="expected 117 numbers a picture: 3^2 cells of 3 classes"
)
refused([(2, 117), (2, 62)], first(), error="expected 2 x 63: 7 numbers for each of 3^2 cells")
for cell, words in (
    (
        [0, 1, 3, 0.5, 0.5, 0.1, 0.1],
        "column 2 of picture 0, with label 3 and center and sides (0.5, ",
    ),
    ([0, 1, -1, 0.5, 0.5, 0.1, 0.1], "names no class, expected 0 to 2"),
    ([0, 1, 0, 0.5, 0.5, 0.1, 0], "is a box of no area; leave it out of the data"),
    ([0, 1, 0, 0.5, np.nan, 0.1, 0.1], "holds what is no number"),
    ([0, 1, 0, 0.5, 1.5, 0.1, 0.1], "has its center outside of the picture, in no cell"),
    ([0, np.nan, 0, 0.5, 0.5, 0.1, 0.1], "is neither there nor not: expected 0 or 1"),
):
    label = np.zeros((7, 9))
    label[:3, 5] = cell[:3]
    label[3:].reshape(9, 4)[5] = cell[3:]
    refused(FIRST, first(), values={1: label.ravel()}, error=words)
edge = np.zeros((7, 9))
edge[1, 5] = 1
edge[3:].reshape(9, 4)[5] = [1 + 1e-6, 0.5, 0.1, 0.1]  # rounded outwards
case(
    "DetectionLoss",
    FIRST,
    first(),
    values={1: np.concatenate([edge.ravel()] * 2)},
    expect=loss(yolo.detection_loss, **how),
    gradient=False,
)
refused(FIRST, first("side: 0"), error="side is 0, expected the number of cells")
refused(FIRST, "detection_loss_param { num_class: 0 }", error="2 boxes a cell of 0 classes")

case(
    "EvalDetection",
    FIRST,
    first("threshold: 0.1", "eval_detection_param"),
    expect=partial(yolo.eval_first, threshold=0.1, **how),
    gradient=False,
    **V1,
)
case(
    "EvalDetection",
    FIRST,
    first("threshold: 0.3 nms: 0.4 score_type: OBJ", "eval_detection_param"),
    expect=partial(yolo.eval_first, threshold=0.3, nms=0.4, score="OBJ", **how),
    gradient=False,
    **V1,
)
given = f"eval_detection_param {{ side: 4 num_class: 3 num_object: 3 nms: 0.5 {biases(SIZES)} }}"
EVAL = dict(phase=TEST, gradient=False)
case(
    "EvalDetection",
    [SQUARE, (2, 150)],
    given,
    values={1: rows(BOXES, 30)},
    shapes=[(2, 195)],
    **EVAL,
)
refused = partial(case, "EvalDetection", phase=TEST)
refused(
    [SQUARE, (2, 1, 6, 5)], given, error="2 x 112, 7 numbers a cell; or (1, 1, R, 8), rows of A"
)
refused(FIRST, first("", "eval_detection_param").replace("side: 3", "side: 2"), error="2 x 28, 7 n")
refused([SCORES, (2, 150)], given, error="expected side, 4, rows and columns")


# SSD

MAP, PICTURE = (2, 3, 4, 5), (2, 1, 40, 60)


def prior_box(fields, error=None, **expected):
    case(
        "PriorBox",
        [MAP, PICTURE],
        f"prior_box_param {{ {fields} }}",
        expect=None if error else partial(ref.prior_box, **expected),
        error=error,
        gradient=False,
    )


prior_box("min_size: 12", min_size=[12])
prior_box(
    "min_size: 12.9 min_size: 20 max_size: 21.9 max_size: 33 aspect_ratio: 2 aspect_ratio: 0.5 "
    "aspect_ratio: 3 aspect_ratio: 1",  # half is there as the other side of 2
    min_size=[12, 20],
    max_size=[21, 33],
    ratios=[2, 0.5, 3, 1 / 3],
)
prior_box(
    "min_size: 30 aspect_ratio: 2 flip: false clip: true variance: 0.1 variance: 0.1 variance: 0.2 "
    "variance: 0.4",
    min_size=[30],
    ratios=[2],
    clip=True,
    variance=[0.1, 0.1, 0.2, 0.4],
)
prior_box(
    "min_size: 12 step_h: 8 step_w: 11 offset: 0.25 img_h: 50 img_w: 64 variance: 0.3",
    min_size=[12],
    step=(8, 11),
    offset=0.25,
    size=(50, 64),
    variance=[0.3] * 4,
)
for fields, error in (
    ("", "min_size is missing"),
    ("min_size: 0.5", "min_size is 0.5, expected at least 1 pixel"),
    ("min_size: 9 min_size: 4 max_size: 12", "has 1 max_size, expected none, or one for each"),
    ("min_size: 9 max_size: 9", "max_size is 9, expected more than min_size 9"),
    ("min_size: 9 variance: 1 variance: 2", "variance is 1, 2, expected one number above 0, or"),
    ("min_size: 9 variance: 0", "variance is 0, expected one number above 0, or four"),
    ("min_size: 9 aspect_ratio: -1", "aspect_ratio is -1, expected numbers above 0"),
    ("min_size: 9 img_size: 9 img_h: 4", "has img_size and img_h, expected one of the two forms"),
    ("min_size: 9 img_h: 4", "has img_h alone; write img_w, too, or img_size for both"),
    ("min_size: 9 step_w: 4", "has step_w alone; write step_h, too, or step for both"),
    ("min_size: 9 step: 0", "step is 0, expected a number above 0"),
    ("min_size: inf", "min_size is inf, expected a finite number"),
    ("min_size: 9 max_size: inf", "max_size is inf, expected a finite number"),
    ("min_size: 9 aspect_ratio: 2 aspect_ratio: inf", "aspect_ratio is 2, inf, expected a finite"),
    ("min_size: 9 offset: nan", "offset is nan, expected a finite number"),
):
    prior_box(fields, error)
for shapes, error in (
    ([(2, 3, 4), PICTURE], '"x0" has shape (2, 3, 4), expected (N, C, height, width)'),
    ([MAP, (2, 3)], '"x1" has shape (2, 3), expected (N, C, height, width)'),
):
    case("PriorBox", shapes, "prior_box_param { min_size: 9 }", error=error)

GENERATOR = np.random.default_rng(3)


def boxes(count):
    """Boxes within the picture, of many sizes."""
    center, size = GENERATOR.uniform(0.1, 0.9, (count, 2)), GENERATOR.uniform(0.1, 0.6, (count, 2))
    return np.concatenate([center - size / 2, center + size / 2], axis=1)


def truth_rows(*images_and_labels):
    """Ground truth: a box for each (image, label), the last of which is difficult."""
    found = np.zeros((1, 1, len(images_and_labels), 8))
    found[0, 0, :, :2] = images_and_labels
    found[0, 0, :, 3:7] = boxes(len(images_and_labels)).clip(0, 1)
    found[0, 0, -1, 7] = 1
    return found


COUNT, CLASSES = 26, 4  # so many that gradients are tried in a few directions
PRIORS = np.stack([boxes(COUNT).ravel(), np.tile([0.1, 0.1, 0.2, 0.3], COUNT)])[None]
TRUTH = truth_rows((0, 1), (0, 3), (2, 2), (2, 1))
SSD = {"code": "CENTER_SIZE", "classes": CLASSES}


def multi_box(fields="", images=3, truth=TRUTH, expect=None, error=None, places=1, loss="", **how):
    case(
        "MultiBoxLoss",
        [(images, COUNT * 4 * places), (images, COUNT * CLASSES), PRIORS.shape, truth.shape],
        f"multibox_loss_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE {fields} }} {loss}",
        values={2: PRIORS, 3: truth},
        expect=None if expect is None else partial(ref.multi_box_loss, **SSD | expect),
        error=error,
        shapes=[()],
        **{"batch_axis": None} | how,
    )


multi_box(expect={})
multi_box("neg_pos_ratio: 1.5 neg_overlap: 0.3", expect={"ratio": 1.5, "below": 0.3})
multi_box("mining_type: NONE loc_weight: 0.3", expect={"mining": "NONE", "weight": 0.3})
multi_box(
    "mining_type: HARD_EXAMPLE sample_size: 6",
    expect={"mining": "HARD_EXAMPLE", "sample_size": 6},
)
multi_box("conf_loss_type: LOGISTIC", expect={"softmax": False})
multi_box(
    "conf_loss_type: LOGISTIC mining_type: NONE loc_loss_type: L2",
    expect={"softmax": False, "mining": "NONE", "square": True},
)
multi_box(
    "code_type: CORNER_SIZE match_type: BIPARTITE",
    expect={"code": "CORNER_SIZE", "threshold": None},
)
multi_box(
    "use_difficult_gt: false overlap_threshold: 0.3", expect={"difficult": False, "threshold": 0.3}
)
multi_box(truth=np.full((1, 1, 1, 8), -1.0), expect={}, batch_axis=0)
multi_box(truth=truth_rows((0, 2), (0, 3)), expect={}, batch_axis=0, empty=False)
# what these compute is recorded; here they must have gradients
multi_box("share_location: false mining_type: NONE", places=CLASSES)
multi_box("share_location: false mining_type: NONE use_prior_for_matching: false", places=CLASSES)
multi_box("use_prior_for_matching: false bp_inside: true")
multi_box("ignore_cross_boundary_bbox: true nms_param { nms_threshold: 0.4 top_k: 9 }")
multi_box(
    "encode_variance_in_target: true", gradient=False
)  # it is not that of the loss, as in SSD
multi_box("map_object_to_agnostic: true", error="num_classes is 4, expected 2, the background and")
multi_box(
    "map_object_to_agnostic: true num_classes: 2 background_label_id: 1",
    error="background_label_id is 1, expected 0 with map_object_to_agnostic",
)
multi_box("num_classes: 0", error="num_classes is missing")
multi_box("background_label_id: 4", error="background_label_id is 4, expected 0 to 3")
multi_box("do_neg_mining: false", error="do_neg_mining is false, mining_type MAX_NEGATIVE")
multi_box("share_location: false", places=4, error="write mining_type: NONE")
multi_box("nms_param { nms_threshold: 0.4 }", error="nms_param of mining has no top_k")
multi_box("neg_pos_ratio: -1", error="neg_pos_ratio is -1, expected 0 or more")
multi_box("neg_pos_ratio: inf", error="neg_pos_ratio is inf, expected a finite number")
multi_box("mining_type: HARD_EXAMPLE sample_size: 0", error="sample_size is 0, expected at least 1")
multi_box(
    "num_classes: 5", error='"x1" has shape (3, 104), expected (3, 130): 5 scores for each of 26'
)
multi_box(places=2, error='"x0" has shape (3, 208), expected (3, 104): 4 numbers for each of 26')
multi_box(
    truth=np.zeros((1, 1, 2, 7)), error='"x3" has shape (1, 1, 2, 7), expected (1, 1, boxes, 8)'
)
multi_box(truth=truth_rows((3, 1)), error="expected an image from 0 to 2, one of the batch")
multi_box(
    truth=truth_rows((0, 4)),
    error="expected a label from 0 to 3; num_classes counts the background",
)
multi_box(truth=truth_rows((0, 0)), error="expected another label than 0, background_label_id")
multi_box(truth=truth_rows((0, 1)) + ([0] * 5 + [np.nan] * 3), error="expected numbers")
multi_box(error='bottom[2] "x2" has no gradient, but propagate_down asks for it')
case(
    "MultiBoxLoss",
    [(3, 8), (3, 8), (1, 2, 8), (1, 1, 1, 8)],
    "multibox_loss_param { num_classes: 4 code_type: CENTER_SIZE }",
    values={2: [0, 0, 1, 1, 0, 0, 0, 1], 3: [-1.0]},
    error='"x2": prior 1 is (0, 0, 0, 1), expected a box with an area, which the code CENTER_SIZE',
)
case(
    "MultiBoxLoss",
    [(3, 8), (3, 8), (1, 8), (1, 1, 1, 8)],
    "multibox_loss_param { num_classes: 4 }",
    error='"x2" has shape (1, 8), expected (1, 2, priors * 4), as PriorBox makes them',
)


def softmax(generator, shape):
    x = np.exp(2 * generator.standard_normal((shape[0], COUNT, CLASSES)))
    return (x / x.sum(axis=2, keepdims=True)).reshape(shape)


def output(fields="", places=1, scores=softmax, **expect):
    error = expect.pop("error", None)
    case(
        "DetectionOutput",
        [(3, COUNT * 4 * places), (3, COUNT * CLASSES), PRIORS.shape],
        f"detection_output_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE {fields} }}",
        values={1: scores, 2: PRIORS},
        expect=None if error or places > 1 else partial(ref.detection_output, **SSD | expect),
        error=error,
        shapes=None,
        gradient=False,
        empty=False,
        phase=TEST,
    )


output()
output(
    "nms_param { nms_threshold: 0.45 top_k: 9 } confidence_threshold: 0.1 keep_top_k: 8",
    threshold=0.45,
    top_k=9,
    above=0.1,
    keep=8,
)
output(
    "code_type: CORNER background_label_id: 2 nms_param { nms_threshold: 0.9 eta: 0.8 }",
    code="CORNER",
    background=2,
    threshold=0.9,
    eta=0.8,
)
output("background_label_id: -1 confidence_threshold: 0.4", background=-1, above=0.4)
output("clip: true confidence_threshold: 0.1", clip=True, above=0.1)
output("confidence_threshold: 2", above=2)
output("share_location: false confidence_threshold: 0.2", places=CLASSES)
output("num_classes: 0", error="num_classes is missing")
output("num_classes: 1", error="num_classes is 1: the background counts, too")
output("nms_param { nms_threshold: -1 }", error="nms_threshold is -1, expected 0 or more")
output("nms_param { eta: 0 }", error="eta is 0, expected a number above 0, and 1 at most")
output(
    "share_location: false", error='"x0" has shape (3, 104), expected (3, 416): 4 numbers for each'
)
output(scores=[0.5, np.nan], error='"x1" holds values that are no numbers, or too large')
case(
    "DetectionOutput",
    [(1, 4), (1, 2), (1, 2, 4)],
    "detection_output_param { num_classes: 2 code_type: CENTER_SIZE }",
    values={0: [0, 0, 800, 1], 2: [0, 0, 1, 1, 1, 1, 1, 1]},
    error="found the box (-inf, -0.859141, inf, 1.85914); the net has diverged; go back",
)
SAVE = 'output_directory: "out" label_map_file: "map" name_size_file: "sizes"'
output(
    f'save_output_param {{ {SAVE} output_format: "CSV" }}',
    error='output_format is "CSV", expected VOC or COCO or ILSVRC',
)
output(
    f'save_output_param {{ {SAVE} output_format: "VOC" resize_param {{ height: 3 }} }}',
    error="resize_param of save_output_param: give height and width",
)

DETECTED = np.zeros((1, 1, 9, 7))
DETECTED[0, 0, :, 0] = [0, 0, 0, 0, 1, 1, 2, 2, -1]
DETECTED[0, 0, :, 1] = [1, 1, 1, 3, 2, 2, 2, -1, -1]
DETECTED[0, 0, :, 2] = [0.4, 0.9, 0.4, 0.7, 0.2, 0.8, 0.5, -1, -1]
DETECTED[0, 0, :, 3:] = boxes(9)
DETECTED[0, 0, [0, 1, 3, 6], 3:] = TRUTH[0, 0, [0, 0, 1, 2], 3:7] + 0.01
RIGHT = truth_rows((0, 1), (0, 3), (2, 2), (0, 1))
RIGHT[0, 0, :3] = TRUTH[0, 0, :3]
RIGHT[0, 0, 3, 3:7] = DETECTED[0, 0, 2, 3:]  # difficult


def evaluate(fields="", found=DETECTED, truth=RIGHT, error=None, classes=CLASSES, **expect):
    case(
        "DetectionEvaluate",
        [found.shape, truth.shape],
        f"detection_evaluate_param {{ num_classes: {classes} {fields} }}",
        values={0: found, 1: truth},
        expect=None if error else partial(ref.detection_evaluate, classes=classes, **expect),
        error=error,
        gradient=False,
        batch_axis=None,
        phase=TEST,
    )


evaluate()
evaluate("evaluate_difficult_gt: false", difficult=False)
evaluate("overlap_threshold: 0.95", threshold=0.95)
evaluate(found=DETECTED[:, :, 7:])
evaluate(truth=np.full((1, 1, 1, 8), -1.0))
evaluate(classes=0, error="num_classes is missing")
evaluate("overlap_threshold: 0", error="overlap_threshold is 0, expected a number above 0")
evaluate(found=DETECTED[..., 1:], error='"x0" has shape (1, 1, 9, 6), expected (1, 1, boxes, 7)')
evaluate(truth=RIGHT[..., 1:], error='"x1" has shape (1, 1, 4, 7), expected (1, 1, boxes, 8)')
evaluate(found=DETECTED * [1, 0, 1, 1, 1, 1, 1], error="expected numbers, and another label than 0")
evaluate(truth=RIGHT * [1, 0, 1, 1, 1, 1, 1, 1], error="expected another label than 0")

# Regions of interest

CORNERS = [[3, 2, 13, 9], [-5, 4, 6, 40], [8.4, 1.6, 2, 0.9], [60, 60, 90, 70], [0, 0, 0, 0]]


def regions(generator, shape):
    """On map 0: in the map, beyond it, turned around, outside, and of a single pixel."""
    return np.insert(CORNERS, 0, 0, axis=1).reshape(shape)


POOL = "pooled_h: 3 pooled_w: 2 spatial_scale: 0.25"
MAPS = [(2, 3, 6, 7), (5, 5)]
ROIS = dict(values={1: regions}, empty=False)

case(
    "ROIPooling",
    MAPS,
    f"roi_pooling_param {{ {POOL} }}",
    expect=partial(ref.roi_pooling, grid=(3, 2), scale=0.25),
    distinct=True,
    **ROIS,
)
case(
    "ROIPooling",
    [MAPS[0], (5, 5, 1, 1)],
    "roi_pooling_param { pooled_size: 2 }",
    expect=partial(ref.roi_pooling, grid=(2, 2), scale=1),
    distinct=True,
    **ROIS,
)
case(
    "ROIAlign",
    MAPS,
    f"roi_align_param {{ {POOL} }}",
    expect=partial(ref.roi_align, grid=(3, 2), scale=0.25),
    **ROIS,
)
case(
    "ROIAlign",
    MAPS,
    f"roi_align_param {{ {POOL} sampling_ratio: 2 }}",
    expect=partial(ref.roi_align, grid=(3, 2), scale=0.25, samples=2),
    **ROIS,
)
case(
    "ROIAlign",
    MAPS,
    f"roi_align_param {{ {POOL} sampling_ratio: 2 pad_ratio: 0.25 }}",
    expect=partial(ref.roi_align, grid=(3, 2), scale=0.25, samples=2, pad=0.25),
    **ROIS,
)
case(
    "PSROIPooling",
    [(2, 27, 6, 7), (5, 5)],
    "psroi_pooling_param { output_dim: 3 group_size: 3 spatial_scale: 0.25 }",
    expect=partial(ref.psroi_pooling, size=3, scale=0.25),
    **ROIS,
)
for type, options, error in (
    ("ROIPooling", "", "pooled_h or pooled_w is missing: bins of a region, 1 or more"),
    ("ROIPooling", "roi_pooling_param { pooled_h: 7 }", "pooled_h or pooled_w is missing"),
    ("ROIPooling", "roi_pooling_param { pooled_size: [1, 2, 3] }", "3 entries, expected 1 or 2"),
    ("ROIPooling", "roi_pooling_param { pooled_size: 7 pooled_w: 7 }", "expected one of the form"),
    ("ROIAlign", "roi_align_param { pooled_h: 7 pooled_w: 7 spatial_scale: 0 }", "is 0, expected "),
    ("ROIAlign", f"roi_align_param {{ {POOL} sampling_ratio: 1000000 }}", "expected at most 1000"),
    ("ROIAlign", f"roi_align_param {{ {POOL} pad_ratio: -1 }}", "pad_ratio is -1, expected parts"),
    ("PSROIPooling", "", "spatial_scale is missing, expected a number above 0"),
    (
        "PSROIPooling",
        "psroi_pooling_param { output_dim: 3 group_size: 3 spatial_scale: -1 }",
        "spatial_scale is -1, expected",
    ),
    (
        "PSROIPooling",
        "psroi_pooling_param { output_dim: 3 group_size: 3 spatial_scale: 1 }",
        "expected 27 channels: output_dim, 3, for each of 3 x 3 bins of group_size 3",
    ),
):
    case(type, MAPS, options, values={1: regions}, error=error)
pool = partial(case, "ROIPooling", options=f"roi_pooling_param {{ {POOL} }}")
pool([(2, 3, 6), (5, 5)], error='bottom[0] "x0" has shape (2, 3, 6), expected (N, C, height, wid')
pool([(2, 3, 6, 7), (5, 4)], error="expected (regions, 5): map, xmin, ymin, xmax, ymax")
for row, error in (
    (
        [2, 1, 1, 2, 2],
        "row 1 is (2, 1, 1, 2, 2), expected to begin with the number of its pictur",
    ),
    ([-1, 1, 1, 2, 2], "the number of its picture, 0 to 1"),
    ([0.5, 1, 1, 2, 2], "number of its picture"),
    ([np.nan, 1, 1, 2, 2], "number of its picture"),
    ([0, 1, np.nan, 2, 2], "row 1 is (0, 1, nan, 2, 2), expected corners that are near the pictu"),
    ([0, 1, 1, np.inf, 2], "the net has diverged; go back to an earlier snapshot"),
    ([0, 1, 1, 1e9, 2], "expected corners that are near the picture"),
):
    pool(MAPS, values={1: [[0, 1, 1, 2, 2], row]}, error=error)

# The examples that cost most

OF_PICTURES = np.zeros((7, 5))
OF_PICTURES[:, 0] = [0, 1, 0, 0, 1, 0, 0]
LOSSES = [0.5, 2, 0.5, 3, 0.1, 0.5, 0]
WEIGHTS = np.arange(1.0, 29).reshape(7, 4, 1, 1)
mine = partial(
    case,
    "BoxAnnotatorOHEM",
    [(7, 5), (7, 1, 1, 1), (7,), (7, 4, 1, 1)],
    values={0: OF_PICTURES, 1: LOSSES, 2: np.arange(7), 3: WEIGHTS},
    gradient=False,
    batch_axis=None,
)
mine(
    "box_annotator_ohem_param { roi_per_img: 2 ignore_label: 255 }",
    golden=([0, 1, 255, 3, 4, 255, 255], WEIGHTS * np.reshape([1, 1, 0, 1, 1, 0, 0], (7, 1, 1, 1))),
)
mine(
    "box_annotator_ohem_param { roi_per_img: 128 }",
    golden=(np.arange(7), WEIGHTS),
)
mine("", error="roi_per_img is missing: regions of a picture that count, 1 or more")
mine(
    "box_annotator_ohem_param { roi_per_img: 2 }",
    values={1: [np.nan]},
    error='bottom[1] "x1" holds values that are no numbers, or too large; the net has diverged',
)
for shapes, error in (
    ([(7, 4), (7,), (7,), (7, 4)], 'bottom[0] "x0" has shape (7, 4), expected (regions, 5)'),
    ([(7, 5), (7, 2), (7,), (7, 4)], 'bottom[1] "x1" has shape (7, 2), expected one loss for each'),
    ([(7, 5), (7,), (6,), (7, 4)], "expected one label for each of 7 regions of bottom[0]"),
    ([(7, 5), (7,), (7,), (6, 4)], "expected 7 on its first axis, as bottom[0]"),
):
    case("BoxAnnotatorOHEM", shapes, "box_annotator_ohem_param { roi_per_img: 2 }", error=error)

# Regions that are proposed, and learned from

SIZES_OF_PICTURES = [[90, 120, 1.5], [80, 130, 1]]
STARTS = [(2, 12, 5, 7), (2, 24, 5, 7), (2, 3)]
SMALL = "scale: 1 scale: 3"


def less(generator, shape):
    """Codes that move boxes by parts of their sides."""
    return generator.standard_normal(shape) / 3


def proposals(fields, shapes=STARTS, sizes=SIZES_OF_PICTURES, tops=2, error=None, **expect):
    case(
        "Proposal",
        shapes,
        f"proposal_param {{ {fields} }}",
        expect=None if error else partial(ref.proposal, **expect),
        values={1: less, 2: sizes},
        gradient=False,
        tops=tops,
        error=error,
    )


proposals(SMALL, scales=(1, 3))
proposals(
    f"{SMALL} pre_nms_topn: 40 post_nms_topn: 9 nms_thresh: 0.5 min_size: 24",
    **dict(scales=(1, 3), before=40, after=9, threshold=0.5, least=24),
)
proposals(
    "ratio: 1 ratio: 3 scale: 2 scale: 4 scale: 5 feat_stride: 8 base_size: 8 post_nms_topn: 0",
    sizes=[[90, 120, 1.5, 0.5], [80, 130, 1, 2]],
    shapes=[*STARTS[:2], (2, 4)],
    **dict(ratios=(1, 3), scales=(2, 4, 5), stride=8, base=8, after=0),
)
proposals("feat_stride: 0", error="feat_stride is 0, expected pixels, 1 or more")
proposals("scale: 0", error="scale is 0, expected a number above 0")
proposals("scale: 0.01", error="makes anchors of less than a pixel")
proposals("nms_thresh: -1", error="nms_thresh is -1, expected 0 or more")
proposals("", error='"x0" has shape (2, 12, 5, 7), expected (N, 18, height, width): two scores for')
proposals(
    SMALL,
    [STARTS[0], (2, 24, 5, 6), (2, 3)],
    error='expected (N, 4 A, height, width) as of bottom[0] "x0", (2, 12, 5, 7)',
)
proposals(SMALL, [*STARTS[:2], (1, 3)], error='"x2" has shape (1, 3), expected (2, 3): height, wid')
for size, words in (
    (
        [90, 0, 1],
        "holds (90, 0, 1), expected height, width and scale of a picture, numbers above 0",
    ),
    ([np.nan, 120, 1], "holds (nan, 120, 1), expected height"),
):
    proposals(SMALL, sizes=[[90, 120, 1], size], error=words)
case(
    "Proposal",
    STARTS,
    f"proposal_param {{ {SMALL} }}",
    values={0: [np.nan], 2: SIZES_OF_PICTURES},
    error='bottom[0] "x0" holds values that are no numbers, or too large; the net has diverged',
)

TRUE_BOXES = [[10, 12, 40, 60, 2], [50, 30, 110, 70, 1], [52, 28, 100, 75, 3]]


def targets(fields="", shapes=None, truth=TRUE_BOXES, error=None, **expect):
    case(
        "AnchorTarget",
        shapes or [(1, 7, 6, 8), (len(truth), 5), (1, 3)],
        f"anchor_target_param {{ scale: 1 scale: 3 batch_size: 1000 {fields} }}",
        expect=None if error else partial(ref.anchor_target, scales=(1, 3), **expect),
        values={1: truth, 2: [90, 120, 1]},
        gradient=False,
        batch_axis=None,
        error=error,
    )


targets()
targets("allowed_border: 9 positive_overlap: 0.5 negative_overlap: 0.2", border=9, positive=0.5,
        negative=0.2)  # fmt: skip
targets("clobber_positives: true negative_overlap: 0.6", clobber=True, negative=0.6)
targets(
    "positive_weight: 0.75 bbox_inside_weight: [0.5, 0.5, 2, 2] feat_stride: 12",
    weight=0.75, inside=(0.5, 0.5, 2, 2), stride=12,
)  # fmt: skip
targets("fg_fraction: 1.5", error="fg_fraction is 1.5, expected 0 to 1")
targets("positive_weight: 1", error="positive_weight is 1, expected less than 1")
targets("bbox_inside_weight: 1", error="bbox_inside_weight has 1 entries, expected 4: of x, y, wi")
targets(shapes=[(2, 7, 6, 8), (3, 5), (2, 3)], error="true boxes do not tell pictures apart")
targets(shapes=[(1, 7, 6), (3, 5), (1, 3)], error="expected (1, channels, height, width)")
targets(shapes=[(1, 7, 6, 8), (3, 4), (1, 3)], error="expected (boxes, 5): xmin, ymin, xmax, ymax,")
targets(shapes=[(1, 7, 6, 8), (0, 5), (1, 3)], error="has no row: the picture has no true box")
case(
    "AnchorTarget",
    [(1, 7, 6, 8), (3, 5), (1, 3)],
    "anchor_target_param { batch_size: 0 }",
    error="batch_size is 0, expected the anchors that count, 1 or more",
)

OF_ONE = np.insert(
    np.add(TRUE_BOXES, [[0, 4, 3, 0, 0]])[[0, 0, 1, 2]][:, :4] + [[0], [9], [1], [25]], 0, 0, axis=1
)


def learned(fields, rois=OF_ONE, truth=TRUE_BOXES, error=None, **expect):
    case(
        "ProposalTarget",
        [(len(rois), 5), (len(truth), 5)],
        f"proposal_target_param {{ {fields} }}",
        expect=None if error else partial(ref.proposal_target, **expect),
        values={0: rois, 1: truth},
        gradient=False,
        batch_axis=None,
        error=error,
    )


learned("num_classes: 4", classes=4)
learned("num_classes: 5 batch_size: -1 fg_thresh: 0.8 bg_thresh_hi: 0.8 bg_thresh_lo: 0.3",
        classes=5, foreground=0.8, high=0.8, low=0.3)  # fmt: skip
learned(
    "num_classes: 4 bbox_mean: [0, 0.5, 0, 0.1] bbox_std: [0.1, 0.1, 0.2, 0.2] "
    "bbox_inside_weight: [0.5, 0, 2, 1]",
    classes=4, mean=(0, 0.5, 0, 0.1), std=(0.1, 0.1, 0.2, 0.2), inside=(0.5, 0, 2, 1),
)  # fmt: skip
learned("", error="num_classes is 0, expected 2 or more: the background counts, too")
learned("num_classes: 3", error="a box of class 3, expected 1 to 2: num_classes counts the backgr")
learned("num_classes: 4 class_agnostic: true", error="expected 2 with class_agnostic")
learned("num_classes: 4 batch_size: 0", error="batch_size is 0, expected how many regions, or -1")
learned("num_classes: 4 fg_fraction: -1", error="fg_fraction is -1, expected 0 to 1")
learned("num_classes: 4 bbox_std: [1, 1, 0, 1]", error="bbox_std is (1.0, 1.0, 0.0, 1.0), expected")

# Boxes that a detector in two stages finds

ROIS_OF_TWO = [
    [0, 10, 12, 40, 60], [0, 12, 14, 42, 58], [0, 50, 30, 110, 70], [0, 52, 28, 100, 75],
    [1, 5, 5, 60, 60], [1, 8, 2, 55, 62], [1, 70, 40, 129, 79], [0, 0, 0, 119, 89],
]  # fmt: skip


def found_in_regions(fields, shapes=None, rois=ROIS_OF_TWO, error=None, **expect):
    codes = (
        {2: less, 3: SIZES_OF_PICTURES} if len(shapes or "four") == 4 else {2: SIZES_OF_PICTURES}
    )
    case(
        "RoIDetectionOutput",
        shapes or [(8, 5), (8, 3), (8, 12), (2, 3)],
        f"roi_detection_output_param {{ {fields} }}",
        expect=None if error else partial(ref.roi_detection_output, **expect),
        values={0: rois, 1: lambda g, shape: g.random(shape), **codes},
        gradient=False,
        batch_axis=None,
        error=error,
    )


found_in_regions("num_classes: 3")
found_in_regions("")
found_in_regions("nms_threshold: 0.5", [(8, 5), (8, 3), (2, 3)])
found_in_regions(
    "num_classes: 3 confidence_threshold: 0.3 nms_threshold: 0.6 keep_top_k: 3",
    **dict(threshold=0.3, overlap=0.6, most=3),
)
found_in_regions(
    "num_classes: 3 class_agnostic: true keep_top_k: 0 nms_threshold: 0.9",
    [(8, 5), (8, 3, 1, 1), (8, 8, 1, 1), (2, 3)],
    **dict(agnostic=True, most=0, overlap=0.9),
)
found_in_regions("num_classes: 3 confidence_threshold: 2", threshold=2)
found_in_regions(
    "num_classes: 1", error="num_classes is 1, expected 2 or more: the background counts, too"
)
found_in_regions("num_classes: 3 nms_threshold: -1", error="nms_threshold is -1, expected 0 or mor")
for shapes, words in (
    ([(8, 5), (8, 4), (8, 12), (2, 3)], 'bottom[1] "x1" has shape (8, 4), expected (8, 3): scores'),
    (
        [(8, 5), (8, 3), (8, 8), (2, 3)],
        "expected (8, 12): 4 numbers for each of 3 classes, of each",
    ),
    ([(8, 5), (7, 3), (8, 12), (2, 3)], "expected (8, 3): scores of 3 classes, of each region"),
    ([(8, 5), (8, 3), (8, 12), (2, 2)], "expected (N, 3): height, width and scale of each picture"),
):
    found_in_regions("num_classes: 3", shapes, error=words)
found_in_regions(
    "num_classes: 3", rois=[[5, 1, 1, 9, 9]], error="the number of its picture, 0 to 1"
)
