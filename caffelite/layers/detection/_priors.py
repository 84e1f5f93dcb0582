"""What layers share that predict codes and scores for prior boxes."""

import math

import numpy as np

from ...kernels import boxes as geometry
from ...proto import caffe_pb2

MOST_CLASSES = 100_000


def check_priors(layer, bottom_shapes, classes, places):
    """How many priors bottom 2 has; raise unless bottoms 0 and 1 have codes and scores for each.

    `places` is how many boxes there are for a prior: one, or one for each class.
    """
    loc, conf, priors = bottom_shapes[:3]
    if len(priors) < 3 or priors[1] != 2 or priors[2] % 4 or math.prod(priors[3:]) != 1:
        expected = "(1, 2, priors * 4), as PriorBox makes them, joined along axis 2"
        raise layer.shape_error(2, priors, expected)
    count = priors[2] // 4
    which = f'each of {count} priors of bottom[2] "{layer.param.bottom[2]}"'
    for index, shape, numbers, what in (
        (0, loc, 4 * places, "4 numbers" + (" for each class" if places > 1 else "")),
        (1, conf, classes, f"{classes} scores"),
    ):
        if len(shape) < 2 or math.prod(shape[1:]) != count * numbers:
            n = shape[0] if shape else "N"
            expected = f"({n}, {count * numbers}): {what} for {which}"
            raise layer.shape_error(index, shape, expected)
    if loc[0] != conf[0]:
        expected = f'{loc[0]} samples on its first axis, as bottom[0] "{layer.param.bottom[0]}" has'
        raise layer.shape_error(1, conf, expected)
    return count


def read_priors(layer, blob):
    """(priors, variances), a row of four numbers each."""
    priors, variances = blob.data[0].reshape(2, -1, 4)
    code = code_name(layer.options.code_type)
    bad = ~np.isfinite(priors).all(axis=1)
    bad |= (geometry.area(priors) <= 0) & (code != "CORNER")
    if bad.any():
        at = int(np.argmax(bad))
        raise layer.error(
            f'bottom[2] "{layer.param.bottom[2]}": prior {at} is {told(priors[at])}, expected a '
            f"box with an area, which the code {code} divides by",
            blob=layer.param.bottom[2],
        )
    return priors, variances


def code_name(value):
    """What `kernels.boxes` calls a code_type: the same."""
    return caffe_pb2.PriorBoxParameter.CodeType.Name(value)


def told(numbers):
    """Numbers as errors tell them."""
    return "(" + ", ".join(f"{n:g}" for n in numbers) + ")"


def labels_of(options):
    """The labels of a layer's classes, without that of the background."""
    classes, background = min(options.num_classes, MOST_CLASSES), options.background_label_id
    if background == 0:
        return range(1, classes)
    return [k for k in range(classes) if k != background]


def check_classes(layer):
    """Raise unless num_classes is a number of classes."""
    count = layer.options.num_classes
    if not count:
        raise layer.error("num_classes is missing: how many there are, with the background")
    if count > MOST_CLASSES:
        raise layer.error(f"num_classes is {count}, expected at most {MOST_CLASSES}")


def code_of(options, variances_in_target):
    """What layers have to agree on that read codes of boxes: see `Layer.box_code`."""
    return {
        "code_type": code_name(options.code_type),
        "share_location": options.share_location,
        "variances encoded in targets": variances_in_target,
    }


def numbers_of_prior(options):
    """How many numbers of each prior there are in a layer's bottoms: its place, its scores."""
    places = 1 if options.share_location else options.num_classes
    return 4 * places, options.num_classes
