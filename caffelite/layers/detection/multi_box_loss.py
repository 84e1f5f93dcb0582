import math

import numpy as np

from ...kernels import boxes as geometry
from ..base import register
from ..loss._loss import Loss
from ._box_costs import code_costs, score_costs
from ._ground_truth import ROW, check_rows, read_ground_truth
from ._priors import (
    check_priors,
    code_name,
    code_of,
    labels_of,
    numbers_of_prior,
    read_priors,
)

TINY = 1e-5
"""Boxes of a smaller area are never mined where mining suppresses."""


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
        "nms_param.eta": "mining does not adapt its threshold",
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
        if not self._suppresses:
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

    @property
    def _suppresses(self):
        options = self.options
        return options.HasField("nms_param") and options.nms_param.nms_threshold > 0

    def setup(self, bottom_shapes):
        options, mining = self.options, self._mining
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
        if mining == "HARD_EXAMPLE" and options.sample_size < 1:
            raise self.error(f"sample_size is {options.sample_size}, expected at least 1")
        if mining != "NONE" and self._suppresses and not options.nms_param.top_k:
            raise self.error(
                "nms_param of mining has no top_k, with which SSD mines nothing; write top_k: -1 "
                "for all, or how many of the worst it looks at"
            )
        self.code = code_name(options.code_type)

    def infer_shapes(self, bottom_shapes):
        self.places = 1 if self.options.share_location else self.classes
        self.count = check_priors(self, bottom_shapes, self.classes, self.places)
        check_rows(self, 3, bottom_shapes[3], 8, ROW)
        return [()]

    def forward(self, bottom, top):
        images = len(bottom[0].data)
        self.loc = bottom[0].data.reshape(images, self.count, self.places, 4)
        self.conf = bottom[1].data.reshape(images, self.count, self.classes)
        self.priors, self.variances = read_priors(self, bottom[2])
        self.truth = self._ground_truth(bottom[3], images)
        # of each code the row of its box in the ground truth; which scores are negative
        box = np.full((images, self.count, self.places), geometry.NO_MATCH)
        negative = np.zeros((images, self.count), bool)
        for image in np.unique(self.truth.image):
            own = np.flatnonzero(self.truth.image == image)
            box[image], negative[image] = self._choose(image, own)
        self.coded = np.nonzero(box >= 0)  # images, priors, places
        found = self.truth.only(box[self.coded])
        self.divisor = self.normalizer(images, self.count, len(found.image))
        codes, self.code_slopes = self._code_costs(*self.coded, found.box)
        scores, self.score_slopes = self._score_costs(found.label, negative)
        top[0].data[...] = sum(
            part.sum() * weight / self.divisor
            for part, weight, counts in zip(
                (codes, scores),
                self._weights(),
                self.param.propagate_down or (True, True),
                strict=False,
            )
            if counts
        )

    def _weights(self):
        return self.options.loc_weight, 1

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        slopes = (self.coded, self.code_slopes), (self.scored, self.score_slopes)
        for blob, view, (at, slope), weight, wanted in zip(
            bottom, (self.loc, self.conf), slopes, self._weights(), propagate_down, strict=False
        ):
            if wanted:
                blob.diff[...] = 0
                blob.diff.reshape(view.shape)[at] = slope * (
                    weight * float(top[0].diff) / self.divisor
                )

    def _ground_truth(self, blob, images):
        agnostic = self.options.map_object_to_agnostic
        classes = math.inf if agnostic else self.classes
        truth = read_ground_truth(self, 3, blob, self.background, images, classes)
        if agnostic:
            truth = truth._replace(label=np.full_like(truth.label, self.background + 1))
        return truth.only(~truth.difficult | self.options.use_difficult_gt)

    # Which priors are positive, and which negative

    def _choose(self, image, own):
        """(row of the box of each code, whether scores are negative) of an image with boxes `own`.

        Rows are those of the ground truth, or NO_MATCH.
        """
        rows, negative = np.full((self.count, self.places), geometry.NO_MATCH), False
        if self.places == 1:
            index, overlap = self._match(self._boxes(image, 0), own)
            rows[:, 0], negative = self._mine(image, index, overlap)
        elif self.options.use_prior_for_matching:
            index, _ = self._match(self.priors, own)
            found = np.flatnonzero(index >= 0)
            rows[found, self.truth.label[index[found]]] = index[found]
        else:
            for label in np.unique(self.truth.label[own]):
                alike = own[self.truth.label[own] == label]
                rows[:, label], _ = self._match(self._boxes(image, label), alike)
        return rows, negative

    def _match(self, priors, own):
        """As `kernels.boxes.match`, with rows of the ground truth for indices."""
        options = self.options
        threshold = None if options.match_type == options.BIPARTITE else options.overlap_threshold
        inside = options.ignore_cross_boundary_bbox
        index, overlap = geometry.match(priors, self.truth.box[own], threshold, inside)
        return np.where(index >= 0, own[index.clip(0)], index), overlap

    def _boxes(self, image, place):
        given = self.options.use_prior_for_matching
        return self.priors if given else self._decoded(image, slice(None), place)

    def _decoded(self, image, prior, place):
        codes, priors = self.loc[image, prior, place], self.priors[prior]
        return geometry.decode(codes, priors, self.code, self._divisors(prior))

    def _divisors(self, prior):
        """The variances that codes are divided by, or None."""
        return None if self.options.encode_variance_in_target else self.variances[prior]

    def _mine(self, image, rows, overlap):
        """(the rows without positive priors that are left out, which priors are negative)."""
        mining, options = self._mining, self.options
        if mining == "NONE":
            return rows, False
        positive = np.flatnonzero(rows >= 0)
        label = np.full(self.count, self.background)
        label[positive] = self.truth.label[rows[positive]]
        costs, _ = score_costs(self.conf[image], self._one_hot(label), self._exclusive)
        if mining == "HARD_EXAMPLE":
            of_codes, _ = self._code_costs(image, positive, 0, self.truth.box[rows[positive]])
            costs[positive] += of_codes.sum(axis=1)
            able, most = np.arange(self.count), options.sample_size
        else:
            able = np.flatnonzero((rows == geometry.NO_MATCH) & (overlap < options.neg_overlap))
            most = int(np.float32(options.neg_pos_ratio) * np.float32(len(positive)))
        mined = able[self._worst(image, able, costs[able], most)]
        negative = np.zeros(self.count, bool)
        negative[mined[rows[mined] == geometry.NO_MATCH]] = True
        if mining == "HARD_EXAMPLE":
            rows[np.setdiff1d(positive, mined)] = geometry.NO_MATCH
        return rows, negative

    def _worst(self, image, able, costs, most):
        if not self._suppresses:
            return geometry.best_first(costs, top_k=most)
        how = self.options.nms_param
        boxes = self.priors
        if not self.options.use_prior_for_nms:
            boxes = self._decoded(image, slice(None), 0)
        kept = geometry.nms(boxes[able], costs, how.nms_threshold, top_k=how.top_k, least=TINY)
        return kept[:most]

    # What they cost

    def _code_costs(self, image, prior, place, boxes):
        """(costs, slopes) of codes, four each, where they ought to be those of the boxes."""
        options = self.options
        d = self.loc[image, prior, place] - geometry.encode(
            boxes, self.priors[prior], self.code, self._divisors(prior)
        )
        if options.encode_variance_in_target:
            d /= self.variances[prior]
        if options.bp_inside:
            own = self.priors[prior]
            if not options.use_prior_for_matching:
                own = self._decoded(image, prior, place)
            d[(own < 0) | (own > 1)] = 0
        return code_costs(d, squared=options.loc_loss_type == options.L2)

    def _score_costs(self, labels, negative):
        """(costs, slopes) of the scores that count, which `scored` tells."""
        images, priors, _ = self.coded
        if self._mining != "NONE":
            others = np.nonzero(negative)
            self.scored = np.append(images, others[0]), np.append(priors, others[1])
            target = self._one_hot(np.append(labels, np.full(len(others[0]), self.background)))
            return score_costs(self.conf[self.scored], target, self._exclusive)
        self.scored = np.divmod(np.arange(negative.size), self.count)
        at = images * self.count + priors
        if self._exclusive:
            label = np.full(negative.size, self.background)
            label[at] = labels
            target = self._one_hot(label)
        else:
            target = np.zeros((negative.size, self.classes), self.dtype)
            target[at, labels] = 1
        return score_costs(self.conf[self.scored], target, self._exclusive)

    @property
    def _exclusive(self):
        return self.options.conf_loss_type == self.options.SOFTMAX

    def _one_hot(self, labels):
        target = np.zeros((len(labels), self.classes), self.dtype)
        target[np.arange(len(labels)), labels] = 1
        return target
