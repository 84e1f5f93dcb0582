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
    """Serves a source of (pixels, label) in order; `position` counts the samples delivered.

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

    def setup(self, bottom_shapes):
        if self.options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the samples in a batch")
        for option, instead in self.ignored_options.items():
            if self.options.HasField(option):
                log.warning("%s: %s does nothing here; %s", self.at, option, instead)
        with naming(self):
            transformer = DataTransformer(
                self.param.transform_param, self.phase == TRAIN, self.dtype
            )
            self.source = self.open_source()
            self.source.seed = self.seed
            self.loader = BatchLoader(
                self.source, transformer, self.options.batch_size, self.seed, self.dtype
            )
            self.sample_shape = self.loader.shape_of(0, self.source.read(0)[0])
        self.batches = Prefetch(self.loader, self.options.batch_size, self.prefetch)

    def infer_shapes(self, bottom_shapes):
        batch = self.options.batch_size
        return [(batch, *self.sample_shape), (batch,)][: self.num_tops]

    def forward(self, bottom, top):
        if self.loader.seed != self.seed:  # reseeded: what is loaded ahead no longer holds
            self.batches.close()
            self.loader.seed = self.source.seed = self.seed
        with naming(self):
            arrays = self.batches.batch(self.position)
        for blob, array in zip(top, arrays, strict=False):
            blob.reshape(*array.shape)
            blob.data[...] = array
        self.position += self.options.batch_size

    def close(self):
        self.batches.close()
        self.source.close()


class BatchLoader:
    """loader(k): the arrays (data, labels) of samples k to k + batch_size - 1.

    What is drawn at random depends on the seed and k alone.
    """

    def __init__(self, source, transformer, batch_size, seed, dtype):
        self.source, self.transformer = source, transformer
        self.batch_size, self.seed, self.dtype = batch_size, seed, dtype

    def shape_of(self, index, pixels):
        """The shape that sample `index` will have in the batch."""
        try:
            return self.transformer.output_shape(pixels.shape)
        except DataError as problem:
            raise DataError(f"{self.source.name(index)}: {problem}") from None

    def __call__(self, position):
        images, labels = [], np.empty(self.batch_size, self.dtype)
        for i in range(self.batch_size):
            pixels, labels[i] = self.source.read(position + i)
            images.append(pixels)
            shape = self.shape_of(position + i, pixels)
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
