"""What losses share: their one top, labels read and checked, what the sum is divided by."""

import math

import numpy as np

from ..base import Count, Layer

_NOT_HERE = "is not an option of {type}; leave the line out"


class Loss(Layer):
    """Base of losses of scores (bottom 0) against labels or targets (bottom 1), as one number.

    The options in `loss_param` that some of them have:

    ignore_label: samples with this label do not count
    normalization: what the summed loss is divided by (at least 1): FULL, all positions; VALID,
        those not ignored; BATCH_SIZE; NONE, 1; PRE_FIXED, pre_fixed_normalizer
    normalize: the old form: true for VALID, false for BATCH_SIZE
    """

    role = "loss"
    bottoms: Count = 2
    no_gradient: tuple[int, ...] = (1,)

    default_normalization = "VALID"
    refused = {
        "loss_param.class_balanced": _NOT_HERE,
        "loss_param.label_smoothing": _NOT_HERE,
        "loss_param.weight_by_label_freqs": _NOT_HERE,
        "loss_param.target_is_prob": _NOT_HERE,
        "loss_param.target_is_weight": _NOT_HERE,
    }
    ignored = {"loss_param.class_weighting": "this loss weighs no classes"}

    def moot(self):
        param, found = self.param.loss_param, super().moot()
        if param.normalization != param.PRE_FIXED:
            found["loss_param.pre_fixed_normalizer"] = "it acts with normalization: PRE_FIXED"
        if param.HasField("normalization"):
            found["loss_param.normalize"] = "normalization counts, its newer form"
        return found

    def infer_shapes(self, bottom_shapes):
        first, second = (shape[:1] for shape in bottom_shapes[:2])
        if not first:
            raise self.shape_error(0, (), "at least one axis")
        if first != second:
            expected = (
                f'{first[0]} samples on its first axis, as bottom[0] "{self.param.bottom[0]}" has'
            )
            raise self.shape_error(1, bottom_shapes[1], expected)
        return [()]

    def refuse_label_gradient(self, propagate_down):
        """Raise if a gradient is asked for at a bottom that has none."""
        for index in self.no_gradient:
            if any(propagate_down[index : index + 1]):
                raise self.error(
                    f'bottom[{index}] "{self.param.bottom[index]}" has no gradient, '
                    "but propagate_down asks for it"
                )

    @property
    def ignore_label(self):
        """The label that does not count, or None."""
        param = self.param.loss_param
        return param.ignore_label if param.HasField("ignore_label") else None

    @property
    def ignored_labels(self):
        return () if self.ignore_label is None else (self.ignore_label,)

    def normalizer(self, outer, inner, valid):
        """What the loss over outer * inner positions is divided by; `valid` were not ignored.

        Of processes that share a batch out, the mean of the losses is to be that of the batch: each
        divides by its part of what the batch would be divided by.
        """
        param = self.param.loss_param
        mode = self.default_normalization
        if param.HasField("normalization"):
            mode = param.NormalizationMode.Name(param.normalization)
        elif param.HasField("normalize"):
            mode = "VALID" if param.normalize else "BATCH_SIZE"
        parts = self.shard.parts
        count = {
            "FULL": outer * inner * parts,
            "VALID": self.gathered(valid).sum() if mode == "VALID" else valid,
            "BATCH_SIZE": outer * parts,
            "NONE": 1,
            "PRE_FIXED": param.pre_fixed_normalizer,
        }
        return max(1, count[mode]) / parts


def folded(layer, shape, option_axis):
    """(outer, classes, inner): the axes before the class axis, that axis, and those after."""
    axis = layer.canonical_axis(option_axis, len(shape))
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def check_same_shapes(layer, bottom_shapes):
    """Raise unless all bottoms have the shape of bottom 0."""
    first = tuple(bottom_shapes[0])
    for index, shape in enumerate(bottom_shapes):
        if tuple(shape) != first:
            expected = f'{first}, the shape of bottom[0] "{layer.param.bottom[0]}"'
            raise layer.shape_error(index, shape, expected)


def check_label_count(layer, bottom_shapes, option_axis, index=1):
    """Raise unless bottom `index` holds one label for each score vector of bottom 0.

    Or one weight, where that is not bottom 1.
    """
    outer, _, inner = folded(layer, bottom_shapes[0], option_axis)
    count = math.prod(bottom_shapes[index])
    if count != outer * inner:
        what = "labels" if index == 1 else "weights"
        expected = (
            f"{outer * inner} {what}, not {count}: one for each vector of scores along axis "
            f'{option_axis} of bottom[0] "{layer.param.bottom[0]}", {tuple(bottom_shapes[0])}'
        )
        raise layer.shape_error(index, bottom_shapes[index], expected)


def check_label_per_sample(layer, bottom_shapes):
    """Raise unless bottom 1 holds one label for each sample of bottom 0."""
    first, second = bottom_shapes
    if math.prod(second) != first[0]:
        expected = (
            f'one label for each of {first[0]} samples of bottom[0] "{layer.param.bottom[0]}"'
        )
        raise layer.shape_error(1, second, expected)


def read_labels(layer, blob, classes, ignore=None, index=1, counts=None):
    """The labels in bottom `index` as ints (fractions cut off), each checked to name a class.

    Those in `ignore`, a number or a list, need not, nor those where `counts` is 0.
    """
    values = np.trunc(blob.data)
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int64)  # of NaN, any number
    wrong = ~((values >= 0) & (values < classes))
    if ignore is not None:
        wrong &= ~np.isin(labels, ignore)
    if counts is not None:
        wrong &= counts != 0
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        problem = "label >= number of outputs" if values[at] >= classes else "label below 0"
        if np.isnan(values[at]):
            problem = "no number"
        name = layer.param.bottom[index]
        raise layer.error(
            f'bottom[{index}] "{name}" holds the label '
            f"{blob.data[at]:g} at {list(at)}: {problem}; expected 0 to {classes - 1}"
            + ("" if ignore is None else f", or {ignore} to ignore a sample")
            + f', for the {classes} outputs of bottom[0] "{layer.param.bottom[0]}"',
            blob=name,
            item=at[0] if values.ndim else None,
        )
    return labels
