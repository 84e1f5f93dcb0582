"""U-Net for digits in scenes: up again beside what each size saw, which mends FCN-8s' scores."""

from caffelite.models.blocks import MSRA, concat, constant, conv
from caffelite.models.scene_pixels import CLASSES, fcn_scores, scenes_program, tell
from caffelite.models.scenes import long_trunk, unit
from caffelite.net_spec import layers as L


def net(n):
    whole = unit(n, "0", n.data, 16)  # the trunk's first convolution halves at once
    fourth, eighth, sixteenth = long_trunk(n)
    seen = {
        "eighth": (eighth, 64),
        "fourth": (fourth, 48),
        "half": (n.relu1, 24),
        "whole": (whole, 16),
    }
    top = sixteenth
    for name, (beside, width) in seen.items():
        n[f"up_{name}"] = doubled(top, width)
        top = concat(n, f"concat_{name}", n[f"up_{name}"], beside)
        top = unit(n, f"_{name}", top, width)
    n.score_whole = conv(top, CLASSES, 1, constant(0))
    coarse = fcn_scores(n, 8, eighth, sixteenth)
    n.score = L.Eltwise(coarse, n.score_whole)
    tell(n, n.score)


def doubled(bottom, width):
    """The paper's up-convolution: of each place of a map, 2 x 2 of the next."""
    window = {"kernel_size": 2, "stride": 2, "weight_filler": MSRA, "bias_term": False}
    return L.Deconvolution(bottom, convolution_param={"num_output": width, **window})


program = scenes_program("U-Net-digits", net, "ink")
