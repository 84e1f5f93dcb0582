"""With He's first weights 30 layers of ReLU learn, with Xavier's they do not

Glorot, Bengio 2010; He et al. 2015, figures 2 and 3: at 22 layers both learn, Xavier's later; at 30
only He's. Here, dense layers of 64 units and the scores, which is a layer more. With Xavier's
weights, the net of 22 layers does not begin to learn here either.
"""

from functools import partial

from caffelite.models.blocks import MSRA, XAVIER

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net

DEPTHS = (22, 30)

experiment = Experiment(
    deck=['003, Weight Initialization: "22-layer ReLU network", "30-layer ReLU network"'],
    runs={
        f"{label} {depth}": Run(partial(dense_net, depth=depth, fill=fill), rate=0.01)
        for depth in DEPTHS
        for label, fill in (("Xavier", XAVIER), ("He", MSRA))
    },
    expected=[Beats(f"He {depth}", f"Xavier {depth}") for depth in DEPTHS],
)
