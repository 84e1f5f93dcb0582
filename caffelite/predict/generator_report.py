"""How well a generator does, by what a classifier of such pictures says of those that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NetError
from ..layers.utility.softmax import Softmax
from ..measures._frechet import frechet
from ..net.unsplit import without_splits
from ..table import table
from ..types import Array, Path
from .generator import Generator, TruePictures, nearest
from .picture_net import PictureNet
from .preprocessing import Preprocessing

MOST = 10_000  # pictures of a set that are looked at


class Judge:
    """A classifier of pictures: what it takes them for, and the features that it goes by.

    Parameters
    ----------
    model, weights : the files of a net that ends in a softmax, for training or for use
    """

    def __init__(self, model: str, weights: Path) -> None:
        self.net = PictureNet(model, weights, Preprocessing.of_net(model))
        layer, _ = self.net.answering()
        pairs = without_splits(self.net.net.nodes)
        makers = {top: bottoms for node, bottoms in pairs for top in node.top_names}
        if layer.applies != Softmax.type or not makers.get(makers[self.net.output][0]):
            raise NetError(f"{model}: expected a classifier, which ends in a softmax of scores")
        self.features = makers[makers[self.net.output][0]][0]
        """The blob of which the scores are made."""

    def __call__(self, pictures: Array) -> tuple[Array, Array]:
        """(probabilities of classes, features) of pictures, a row each."""
        crops = [self.net.crops(one if len(one) == 3 else _color(one)) for one in pictures]
        scores, features = self.net.blobs([self.net.output, self.features], crops)
        return scores.reshape(len(pictures), -1), features.reshape(len(pictures), -1)


def _color(picture: Array) -> Array:
    return np.repeat(picture, 3, axis=0)


def report(generator: Generator, judge: Judge, seed: int = 0) -> dict[str, Any]:
    """What `caffelite test --report` tells of a generator; its keys are in `lines`.

    As many pictures are made as there are test pictures, at most MOST.
    """
    with TruePictures(generator.train_val, "TEST") as tests:
        seen = tests.pixels(range(min(len(tests), MOST)))
    with TruePictures(generator.train_val) as training:
        learned = training.pixels(range(min(len(training), MOST)))
    if np.array_equal(learned[: len(seen)], seen):
        raise NetError(
            f"{generator.train_val}: its pictures for tests are those for training: what is made "
            "is held against others"
        )
    noise = generator.noise(len(seen), seed)
    made = generator.pictures(noise)
    scores, features = judge(made)
    true_scores, true_features = judge(seen)
    _, others = judge(learned[: len(seen)])
    taken_for = scores.argmax(axis=1)
    counts = np.bincount(taken_for, minlength=scores.shape[1])
    found: dict[str, Any] = {
        "pictures": len(made),
        "shares": (counts / len(made)).tolist(),
        "confidence": float(scores.max(axis=1).mean()),
        "true_confidence": float(true_scores.max(axis=1).mean()),
        "frechet": frechet(features, true_features),
        "true_frechet": frechet(others, true_features),
        "nearest": float(np.median(nearest(made, learned)[1])),
        "true_nearest": float(np.median(nearest(seen, learned)[1])),
    }
    found["frechet_ratio"] = found["frechet"] / found["true_frechet"]
    labels = generator.labels(noise)
    if labels:
        found["as_asked"] = float((taken_for == labels).mean())
    return found


def lines(found: dict[str, Any], names: list[str]) -> list[str]:
    """The report as text; `names` are those of the classes, as far as they are known."""
    told = [
        f"{found['pictures']} pictures",
        f"confidence = {found['confidence']:.4f} (of true pictures {found['true_confidence']:.4f})",
        f"frechet = {found['frechet']:.4g}, {found['frechet_ratio']:.3g} times "
        f"{found['true_frechet']:.4g}, which pictures of training are from those of tests",
        f"nearest = {found['nearest']:.4g}, the median distance to the nearest picture of "
        f"training (of those of tests {found['true_nearest']:.4g})",
    ]
    if "as_asked" in found:
        told.append(f"as_asked = {found['as_asked']:.4f}, taken for the class that was asked for")
    shares = enumerate(found["shares"])
    rows = [(names[k] if k < len(names) else str(k), f"{share:.4f}") for k, share in shares]
    return [*told, "", "taken for:", *table(("class", "share"), rows, 1)]
