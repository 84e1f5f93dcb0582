import math

import numpy as np

from ...kernels import boxes as geometry
from ..base import register
from ..loss._loss import Loss
from ._ground_truth import ROW, check_rows, read_ground_truth
from ._mining import choose, suppresses
from ._predictions import Predictions
from ._priors import check_priors, code_of, labels_of, numbers_of_prior, read_priors


@register("MultiBoxLoss")
class MultiBoxLoss(Loss):
    """L = (loc_weight * sum of costs of codes + sum of costs of scores) / normalizer, for priors.

    Each box of the ground truth finds the priors that stand for it (`kernels.boxes.match`): those
    are positive. Their codes cost what they differ from the box's, their scores what they differ
    from its class. Of all others some are negative, whose scores are to be those of the background:
    they are mined, the worst ones first. An image without ground truth has none, and costs nothing.

    As in SSD's Caffe, where codes hold no variances (encode_variance_in_target), both codes are
    divided by them for the loss, but not for the gradient.

    Bottom
        0: codes of boxes, (N, priors * 4), with share_location: false (N, priors * classes * 4)
        1: scores before softmax or sigmoid, (N, priors * classes)
        2: priors and variances, (1, 2, priors * 4); no gradient
        3: ground truth, (1, 1, boxes, 8): image, label, instance, xmin, ymin, xmax, ymax,
            difficult; rows that begin with -1 are none; no gradient
    Top
        0: L, one number
    Options (multibox_loss_param)
        num_classes: with the background
        share_location: one box for all classes of a prior, instead of one for each [true]
        background_label_id: label of the background [0]
        code_type: CORNER, CENTER_SIZE or CORNER_SIZE, see `kernels.boxes.encode` [CORNER]
        encode_variance_in_target: codes are not divided by the variances [false]
        loc_loss_type: L2, d^2 / 2, or SMOOTH_L1, |d| - 1/2 where |d| > 1 [SMOOTH_L1]
        conf_loss_type: SOFTMAX, or LOGISTIC, each class by itself [SOFTMAX]
        loc_weight: of codes against scores [1]
        match_type: BIPARTITE, each box finds one prior; PER_PREDICTION, and each prior then the
            box that it overlaps most [PER_PREDICTION]
        overlap_threshold: the least overlap of the latter [0.5]
        use_prior_for_matching: match priors; false: the boxes that codes stand for [true]
        use_difficult_gt: whether difficult boxes count [true]
        ignore_cross_boundary_bbox: priors that leave the picture are neither [false]
        bp_inside: sides outside the picture get no gradient [false]
        map_object_to_agnostic: there is one class, any, beside the background [false]
        mining_type: NONE, all others are negative, in images without ground truth, too;
            MAX_NEGATIVE, those whose scores cost most; HARD_EXAMPLE, of all priors those that cost
            most, so that positive ones may be left out [MAX_NEGATIVE]
        do_neg_mining: the old form, which must agree with mining_type
        neg_pos_ratio: MAX_NEGATIVE takes so many negatives for each positive in the image [3]
        neg_overlap: and only from those that overlap every box by less [0.5]
        sample_size: HARD_EXAMPLE takes so many in an image [64]
        nms_param: suppression among what may be mined: nms_threshold, top_k
        use_prior_for_nms: it looks at priors; false: the boxes that codes stand for [false]
    Options (loss_param)
        normalization: what the sum is divided by (at least 1): VALID, positive priors; FULL, all
            priors; BATCH_SIZE; NONE, 1; PRE_FIXED, pre_fixed_normalizer [VALID]
        normalize: the old form: true for VALID, false for BATCH_SIZE
        pre_fixed_normalizer: see normalization [1]
    Source
        Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016, arXiv:1512.02325 (SSD)
    """

    options_field = "multibox_loss_param"
    more_options = ("loss_param",)
    bottoms = 4
    no_gradient = (2, 3)
    ignored = {
        "loss_param.ignore_label": "use_difficult_gt: false leaves boxes out",
        "multibox_loss_param.nms_param.eta": "mining does not adapt its threshold",
    }

    def moot(self):
        options, found, own = self.options, super().moot(), self.options_field
        mining = self._mining
        if mining != "MAX_NEGATIVE":
            words = "it acts with mining_type: MAX_NEGATIVE"
            found |= {f"{own}.neg_pos_ratio": words, f"{own}.neg_overlap": words}
        if mining != "HARD_EXAMPLE":
            found[f"{own}.sample_size"] = "it acts with mining_type: HARD_EXAMPLE"
        if options.match_type == options.BIPARTITE:
            found[f"{own}.overlap_threshold"] = "it acts with match_type: PER_PREDICTION"
        if not suppresses(options):
            found[f"{own}.use_prior_for_nms"] = "it acts with mining and an nms_param"
        return found

    def box_labels(self):
        return () if self.options.map_object_to_agnostic else labels_of(self.options)

    def box_code(self):
        return code_of(self.options, self.options.encode_variance_in_target)

    def numbers_of_prior(self):
        return numbers_of_prior(self.options)

    @property
    def _mining(self):
        return self.options.MiningType.Name(self.options.mining_type)

    def setup(self, bottom_shapes):
        options, mining, self.warned = self.options, self._mining, set()
        self.classes, self.background = options.num_classes, options.background_label_id
        if not self.classes:
            raise self.error("num_classes is missing: how many there are, with the background")
        needs_background = options.conf_loss_type == options.SOFTMAX or mining != "NONE"
        if needs_background and self.background >= self.classes:
            raise self.error(
                f"background_label_id is {self.background}, expected 0 to {self.classes - 1}, one "
                f"of num_classes: {self.classes}"
            )
        if options.HasField("do_neg_mining") and options.do_neg_mining == (mining == "NONE"):
            raise self.error(
                f"do_neg_mining is {str(options.do_neg_mining).lower()}, mining_type {mining}; "
                "leave do_neg_mining, the old form, out, and write the mining_type that you mean"
            )
        if mining != "NONE" and not options.share_location:
            raise self.error(
                "share_location is false, with which there is no mining; write mining_type: NONE"
            )
        if options.map_object_to_agnostic and self.classes != 2:
            raise self.error(
                f"num_classes is {self.classes}, expected 2, the background and any object, with "
                "map_object_to_agnostic"
            )
        if options.map_object_to_agnostic and options.background_label_id:
            raise self.error(
                f"background_label_id is {options.background_label_id}, expected 0 with "
                "map_object_to_agnostic, where any object is of the class behind it"
            )
        if options.neg_pos_ratio < 0:
            raise self.error(f"neg_pos_ratio is {options.neg_pos_ratio:g}, expected 0 or more")
        if mining == "HARD_EXAMPLE" and options.sample_size < 1:
            raise self.error(f"sample_size is {options.sample_size}, expected at least 1")
        if mining != "NONE" and suppresses(options) and not options.nms_param.top_k:
            raise self.error(
                "nms_param of mining has no top_k, with which SSD mines nothing; write top_k: -1 "
                "for all, or how many of the worst it looks at"
            )

    def infer_shapes(self, bottom_shapes):
        self.places = 1 if self.options.share_location else self.classes
        self.count = check_priors(self, bottom_shapes, self.classes, self.places)
        check_rows(self, 3, bottom_shapes[3], 8, ROW)
        return [()]

    def forward(self, bottom, top):
        images = len(bottom[0].data)
        self.predictions = Predictions(
            self.options,
            bottom[0].data.reshape(images, self.count, self.places, 4),
            bottom[1].data.reshape(images, self.count, self.classes),
            *read_priors(self, bottom[2]),
            self._ground_truth(bottom[3], images),
        )
        row = np.full((images, self.count, self.places), geometry.NO_MATCH)
        negative = np.zeros((images, self.count), bool)
        for image in np.unique(self.predictions.truth.image):
            row[image], negative[image] = choose(self.predictions, image)
        self.coded = np.nonzero(row >= 0)  # images, priors, places
        self.divisor = self.normalizer(images, self.count, len(self.coded[0]))
        codes, self.code_slopes = self.predictions.code_costs(*self.coded, row[self.coded])
        self.scored, target = self._scored(row[self.coded], negative)
        scores, self.score_slopes = self.predictions.score_costs(self.scored, target)
        counts = self.param.propagate_down or (True, True)  # what gets no gradient, costs nothing
        total = codes.sum() * self.options.loc_weight * counts[0] + scores.sum() * counts[1]
        if any(np.isnan(blob.data.sum()) for blob in bottom[:2]):  # neither matched nor mined
            total = np.nan
        top[0].data[...] = total / self.divisor

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        factor = float(top[0].diff) / self.divisor
        if propagate_down[0]:
            slopes = self.code_slopes * (factor * self.options.loc_weight)
            _scatter(slopes, self.coded, bottom[0].diff, self.predictions.codes.shape)
        if propagate_down[1]:
            slopes = self.score_slopes * factor
            _scatter(slopes, self.scored, bottom[1].diff, self.predictions.scores.shape)

    def _ground_truth(self, blob, images):
        agnostic = self.options.map_object_to_agnostic
        classes = math.inf if agnostic else self.classes
        truth = read_ground_truth(self, 3, blob, self.background, images, classes)
        if agnostic:
            truth = truth._replace(label=np.full_like(truth.label, self.background + 1))
        return truth.only(~truth.difficult | self.options.use_difficult_gt)

    def _scored(self, rows, negative):
        """((images, priors) of the scores that count, what they ought to be)"""
        found, (images, priors, _) = self.predictions, self.coded
        labels = found.truth.label[rows]
        if self.options.mining_type != self.options.NONE:
            others = np.nonzero(negative)
            scored = np.append(images, others[0]), np.append(priors, others[1])
            background = np.full(len(others[0]), self.background)
            return scored, found.one_hot(np.append(labels, background))
        every, at = np.arange(negative.size), images * self.count + priors
        if found.exclusive:
            label = np.full(len(every), self.background)
            label[at] = labels
            target = found.one_hot(label)
        else:
            target = np.zeros((len(every), self.classes), self.dtype)
            target[at, labels] = 1
        return np.divmod(every, self.count), target


def _scatter(values, at, diff, shape):
    """diff = values at these places, 0 elsewhere."""
    diff[...] = 0
    diff.reshape(shape)[at] = values
