"""How well a net tells the class of each pixel: accuracy, and intersection over union."""

import math

import numpy as np

from .accuracy import Accuracy, class_names, confused_and_samples, share_text
from .base import Section, register

MOST_SHOWN = 200  # classes that are shown one by one
MOST_CONFUSED = 40  # classes whose confusion is shown
FIGURES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


@register("segmentation")
class Segmentation(Accuracy):
    """Of n[i][j] pixels of class i that are taken for j, t[i] = sum n[i] of a class, all in a set:

    pixel_accuracy = sum n[i][i] / sum t[i]
    mean_accuracy = mean of n[i][i] / t[i]
    mean_iu = mean of iu[i] = n[i][i] / (t[i] + sum over j of n[j][i] - n[i][i])
    frequency_weighted_iu = sum t[i] iu[i] / sum t[i]

    Means are over the classes for which there is something to divide by. Pixels of ignored labels
    do not count.  Long, Shelhamer, Darrell 2015, arXiv:1411.4038, section 5

    That is beside what Accuracy tells of labels, which are those of pixels here.
    """

    where = " at more places than one of a sample"
    shown = (*FIGURES, "cross_entropy")
    per_class = False

    @classmethod
    def suits(cls, layer, shapes, maker):
        scores, labels = shapes[:2]
        space = scores[getattr(layer.options, "axis", 1) % len(scores) + 1 :]
        of_one_pixel = bool(space) and len(labels) == len(scores)
        return math.prod(space) > 1 or of_one_pixel

    def take_tests(self, param):
        self.per_class = param.show_per_class_result

    def report(self):
        report = super().report()
        return report | measures(*(report[name] for name in ("labelled", "answered", "right")))

    def details(self):
        iu = self.report()["iu"] if self.per_class and self.samples else []
        return {f"class{k}": np.float64(one) for k, one in enumerate(iu) if one is not None}

    def counted(self, report):
        yield f"pixels that count: {report['counted']}"

    def sections(self, report, names=()):
        names = class_names(names, self.classes)
        told = [k for k in range(self.classes) if report["iu"][k] is not None]
        title = ""
        if len(told) > MOST_SHOWN:
            title = f"the {MOST_SHOWN} classes that do worst"
            told = sorted(told, key=lambda k: report["iu"][k])[:MOST_SHOWN]
        rows = [
            (
                names[k],
                str(report["labelled"][k]),
                *(share_text(report[kind][k]) for kind in _SHARES),
            )
            for k in told
        ]
        yield Section(title, ("class", "pixels", "accuracy", "precision", "IU"), rows)
        if self.classes <= MOST_CONFUSED:
            yield _confusion(report, names)
        yield from confused_and_samples(report, names, "pixels")


_SHARES = "recall", "precision", "iu"


def measures(labelled, answered, right):
    """{name: number} of FIGURES, and "iu", a number a class; None where there is nothing to tell.

    Parameters
    ----------
    labelled, answered, right : of each class, the pixels that are labelled with it, that are
        answered with it, and both
    """
    labelled, answered, right = (np.array(each, float) for each in (labelled, answered, right))
    total = labelled.sum()
    if not total:
        return dict.fromkeys(FIGURES) | {"iu": [None] * len(labelled)}
    union = labelled + answered - right
    iu = np.divide(right, union, where=union > 0, out=np.zeros_like(right))
    occurs = labelled > 0
    values = (
        right.sum() / total,
        (right[occurs] / labelled[occurs]).mean(),
        iu[union > 0].mean(),
        labelled @ iu / total,
    )
    told = [one if some else None for one, some in zip(iu.tolist(), union, strict=True)]
    return dict(zip(FIGURES, map(float, values), strict=True)) | {"iu": told}


def _confusion(report, names):
    """The confusion as a Section: of the pixels of each class, in percent."""
    title = "confusion (a row for each label, a column for each answer, % of the label's pixels)"
    rows = [
        (name, *(f"{100 * cell / max(1, count):.1f}" for cell in row))
        for name, count, row in zip(names, report["labelled"], report["confusion"], strict=True)
    ]
    return Section(title, ("", *names), rows, heat=True)
