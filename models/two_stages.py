"""What detectors in two stages share: their data, and nets whose phases differ in the middle."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from caffelite.models.blocks import MSRA, constant, conv, dense, gaussian, relu
from caffelite.models.detection import Annotated, evaluated
from caffelite.models.program import Program, of_both_phases, without_training
from caffelite.models.scenes import CLASSES, Scenes
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter


def roi_data(samples, phase, **options):
    """{name of a top: top}: pictures one by one, with boxes to learn from, or to be compared with.

    `options` are those of roi_data_param; with `regions` there is one top more, n.rois in tests and
    n.all_rois in training.
    """
    if phase == TEST:
        options["rows"] = True
    names = ["data", "im_info", "gt_boxes" if phase == TRAIN else "label"]
    if "regions" in options:
        names.append("all_rois" if phase == TRAIN else "rois")
    tops = L.RoIData(
        name="data",
        include={"phase": phase},
        transform_param=samples.transform(phase),
        data_param={
            "source": samples.source(phase),
            "batch_size": 1,
            "backend": P.Data.LMDB,
            **({"shuffle": True} if phase == TRAIN else {}),
        },
        annotated_data_param=samples.options(phase),
        **({"roi_data_param": options} if options else {}),
        ntop=len(names),
    )
    return dict(zip(names, tops, strict=True))


@dataclass
class ScenesOfTwoStages(Scenes):
    """Scenes one by one."""

    def layer(self, phase):
        return roi_data(self, phase)


@dataclass
class ScenesWithRegions(Scenes):
    """Scenes one by one, with their regions, which `caffelite regions` finds."""

    def layer(self, phase):
        part = "train" if phase == TRAIN else "test"
        return roi_data(self, phase, regions=f"data/scenes_{part}_regions_lmdb")


@dataclass
class VocOfTwoStages(Annotated):
    """Pictures of PASCAL VOC 2007 and 2012 one by one, short sides 600 pixels; training mirrors.

    With `regions`, those of selective search come along.
    """

    folder: str = "VOC0712"
    size: int = 0
    batch_sizes: tuple = (1, 1)
    regions: bool = False

    def layer(self, phase):
        options = {"scale": 600, "max_size": 1000}
        if self.regions:
            part = "trainval" if phase == TRAIN else "test"
            options["regions"] = f"data/{self.folder}/{self.folder}_{part}_regions_lmdb"
        return roi_data(self, phase, **options)

    def transform(self, phase):
        mean = {"mean_value": [102.9801, 115.9465, 122.7717]}
        return {**mean, **({"mirror": True} if phase == TRAIN else {})}

    def options(self, phase):
        return {"label_map_file": f"data/{self.folder}/labelmap.prototxt"}


@dataclass
class TwoStages(Program):
    """A Program whose net(n) has n.gt_boxes when it is to learn, n.label when it is tested.

    What it writes in one of these only, is of that phase; n.im_info is always there. With `given`,
    regions are an input of deploy.prototxt, so many.
    """

    given: int = 0

    def _trained_on(self, samples):
        train, test = (self._layers(samples.layer(phase)) for phase in (TRAIN, TEST))
        layers = of_both_phases(samples)
        keys = [[layer.SerializeToString() for layer in of_phase] for of_phase in (train, test)]
        for same, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
            if same == "equal":
                layers += train[a:b]
                continue
            for phase, own in ((TRAIN, train[a:b]), (TEST, test[c:d])):
                for layer in own:
                    layer.include.add(phase=phase)
                    layers.append(layer)
        return NetParameter(name=self.name, layer=layers)

    def _layers(self, tops):
        n = NetSpec()
        n.tops.update(tops)
        own = len(n.to_proto().layer)
        return self._written(n)[own:]

    def _written(self, n):
        """The layers of the net; one picture is too little for statistics of its own."""
        self.net(n)
        layers = list(n.to_proto().layer)
        for layer in layers:
            if layer.type == "BatchNorm":
                layer.batch_norm_param.ClearField("moving_average_fraction")
                layer.batch_norm_param.use_global_stats = True
        return layers

    def deploy(self):
        n = NetSpec()
        n.data = L.Input(name=self.input_name, shape={"dim": self.shape})
        n.im_info = L.Input(name="im_info", shape={"dim": [self.shape[0], 3]})
        if self.given:
            n.rois = L.Input(name="rois", shape={"dim": [self.given, 5]})
        return NetParameter(name=self.name, layer=map(without_training, self._written(n)))


@dataclass
class Anchors:
    """Those at each place of a map, see AnchorTarget; regions that suppression leaves."""

    stride: int = 16
    base_size: int = 16
    ratios: tuple = (0.5, 1, 2)
    scales: tuple = (8, 16, 32)

    @property
    def per_place(self):
        return len(self.ratios) * len(self.scales)

    def options(self):
        return {
            "feat_stride": self.stride,
            "base_size": self.base_size,
            "ratio": self.ratios,
            "scale": self.scales,
        }


BINS = 6  # of a region with a digit, a side
DIGIT_ANCHORS = Anchors(8, 8, ratios=(0.75, 1.3, 2.2), scales=(1.5, 2.5, 4, 6.5))
MOST = {
    False: {"pre_nms_topn": 6000, "post_nms_topn": 300},
    True: {"pre_nms_topn": 12000, "post_nms_topn": 2000},
}


def propose(n, hidden, anchors, proposal=None, target=None):
    """n.rois, or in training n.rpn_rois and two losses, of the map that a hidden layer made.

    `proposal` and `target` are more options of Proposal and AnchorTarget; without, as many regions
    are left as in the authors' code.
    """
    count, small = anchors.per_place, gaussian(0.01)
    n.rpn_cls_score = conv(hidden, 2 * count, 1, small)
    n.rpn_bbox_pred = conv(hidden, 4 * count, 1, small)
    n.rpn_cls_score_reshape = L.Reshape(n.rpn_cls_score, shape={"dim": [0, 2, -1, 0]})
    if "gt_boxes" in n.tops:
        n.rpn_labels, n.rpn_bbox_targets, n.rpn_bbox_inside_weights, n.rpn_bbox_outside_weights = (
            L.AnchorTarget(
                n.rpn_cls_score,
                n.gt_boxes,
                n.im_info,
                name="rpn_data",
                anchor_target_param={**anchors.options(), **(target or {})},
                ntop=4,
            )
        )
        n.rpn_loss_cls = L.SoftmaxWithLoss(
            n.rpn_cls_score_reshape,
            n.rpn_labels,
            loss_weight=1,
            loss_param={"ignore_label": -1},
        )
        n.rpn_loss_bbox = L.SmoothL1Loss(
            n.rpn_bbox_pred,
            n.rpn_bbox_targets,
            n.rpn_bbox_inside_weights,
            n.rpn_bbox_outside_weights,
            loss_weight=1,
            smooth_l1_loss_param={"sigma": 3},
        )
    n.rpn_cls_prob = L.Softmax(n.rpn_cls_score_reshape)
    n.rpn_cls_prob_reshape = L.Reshape(n.rpn_cls_prob, shape={"dim": [0, 2 * count, -1, 0]})
    rois = L.Proposal(
        n.rpn_cls_prob_reshape,
        n.rpn_bbox_pred,
        n.im_info,
        name="proposal",
        proposal_param={**anchors.options(), **(proposal or MOST["gt_boxes" in n.tops])},
    )
    n["rpn_rois" if "gt_boxes" in n.tops else "rois"] = rois


def take(n, classes, **options):
    """In training, n.rois: the regions that are learnt from, with n.labels and codes.

    They are some of n.rpn_rois, or of n.all_rois that came with the picture.
    """
    if "gt_boxes" in n.tops:
        n.rois, n.labels, n.bbox_targets, n.bbox_inside_weights, n.bbox_outside_weights = (
            L.ProposalTarget(
                n.all_rois if "all_rois" in n.tops else n.rpn_rois,
                n.gt_boxes,
                name="roi_data",
                proposal_target_param={"num_classes": classes + 1, **options},
                ntop=5,
            )
        )


def mine(n, count):
    """Let the `count` regions that cost most be learnt from, as n.labels and weights say then.

    Online hard example mining, Shrivastava, Gupta, Girshick 2016, arXiv:1604.03540.
    """
    not_down = {"propagate_down": [False, False]}
    unused, prob, of_class = L.SoftmaxWithLossOHEM(
        n.cls_score, n.labels, name="per_roi_loss_cls", loss_weight=[0, 0, 0], ntop=3, **not_down
    )
    unused_too, of_box = L.SmoothL1LossOHEM(
        n.bbox_pred,
        n.bbox_targets,
        n.bbox_inside_weights,
        name="per_roi_loss_bbox",
        loss_weight=[0, 0],
        propagate_down=[False] * 3,
        ntop=2,
    )
    n.temp_loss_cls, n.temp_prob_cls, n.per_roi_loss_cls = unused, prob, of_class
    n.temp_loss_bbox, n.per_roi_loss_bbox = unused_too, of_box
    n.per_roi_loss = L.Eltwise(of_class, of_box, **not_down)
    n.labels_ohem, n.bbox_loss_weights_ohem = L.BoxAnnotatorOHEM(
        n.rois,
        n.per_roi_loss,
        n.labels,
        n.bbox_inside_weights,
        name="annotator_detector",
        propagate_down=[False] * 4,
        box_annotator_ohem_param={"roi_per_img": count, "ignore_label": -1},
        ntop=2,
    )
    n.silence = L.Silence(n.bbox_outside_weights, unused, prob, unused_too, ntop=0)
    n.loss_cls = L.SoftmaxWithLoss(
        n.cls_score, n.labels_ohem, loss_weight=1, loss_param={"ignore_label": -1}
    )
    n.loss_bbox = L.SmoothL1LossOHEM(
        n.bbox_pred,
        n.bbox_targets,
        n.bbox_loss_weights_ohem,
        loss_weight=1,
        loss_param={"normalization": P.Loss.PRE_FIXED, "pre_fixed_normalizer": count},
    )


def learn(n):
    """The losses of n.cls_score and n.bbox_pred."""
    n.loss_cls = L.SoftmaxWithLoss(n.cls_score, n.labels, loss_weight=1)
    n.loss_bbox = L.SmoothL1Loss(
        n.bbox_pred,
        n.bbox_targets,
        n.bbox_inside_weights,
        n.bbox_outside_weights,
        loss_weight=1,
    )


def find(n, classes, **options):
    """`found`, of probabilities that n.cls_score tells."""
    n.cls_prob = L.Softmax(n.cls_score)
    found(n, n.cls_prob, classes, **options)


def found(n, scores, classes, **options):
    """n.detection_out: the boxes that scores and n.bbox_pred tell, and in tests what is right."""
    n.detection_out = L.RoIDetectionOutput(
        n.rois,
        scores,
        n.bbox_pred,
        n.im_info,
        roi_detection_output_param={
            "num_classes": classes + 1,
            "confidence_threshold": 0.01,
            **options,
        },
    )
    if "label" in n.tops:
        evaluated(n, classes)


def aligned(n, features, bins, spatial_scale, **options):
    """Regions of a map, or of the picture itself, each of bins x bins means."""
    return L.ROIAlign(
        features,
        n.rois,
        roi_align_param={
            "pooled_h": bins,
            "pooled_w": bins,
            "spatial_scale": spatial_scale,
            "sampling_ratio": 2,
            **options,
        },
    )


def digit_of_region(n, features):
    """What Fast R-CNN says of each region: 6 x 6 bins, a dense layer, classes and boxes."""
    take(n, CLASSES, batch_size=64, bg_thresh_lo=0, bbox_inside_weight=[10, 10, 5, 5])
    n.pool = aligned(n, features, BINS, 1 / DIGIT_ANCHORS.stride)
    n.ip1 = dense(n.pool, 192, MSRA)
    n.ip1_relu = relu(n.ip1)
    n.cls_score = dense(n.ip1_relu, CLASSES + 1, gaussian(0.01))
    n.bbox_pred = dense(n.ip1_relu, 4 * (CLASSES + 1), gaussian(0.001))
    if "gt_boxes" in n.tops:
        learn(n)
    else:
        find(n, CLASSES)


def machines(n, features, of_boxes):
    """Of each region, in training a class; in use, what machines say that `caffelite svm` trains.

    A support vector machine for each class reads `features`, a regression of boxes `of_boxes`.
    """
    if "gt_boxes" in n.tops:
        n.cls_score = dense(features, CLASSES + 1, gaussian(0.01))
        n.loss_cls = L.SoftmaxWithLoss(n.cls_score, n.labels)
        codes = n.bbox_targets, n.bbox_inside_weights, n.bbox_outside_weights
        n.silence = L.Silence(*codes, ntop=0)
        return
    n.svm = dense(features, CLASSES + 1, constant(0))
    n.bbox_pred = dense(of_boxes, 4 * (CLASSES + 1), constant(0))
    found(n, n.svm, CLASSES, confidence_threshold=-1)


def pyramid(n, features, levels, spatial_scale):
    """n.spp: regions of a map, each of levels of bins x bins maxima; nothing is learnt below.

    He, Zhang, Ren, Sun 2014, arXiv:1406.4729 (SPP-net).
    """
    parts = []
    for bins in levels:
        n[f"pool_{bins}"] = L.ROIPooling(
            features,
            n.rois,
            propagate_down=[False, False],
            roi_pooling_param={"pooled_h": bins, "pooled_w": bins, "spatial_scale": spatial_scale},
        )
        n[f"flat_{bins}"] = L.Flatten(n[f"pool_{bins}"])
        parts.append(n[f"flat_{bins}"])
    n.spp = L.Concat(*parts)
    return n.spp
