"""SegNet: VGG-16 and its mirror image, which puts values where poolings took them from.

Badrinarayanan, Kendall, Cipolla 2015.

lint: ignore bias-before-batch-norm (as published)
"""

from caffelite.models.blocks import MSRA, VGG_16, conv
from caffelite.models.program import Program
from caffelite.models.segmentation import (
    CAMVID,
    batch_normalized,
    camvid,
    classify_camvid,
    masked_pool,
    unpool,
)

# Heights and widths of the maps that are larger than half of them come to, by the stage
ODD = {5: (23, 30), 4: (45, 60)}


def net(n):
    top, masks = n.data, {}
    for stage, widths in enumerate(VGG_16, 1):
        for i, width in enumerate(widths, 1):
            top = batch_normalized(n, f"conv{stage}_{i}", top, width, 3, relu=f"relu{stage}_{i}")
        top, masks[stage] = masked_pool(n, f"pool{stage}", top)
    for stage in range(5, 0, -1):
        top = unpool(n, f"upsample{stage}", top, masks[stage], ODD.get(stage))
        widths = VGG_16[stage - 1]
        behind = VGG_16[stage - 2][-1] if stage > 1 else CAMVID
        for i in range(len(widths), 0, -1):
            name = f"conv{stage}_{i}_D"
            if (stage, i) == (1, 1):
                n[name] = top = conv(top, CAMVID, 3, MSRA, pad=1)
            else:
                width = widths[0] if i > 1 else behind
                top = batch_normalized(n, name, top, width, 3, relu=f"relu{stage}_{i}_D")
    classify_camvid(n, top)


program = Program("VGG_ILSVRC_16_layer", net, camvid(), (1, 3, 360, 480))
