"""A source of pictures in one database, and of the labels of their pixels in another."""

from ..errors import DataError
from .datum import DatumSource
from .image import INDICES
from .source import Source


class DatumPairSource(Source):
    """Pairs of a picture and the labels of its pixels; a sample is (pixels, (label, labels)).

    `pictures` is a DatumSource, whose order this one has, and the labels of whose samples, numbers
    or Boxes, come along; record n of the database at `path`, of the same kind, holds the labels of
    the pixels of its record n, 1 x height x width.
    """

    def __init__(self, pictures, path):
        self.pictures = pictures
        self.labels = DatumSource(path, INDICES, pictures.database)
        self.labels.records.in_turn = False
        counts = len(self.labels.records), len(pictures.records)
        if counts[0] != counts[1]:
            raise DataError(
                f"{path}: has {counts[0]} records, but {pictures.records.path} has {counts[1]}; "
                "expected labels for each picture, in the same order"
            )

    @property
    def seed(self):
        return self.pictures.seed

    @seed.setter
    def seed(self, seed):
        self.pictures.seed = seed

    def __len__(self):
        return len(self.pictures)

    def drawn_for(self):
        return self.pictures.drawn_for()

    def layout(self):
        return self.pictures.layout()

    def sample(self, number):
        pixels, label = self.pictures.sample(number)
        labels, _ = self.labels.stored(self.pictures.record(number))
        path = self.labels.records.path
        with self.named(number):
            if len(labels) != 1:
                raise DataError(f'labels in "{path}": {len(labels)} channels, expected 1')
            if labels.shape[1:] != pixels.shape[1:]:
                sizes = (" x ".join(map(str, each.shape[1:])) for each in (pixels, labels))
                raise DataError('{} pixels, but {} labels in "{}"'.format(*sizes, path))
        return pixels, (label, labels)

    def shape(self, number):
        return self.pictures.shape(number)

    def datum(self, record):
        """The message of the picture in record `record`."""
        return self.pictures.datum(record)

    @property
    def color(self):
        return self.pictures.color

    def name(self, number):
        return self.pictures.name(number)

    def close(self):
        self.pictures.close()
        self.labels.close()
