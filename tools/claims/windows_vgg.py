"""In VGG of 13 layers, one 5 x 5 window in place of two 3 x 3 errs more

Simonyan, Zisserman 2014, section 4: their net B lost 7 % of top-1 accuracy so. Here, net B with 8
to 64 maps and three dense layers of 64, 64 and 10 units; 1,000 digits of 28 x 28, He's first
weights. Each pair of 3 x 3 is replaced by one 5 x 5 with as many maps, which leaves 8 layers. Here
the shallower net is ahead: with two 3 x 3, one net of three fell back to guessing after 30 steps,
and the other two end at 0.93, below each of those with 5 x 5.
"""

from functools import partial

from caffelite.models.blocks import MSRA

from ._experiment import MNIST, Beats, Experiment, Run
from ._vgg import vgg

experiment = Experiment(
    deck=['002, VGG: "5x5conv网络比两个3x3conv网络top-1准确率低7%"'],
    runs={
        "two 3 x 3": Run(partial(vgg, stages=5 * [(3, 3)], fill=MSRA), 0.02, 300, MNIST),
        "5 x 5": Run(partial(vgg, stages=5 * [(5,)], fill=MSRA), 0.02, 300, MNIST),
    },
    expected=[Beats("two 3 x 3", "5 x 5"), Beats("two 3 x 3", "5 x 5", "training loss", less=True)],
)
