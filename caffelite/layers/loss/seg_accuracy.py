import numpy as np

from ..base import Layer, register
from ._loss import read_labels


@register("SegAccuracy")
class SegAccuracy(Layer):
    """y = the accuracy of pixels, the mean recall and the mean intersection over union of classes.

    The recall is a mean over the classes that occur. The union is of a class's pixels in the
    labels and in the predictions; a class that is in neither counts as 1.

    Bottom
        0: scores, (N, C, H, W); of equal ones the last class wins
        1: labels, (N, 1, H, W), whole numbers from 0 to C - 1
    Top
        0: y, (1, 1, 1, 3)
    Options (seg_accuracy_param)
        ignore_label: pixels with these labels do not count
        reset: false: count on from batch to batch [true]
        metric: changes nothing: the top holds all of them
    """

    options_field = "seg_accuracy_param"
    role = "measure"
    labels = (1,)
    compares = "classes"
    ignored = {"seg_accuracy_param.metric": "the top holds all three"}
    bottoms = 2
    no_gradient = (0, 1)

    @property
    def ignored_labels(self):
        return list(self.options.ignore_label)

    def setup(self, bottom_shapes):
        self.confusion = None  # (C, C): pixels by label and prediction

    def infer_shapes(self, bottom_shapes):
        scores, labels = (tuple(shape) for shape in bottom_shapes)
        if len(scores) != 4 or scores[1] == 0:
            raise self.shape_error(0, scores, "4 axes, (N, C, H, W), and a class")
        expected = scores[0], 1, *scores[2:]
        if labels != expected:
            raise self.shape_error(1, labels, f"{expected}, a label for each pixel")
        return [(1, 1, 1, 3)]

    def forward(self, bottom, top):
        scores = bottom[0].data
        classes = scores.shape[1]
        ignored = self.ignored_labels
        labels = read_labels(self, bottom[1], classes, ignored or None)
        counted = ~np.isin(labels, ignored)
        predicted = classes - 1 - scores[:, ::-1].argmax(1)[:, None]
        pairs = (classes * labels + predicted)[counted]
        found = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        if self.confusion is None or self.options.reset:
            self.confusion = np.zeros_like(found)
        self.confusion += found
        top[0].data[...] = _measures(self.confusion)


def _measures(confusion):
    """Accuracy, mean recall, mean intersection over union; 0 where there is nothing to count."""
    right, labelled, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    union = labelled + predicted - right
    occurs = np.count_nonzero(labelled)
    return (
        right.sum() / max(1, confusion.sum()),
        (right / np.maximum(1, labelled)).sum() / max(1, occurs),
        np.where(right == union, 1, right / np.maximum(1, union)).mean(),
    )
