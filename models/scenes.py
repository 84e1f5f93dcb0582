"""What the small detectors of digits in scenes share: the data, and the trunks.

The scenes are those of `caffelite dataset digit-scenes`: 128 x 128 pixels in color, with boxes of
the digits 0 to 9, labels 1 to 10; 0 is the background.
"""

from dataclasses import dataclass, field

from caffelite.models.blocks import MSRA, conv_without_bias, relu
from caffelite.models.detection import DISTORTED, ONCE, Annotated
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TRAIN, EmitConstraint

CLASSES = 10
SHAPE = (1, 3, 128, 128)
PIXELS = {"mean_value": [118, 118, 118], "scale": 1 / 64}

# What training does to a scene: colors, a smaller picture on a larger canvas, crops. A mirrored
# digit is none, so nothing is mirrored.
CHANGED = {
    "distort_param": DISTORTED,
    "expand_param": {"prob": 0.4, "max_expand_ratio": 1.5},
    "emit_constraint": {"emit_type": EmitConstraint.MIN_OVERLAP, "emit_overlap": 0.5},
}
CROP = {"min_scale": 0.6, "max_scale": 1, "min_aspect_ratio": 0.75, "max_aspect_ratio": 1.33}
CROPS = [
    ONCE,  # the whole picture
    {
        "sampler": CROP,
        "sample_constraint": {"min_object_coverage": 0.7},
        "max_sample": 1,
        "max_trials": 50,
    },
]


@dataclass
class Scenes(Annotated):
    """Scenes with rows of boxes; `trained` and `grid` say what other labels training takes."""

    folder: str = "scenes"
    size: int = SHAPE[-1]
    # Many small steps learn faster here than few large ones: see docs/pages/digit-detectors.md.
    batch_sizes: tuple = (4, 50)  # training, test
    trained: dict = field(default_factory=dict)

    def transform(self, phase):
        resize = {"height": self.size, "width": self.size, "interp_mode": P.Resize.LINEAR}
        return {**PIXELS, "resize_param": resize, **(CHANGED if phase == TRAIN else {})}

    def source(self, phase):
        return f"data/scenes_{'train' if phase == TRAIN else 'test'}_lmdb"

    def options(self, phase):
        labels = {"label_map_file": "data/scenes_labelmap.prototxt"}
        return labels | ({"batch_sampler": CROPS, **self.trained} if phase == TRAIN else {})


# The trunks


def unit(n, name, bottom, width, size=3, stride=1):
    """A convolution that keeps the map's size, or halves it; BatchNorm, Scale, ReLU."""
    pad = {"pad": size // 2} if size > 1 else {}
    n[f"conv{name}"] = conv_without_bias(bottom, width, size, MSRA, stride=stride, **pad)
    top = n[f"bn{name}"] = L.BatchNorm(
        n[f"conv{name}"], in_place=True, moving_average_fraction=0.98
    )
    top = n[f"scale{name}"] = L.Scale(top, in_place=True, bias_term=True)
    n[f"relu{name}"] = relu(top)
    return n[f"relu{name}"]


def trunk(n):
    """Maps of a fourth, an eighth and a sixteenth of the picture's side."""
    fourth, eighth = fourth_and_eighth(n)
    return fourth, eighth, _sixteenth(n, eighth)


def one_map(n):
    """A map of an eighth of the side, whose places see 79 x 79 pixels: more than any digit has.

    Its first six convolutions are those of the trunk, so that weights for one fit the other.
    """
    _, top = fourth_and_eighth(n)
    for number in (3, 4):
        top = unit(n, f"3_{number}", top, 96)
    return top


def long_trunk(n):
    """The trunk's three maps, of which that of an eighth of the side is `one_map`."""
    eighth = one_map(n)
    return n.relu2_3, eighth, _sixteenth(n, eighth)


def fourth_and_eighth(n, pictures=None):
    """Maps of a fourth and an eighth of the side of pictures, n.data or what is cut out of them."""
    top = unit(n, "1", n.data if pictures is None else pictures, 24, stride=2)
    top = unit(n, "2_1", top, 48, stride=2)
    top = unit(n, "2_2", top, 48)
    fourth = unit(n, "2_3", top, 64)
    top = unit(n, "3_1", fourth, 96, stride=2)
    return fourth, unit(n, "3_2", top, 96)


def _sixteenth(n, eighth):
    top = unit(n, "4_1", eighth, 128, stride=2)
    return unit(n, "4_2", top, 128)
