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

FACES = Samples(
    "data/faces_train_lmdb",
    "data/faces_val_lmdb",
    (32, 50),
    {"mirror": True, "crop_size": 224, "mean_value": ROUND_MEAN},
)


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


def estimate(kind, weights, pictures):
    """The ages that a model of models/agenet-KIND sees in pictures, averaged over 10 crops."""
    deploy = Path(__file__).parent / f"agenet-{kind}" / "deploy.prototxt"
    options = {"mean": np.array(ROUND_MEAN), "raw_scale": 255, "channel_swap": (2, 1, 0)}
    net = Classifier(str(deploy), weights, image_dims=(256, 256), **options)
    return np.array([net.predict([load_image(picture)])[0, 0] for picture in pictures])


def main(arguments):
    parser = argparse.ArgumentParser("caffelite.models.agenet", description=__doc__.split("\n")[0])
    parser.add_argument("faces", metavar="LIST", help="lines: picture age deviation")
    for kind in ("regressor", "classifier"):
        help = f"a model of agenet-{kind}; as often as you like"
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="WEIGHTS", help=help)
    args = parser.parse_args(arguments)
    models = [(k, w) for k in ("regressor", "classifier") for w in getattr(args, k)]
    if not models:
        parser.error("give at least one model, by --regressor or --classifier")
    try:
        pictures, ages, deviations = read_faces(args.faces)
        estimates = {weights: estimate(kind, weights, pictures) for kind, weights in models}
    except CaffeliteError as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(report(ages, deviations, estimates)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
