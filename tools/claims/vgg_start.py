"""A deep VGG learns sooner where some layers begin as those of a shallow one

Simonyan, Zisserman 2014, section 3.1: net A, of 11 layers, is trained first; its first four
convolutions and its dense layers are what deeper nets start from. Here, net E of 19 layers, with 8
to 64 maps; 1,000 digits of 28 x 28, Xavier's first weights. Both E have as many steps. In these
few, E alone does not begin to learn; after A one of three does, and the other two hardly.
"""

from functools import partial

from caffelite.models.blocks import XAVIER

from ._experiment import MNIST, Beats, Experiment, Run
from ._vgg import vgg

A = [(3,), (3,), (3, 3), (3, 3), (3, 3)]
E = [(3, 3), (3, 3), 4 * (3,), 4 * (3,), 4 * (3,)]
KEPT = "conv1_1", "conv2_1", "conv3_1", "conv3_2"  # and the dense ones

DEEP = partial(vgg, stages=E, fill=XAVIER, names=KEPT)

experiment = Experiment(
    deck=['002, VGG: "部分网络层参数的预初始化,提高训练收敛速度"'],
    runs={
        "A": Run(partial(vgg, stages=A, fill=XAVIER), 0.02, 300, MNIST),
        "E alone": Run(DEEP, 0.02, 300, MNIST),
        "E after A": Run(DEEP, 0.02, 300, MNIST, after="A"),
    },
    expected=[
        Beats("E after A", "E alone"),
        Beats("E after A", "E alone", "training loss", less=True),
    ],
)
