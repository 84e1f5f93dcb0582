"""What a net says of priors, codes of boxes and scores of classes, and what that costs."""

import numpy as np

from ...kernels import boxes as geometry
from ._box_costs import code_costs, score_costs
from ._priors import code_name


class Predictions:
    """Codes and scores for the priors of a batch, beside the boxes that there are.

    Parameters
    ----------
    options : MultiBoxLossParameter
    codes : images x priors x places x 4; places are one, or one for each class
    scores : images x priors x classes
    priors, variances : priors x 4
    truth : GroundTruth
    """

    def __init__(self, options, codes, scores, priors, variances, truth):
        self.options, self.codes, self.scores = options, codes, scores
        self.priors, self.variances, self.truth = priors, variances, truth
        self.count, self.places = codes.shape[1:3]
        self.classes, self.background = scores.shape[2], options.background_label_id
        self.exclusive = options.conf_loss_type == options.SOFTMAX
        self.code = code_name(options.code_type)

    def boxes(self, image, place, given):
        """The priors, or, not `given`, what codes say of them."""
        return self.priors if given else self._decoded(image, slice(None), place)

    def _decoded(self, image, prior, place):
        codes, priors = self.codes[image, prior, place], self.priors[prior]
        return geometry.decode(codes, priors, self.code, self._divisors(prior))

    def _divisors(self, prior):
        """The variances that codes are divided by, or None."""
        return None if self.options.encode_variance_in_target else self.variances[prior]

    def code_costs(self, image, prior, place, rows):
        """(costs, slopes) of codes, four each, for boxes in these rows of the ground truth."""
        options = self.options
        wanted = geometry.encode(
            self.truth.box[rows], self.priors[prior], self.code, self._divisors(prior)
        )
        d = self.codes[image, prior, place] - wanted
        if options.encode_variance_in_target:
            d /= self.variances[prior]
        if options.bp_inside:
            own = self.priors[prior]
            if not options.use_prior_for_matching:
                own = self._decoded(image, prior, place)
            d[(own < 0) | (own > 1)] = 0
        return code_costs(d, squared=options.loc_loss_type == options.L2)

    def score_costs(self, at, target):
        """(costs, slopes) of the scores at (images, priors), see `_box_costs.score_costs`."""
        return score_costs(self.scores[at], target, self.exclusive)

    def one_hot(self, labels):
        """A row for each label, of zeros and a one."""
        target = np.zeros((len(labels), self.classes), self.scores.dtype)
        target[np.arange(len(labels)), labels] = 1
        return target
