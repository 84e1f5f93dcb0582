"""In deep nets, some first weights let signals die out

Glorot, Bengio 2010; He et al. 2015. Ten dense layers with ReLU, which drops half of a signal:
MSRA's weights count that in, Xavier's do not.
"""

from functools import partial

from caffelite.models.blocks import MSRA, XAVIER, gaussian

from ._experiment import Beats, Experiment, Run
from ._nets import dense_net

experiment = Experiment(
    deck=[
        '003, Weight Initialization: "Proper initialization avoids reducing or magnifying the '
        'magnitudes of signals exponentially"',
    ],
    runs={
        label: Run(partial(dense_net, depth=10, fill=fill), rate=0.02)
        for label, fill in (("gaussian 0.01", gaussian(0.01)), ("xavier", XAVIER), ("msra", MSRA))
    },
    expected=[Beats("xavier", "gaussian 0.01"), Beats("msra", "xavier")],
)
