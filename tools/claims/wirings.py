"""The same RNN answers once or step by step, to what comes at once or step by step

The five wirings of a recurrent net, [each a prototxt](wirings/README.md), for digits of 8 x 8
pixels. One to one: the digit comes whole, and its class is said. One to many: then its English name
is said, a letter a step. Many to one: the digit comes row by row, and then its class is said. Many
to many: it is said after each row. Delayed: after the last row the name is said. Each is an RNN of
64 units with tanh and Xavier's first weights; 800 steps of Adam on batches of 36, with a rate of
0.005 that falls to 0, and clip_gradients: 1. The accuracy in tests is of all answers, letters or
classes; digits are told right whose last class, or all of whose letters, are.
"""

from functools import partial
from pathlib import Path

from caffelite.models.course.wirings.net import BATCH, WIRINGS, wired

from ._experiment import Experiment, Reaches, Run
from ._training import answers, curves, in_tests

FOLDER = Path(__file__).parents[2] / "models" / "course" / "wirings"
TOLD = "digits told right"
LABELS = {name.replace("_", " ").replace(" delayed", ", delayed"): name for name in WIRINGS}


def run(options):
    net = partial(wired, names=str(FOLDER / "names.txt"), **options)
    return Run(net, 0.005, 800, batch=BATCH, solver={"type": "Adam", "clip_gradients": 1})


def by_wiring(folders):
    """The curves, and how many digits are told right, of 1; where they are said often, how soon."""
    found = curves(folders)
    for label, several in folders.items():
        spelled = WIRINGS[LABELS[label]].get("spelled")
        right = [right_answers(folder) for folder in several]
        found.figures[label, TOLD] = [
            (some.all(axis=1) if spelled else some[:, -1]).mean() for some in right
        ]
        if label == "many to many":
            for rows in (2, 4, 6):
                early = [some[:, rows - 1].mean() for some in right]
                found.figures[label, f"{TOLD} after {rows} rows"] = early
    return found


def right_answers(folder):
    """Whether each is right, batches x steps x digits; what is after a name's end is."""
    net_param, weights, batches = in_tests(folder)
    scores, wanted = answers(net_param, weights, batches, "scores", "wanted")
    right = (scores.argmax(axis=2) == wanted) | (wanted == -1)
    return right.reshape(batches, -1, BATCH)


experiment = Experiment(
    deck=['002, RNN的多种输入-输出结构: "对序列的长度无要求,不用预先定义"'],
    runs={label: run(WIRINGS[name]) for label, name in LABELS.items()},
    expected=[Reaches(label, 0.85, TOLD) for label in LABELS],
    measure=by_wiring,
)
