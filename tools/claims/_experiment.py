"""What experiments consist of: samples, runs, and what is expected of their figures."""

import dataclasses
import functools
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from caffelite.atomic import write_atomically
from caffelite.cli import main as command
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.data.made import digits_8x8, mnist_5k
from caffelite.models.program import Program, Samples
from caffelite.proto.caffe_pb2 import SolverParameter
from caffelite.proto.text import to_text
from caffelite.run_log.reader import records

from . import _drawing
from ._training import LOG, curves, weights_of


@functools.cache
def parts_of(maker):
    """{part: (images, labels)} of a maker of data sets, read once a process."""
    return {part: source.arrays for part, source in maker.parts().items()}


@dataclass(frozen=True)
class Digits:
    """Some of the digits that packages bring along: how many to train on, of which classes."""

    maker: ModuleType = digits_8x8
    count: int | None = None  # for training; all
    classes: range = range(10)
    transform: dict = field(default_factory=lambda: {"scale": 1 / 16})

    test_iter = 10

    @property
    def folder(self):
        """Where the databases are, within RUNS; what is in it follows from the name."""
        of = f"{self.maker.__name__.rpartition('.')[2]}-{self.classes[0]}-{self.classes[-1]}"
        return Path("data", f"{of}-{self.count or 'all'}")

    def part(self, name):
        """(images, labels) of "train" or "test"; labels count from 0."""
        images, labels = parts_of(self.maker)[name]
        wanted = np.flatnonzero(np.isin(labels, self.classes))
        wanted = wanted[: self.count if name == "train" else None]
        return images[wanted], labels[wanted] - self.classes[0]

    def make(self):
        """Write the databases, wholly or not at all, unless they are there.

        Several processes may come here at once: each writes its own, the first one's stay.
        """
        if self.folder.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as passing:
            made = Path(passing, "made")
            made.mkdir()
            for name in ("train", "test"):
                write_database(str(made / name), ArraySource(*self.part(name)))
            try:
                made.rename(self.folder)
            except OSError:
                if not self.folder.exists():
                    raise

    def samples(self, batch):
        """What feeds a net; all samples for testing make `test_iter` batches."""
        test_batch, rest = divmod(len(self.part("test")[1]), self.test_iter)
        assert not rest, f"{self.folder}: samples for testing make no {self.test_iter} batches"
        train, test = (str(self.folder / name) for name in ("train", "test"))
        return Samples(train, test, (batch, test_batch), self.transform)


FEW = Digits(count=100)
MNIST = Digits(mnist_5k, 1000, transform={"scale": 1 / 256})


@dataclass
class Run:
    """A net, what it is trained on, and how: SGD with momentum, unless `solver` says otherwise.

    All that a run writes is in a folder NAME/LABEL/SEED, with hyphens for blanks; paths are
    relative to RUNS, which is the current directory where runs are made and measured.
    """

    net: Callable
    rate: float = 0.05
    iterations: int = 150
    data: Digits = field(default_factory=Digits)
    batch: int = 32
    after: str = ""  # the run whose weights it starts from
    solver: dict = field(default_factory=dict)  # other fields of the solver

    def samples(self, folder):
        """What feeds the net of the run in a folder."""
        return self.data.samples(self.batch)

    def solver_param(self, folder, seed):
        samples = self.samples(folder)
        every = max(1, self.iterations // 10)
        fields = dict(
            net_param=Program("net", self.net, samples, (), recipe=samples).digits(),
            base_lr=self.rate,
            momentum=0.9,
            max_iter=self.iterations + 1,  # so that the last one is told
            display=every,
            average_loss=every,
            test_interval=every,
            test_initialization=False,  # BatchNorm has no statistics yet
            test_iter=[self.data.test_iter],
            random_seed=seed,
            snapshot_prefix=str(folder / "net"),
        )
        falling = {} if "lr_policy" in self.solver else {"lr_policy": "poly", "power": 1}
        return SolverParameter(**fields | falling | self.solver)

    def miniature(self):
        """The same with hardly any iterations, all of which are told and tested."""
        told = {"display": 1, "average_loss": 1, "test_interval": 1}
        return dataclasses.replace(self, iterations=2, solver=self.solver | told)

    def make(self, folder, seed, start=None):
        """Train, unless this very run is there already, made of the same start."""
        solver, done = folder / "solver.prototxt", folder / "done.json"
        text = to_text(self.solver_param(folder, seed))
        recipe = text + (json.loads((start / "done.json").read_text())["recipe"] if start else "")
        if done.exists() and json.loads(done.read_text())["recipe"] == recipe:
            return
        shutil.rmtree(folder, ignore_errors=True)  # what a run that was killed has left
        folder.mkdir(parents=True)
        self.data.make()
        begun = time.process_time()
        solver.write_text(text)
        self.train(solver, folder / LOG, start)
        told = {"recipe": recipe, "seconds": round(time.process_time() - begun, 1)}
        write_atomically(done, json.dumps(told).encode())

    def train(self, solver, log, start):
        weights = ["--weights", weights_of(start)] if start else []
        code = command(["train", "-q", "--solver", str(solver), "--log", str(log), *weights])
        if code:
            raise RuntimeError(f"{solver}: training ended with code {code}")
        *_, last = records(log)
        # A signal that ends a process ends training in good order, as early_stop does.
        if last["event"] != "done" and last.get("why") != "early_stop":
            raise RuntimeError(f"{solver}: training was stopped at iteration {last['iteration']}")


@dataclass
class Experiment:
    deck: list  # each place: which deck, and its words
    runs: dict  # {label: Run}; one that starts from another comes after it
    expected: list  # of Beats, AsGood, Reaches
    seeds: int = 3
    measure: Callable = curves  # ({label: [folder of each seed]}) -> Found
    draw: Callable = _drawing.curves  # (Found) -> bytes of a picture
    claim: str = ""  # both from the docstring
    told: str = ""

    def miniature(self, seeds=1):
        runs = {label: run.miniature() for label, run in self.runs.items()}
        return dataclasses.replace(self, runs=runs, seeds=seeds)

    def folders(self, name):
        """{label: the folder of each seed}, relative to RUNS."""
        seeds = range(1, self.seeds + 1)
        return {label: [folder(name, label, seed) for seed in seeds] for label in self.runs}

    def make(self, name, seed):
        """All runs with one of the seeds."""
        for label, run in self.runs.items():
            start = folder(name, run.after, seed) if run.after else None
            run.make(folder(name, label, seed), seed, start)


def folder(name, label, seed):
    """Where a run is; lists of files, as HDF5Data's, hold no names with blanks."""
    return Path(name, label.replace(" ", "-"), str(seed))


# What is expected of figures; `rows` is {(run, what): Row}, of results.csv


@dataclass
class Row:
    mean: float
    least: float
    largest: float

    def __str__(self):
        return f"{self.mean:.4g} ({self.least:.4g}..{self.largest:.4g})"


@dataclass
class Beats:
    """One run has more of something than another; of losses and the like, less."""

    run: str
    other: str
    what: str = "test accuracy"
    less: bool = False

    def __str__(self):
        return f"{self.run} {'below' if self.less else 'above'} {self.other}"

    @property
    def pairs(self):
        return [(self.run, self.what), (self.other, self.what)]

    def compared(self, rows):
        """The Row of the run, and that it is held against."""
        return [rows[pair] for pair in self.pairs]

    def verdict(self, rows):
        one, other = self.compared(rows)
        if self.less:
            one, other = other, one
        if one.least > other.largest:
            return "yes"
        return "in the mean only" if one.mean > other.mean else "no"


@dataclass
class AsGood(Beats):
    """The mean of one run is at most `within` worse than that of another."""

    within: float = 0.01

    def __str__(self):
        return f"{self.run} as good as {self.other}, within {self.within:g}"

    def verdict(self, rows):
        one, other = (row.mean for row in self.compared(rows))
        worse = one - other if self.less else other - one
        return "yes" if worse <= self.within else "no"


@dataclass
class Reaches(Beats):
    """Each run of one kind has more of something than a bound, `other`; of losses, less."""

    other: float

    @property
    def pairs(self):
        return [(self.run, self.what)]

    def compared(self, rows):
        return *super().compared(rows), Row(self.other, self.other, self.other)
