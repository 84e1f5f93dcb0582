"""Ages of faces: what AgeNet's nets share, the fusion of their answers, and how good these are.

    python -m caffelite.models.agenet faces.txt --regressor R.caffemodel --classifier C.caffemodel

A line of faces.txt is "picture age deviation": how old people think the face is, on average, and
how much they differ. There may be several models of each net. Prints the mean normalized error and
the mean absolute error of each, and of all together. Liu et al. 2015.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from caffelite.classifier import Classifier
from caffelite.errors import CaffeliteError, DataError
from caffelite.io import load_image
from caffelite.models.blocks import XAVIER, dense
from caffelite.models.program import ROUND_MEAN, Samples
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P


def faces(of, batch_sizes, rule=None):
    """Samples of faces, labelled with persons or with ages in whole years."""
    sources = (f"data/{of}_train_lmdb", f"data/{of}_val_lmdb")
    transform = {"mirror": True, "crop_size": 224, "mean_value": ROUND_MEAN}
    return Samples(*sources, batch_sizes, transform, rule=rule or {})


# From general to specific: who it is, how old, how old people think. The last one is what the nets
# for ages read where no stage is given. For tests, 1,136 faces are 71 batches of 16.
IDENTITIES = faces("faces_identity", (32, 45))
REAL = faces("faces_real", (32, 50), {"stage": "real"})
APPARENT = faces("faces", (32, 16), {"not_stage": "real"})

DEVIATION = 2  # of labels of the classifier, in years


def regressor(n, top):
    """From features to an age, learned as age / 100."""
    n.age_unit = new_layer(top, 1)
    if "label" in n.tops:
        n.years = column(n.label)
        n.target = L.Power(n.years, scale=1 / 100)
        n.loss = L.EuclideanLoss(n.age_unit, n.target)
    n.age = L.Power(n.age_unit, scale=100)
    if "label" in n.tops:
        measure(n)


def classifier(n, top, ages, normalize):
    """From features to the odds of each age, learned from Gaussians around the label.

    With ages=range(1, 101) and normalize=False, labels are as slides on AgeNet print them,
    exp(-(j - y)^2 / (2 cvar^2)) / cvar for j from 1 to the largest age.
    """
    n.scores = new_layer(top, len(ages))
    if "label" in n.tops:
        options = {"num_output": len(ages), "first": ages[0], "deviation": DEVIATION}
        n.distribution = L.LabelDistribution(n.label, normalize=normalize, **options)
        target = {"target_is_prob" if normalize else "target_is_weight": True}
        n.loss = L.SoftmaxWithCrossEntropyLoss(n.scores, n.distribution, loss_param=target)
    n.prob = L.Softmax(n.scores)
    n.age = L.Expectation(n.prob, name="mean_age", first=ages[0])
    if "label" in n.tops:
        n.years = column(n.label)
        measure(n)


def new_layer(bottom, num_output):
    """The layer that other tasks do not have: in fine-tuning it learns ten times as fast."""
    rates = [{"lr_mult": 10, "decay_mult": 1}, {"lr_mult": 20, "decay_mult": 0}]
    return dense(bottom, num_output, XAVIER, param=rates)


def column(label):
    return L.Reshape(label, shape={"dim": [-1, 1]})


def measure(n):
    """mae: the mean of |age - label|."""
    n.miss = L.Eltwise(n.age, n.years, coeff=[1, -1])
    n.distance = L.AbsVal(n.miss)
    n.mae = L.Reduction(n.distance, operation=P.Reduction.MEAN)


# Evaluation


def fuse(estimates):
    """The mean of several nets' ages, for each face."""
    return np.mean(estimates, axis=0)


def mean_normalized_error(ages, deviations, estimates):
    """epsilon = mean of 1 - exp(-(age - estimate)^2 / (2 deviation^2)), from 0 to 1."""
    return float(np.mean(1 - np.exp(-((ages - estimates) ** 2) / (2 * deviations**2))))


def mean_absolute_error(ages, estimates):
    """MAE = mean of |age - estimate|, in years."""
    return float(np.mean(abs(ages - estimates)))


def report(ages, deviations, estimates):
    """Lines of a table; `estimates` is {model: ages}, and the last line is for their fusion."""
    if len(estimates) > 1:
        estimates = {**estimates, "fusion": fuse([*estimates.values()])}
    width = max(map(len, estimates))
    yield f"{'model':<{width}}  epsilon      MAE"
    for name, values in estimates.items():
        epsilon = mean_normalized_error(ages, deviations, values)
        yield f"{name:<{width}}  {epsilon:7.4f}  {mean_absolute_error(ages, values):7.4f}"


def read_faces(path):
    """(pictures, ages, deviations) of a list; pictures are where the list is."""
    rows = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    for number, line in enumerate(lines, 1):
        try:
            picture, *numbers = line.rsplit(maxsplit=2)
            age, deviation = map(float, numbers)
            if not (np.isfinite(age) and 0 < deviation < np.inf):
                raise ValueError
        except ValueError:
            expected = 'expected "picture age deviation", with a deviation above 0'
            raise DataError(f"{path}:{number}: {expected}, not {line!r}") from None
        rows.append((str(Path(path).parent / picture), age, deviation))
    if not rows:
        raise DataError(f"{path}: names no faces")
    pictures, *numbers = zip(*rows, strict=True)
    return (pictures, *map(np.array, numbers))


def estimate(kind, weights, pictures, nets):
    """The ages that a model of NETS/agenet-KIND sees in pictures, averaged over 10 crops."""
    deploy = Path(nets, f"agenet-{kind}", "deploy.prototxt")
    options = {"mean": np.array(ROUND_MEAN), "raw_scale": 255, "channel_swap": (2, 1, 0)}
    net = Classifier(str(deploy), weights, image_dims=(256, 256), **options)
    return np.array([net.predict([load_image(picture)])[0, 0] for picture in pictures])


def main(arguments):
    parser = argparse.ArgumentParser("caffelite.models.agenet", description=__doc__.split("\n")[0])
    parser.add_argument("faces", metavar="LIST", help="lines: picture age deviation")
    for kind in ("regressor", "classifier"):
        help = f"a model of agenet-{kind}; as often as you like"
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="WEIGHTS", help=help)
    own = Path(__file__).parent
    parser.add_argument("--nets", default=own, metavar="FOLDER", help="where the nets are [here]")
    args = parser.parse_args(arguments)
    models = [(k, w) for k in ("regressor", "classifier") for w in getattr(args, k)]
    if not models:
        parser.error("give at least one model, by --regressor or --classifier")
    try:
        pictures, ages, deviations = read_faces(args.faces)
        estimates = {
            weights: estimate(kind, weights, pictures, args.nets) for kind, weights in models
        }
    except CaffeliteError as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(report(ages, deviations, estimates)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
