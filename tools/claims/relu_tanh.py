"""In deep nets ReLU learns where tanh is slow

4 and 20 dense layers of 64 units; ReLU starts from He's weights, tanh from Xavier's, as suits each.
Tanh in 20 layers starting from He's weights is shown as well. In 4 layers ReLU learns faster; in
20 layers of this width tanh does, with either weights.
"""

from functools import partial

from caffelite.models.blocks import MSRA, XAVIER
from caffelite.net_spec import layers as L

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net

experiment = Experiment(
    deck=[
        '000: "ReLU: 新的激活函数解析性质更好, 克服了sigmoid函数和tanh函数的梯度消失问题"',
        '002, AlexNet: "ReLU帮助提高训练速度"',
    ],
    runs={
        f"{label} {depth}": Run(partial(dense_net, depth=depth, act=act, fill=fill), rate=0.01)
        for label, act, fill, depths in (
            ("ReLU", L.ReLU, MSRA, (4, 20)),
            ("tanh", L.TanH, XAVIER, (4, 20)),
            ("tanh, He's weights,", L.TanH, MSRA, (20,)),
        )
        for depth in depths
    },
    expected=[
        Beats(f"ReLU {depth}", f"tanh {depth}", "training loss", less=True) for depth in (4, 20)
    ],
)
