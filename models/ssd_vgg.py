"""SSD on VGG-16, of any size of pictures: what SSD300 and SSD512 share.  Liu et al. 2016."""

from functools import partial

from caffelite.models.blocks import VGG_16, XAVIER, conv, max_pool, relu, vgg_stage
from caffelite.models.detection import Source, multibox
from caffelite.net_spec import layers as L


def ssd_vgg(n, classes, extras, sizes, ratios, steps):
    """VGG-16 whose dense layers have become convolutions, `extras`, and boxes of seven maps or six.

    An extra is a pair of convolutions: (widths, options of the second). The sizes of priors are
    those of one map, and the larger ones those of the next. Weights of VGG-16 are kept, with fc6
    and fc7 thinned out: the authors' VGG_ILSVRC_16_layers_fc_reduced.
    """
    top, blobs = n.data, {}
    for stage, widths in enumerate(VGG_16, 1):
        top = vgg_stage(n, stage, top, widths)
        blobs[f"conv{stage}_3"] = top
        pool = max_pool(top, 3, 1, pad=1) if stage == 5 else max_pool(top, 2, 2)
        top = n[f"pool{stage}"] = pool
    n.fc6 = conv(top, 1024, 3, XAVIER, pad=6, dilation=6)
    n.relu6 = relu(n.fc6)
    n.fc7 = conv(n.relu6, 1024, 1, XAVIER)
    top = n.relu7 = relu(n.fc7)
    # The values of conv4_3 are larger than those of the others: their length becomes 20.
    scale = {"type": "constant", "value": 20}
    n.conv4_3_norm = L.Normalize(
        blobs["conv4_3"], across_spatial=False, scale_filler=scale, channel_shared=False
    )
    found = {"conv4_3_norm": n.conv4_3_norm, "fc7": top}
    for stage, ((narrow, wide), options) in enumerate(extras, 6):
        top = _extra(n, f"conv{stage}_1", top, narrow, 1)
        top = found[f"conv{stage}_2"] = _extra(n, f"conv{stage}_2", top, wide, **options)
    sources = [
        Source(name, blob, least, most, *rest)
        for (name, blob), least, most, *rest in zip(
            found.items(), sizes, sizes[1:], ratios, steps, strict=False
        )
    ]
    multibox(n, sources, classes, partial(conv, kernel_size=3, fill=XAVIER, pad=1))


def _extra(n, name, bottom, width, kernel_size, **options):
    n[name] = conv(bottom, width, kernel_size, XAVIER, **options)
    n[f"{name}_relu"] = relu(n[name])
    return n[f"{name}_relu"]


HALVED = {"kernel_size": 3, "pad": 1, "stride": 2}
EXTRAS = [((256, 512), HALVED), ((128, 256), HALVED)]
