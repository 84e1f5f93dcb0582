"""The more samples there are, the fewer layers are best frozen

A net that knows all digits 0 to 4, 28 x 28 pixels, goes on with 20 to 2,000 digits of 5 to 9 and a
new last layer, while more or fewer of its layers are frozen (lr_mult 0). "Features on disk" is
`extract_features` up to the last pool, stored in HDF5, and two dense layers that learn from these.
Accuracy is of 500 others of 5 to 9. With 20 and 100 digits two layers are best frozen, with 2,000
none, and the difference is small there; with 500 it is best to start from nothing.
"""

from dataclasses import dataclass, replace
from functools import partial

from caffelite.atomic import write_atomically
from caffelite.cli import main as command
from caffelite.data.made import mnist_5k
from caffelite.models import blocks
from caffelite.models.blocks import XAVIER
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST, TRAIN
from caffelite.proto.text import read_solver, to_text

from ._experiment import Beats, Digits, Experiment, Run
from ._nets import conv_net
from ._training import Found, band, curves, weights_of

COUNTS = 20, 100, 500, 2000
TO_1 = {"scale": 1 / 256}
LOW = Digits(mnist_5k, classes=range(5), transform=TO_1)
HIGH = {count: Digits(mnist_5k, count, range(5, 10), TO_1) for count in COUNTS}
NEW = partial(conv_net, classes=5, end="_new")

FROZEN = {
    "none frozen": (1, 1, 1, 1),
    "one layer frozen": (0, 1, 1, 1),
    "two frozen": (0, 0, 1, 1),
    "three frozen": (0, 0, 0, 1),
}
SCRATCH, FEATURES = "from scratch", "features on disk"
BLOB = "pool2"


@dataclass
class Stored:
    """Features and labels in HDF5 files of a folder."""

    folder: str
    batch_sizes: tuple

    def layer(self, phase):
        part = "train" if phase == TRAIN else "test"
        tops = L.HDF5Data(
            name="features",
            include={"phase": phase},
            source=f"{self.folder}/{part}.txt",
            batch_size=self.batch_sizes[phase],
            ntop=2,
        )
        return dict(zip((BLOB, "label"), tops, strict=True))


class OnFeatures(Run):
    """Trains on what the net of `after` makes of the samples, which is stored first."""

    def samples(self, folder):
        return Stored(str(folder), super().samples(folder).batch_sizes)

    def train(self, solver, log, start):
        folder = solver.parent
        stored = super().samples(folder)
        for part, database in (("train", stored.train), ("test", stored.test)):
            net = read_solver(start / "solver.prototxt").net_param
            for layer in net.layer:
                if layer.type == "Data" and layer.include[0].phase == TEST:
                    layer.data_param.source = database
            path = folder / f"{part}.prototxt"
            write_atomically(path, to_text(net).encode())
            words = [weights_of(start), path, f"{BLOB},label", folder / f"{part}.h5", "all", "hdf5"]
            words += ["--list", folder / f"{part}.txt"]
            if command(["extract_features", "-q", *map(str, words)]):
                raise RuntimeError(f"{path}: features cannot be extracted")
        super().train(solver, log, None)


def shallow(n):
    """The dense layers of conv_net, on features."""
    n.ip1 = blocks.dense(n[BLOB], 64, XAVIER)
    n.act3 = blocks.relu(n.ip1)
    n.scores_new = blocks.dense(n.act3, 5, XAVIER)
    blocks.classify(n, n.scores_new)


def by_amount(folders):
    """The last accuracy of each way, over the number of samples."""
    what = "test accuracy"
    figures = {pair: y for pair, y in curves(folders).figures.items() if pair[1] == what}
    panel = []
    for way in (SCRATCH, *FROZEN, FEATURES):
        several = zip(*(figures[label(way, count), what] for count in COUNTS), strict=True)
        panel.append(band(way, "test", [f"{count:,}" for count in COUNTS], list(several)))
    return Found(figures, {what: panel}, "samples to learn from")


def label(way, count):
    return f"{count} {way}"


def ways(count):
    """{label: Run} with so many samples."""
    run = Run(NEW, 0.05, 300, HIGH[count])
    found = {SCRATCH: run}
    for way, learns in FROZEN.items():
        found[way] = replace(run, net=partial(NEW, learns=learns), after="0 to 4")
    found[FEATURES] = OnFeatures(shallow, 0.05, 300, HIGH[count], after="0 to 4")
    return {label(way, count): run for way, run in found.items()}


def beats(one, other, *counts):
    return [Beats(label(one, count), label(other, count)) for count in counts]


experiment = Experiment(
    deck=[
        '004, Transfer Learning: "如果数据越多，所 freeze 的层数可以越少"; '
        '"把所有特征向量直接存放到磁盘中，然后拿这些向量去经过一个浅层神经网络"',
    ],
    runs={
        "0 to 4": Run(partial(conv_net, classes=5), iterations=300, data=LOW),
        **{label: run for count in COUNTS for label, run in ways(count).items()},
    },
    expected=[
        *beats("two frozen", SCRATCH, 20, 2000),
        *beats("two frozen", "none frozen", 20),
        *beats("none frozen", "two frozen", 2000),
        *beats("none frozen", "three frozen", 2000),
        *beats(FEATURES, SCRATCH, 20),
    ],
    measure=by_amount,
)
