"""The error on new samples falls and then rises while that in training falls on: stop in between

Two dense layers of 256 units, and 200 digits of 28 x 28. One run goes on to the end; the other one
stops by the solver's early_stop: 3 tests without a new best, of which the best is kept. The digits
that say when to stop are those that the figures are of, which flatters early_stop.
"""

from dataclasses import replace
from functools import partial

from caffelite.run_log.reader import read_log

from ._experiment import MNIST, Beats, Experiment, Run
from ._nets import dense_net
from ._training import LOG, Found, band, in_common, right

WHAT = "test loss"


def two_losses(folders):
    """Losses in training and in tests; figures are of the model kept, and when it was."""
    found = Found({}, {"loss of the run to the end": [], "loss with early_stop": []})
    for (label, several), panel in zip(folders.items(), found.panels, strict=True):
        logs = [read_log(folder / LOG) for folder in several]
        kept = [min(log.test, key=loss) if label == "early_stop" else log.test[-1] for log in logs]
        found.figures[label, WHAT] = [loss(row) for row in kept]
        found.figures[label, "test accuracy"] = [right(row) for row in kept]
        found.figures[label, "kept after"] = [row.iteration for row in kept]
        found.figures[label, "iterations run"] = [log.test[-1].iteration for log in logs]
        for phase, rows, value in (
            ("train", [log.train for log in logs], lambda row: row.loss),
            ("test", [log.test for log in logs], loss),
        ):
            found.panels[panel].append(band(label, phase, *in_common(rows, value)))
    return found


def loss(row):
    return dict(row.outputs)["loss"]


FIXED = {"lr_policy": "fixed", "test_interval": 20, "display": 20, "average_loss": 20}
END = Run(
    partial(dense_net, depth=2, width=256), 0.02, 400, replace(MNIST, count=200), solver=FIXED
)

experiment = Experiment(
    deck=['003, Babysitting Learning: "early stopping"; a picture of two curves'],
    runs={"to the end": END, "early_stop": replace(END, solver=FIXED | {"early_stop": 3})},
    expected=[
        Beats("early_stop", "to the end", WHAT, less=True),
        Beats("early_stop", "to the end", "iterations run", less=True),
        Beats("early_stop", "to the end"),
    ],
    measure=two_losses,
)
