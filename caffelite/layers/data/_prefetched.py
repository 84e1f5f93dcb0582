"""What Data and ImageData share: batches from a source of samples, loaded by a thread."""

import logging

import numpy as np

from ... import rng
from ...data.prefetch import Prefetch
from ...data.transform import DataTransformer
from ...errors import DataError
from ..base import TRAIN, Layer
from ._naming import naming

log = logging.getLogger("caffelite")


class PrefetchedLayer(Layer):
    """Serves samples of a source in order; `position` counts those delivered.

    A subclass makes its source in `open_source`. A source has read(k) -> (pixels, label),
    name(k) for messages, and close(); k goes on past the end, where the source starts over. What
    is random about its order depends on its attribute `seed`.
    """

    bottoms = 0
    prefetch = 4  # batches loaded ahead, where the options do not say
    ignored_options = {}  # option that does nothing: what to write instead

    def open_source(self):
        """The source that the options name."""
        raise NotImplementedError(f"{type(self).__name__}.open_source")

    def make_loader(self):
        """What makes the batches: loader(position) -> an array for each top."""
        transformer = DataTransformer(self.param.transform_param, self.phase == TRAIN, self.dtype)
        return BatchLoader(self.open_source(), transformer, self.options.batch_size, self.dtype)

    def setup(self, bottom_shapes):
        if self.options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the samples in a batch")
        for option, instead in self.ignored_options.items():
            if self.options.HasField(option):
                log.warning("%s: %s does nothing here; %s", self.at, option, instead)
        with naming(self):
            self.loader = self.make_loader()
            self.loader.seed = self.seed
            self.sample_shape = self.loader.sample_shape()
        self.batches = Prefetch(self.loader, self.options.batch_size, self.prefetch)

    def infer_shapes(self, bottom_shapes):
        batch = self.options.batch_size
        return [(batch, *self.sample_shape), (batch,)][: self.num_tops]

    def forward(self, bottom, top):
        if self.loader.seed != self.seed:  # reseeded: what is loaded ahead no longer holds
            self.batches.close()
            self.loader.seed = self.seed
        with naming(self):
            arrays = self.batches.batch(self.position)
        for blob, array in zip(top, arrays, strict=False):
            blob.reshape(*array.shape)
            blob.data[...] = array
        self.position += self.options.batch_size

    def close(self):
        self.batches.close()
        self.loader.close()


class BatchLoader:
    """loader(k): the arrays (data, labels) of samples k to k + batch_size - 1.

    What is drawn at random depends on the seed and k alone.
    """

    def __init__(self, source, transformer, batch_size, dtype):
        self.source, self.transformer = source, transformer
        self.batch_size, self.dtype = batch_size, dtype
        self.seed = 0

    @property
    def seed(self):
        return self._seed

    @seed.setter
    def seed(self, seed):
        self._seed = self.source.seed = seed

    def sample_shape(self):
        """The shape of the first sample in a batch."""
        return self._shape_of(0, self.source.read(0)[0])

    def _shape_of(self, index, pixels):
        try:
            return self.transformer.output_shape(pixels.shape)
        except DataError as problem:
            raise DataError(f"{self.source.name(index)}: {problem}") from None

    def __call__(self, position):
        images, labels = [], np.empty(self.batch_size, self.dtype)
        for i in range(self.batch_size):
            pixels, labels[i] = self.source.read(position + i)
            images.append(pixels)
            shape = self._shape_of(position + i, pixels)
            if i == 0:
                data = np.empty((self.batch_size, *shape), self.dtype)
            elif shape != data.shape[1:]:
                raise DataError(
                    f"{self.source.name(position + i)}: has the shape {shape}, expected "
                    f"{data.shape[1:]}, that of the first sample in its batch; "
                    "resize the pictures, or use batch_size: 1"
                )
        self.transformer.transform(images, rng.generator(self.seed, 0, position), data)
        return data, labels

    def close(self):
        self.source.close()
