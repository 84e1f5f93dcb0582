"""Few labels are best learned from general to specific: identity, then real, then apparent age

Liu et al. 2015, AgeNet. Digits stand for faces. Who somebody is, is which digit it is, known of
2,800; how old, how far a digit leans, 50 for upright and 1 more for a degree to the right, measured
of 1,000 others; how old people think, what ten made-up judges say of 100 more, who see four fifths
of a slant and differ by 2.6 to 5.1, as those of the deck's faces do. Tests are of what the judges
say of 1,000 digits, in the deck's measures: epsilon, the mean of 1 - exp(-(said - found)^2 / (2
deviation^2)), and MAE, that of |said - found|.

The heads are AgeNet's own: a regressor of age / 100, and a classifier of the years 0 to 100 on
labels that are Gaussians. What is told of a way is the mean of their answers, and below it each
alone. New layers learn ten times as fast. Rate and iterations are the same for all ways, and such
that all of them fit their 100 digits: with a rate of 0.01, tried first, regressors that started
from identity told nearly the same of all digits. "As printed" has the labels of the slide, from 1
on and not divided by their sum. The deck has epsilon and MAE of 0.5381 and 7.09 from nothing,
0.3994 and 4.75 from real age, 0.3504 and 4.21 from identity, 0.3360 and 3.95 from both.

Here real age helps, as there; identity does not, but costs more than it gives, even with real age
after it. Which digit it is, unlike whose face, says little of the number that is asked for: to tell
digits is to overlook how they lean. That the way from both is better than that from identity shows.
"""

import functools
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from caffelite.data.made import mnist_5k
from caffelite.models import agenet

from ._experiment import Beats, Digits, Experiment, Run, parts_of
from ._nets import conv_features, conv_net
from ._training import LOG, Found, answers, band, in_common, in_tests, read_log

TO_1 = {"scale": 1 / 256}
PERSONS, REAL, APPARENT = slice(2800), slice(2800, 3800), slice(3800, 3900)  # for training


def slants(images):
    """How far each digit leans to the right: 50 if it stands upright, and 1 more for a degree."""
    ink = images[:, 0] / images.sum(axis=(1, 2, 3), dtype=float).reshape(-1, 1, 1)
    row, column = (
        at - (ink * at).sum(axis=(1, 2), keepdims=True)
        for at in np.mgrid[: ink.shape[1], : ink.shape[2]]
    )
    lean = np.arctan2(-(ink * row * column).sum(axis=(1, 2)), (ink * row**2).sum(axis=(1, 2)))
    return np.clip(50 + np.degrees(lean), 0, 100)


def judged(slants, seed):
    """(mean, deviation) of what ten judges say of each slant."""
    random = np.random.default_rng(seed)
    differ = random.uniform(2.6, 5.1, (len(slants), 1))
    said = 50 + 0.8 * (slants[:, None] - 50) + differ * random.standard_normal((len(slants), 10))
    return said.mean(axis=1), said.std(axis=1, ddof=1)


@functools.cache
def labels(part):
    """(slants, what judges say of them, how they differ) of all digits of a part."""
    measured = slants(parts_of(mnist_5k)[part][0])
    return measured, *judged(measured, ["train", "test"].index(part))


@dataclass(frozen=True)
class Slants(Digits):
    """Digits labelled with slants in whole degrees: those measured, or as judges see them."""

    maker: object = mnist_5k
    transform: dict = field(default_factory=lambda: TO_1)
    seen: bool = False

    @property
    def folder(self):
        return Path("data", "slants-seen" if self.seen else "slants")

    def part(self, name):
        images, _ = parts_of(self.maker)[name]
        of = (APPARENT if self.seen else REAL) if name == "train" else slice(None)
        return images[of], np.rint(labels(name)[self.seen][of]).astype(int)


DIGITS = Digits(mnist_5k, PERSONS.stop, transform=TO_1)

HEADS = {
    "regressor": agenet.regressor,
    "classifier": partial(agenet.classifier, ages=range(101), normalize=True),
    "as printed": partial(agenet.classifier, ages=range(1, 101), normalize=False),
}
FUSED = ("regressor", "classifier")
ORDER = [  # of each pair, the deck's first has the lower errors
    ("real age", "nothing"),
    ("identity", "nothing"),
    ("identity", "real age"),
    ("both", "real age"),
    ("both", "identity"),
]
WAYS = ("from nothing", "from real age", "from identity", "from both")


def net(head, n):
    head(n, conv_features(n))


def runs():
    """{label: Run}: identity, then of each head real ages and the ways to apparent ones."""
    made = {"identity": Run(partial(conv_net, end="_digit"), iterations=300, data=DIGITS)}
    for head, add in HEADS.items():
        train = partial(Run, partial(net, add), rate=0.003, iterations=600)
        real, both = f"{head} of real age", f"{head} of real age from identity"
        starts = dict(zip(WAYS, ("", real, "identity", both), strict=True))
        if head in FUSED:
            made[real] = train(data=Slants())
        else:
            starts = {"from both": both}
        made[both] = train(data=Slants(), after="identity")
        for way, start in starts.items():
            made[f"{head} {way}"] = train(data=Slants(seen=True), after=start)
    return made


def measure(folders):
    """Errors of both heads together, and of each; and how the test error of each falls."""
    found = Found({}, {f"test MAE, {head}": [] for head in FUSED})
    for way in WAYS:
        alone = {head: [ages(folder) for folder in folders[f"{head} {way}"]] for head in FUSED}
        tell(found, way, "", map(agenet.fuse, zip(*alone.values(), strict=True)))
        for head, several in alone.items():
            tell(found, way, f", {head}", several)
            tests = [read_log(folder / LOG).test for folder in folders[f"{head} {way}"]]
            x, y = in_common(tests, lambda row: dict(row.outputs)["mae"])
            found.panels[f"test MAE, {head}"].append(band(way, "test", x, y))
    tell(found, "from both", ", as printed", map(ages, folders["as printed from both"]))
    return found


def ages(folder):
    """What a trained net answers for the digits for testing."""
    return answers(*in_tests(folder), "age")[0][:, 0]


def tell(found, way, of, several):
    """Put in the errors of the answers of each seed."""
    _, said, differ = labels("test")
    errors = [
        (agenet.mean_normalized_error(said, differ, ages), agenet.mean_absolute_error(said, ages))
        for ages in several
    ]
    for what, values in zip(("epsilon", "MAE"), zip(*errors, strict=True), strict=True):
        found.figures[way, what + of] = list(values)


experiment = Experiment(
    deck=['000: "深度迁移学习策略的比较"', '000: "从General到Specific的深度迁移学习策略"'],
    runs=runs(),
    expected=[
        Beats(f"from {way}", f"from {other}", what, less=True)
        for what in ("epsilon", "MAE")
        for way, other in ORDER
    ],
    measure=measure,
)
