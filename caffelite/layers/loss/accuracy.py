import numpy as np

from ..base import Layer, register
from ._loss import check_label_count, folded, read_labels


@register("Accuracy")
class Accuracy(Layer):
    """y = (samples whose label is among the top_k classes) / samples; 0 if none count.

    A label is among them if fewer than top_k other classes score as high or higher, so ties count
    as wrong: equal scores everywhere give 0.

    Bottom
        0: scores; at `axis` one per class
        1: labels, whole numbers from 0 to classes - 1, one per score vector
    Top
        0: y, one number
        1: the same for each class by itself, if asked for
    Options (accuracy_param)
        top_k: how many classes count as found [1]
        axis: of the classes [1]
        ignore_label: samples with this label do not count
    """

    options_field = "accuracy_param"
    role = "measure"
    labels = (1,)
    compares = "classes"
    bottoms = 2
    tops = (1, 2)
    no_gradient = (0, 1)

    @property
    def ignored_labels(self):
        return (self.options.ignore_label,) if self.options.HasField("ignore_label") else ()

    def infer_shapes(self, bottom_shapes):
        options = self.options
        _, classes, _ = folded(self, bottom_shapes[0], options.axis)
        check_label_count(self, bottom_shapes, options.axis)
        if not 1 <= options.top_k <= classes:
            raise self.error(
                f"top_k is {options.top_k}, expected 1 to {classes}, the number of classes in "
                f'bottom[0] "{self.param.bottom[0]}"'
            )
        return [(), (classes,)][: self.num_tops]

    def forward(self, bottom, top):
        options = self.options
        outer, classes, inner = folded(self, bottom[0].shape, options.axis)
        ignore = next(iter(self.ignored_labels), None)
        scores = bottom[0].data.reshape(outer, classes, inner)
        labels = read_labels(self, bottom[1], classes, ignore).reshape(outer, 1, inner)
        counted = labels != ignore
        labels = np.where(counted, labels, 0)
        own = np.take_along_axis(scores, labels, axis=1)
        others = (scores >= own).sum(axis=1, keepdims=True) - (own >= own)  # NaN >= NaN is false
        hits = (others < options.top_k) & counted
        top[0].data[...] = hits.sum() / max(1, counted.sum())
        if len(top) > 1:
            found = np.bincount(labels[hits], minlength=classes)
            present = np.bincount(labels[counted], minlength=classes)
            top[1].data[...] = found / np.maximum(present, 1)
