"""HED: edges as five stages of VGG-16 see them, and all of them together.  Xie, Tu 2015.

deploy.prototxt enlarges by Deconvolution and Crop, as published; interp.prototxt by Interp.
"""

from dataclasses import dataclass

from caffelite.coord_map import crop
from caffelite.models.program import Program
from caffelite.models.segmentation import CAFFE_MEAN, Pairs, enlarge, hed
from caffelite.net_spec import layers as L

FIXED = {"param": [{"lr_mult": 0}, {"lr_mult": 0, "decay_mult": 0}]}


def net(n):
    hed(n, 35, cut_out)


def cut_out(n, name, scores, times):
    """The scores enlarged by a Deconvolution, without the margin."""
    if times > 1:
        scores = n[f"{name.removeprefix('up')}-up"] = enlarge(
            scores, times, classes=1, name=f"upsample_{times}", bias_term=True, **FIXED
        )
    n[name] = crop(scores, n.data)
    return n[name]


def resized(n):
    hed(n, 1, resize)


def resize(n, name, scores, times):
    """The scores resized to the size of the picture, as pictures are."""
    if times == 1:
        return scores
    n[name] = L.Interp(scores, n.data, use_blob_size=True, align_corners=False)
    return n[name]


@dataclass
class WithInterp(Program):
    """Which has interp.prototxt, too."""

    def kinds(self):
        return [*super().kinds(), "interp"]

    def interp(self):
        return Program(self.name, resized, None, self.shape).deploy()


program = WithInterp(
    "HED",
    net,
    Pairs("data/HED-BSDS", "train_pair.lst", "test_pair.lst", transform={"mean_value": CAFFE_MEAN}),
    (1, 3, 500, 500),
)
