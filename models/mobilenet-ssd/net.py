"""MobileNet-SSD: boxes of six maps on a MobileNet, 1,917 of them in a picture.  chuanqi305 2017.

merged.prototxt is the same net for use, with BatchNorm and Scale taken into the convolutions.
"""

from dataclasses import dataclass
from functools import partial

from caffelite.models.blocks import MSRA, conv, conv_without_bias, normalize, relu
from caffelite.models.detection import VOC, Annotated, Source, multibox
from caffelite.models.program import Program

UNITS = {  # name: (width, stride)
    1: (64, 1),
    2: (128, 2),
    3: (128, 1),
    4: (256, 2),
    5: (256, 1),
    6: (512, 2),
    **dict.fromkeys(range(7, 12), (512, 1)),
    12: (1024, 2),
    13: (1024, 1),
}
EXTRAS = {14: (256, 512), 15: (128, 256), 16: (128, 256), 17: (64, 128)}
SIZES = [60, 105, 150, 195, 240, 285, 300]
SOURCES = ["conv11", "conv13", *(f"conv{i}_2" for i in EXTRAS)]


def net(n, merged=False):
    unit = biased if merged else normalized
    top, maps, blobs = unit(n, "conv0", n.data, 32, 3, stride=2, pad=1), 32, {}
    for i, (width, stride) in UNITS.items():
        window = {"stride": stride} if stride > 1 else {}
        top = unit(n, f"conv{i}/dw", top, maps, 3, pad=1, group=maps, **window)
        top, maps = unit(n, f"conv{i}", top, width, 1), width
        blobs[f"conv{i}"] = top
    for i, (narrow, wide) in EXTRAS.items():
        top = unit(n, f"conv{i}_1", top, narrow, 1)
        top = blobs[f"conv{i}_2"] = unit(n, f"conv{i}_2", top, wide, 3, pad=1, stride=2)
    sources = [
        Source(name, blobs[name], least, most if i else None, [2, 3] if i else [2])
        for i, (name, least, most) in enumerate(zip(SOURCES, SIZES, SIZES[1:], strict=False))
    ]
    last = partial(conv, kernel_size=1, fill=MSRA)
    multibox(n, sources, VOC, last, threshold=0.25, top_k=100, keep_top_k=100)


def normalized(n, name, bottom, width, size, **options):
    n[name] = conv_without_bias(bottom, width, size, MSRA, **options)
    return normalize(n, [f"{name}/{end}" for end in ("bn", "scale", "relu")], n[name])


def biased(n, name, bottom, width, size, **options):
    n[name] = conv(bottom, width, size, MSRA, **options)
    n[f"{name}/relu"] = relu(n[name])
    return n[f"{name}/relu"]


@dataclass
class WithMerged(Program):
    """Which has merged.prototxt, too."""

    def kinds(self):
        return [*super().kinds(), "merged"]

    def merged(self):
        return Program(self.name, partial(net, merged=True), None, self.shape).deploy()


program = WithMerged(
    "MobileNet-SSD",
    net,
    Annotated("VOC0712", 300, (24, 8), {"mean_value": [127.5] * 3, "scale": 0.007843}),
    (1, 3, 300, 300),
)
