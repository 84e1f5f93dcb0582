"""GoogLeNet without auxiliary classifiers: one loss, at its end.  Szegedy et al. 2014."""

from caffelite.models.googlenet.net import net as googlenet
from caffelite.models.program import ROUND_MEAN, Program, imagenet


def net(n):
    googlenet(n, auxiliaries={})


program = Program(
    "GoogLeNet-no-aux", net, imagenet(32, 224, mean_value=ROUND_MEAN), (1, 3, 224, 224)
)
