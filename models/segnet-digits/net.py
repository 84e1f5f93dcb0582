"""SegNet for digits in scenes: pools tell where each maximum was, and it is put back there."""

from caffelite.models.blocks import MSRA, conv
from caffelite.models.scene_pixels import CLASSES, scenes_program, tell
from caffelite.models.scenes import unit
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

# The detectors' trunk, by whose names and widths weights fit; a pool halves, not a convolution.
ENCODER = (
    [("1", 24)],
    [("2_1", 48)],
    [("2_2", 48), ("2_3", 64), ("3_1", 96)],
    [("3_2", 96), ("3_3", 96), ("3_4", 96)],
)
DECODER = (3, 48), (2, 24)  # behind the pool that it undoes, and its width
HALVES = {"pool": P.Pooling.MAX, "kernel_size": 2, "stride": 2}


def net(n):
    top = n.data
    for stage, convolutions in enumerate(ENCODER):
        if stage:
            top, mask = L.Pooling(top, ntop=2, **HALVES)
            n[f"pool{stage}"], n[f"pool{stage}_mask"] = top, mask
        for name, width in convolutions:
            top = unit(n, name, top, width)
    for stage, width in DECODER:
        n[f"upsample{stage}"] = L.Upsample(top, n[f"pool{stage}_mask"], scale=2)
        top = unit(n, f"{stage}_D", n[f"upsample{stage}"], width)
    n.upsample1 = L.Upsample(top, n.pool1_mask, scale=2)
    n.conv1_D = conv(n.upsample1, CLASSES, 3, MSRA, pad=1)
    tell(n, n.conv1_D, background=0.1)


program = scenes_program("SegNet-digits", net, "ink")
