from functools import partial

import numpy as np

from caffelite.testing import case

from ..reference import detection as ref

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


def rows(*images_and_labels):
    """Ground truth: a box for each (image, label), the last of which is difficult."""
    found = np.zeros((1, 1, len(images_and_labels), 8))
    found[0, 0, :, :2] = images_and_labels
    found[0, 0, :, 3:7] = boxes(len(images_and_labels)).clip(0, 1)
    found[0, 0, -1, 7] = 1
    return found


COUNT, CLASSES = 14, 4
PRIORS = np.stack([boxes(COUNT).ravel(), np.tile([0.1, 0.1, 0.2, 0.3], COUNT)])[None]
TRUTH = rows((0, 1), (0, 3), (2, 2), (2, 1))
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
multi_box(truth=rows((0, 2), (0, 3)), expect={}, batch_axis=0, empty=False)
# what these compute is recorded; here they must have gradients
multi_box("share_location: false mining_type: NONE", places=CLASSES)
multi_box("share_location: false mining_type: NONE use_prior_for_matching: false", places=CLASSES)
multi_box("use_prior_for_matching: false bp_inside: true")
multi_box("ignore_cross_boundary_bbox: true nms_param { nms_threshold: 0.4 top_k: 9 }")
multi_box(
    "encode_variance_in_target: true", gradient=False
)  # it is not that of the loss, as in SSD
multi_box("map_object_to_agnostic: true", error="num_classes is 4, expected 2, the background and")
multi_box("num_classes: 0", error="num_classes is missing")
multi_box("background_label_id: 4", error="background_label_id is 4, expected 0 to 3")
multi_box("do_neg_mining: false", error="do_neg_mining is false, mining_type MAX_NEGATIVE")
multi_box("share_location: false", places=4, error="write mining_type: NONE")
multi_box("nms_param { nms_threshold: 0.4 }", error="nms_param of mining has no top_k")
multi_box("mining_type: HARD_EXAMPLE sample_size: 0", error="sample_size is 0, expected at least 1")
multi_box(
    "num_classes: 5", error='"x1" has shape (3, 56), expected (3, 70): 5 scores for each of 14'
)
multi_box(
    places=2, error='"x0" has shape (3, 112), expected (3, 56): 4 numbers for each of 14 priors'
)
multi_box(
    truth=np.zeros((1, 1, 2, 7)), error='"x3" has shape (1, 1, 2, 7), expected (1, 1, boxes, 8)'
)
multi_box(truth=rows((3, 1)), error="expected an image from 0 to 2, one of the batch")
multi_box(
    truth=rows((0, 4)), error="expected a label from 0 to 3; num_classes counts the background"
)
multi_box(truth=rows((0, 0)), error="expected another label than 0, background_label_id")
multi_box(truth=rows((0, 1)) + ([0] * 5 + [np.nan] * 3), error="expected numbers")
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
