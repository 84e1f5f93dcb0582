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
from .answers.found import FoundBoxes

log = logging.getLogger("caffelite")

WINDOWS = 64  # at once; the thousands of one picture would take gigabytes
CROPS = 16


class Prediction(NamedTuple):
    """The answer to one picture file; `read` is what the predictor read of it."""

    path: str
    answer: Answer
    read: object


class Predictions:
    """Iterate over it for the Prediction of each picture that can be read.

    One that cannot is named and left out, after a call of `skipped`; where none can, that is an
    error. `finish` is to be called when all answers have been put where they belong.
    """

    def __init__(self, predictor, paths, skip_bad=False, skipped=lambda path: None):
        self.predictor, self.paths = predictor, paths
        self.skip_bad, self.skipped = skip_bad, skipped
        self.bad = 0  # pictures so far

    def __iter__(self):
        for first in range(0, len(self.paths), self.predictor.batch_size):
            read = list(self._read(self.paths[first : first + self.predictor.batch_size]))
            if read:
                answers = self.predictor.predict(read)
                pairs = zip(read, answers, strict=True)
                yield from (Prediction(path, answer, own) for (path, own), answer in pairs)
        if self.bad == len(self.paths) and not self.skip_bad:
            self.finish()

    def _read(self, paths):
        for path in paths:
            try:
                yield path, self.predictor.read(path)
            except DataError as problem:
                log.warning("%s%s", "skipped " if self.skip_bad else "", problem)
                self.bad += 1
                self.skipped(path)

    def finish(self):
        """Say how many pictures were bad: with `skip_bad` in a warning, else as a DataError."""
        count = f"{self.bad} of {len(self.paths)} pictures"
        if self.bad and self.skip_bad:
            log.warning("skipped: %s", count)
        elif self.bad:
            raise DataError(
                f"{count} cannot be read, see above; --skip-bad leaves them out without an error"
            )


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


class BoxPredictor:
    """Asks a BoxNet what it finds in whole pictures, with at least a score."""

    batch_size = 1
    kind = FoundBoxes

    def __init__(self, net, least):
        self.net, self.least = net, least

    def read(self, path):
        return self.net.look(path)

    def predict(self, read):
        return [FoundBoxes(self.net.find(seen, self.least)) for _, seen in read]

    def shown_picture(self, found):
        return upright_picture(found.path)


class PixelPredictor:
    """Asks a PixelNet what each pixel of pictures is."""

    batch_size = 1

    def __init__(self, net, names=()):
        self.net, self.names = net, names
        self.kind = net.kind

    def read(self, path):
        return self.net.look(path)

    def predict(self, read):
        return [self._answer(seen) for _, seen in read]

    def _answer(self, seen):
        values, probabilities = self.net.answer(seen)
        answer = self.kind(values, self.names)
        answer.probabilities = probabilities
        return answer

    def shown_picture(self, found):
        return upright_picture(found.path)


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
        if self.detector.crop_dims[2] == 3:
            return load_image(path)
        try:
            gray = read_picture(path, color=False)  # as in data layers; pycaffe weighs otherwise
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
        return gray.transpose(1, 2, 0) / np.float32(255)

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
        return upright_picture(found.path)


def upright_picture(path):
    """A picture as it is, height x width x 3, red first."""
    return read_picture(path, True)[::-1].transpose(1, 2, 0)
