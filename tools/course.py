"""Train what courses on convolutional networks claim, and draw the curves.

    python tools/course.py                        all experiments
    python tools/course.py activation dropout     some of them

Nets are small, and so are their digits: scikit-learn's, and those of mnist-5k. Each is trained
several times, from other random numbers; curves and figures are means. OUT, by default
models/course, gets a picture for each experiment, and results.csv once all are run. Runs that are
in RUNS already are not made again. NUMBA_NUM_THREADS=1 suits nets this small.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LOG = "log.jsonl"
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

import caffelite  # noqa: E402
from caffelite.atomic import write_atomically  # noqa: E402
from caffelite.cli import main as command  # noqa: E402
from caffelite.data.arrays import ArraySource  # noqa: E402
from caffelite.data.datum import write_database  # noqa: E402
from caffelite.data.made import digits_8x8, mnist_5k  # noqa: E402
from caffelite.models import blocks  # noqa: E402
from caffelite.models.blocks import MSRA, XAVIER, gaussian  # noqa: E402
from caffelite.models.program import Program, Samples  # noqa: E402
from caffelite.net_spec import layers as L  # noqa: E402
from caffelite.pictures.curves import Curve  # noqa: E402
from caffelite.pictures.plot import picture  # noqa: E402
from caffelite.proto.caffe_pb2 import TEST, SolverParameter  # noqa: E402
from caffelite.proto.text import read_solver, to_text  # noqa: E402
from caffelite.run_log.reader import read_log  # noqa: E402


@dataclass
class Digits:
    """Some of the digits that packages bring along: how many to train on, of which classes."""

    maker: ModuleType = digits_8x8
    count: int | None = None  # for training; all
    classes: range = range(10)
    transform: dict = field(default_factory=lambda: {"scale": 1 / 16})

    def samples(self, folder, batch):
        """Databases in a folder, made if need be; labels count from 0."""
        paths = {}
        for part, source in self.maker.parts().items():
            images, labels = source.arrays
            wanted = np.flatnonzero(np.isin(labels, self.classes))
            wanted = wanted[: self.count if part == "train" else None]
            paths[part] = str(folder / f"{part}_lmdb")
            digits = ArraySource(images[wanted], labels[wanted] - self.classes[0])
            write_database(paths[part], digits)
        return Samples(paths["train"], paths["test"], (batch, self.test_batch), self.transform)

    test_iter = 10

    @property
    def test_batch(self):
        """A tenth of the digits for testing, of which packages have as many of each class."""
        each = 36 if self.maker is digits_8x8 else 100
        return each * len(self.classes) // 10


@dataclass
class Run:
    """A net, what it is trained on, and how; SGD with momentum."""

    net: Callable
    rate: float = 0.05
    iterations: int = 150
    digits: Digits = field(default_factory=Digits)
    batch: int = 32
    after: str = ""  # the run whose weights it starts from

    def solver(self, folder, seed):
        samples = self.digits.samples(folder, self.batch)
        every = self.iterations // 10
        return SolverParameter(
            net_param=Program(folder.name, self.net, samples, (), recipe=samples).digits(),
            base_lr=self.rate,
            lr_policy="poly",
            power=1,
            momentum=0.9,
            max_iter=self.iterations + 1,  # so that the last one is told
            display=every,
            average_loss=every,
            test_interval=every,
            test_initialization=False,  # BatchNorm has no statistics yet
            test_iter=[self.digits.test_iter],
            random_seed=seed,
            snapshot_prefix=str(folder / "net"),
        )


@dataclass
class Experiment:
    runs: dict  # {label: Run}
    seeds: int = 5
    measure: Callable | None = None  # (name of x, curves, figures) instead of those of training


# Nets. They end with 10 scores unless told otherwise.


def conv_net(n, act=L.ReLU, fill=XAVIER, classes=10, learns=(1, 1, 1, 1), end=""):
    """Two 3 x 3 convolutions with pooling, two dense layers; `learns` multiplies their rates."""
    rates = [[{"lr_mult": rate}, {"lr_mult": rate}] for rate in learns]
    n.conv1 = blocks.conv(n.data, 16, 3, fill, pad=1, param=rates[0])
    n.act1 = act(n.conv1, in_place=True)
    n.pool1 = blocks.max_pool(n.act1, 2, 2)
    n.conv2 = blocks.conv(n.pool1, 32, 3, fill, pad=1, param=rates[1])
    n.act2 = act(n.conv2, in_place=True)
    n.pool2 = blocks.max_pool(n.act2, 2, 2)
    n.ip1 = blocks.dense(n.pool2, 64, fill, param=rates[2])
    n.act3 = act(n.ip1, in_place=True)
    n[f"scores{end}"] = blocks.dense(n.act3, classes, fill, param=rates[3])
    blocks.classify(n, n[f"scores{end}"])


def dense_net(n, depth, width=64, fill=XAVIER, normalized=False, drop=0):
    """`depth` dense layers with ReLU, then the scores."""
    top = n.data
    for i in range(1, depth + 1):
        top = n[f"ip{i}"] = blocks.dense(top, width, fill, param=[])
        if normalized:
            top = blocks.normalize(n, (f"bn{i}", f"scale{i}"), top)
        top = n[f"relu{i}"] = blocks.relu(top)
        if drop:
            top = n[f"drop{i}"] = blocks.dropout(top, drop)
    n.scores = blocks.dense(top, 10, fill, param=[])
    blocks.classify(n, n.scores)


def windows(n, sizes):
    """A 3 x 3 convolution, then those of these sizes, 24 maps each; a pool, the scores."""
    top = n.data
    for i, size in enumerate((3, *sizes), 1):
        n[f"conv{i}"] = blocks.conv(top, 24, size, MSRA, pad=size // 2)
        top = n[f"relu{i}"] = blocks.relu(n[f"conv{i}"])
    n.pool = blocks.max_pool(top, 2, 2)
    n.scores = blocks.dense(n.pool, 10, XAVIER)
    blocks.classify(n, n.scores)


def plain(n, name, bottom, width, stride):
    """The unit of a small ResNet without its shortcut."""
    top = blocks.res(n, name, "branch2a", bottom, width, 3, activate=True, pad=1, stride=stride)
    return blocks.res(n, name, "branch2b", top, width, 3, activate=True, pad=1)


# What is measured after training


def probabilities(folder, ten_crop=False):
    """A trained net's for all digits for testing, and the labels; ten crops are averaged."""
    solver = read_solver(folder / "solver.prototxt")
    param = solver.net_param
    param.state.phase = TEST
    del param.layer[-2:]  # loss and accuracy, which want a label for each crop
    for layer in param.layer:
        if layer.type == "Data":
            layer.transform_param.ten_crop = ten_crop
    net = caffelite.Net(param, TEST)
    net.copy_from(weights(folder))
    scores, labels = [], []
    for _ in range(solver.test_iter[0]):
        net.forward()
        scores.append(net.blobs[param.layer[-1].top[0]].data.astype(float))
        labels.append(net.blobs["label"].data.astype(int))
    p = np.exp(np.concatenate(scores))
    p /= p.sum(axis=1, keepdims=True)
    labels = np.concatenate(labels)
    return p.reshape(len(labels), -1, p.shape[1]).mean(axis=1), labels


def weights(folder):
    return str(next(folder.glob("*.caffemodel")))


def of_ensembles(folder, seeds):
    """The accuracy of each net alone, and of the first 1, 2, 3, ... averaged."""
    (run,) = folder.iterdir()
    found = [probabilities(run / str(seed)) for seed in seeds]
    labels = found[0][1]
    alone = [accuracy(p, labels) for p, _ in found]
    together = [accuracy(p, labels) for p in np.cumsum([p for p, _ in found], axis=0)]
    curves = {"each net alone": alone, "averaged up to it": together}
    return "nets", curves, {"a net alone": alone, "all averaged": together[-1:]}


def of_crops(folder, seeds):
    """The accuracy by the centre, and by ten crops averaged, of each net."""
    (run,) = folder.iterdir()
    found = {
        label: [accuracy(*probabilities(run / str(seed), ten)) for seed in seeds]
        for label, ten in (("centre", False), ("ten crops", True))
    }
    return "net", found, found


def accuracy(p, labels):
    return float(np.mean(p.argmax(axis=1) == labels))


# The experiments

COLUMNS = ("experiment", "run", "what", "mean", "least", "largest")

FEW = Digits(count=100)
TO_1 = {"scale": 1 / 256}
MNIST = Digits(mnist_5k, 1000, transform=TO_1)
LOW = Digits(mnist_5k, classes=range(5), transform=TO_1)
HIGH = Digits(mnist_5k, 20, range(5, 10), TO_1)
CROPS = Digits(mnist_5k, 1000, transform={"scale": 1 / 256, "crop_size": 24, "mirror": True})

NEW = partial(conv_net, classes=5, end="_new")

EXPERIMENTS = {
    # ReLU learns faster than tanh, and sigmoid slowest.  Krizhevsky et al. 2012, figure 1
    "activation": Experiment(
        {
            "ReLU": Run(conv_net),
            "tanh": Run(partial(conv_net, act=L.TanH)),
            "sigmoid": Run(partial(conv_net, act=L.Sigmoid)),
        },
    ),
    # With BatchNorm, larger rates can be used.  Ioffe, Szegedy 2015
    "batch-norm": Experiment(
        {
            f"{rate} {'with' if normalized else 'without'}": Run(
                partial(dense_net, depth=4, normalized=normalized), rate=rate
            )
            for rate in (0.02, 0.1, 0.5)
            for normalized in (False, True)
        },
    ),
    # In deep nets, some weights let signals die out.  Glorot, Bengio 2010; He et al. 2015
    "fill": Experiment(
        {
            "gaussian 0.01": Run(partial(dense_net, depth=10, fill=gaussian(0.01)), rate=0.02),
            "xavier": Run(partial(dense_net, depth=10, fill=XAVIER), rate=0.02),
            "msra": Run(partial(dense_net, depth=10, fill=MSRA), rate=0.02),
        },
    ),
    # Dropout errs more on samples for training, less on new ones.  Srivastava et al. 2014
    "dropout": Experiment(
        {
            "without": Run(partial(dense_net, depth=2, width=256), 0.05, 500, MNIST),
            "with": Run(partial(dense_net, depth=2, width=256, drop=0.5), 0.05, 500, MNIST),
        },
    ),
    # Two 3 x 3 windows do for one of 5 x 5, with fewer weights.  Simonyan, Zisserman 2014
    "windows": Experiment(
        {
            "5 x 5": Run(partial(windows, sizes=(5,)), rate=0.02),
            "two 3 x 3": Run(partial(windows, sizes=(3, 3)), rate=0.02),
        },
    ),
    # A net that knows other digits learns from fewer samples.  Yosinski et al. 2014
    "transfer": Experiment(
        {
            "0 to 4": Run(partial(conv_net, classes=5), iterations=300, digits=LOW),
            "from scratch": Run(NEW, digits=HIGH),
            "all layers": Run(NEW, digits=HIGH, after="0 to 4"),
            "dense layers": Run(partial(NEW, learns=(0, 0, 1, 1)), digits=HIGH, after="0 to 4"),
            "last layer": Run(partial(NEW, learns=(0, 0, 0, 1)), digits=HIGH, after="0 to 4"),
        },
    ),
    # Nets that are averaged err less than each alone.
    "ensemble": Experiment(
        {"net": Run(conv_net, digits=FEW)},
        seeds=9,
        measure=of_ensembles,
    ),
    # Ten crops averaged tell more than the centre.  Krizhevsky et al. 2012
    "crops": Experiment(
        {"net": Run(conv_net, 0.05, 300, CROPS)},
        measure=of_crops,
    ),
    # Without shortcuts, a deeper net errs more even on its training data.  He et al. 2015
    "depth": Experiment(
        {
            f"{kind}-{depth}": Run(partial(blocks.small_resnet, unit=unit, depth=depth))
            for kind, unit in (("plain", plain), ("ResNet", blocks.small))
            for depth in (20, 56)
        },
        seeds=3,
    ),
}


# Running them


def run(name, out, runs):
    """Train what an experiment says, unless it is there; draw it; the lines of its results."""
    experiment = EXPERIMENTS[name]
    seeds = range(1, experiment.seeds + 1)
    for label, one in experiment.runs.items():
        for seed in seeds:
            start = runs / name / one.after / str(seed) if one.after else None
            train(one, seed, runs / name / label / str(seed), start)
    if experiment.measure:
        x, curves, figures = experiment.measure(runs / name, seeds)
        at = [str(seed) for seed in seeds]
        panels = {"test accuracy": [Curve(run, "test", at, y) for run, y in curves.items()]}
        rows = [(label, "test accuracy", *spread(y)) for label, y in figures.items()]
    else:
        logs = {
            label: [read_log(runs / name / label / str(seed) / LOG) for seed in seeds]
            for label in experiment.runs
        }
        x, panels = "iteration", {"training loss": [], "test accuracy": []}
        rows = [row for label, several in logs.items() for row in means(label, several, panels)]
    write_atomically(out / f"{name}.svg", picture(panels, x, False, "svg"))
    return [(name, *row) for row in rows]


def train(one, seed, folder, start):
    """One run, with its solver, log and weights in a folder."""
    if (folder / LOG).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    solver, log = folder / "solver.prototxt", folder / "unfinished.jsonl"
    solver.write_text(to_text(one.solver(folder, seed)))
    log.unlink(missing_ok=True)
    start = ["--weights", weights(start)] if start else []
    command(["train", "-q", "--solver", str(solver), "--log", str(log), *start])
    log.rename(folder / LOG)


def means(label, logs, panels):
    """Add the mean of several runs to the panels; their last figures.

    A net whose loss is not finite stops; the mean ends with the first that does.
    """
    for panel, phase, value in (
        ("training loss", "train", lambda row: row.loss),
        ("test accuracy", "test", lambda row: dict(row.outputs)["accuracy"]),
    ):
        rows = [getattr(log, phase) for log in logs]
        length = min(map(len, rows))
        if not length:
            continue
        y = np.array([[value(row) for row in some[:length]] for some in rows])
        x = [row.iteration for row in rows[0][:length]]
        panels[panel].append(Curve(label, phase, x, y.mean(axis=0).tolist()))
        yield label, panel, *spread(y[:, -1])


def spread(values):
    """Mean, least, largest."""
    return tuple(round(float(f(values)), 4) for f in (np.mean, np.min, np.max))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "course", metavar="DIR")
    parser.add_argument("--runs", type=Path, default=Path("course-runs"), metavar="RUNS")
    args = parser.parse_args()
    unknown = set(args.names) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there is {', '.join(EXPERIMENTS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    results = {name: run(name, args.out, args.runs) for name in args.names or EXPERIMENTS}
    lines = [
        ",".join(COLUMNS),
        *(",".join(map(str, row)) for rows in results.values() for row in rows),
    ]
    print("\n".join(lines))
    if not args.names:
        write_atomically(args.out / "results.csv", "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    main()
