"""Peepholes and coupled gates do as well as the plain LSTM, coupled gates with fewer weights

Gers and Schmidhuber 2000 let the gates see the cell; Greff and others 2015 (arXiv:1503.04069)
compared eight LSTMs and found the plain one as good as any, and one whose input gates are 1 - f no
worse, which has a fourth fewer weights. Here each adds two marked numbers of 50: see
[adding](#adding), whose nets and rates these are, with 600 steps. In the mean the plain one errs
most, by one of its seeds.
"""

from ._experiment import AsGood, Beats, Experiment
from ._sums import ERROR, errors, run
from ._training import with_learned

KINDS = {
    "plain": {},
    "peephole": {"peephole": True},
    "peephole_previous": {"peephole": True, "peephole_previous": True},
    "coupled": {"coupled": True},
    "coupled, peephole": {"coupled": True, "peephole": True},
}
OTHERS = [kind for kind in KINDS if kind != "plain"]


experiment = Experiment(
    deck=["002, LSTM变体: 窥视孔连接(peephole connection)", "002: 耦合输入门和遗忘门"],
    runs={
        name: run(50, 600, kind="LSTM", forget_bias=4, **options) for name, options in KINDS.items()
    },
    expected=[
        *(AsGood(kind, "plain", ERROR, less=True, within=0.005) for kind in OTHERS),
        Beats("coupled", "plain", "values learned", less=True),
    ],
    measure=lambda folders: with_learned(folders, errors(folders)),
)
