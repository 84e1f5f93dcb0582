"""Flips, crops and scales at random help to tell new pictures, and so do ten crops in tests

Krizhevsky et al. 2012; Simonyan, Zisserman 2014. 500 small colored scenes that are made: one of
eight shapes, anywhere, of any size, light on dark, among four small discs; 32 x 32 pixels, tests
are of 1,000 others. Nets that learn from crops see 28 x 28 pixels; scales are from 28 to 36. "Ten
crops" are those of the net with flips and crops. Shapes and backgrounds of any color, which were
tried first, no net told: 0.19 to 0.21 of eight classes. Scales beside flips and crops do not help
here, in as many steps: the net has the larger loss in training, too.
"""

from functools import partial

from . import _scenes
from ._experiment import Beats, Digits, Experiment, Run
from ._nets import conv_net
from ._training import accuracy, band, curves, probabilities

CLASSES = range(len(_scenes.SHAPES))
CROP, SCALES = {"crop_size": 28}, {"random_resize_param": {"min_size": 28, "max_size": 36}}
WAYS = {
    "as they are": {},
    "flips": {"mirror": True},
    "crops": CROP,
    "flips, crops": {"mirror": True, **CROP},
    "flips, crops, scales": {"mirror": True, **CROP, **SCALES},
}
AVERAGED = "flips, crops"


def with_ten_crops(folders):
    """The curves, and the accuracy of nets whose answers to ten crops are averaged."""
    found = curves(folders)
    tens = [accuracy(*probabilities(folder, ten_crop=True)) for folder in folders[AVERAGED]]
    found.figures["ten crops", "test accuracy"] = tens
    x = found.panels["test accuracy"][0].x
    found.panels["test accuracy"].append(band("ten crops", "test", x[-1:], [[ten] for ten in tens]))
    return found


def way(transform):
    data = Digits(_scenes, classes=CLASSES, transform={"scale": 1 / 256, **transform})
    return Run(partial(conv_net, classes=len(CLASSES)), 0.02, 600, data)


experiment = Experiment(
    deck=[
        '003, Data Augmentation: "Random Scale", "Random Crop", "Horizontal/Vertical Flip"',
        '004, Data Augmentation: "mirroring", "random cropping"; "在 test 的时候使用 multi-crop"',
        '002, VGG: "Multi-scale training 可明显提高准确率"',
    ],
    runs={label: way(transform) for label, transform in WAYS.items()},
    expected=[
        Beats("flips", "as they are"),
        Beats("crops", "as they are"),
        Beats("flips, crops, scales", "flips, crops"),
        Beats("ten crops", AVERAGED),
    ],
    measure=with_ten_crops,
)
