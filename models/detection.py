"""What detectors of the zoo share: pictures with boxes, SSD's boxes of several maps, evaluation."""

from dataclasses import dataclass, field

from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN, EmitConstraint

VOC, COCO = 20, 80  # classes, without the background
TRAINED, TESTED = {"include": {"phase": TRAIN}}, {"include": {"phase": TEST}}

# What SSD does to pictures in training: colours, a smaller picture on a larger canvas, crops.
DISTORTED = {
    "brightness_prob": 0.5,
    "brightness_delta": 32,
    "contrast_prob": 0.5,
    "contrast_lower": 0.5,
    "contrast_upper": 1.5,
    "hue_prob": 0.5,
    "hue_delta": 18,
    "saturation_prob": 0.5,
    "saturation_lower": 0.5,
    "saturation_upper": 1.5,
    "random_order_prob": 0,
}
ONCE, OFTEN = {"max_sample": 1, "max_trials": 1}, {"max_sample": 1, "max_trials": 50}
CROP = {"min_scale": 0.3, "max_scale": 1, "min_aspect_ratio": 0.5, "max_aspect_ratio": 2}
CROPS = [
    ONCE,  # the whole picture
    *(
        {"sampler": CROP, "sample_constraint": {"min_jaccard_overlap": overlap}, **OFTEN}
        for overlap in (0.1, 0.3, 0.5, 0.7, 0.9)
    ),
    {"sampler": CROP, "sample_constraint": {"max_jaccard_overlap": 1}, **OFTEN},
]
EVERY = [P.Resize.LINEAR, P.Resize.AREA, P.Resize.NEAREST, P.Resize.CUBIC, P.Resize.LANCZOS4]


@dataclass
class Annotated:
    """Two LMDBs of pictures with boxes, and what is done to a picture; only training changes it.

    `pixels` are options of both phases: a mean, a scale; `trained` those of annotated_data_param
    in training, whose labels are grids of so many cells a side if `grid` is given.
    """

    folder: str  # data/FOLDER/FOLDER_trainval_lmdb and FOLDER_test_lmdb
    size: int
    batch_sizes: tuple  # training, test
    pixels: dict = field(default_factory=dict)
    expand: bool = True
    trained: dict = field(default_factory=lambda: {"batch_sampler": CROPS})
    grid: int | None = None
    rule: dict = field(default_factory=dict)  # more that the state of a net must fulfil: stages

    def layer(self, phase):
        """{name of a top: top}."""
        more = self.data_options(phase)
        kind = L.BoxData if "side" in more else L.AnnotatedData
        tops = kind(
            name="data",
            include={"phase": phase, **self.rule},
            transform_param=self.transform(phase),
            data_param={
                "source": self.source(phase),
                "batch_size": self.batch_sizes[phase],
                "backend": P.Data.LMDB,
                **more,
            },
            annotated_data_param=self.options(phase),
            ntop=2,
        )
        return dict(zip(("data", "label"), tops, strict=True))

    def data_options(self, phase):
        """More of data_param."""
        return {"side": self.grid} if self.grid and phase == TRAIN else {}

    def source(self, phase):
        part = "trainval" if phase == TRAIN else "test"
        return f"data/{self.folder}/{self.folder}_{part}_lmdb"

    def transform(self, phase):
        """Options of transform_param."""
        modes = EVERY if phase == TRAIN else [P.Resize.LINEAR]
        resize = {"resize_mode": P.Resize.WARP, "height": self.size, "width": self.size}
        transform = {**self.pixels, "resize_param": {**resize, "interp_mode": modes}}
        if phase == TRAIN:
            transform |= {
                "mirror": True,
                "distort_param": DISTORTED,
                "emit_constraint": {"emit_type": EmitConstraint.CENTER},
            }
            if self.expand:
                transform["expand_param"] = {"prob": 0.5, "max_expand_ratio": 4}
        return transform

    def options(self, phase):
        """Those of annotated_data_param."""
        labels = {"label_map_file": f"data/{self.folder}/labelmap.prototxt"}
        return labels | (self.trained if phase == TRAIN else {})


def in_test(n):
    """The rule of a layer that makes boxes: in tests only, where the net is to be trained."""
    return TESTED if "label" in n.tops else {}


def evaluate(n, classes):
    """n.detection_eval: what of n.detection_out is right, in tests; difficult boxes count not."""
    if "label" in n.tops:
        evaluated(n, classes, **TESTED)


def evaluated(n, classes, **rule):
    """n.detection_eval, by a rule for when."""
    n.detection_eval = L.DetectionEvaluate(
        n.detection_out,
        n.label,
        detection_evaluate_param={
            "num_classes": classes + 1,
            "background_label_id": 0,
            "overlap_threshold": 0.5,
            "evaluate_difficult_gt": False,
        },
        **rule,
    )


# SSD


@dataclass
class Source:
    """A map that boxes are found in: its blob, and the sizes and shapes of a place's priors.

    `least` and `most` are the sides of the smaller square and of the next larger one, in pixels;
    `ratios` the widths by heights beside 1, with `flip` each of them also upright. `step` is the
    distance of places in pixels, which without it is that of the blob.
    """

    name: str
    blob: object
    least: float
    most: float | None
    ratios: list
    step: int | None = None
    flip: bool = True

    @property
    def priors(self):
        """How many a place has."""
        return 1 + bool(self.most) + (1 + self.flip) * len(self.ratios)


VARIANCES = [0.1, 0.1, 0.2, 0.2]


def multibox(n, sources, classes, convolution, threshold=0.01, top_k=400, keep_top_k=200):
    """Boxes and classes of all sources: a loss when the net is to be trained, and detection_out.

    `convolution(bottom, num_output)` makes four numbers of a box, or the scores of all classes, for
    each prior.
    """
    for source in sources:
        for kind, width in (("loc", 4), ("conf", classes + 1)):
            name = f"{source.name}_mbox_{kind}"
            n[name] = convolution(source.blob, source.priors * width)
            n[f"{name}_perm"] = L.Permute(n[name], order=[0, 2, 3, 1])
            n[f"{name}_flat"] = L.Flatten(n[f"{name}_perm"], axis=1)
        n[f"{source.name}_mbox_priorbox"] = _priors(n, source)
    ends = [
        _joined(n, kind, sources, *how)
        for kind, how in (("loc", ("_flat", 1)), ("conf", ("_flat", 1)), ("priorbox", ("", 2)))
    ]
    options = {"num_classes": classes + 1, "share_location": True, "background_label_id": 0}
    code = {"code_type": P.PriorBox.CENTER_SIZE}
    if "label" in n.tops:
        n.mbox_loss = _loss(n, ends, {**options, **code})
    rule = in_test(n)
    n.mbox_conf_reshape = L.Reshape(n.mbox_conf, shape={"dim": [0, -1, classes + 1]}, **rule)
    n.mbox_conf_softmax = L.Softmax(n.mbox_conf_reshape, axis=2, **rule)
    n.mbox_conf_flatten = L.Flatten(n.mbox_conf_softmax, axis=1, **rule)
    n.detection_out = L.DetectionOutput(
        n.mbox_loc,
        n.mbox_conf_flatten,
        n.mbox_priorbox,
        detection_output_param={
            **options,
            "nms_param": {"nms_threshold": 0.45, "top_k": top_k},
            **code,
            "keep_top_k": keep_top_k,
            "confidence_threshold": threshold,
        },
        **rule,
    )
    evaluate(n, classes)


def _priors(n, source):
    return L.PriorBox(
        source.blob,
        n.data,
        prior_box_param={
            "min_size": source.least,
            **({"max_size": source.most} if source.most else {}),
            "aspect_ratio": source.ratios,
            "flip": source.flip,
            "clip": False,
            "variance": VARIANCES,
            **({"step": source.step} if source.step else {}),
            "offset": 0.5,
        },
    )


def _joined(n, kind, sources, end, axis):
    parts = [n[f"{source.name}_mbox_{kind}{end}"] for source in sources]
    n[f"mbox_{kind}"] = L.Concat(*parts, axis=axis)
    return n[f"mbox_{kind}"]


def _loss(n, ends, options):
    """Three times as many priors without an object learn as with one: those most mistaken."""
    return L.MultiBoxLoss(
        *ends,
        n.label,
        propagate_down=[True, True, False, False],
        loss_param={"normalization": P.Loss.VALID},
        multibox_loss_param={
            **options,
            "loc_loss_type": P.MultiBoxLoss.SMOOTH_L1,
            "conf_loss_type": P.MultiBoxLoss.SOFTMAX,
            "loc_weight": 1,
            "match_type": P.MultiBoxLoss.PER_PREDICTION,
            "overlap_threshold": 0.5,
            "use_prior_for_matching": True,
            "use_difficult_gt": True,
            "mining_type": P.MultiBoxLoss.MAX_NEGATIVE,
            "neg_pos_ratio": 3,
            "neg_overlap": 0.5,
        },
        **TRAINED,
    )
