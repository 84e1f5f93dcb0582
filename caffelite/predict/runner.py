"""From picture files to answers: one loop for all kinds of them.

A predictor answers: `read(path)` reads a picture, `predict` takes a list of what was read, at most
`batch_size`, and gives an Answer for each. `shown_picture` is what an answer is drawn on.
"""

import logging
from typing import NamedTuple

import numpy as np

from ..data.image_list import read_picture
from ..errors import DataError, NetError
from ..pictures.arrays import picture_of
from ..pycaffe.io import load_image
from .answers import kind_of
from .answers.base import Answer
from .answers.boxes import Boxes

log = logging.getLogger("caffelite")

WINDOWS = 64  # at once; the thousands of one picture would take gigabytes
CROPS = 16


class Prediction(NamedTuple):
    """The answer to one picture file; `read` is what the predictor read of it."""

    path: str
    answer: Answer
    read: object


def run(predictor, paths, skip_bad=False, skipped=lambda path: None):
    """Yield the Prediction of each picture that can be read.

    One that cannot is an error; with `skip_bad` it is named and left out, after a call of
    `skipped`.
    """
    bad = 0
    for first in range(0, len(paths), predictor.batch_size):
        read = []
        for path in paths[first : first + predictor.batch_size]:
            try:
                read.append((path, predictor.read(path)))
            except DataError as problem:
                if not skip_bad:
                    raise DataError(f"{problem}; --skip-bad leaves it out") from None
                log.warning("skipped %s", problem)
                bad += 1
                skipped(path)
        if read:
            answers = predictor.predict(read)
            yield from (Prediction(path, a, r) for (path, r), a in zip(read, answers, strict=True))
    if bad:
        log.warning("skipped: %d of %d pictures", bad, len(paths))


class PicturePredictor:
    """Asks nets what they say of whole pictures: the mean of their answers.

    Parameters
    ----------
    nets : PictureNets
    kind : the class of the answers [what the first net's last layer and output tell]
    names : of the classes
    """

    def __init__(self, nets, kind=None, names=()):
        self.nets, self.names = nets, names
        self.kind = kind or kind_of(*nets[0].answering())
        for net in nets:
            self.kind.check(net.answering()[0])
        self.batch_size = max(1, CROPS // max(net.transformer.crops_per_sample for net in nets))

    def read(self, path):
        """What each net is shown of the picture."""
        return [net.crops(path) for net in self.nets]

    def predict(self, read):
        crops = zip(*(own for _, own in read), strict=True)
        every = [
            self.kind.values(net.outputs(list(own)))
            for net, own in zip(self.nets, crops, strict=True)
        ]
        if len({values.shape[1:] for values in every}) > 1:
            counts = ", ".join(" x ".join(map(str, values.shape[1:])) for values in every)
            raise NetError(f"the nets have different numbers of classes: {counts}")
        return [self.kind(values, self.names) for values in np.mean(every, axis=0)]

    def shown_picture(self, found):
        """The picture as the first net sees it, its values stretched from black to white."""
        return picture_of(found.read[0][0])


class WindowPredictor:
    """Asks a Detector what is in given windows of pictures.

    Parameters
    ----------
    detector : a caffelite.Detector
    windows : {picture file: [(ymin, xmin, ymax, xmax)]}
    done : called with how many more windows have been asked about
    """

    batch_size = 1

    def __init__(self, detector, windows, done=lambda count: None):
        self.detector, self.windows, self.done = detector, windows, done

    def read(self, path):
        return load_image(path)

    def predict(self, read):
        return [Boxes((self.windows[path], self._scores(path, image))) for path, image in read]

    def skip(self, path):
        """Count the windows of a picture that is left out."""
        self.done(len(self.windows[path]))

    def _scores(self, path, image):
        windows, scores = self.windows[path], []
        for first in range(0, len(windows), WINDOWS):
            group = windows[first : first + WINDOWS]
            scores += list(self.detector.scores(path, image, group))
            self.done(len(group))
        return scores

    def shown_picture(self, found):
        return read_picture(found.path, True)[::-1].transpose(1, 2, 0)
