"""What the small nets share that tell a class for each pixel of scenes: data, ends, FCN.

The scenes are those of `caffelite dataset digit-scenes`: 128 x 128 pixels in color; label 0 is the
background, labels 1 to 10 are the digits 0 to 9, either what their filled outlines enclose, or
their ink. The trunk is that of the detectors, so that their weights fit.
"""

from dataclasses import dataclass

from caffelite.models.blocks import constant, conv, gaussian, max_pool
from caffelite.models.program import Program
from caffelite.models.scenes import SHAPE, Scenes, long_trunk
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

CLASSES = 11  # with the background
SIDE = SHAPE[-1]


@dataclass
class LabelledScenes(Scenes):
    """Scenes, and labels of their pixels: "outlines" or "ink"."""

    labels: str = "outlines"

    def data_options(self, phase):
        return {"label_source": self.source(phase).replace("_lmdb", f"_{self.labels}_lmdb")}


def scenes_program(name, net, labels):
    """The Program of a net for these labels; with the stage "ink" or "outlines", for the others."""
    (other,) = {"outlines", "ink"} - {labels}
    samples = LabelledScenes(labels=labels, rule={"not_stage": other})
    more = (LabelledScenes(labels=other, rule={"stage": other}),)
    return Program(name, net, samples, SHAPE, more=more)


# What nets end with


def tell(n, scores, background=0.6):
    """A loss when the net is to be trained, else probabilities.

    As FCN's, the loss of a picture is the sum over its pixels. Of these 93 % are background, which
    counts `background`, a digit's 1: to say so everywhere is an easy way to be mostly right.
    """
    if "label" in n.tops:
        weights = [background] + [1] * (CLASSES - 1)
        n.loss = L.SoftmaxWithLoss(
            scores,
            n.label,
            loss_param={
                "normalization": P.Loss.BATCH_SIZE,
                "ignore_label": 255,  # beyond the borders of a scene
                "weight_by_label_freqs": True,
                "class_weighting": weights,
            },
        )
    else:
        n.prob = L.Softmax(scores)


# Fully convolutional nets


def fcn(n, stride):
    """FCN-32s, 16s or 8s.  Long, Shelhamer, Darrell 2015, arXiv:1411.4038"""
    _, eighth, sixteenth = long_trunk(n)
    tell(n, fcn_scores(n, stride, eighth, sixteenth))


def fcn_scores(n, stride, eighth, sixteenth):
    """Scores of maps of so much less than the picture's side and of coarser ones, added, enlarged.

    All are read from the trunk's own maps, which know digits: behind new convolutions, digits stay
    alike for hundreds of iterations, and the trunk forgets them meanwhile.
    """
    n.pool5 = max_pool(sixteenth, 2, 2)
    top = n.score_fr = conv(n.pool5, CLASSES, 1, gaussian(0.01))
    for finer, seen in ((16, sixteenth), (8, eighth)):
        if stride <= finer:
            top = finer_scores(n, finer, top, seen)
    n[f"upscore{stride}"] = enlarged(top, stride)
    return n[f"upscore{stride}"]


def finer_scores(n, stride, coarse, seen):
    """Scores twice as many a side, plus those of a finer map.

    These are 0 at first, so that a net begins with the answers of the coarser one.
    """
    coarse = n[f"upscore{stride}_2"] = enlarged(coarse, 2)
    n[f"score{stride}"] = conv(seen, CLASSES, 1, constant(0))
    n[f"fuse{stride}"] = L.Eltwise(coarse, n[f"score{stride}"])
    return n[f"fuse{stride}"]


def enlarged(bottom, factor):
    """Each map bilinearly enlarged: a Deconvolution that does not learn."""
    return L.Deconvolution(
        bottom,
        param={"lr_mult": 0},
        convolution_param={
            "num_output": CLASSES,
            "group": CLASSES,
            "kernel_size": 2 * factor,
            "stride": factor,
            "pad": factor // 2,
            "bias_term": False,
            "weight_filler": {"type": "bilinear"},
        },
    )
