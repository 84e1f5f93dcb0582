"""Which priors of an image are for a box, and which of the others are negative."""

import numpy as np

from ...kernels import boxes as geometry

TINY = 1e-5
"""Boxes of a smaller area are never mined where mining suppresses."""


def choose(predictions, image):
    """(row of the box of each code in the ground truth, or NO_MATCH; which priors are negative)"""
    truth, options = predictions.truth, predictions.options
    own = np.flatnonzero(truth.image == image)
    rows = np.full((predictions.count, predictions.places), geometry.NO_MATCH)
    given, negative = options.use_prior_for_matching, False
    if predictions.places == 1:
        index, overlap = _match(predictions, predictions.boxes(image, 0, given), own)
        rows[:, 0], negative = _mine(predictions, image, index, overlap)
    elif given:
        index, _ = _match(predictions, predictions.priors, own)
        found = np.flatnonzero(index >= 0)
        rows[found, truth.label[index[found]]] = index[found]
    else:
        for label in np.unique(truth.label[own]):
            alike = own[truth.label[own] == label]
            rows[:, label], _ = _match(predictions, predictions.boxes(image, label, given), alike)
    return rows, negative


def _match(predictions, priors, own):
    """As `kernels.boxes.match`, with rows of the ground truth, those in `own`, for indices."""
    options = predictions.options
    threshold = None if options.match_type == options.BIPARTITE else options.overlap_threshold
    inside = options.ignore_cross_boundary_bbox
    index, overlap = geometry.match(priors, predictions.truth.box[own], threshold, inside)
    return np.where(index >= 0, own[index.clip(0)], index), overlap


def _mine(predictions, image, rows, overlap):
    """(the rows without positive priors that are left out, which priors are negative).

    The scores that cost most are mined; with HARD_EXAMPLE codes count, too, and positive priors
    that are not among the worst are left out.
    """
    options, truth, count = predictions.options, predictions.truth, predictions.count
    if options.mining_type == options.NONE:
        return rows, False
    positive = np.flatnonzero(rows >= 0)
    label = np.full(count, predictions.background)
    label[positive] = truth.label[rows[positive]]
    costs, _ = predictions.score_costs(image, predictions.one_hot(label))
    if options.mining_type == options.HARD_EXAMPLE:
        of_codes, _ = predictions.code_costs(image, positive, 0, rows[positive])
        costs[positive] += of_codes.sum(axis=1)
        able, most = np.arange(count), options.sample_size
    else:
        able = np.flatnonzero((rows == geometry.NO_MATCH) & (overlap < options.neg_overlap))
        most = int(min(np.float32(options.neg_pos_ratio) * np.float32(len(positive)), count))
    mined = able[_worst(predictions, image, able, costs[able], most)]
    negative = np.zeros(count, bool)
    negative[mined[rows[mined] == geometry.NO_MATCH]] = True
    if options.mining_type == options.HARD_EXAMPLE:
        rows[np.setdiff1d(positive, mined)] = geometry.NO_MATCH
    return rows, negative


def suppresses(options):
    """Whether boxes that may be mined are suppressed first."""
    return options.HasField("nms_param") and options.nms_param.nms_threshold > 0


def _worst(predictions, image, able, costs, most):
    """Indices of the costs that are mined, `most` at most."""
    options = predictions.options
    if not suppresses(options):
        return geometry.best_first(costs, top_k=most)
    how, boxes = options.nms_param, predictions.boxes(image, 0, options.use_prior_for_nms)[able]
    return geometry.nms(boxes, costs, how.nms_threshold, top_k=how.top_k, least=TINY)[:most]
