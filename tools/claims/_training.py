"""What is measured of trained nets: the curves of their logs, and how well they tell digits."""

from dataclasses import dataclass, field

import numpy as np

import caffelite
from caffelite.pictures.curves import Curve
from caffelite.proto.caffe_pb2 import TEST
from caffelite.proto.text import read_solver
from caffelite.run_log.reader import read_log

LOG = "log.jsonl"


@dataclass
class Found:
    """What the runs of an experiment show; `x` is what panels are drawn over."""

    figures: dict  # {(run, what): [value of each seed]}
    panels: dict = field(default_factory=dict)  # {title: [caffelite.pictures.curves.Curve]}
    x: str = "iteration"


def curves(folders):
    """Loss in training and accuracy in tests, over iterations; figures are their last values."""
    found = Found({}, {"training loss": [], "test accuracy": []})
    for label, several in folders.items():
        logs = [read_log(folder / LOG) for folder in several]
        for what, phase, value in (
            ("training loss", "train", lambda row: row.loss),
            ("test accuracy", "test", right),
        ):
            x, y = in_common([getattr(log, phase) for log in logs], value)
            found.panels[what].append(band(label, phase, x, y))
            found.figures[label, what] = [some[-1] for some in y]
    return found


def by_steps(folders, measure=curves, panel="test accuracy"):
    """What `measure` finds, with its panel once for each end of the labels: "RNN, 5 steps"."""
    found = Found({})
    for steps in dict.fromkeys(label.rpartition(", ")[2] for label in folders):
        some = measure({k: several for k, several in folders.items() if k.endswith(f", {steps}")})
        found.figures |= some.figures
        found.panels[f"{panel}, {steps}"] = some.panels[panel]
    return found


def right(row):
    """How many samples a test tells right, of 1."""
    return dict(row.outputs)["accuracy"]


def in_common(rows, value):
    """The iterations that all runs have a row of, and each run's values there."""
    x = [row.iteration for row in min(rows, key=len)]
    return x, [[value(row) for row in some[: len(x)]] for some in rows]


def band(label, phase, x, several):
    """The Curve of the mean of several, with the least and the largest."""
    y = np.array(several, float)
    least, largest = y.min(axis=0).tolist(), y.max(axis=0).tolist()
    return Curve(label, phase, x, y.mean(axis=0).tolist(), (least, largest))


def with_learned(folders, found):
    """`found`, and how many values each net learns."""
    for label, several in folders.items():
        net = caffelite.Net(read_solver(several[0] / "solver.prototxt").net_param, caffelite.TRAIN)
        learned = sum(entry.blob.count for entry in net.learnable)
        found.figures[label, "values learned"] = [learned] * len(several)
    return found


def weights_of(folder):
    return str(next(folder.glob("*.caffemodel")))


def probabilities(folder, **transform):
    """A trained net's for all samples for testing, and the labels.

    `transform` is of the Data layer; where it makes several of a sample, their mean is given.
    """
    net_param, weights, batches = in_tests(folder)
    del net_param.layer[-2:]  # loss and accuracy, which want a label for each crop
    for layer in net_param.layer:
        if layer.type == "Data":
            for name, value in transform.items():
                setattr(layer.transform_param, name, value)
    scores, labels = answers(net_param, weights, batches, net_param.layer[-1].top[0], "label")
    p = np.exp(scores.astype(float))
    p /= p.sum(axis=1, keepdims=True)
    return p.reshape(len(labels), -1, p.shape[1]).mean(axis=1), labels.astype(int)


def in_tests(folder):
    """(the net of a trained run as it is tested, its weights, how many batches tests have)."""
    solver = read_solver(folder / "solver.prototxt")
    solver.net_param.state.phase = TEST
    return solver.net_param, weights_of(folder), solver.test_iter[0]


def answers(net_param, weights, batches, *names):
    """The rows of blobs, an array each, for all samples for testing."""
    net = caffelite.Net(net_param, TEST)
    net.copy_from(weights)
    rows = {name: [] for name in names}
    for _ in range(batches):
        net.forward()
        for name, several in rows.items():
            several.append(net.blobs[name].data.copy())
    return [np.concatenate(several) for several in rows.values()]


def accuracy(p, labels):
    return float(np.mean(p.argmax(axis=1) == labels))
