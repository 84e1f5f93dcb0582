"""Ten crops averaged tell more than the centre

Krizhevsky et al. 2012: the corners and the centre, also mirrored, averaged. Nets are trained on
1,000 digits, cut from 28 x 28 to 24 x 24 at random places and mirrored at random. Each crop holds
all of the digit, and most digits are no digits any more when they are mirrored.
"""

from caffelite.data.made import mnist_5k
from caffelite.pictures.curves import Curve

from ._experiment import Beats, Digits, Experiment, Run
from ._nets import conv_net
from ._training import Found, accuracy, probabilities

CROPS = Digits(mnist_5k, 1000, transform={"scale": 1 / 256, "crop_size": 24, "mirror": True})


def by_crops(folders):
    """The accuracy by the centre, and by ten crops averaged, of each net."""
    what, figures = "test accuracy", {}
    for label, ten in (("centre", False), ("ten crops", True)):
        found = (probabilities(folder, ten_crop=ten) for folder in folders["net"])
        figures[label, what] = [accuracy(*one) for one in found]
    nets = [str(number) for number in range(1, len(folders["net"]) + 1)]
    curves = [Curve(label, "test", nets, y) for (label, _), y in figures.items()]
    return Found(figures, {what: curves}, "net")


experiment = Experiment(
    deck=['004: "针对 test image，进行多种 crop，对他们分别做预测，然后对结果求平均"'],
    runs={"net": Run(conv_net, 0.05, 300, CROPS)},
    expected=[Beats("ten crops", "centre")],
    measure=by_crops,
)
