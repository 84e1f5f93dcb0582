"""An RNN learns to add two numbers among 10, not among 100; an LSTM does

The adding problem of Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly, Hinton 2015
(arXiv:1504.00941): 10 to 200 numbers between 0 and 1, of which one in either half is marked; their
sum is asked for at the end. Always to answer 1 has a squared error of 0.168. 10,000 sequences for
training, 1,000 for testing; 32 units, Xavier's first weights; 600 steps of Adam on batches of 32,
1,200 for 100 numbers and 2,000 for 200, with a rate of 0.01 that falls to 0, and clip_gradients: 1.
The RNN has tanh, and the LSTM forget_bias 4, so that it forgets little before it has learned
anything.
"""

from functools import partial

from ._experiment import Beats, Experiment, Reaches
from ._sums import ERROR, PANEL, errors, run
from ._training import by_steps

LENGTHS = {10: 600, 100: 1200, 200: 2000}  # and iterations
KINDS = {
    "RNN": dict(kind="RNN", output_hidden=True),
    "LSTM": dict(kind="LSTM", forget_bias=4),
}


experiment = Experiment(
    deck=[
        "002, RNN的梯度消失与梯度爆炸: 梯度爆炸或消失的存在,循环神经网络实际上只能学习到短期的依赖",
        '002: "模型上的改进,例如LSTM、GRU算法" against vanishing gradients',
    ],
    runs={
        f"{kind}, {length} steps": run(length, iterations, **options)
        for length, iterations in LENGTHS.items()
        for kind, options in KINDS.items()
    },
    expected=[
        Reaches("RNN, 10 steps", 0.01, ERROR, less=True),
        Reaches("RNN, 100 steps", 0.1, ERROR),
        Reaches("LSTM, 100 steps", 0.01, ERROR, less=True),
        Beats("LSTM, 200 steps", "RNN, 200 steps", ERROR, less=True),
    ],
    measure=partial(by_steps, measure=errors, panel=PANEL),
)
