"""What Data and ImageData share: batches from a source of samples, loaded by a thread."""

import os
import weakref
from typing import NamedTuple

import numpy as np

from ... import rng
from ...data.prefetch import Prefetch
from ...data.transform import DataTransformer
from ...errors import DataError
from ...proto.caffe_pb2 import ResizeParameter
from ..base import TRAIN, Layer
from ._naming import naming

IN_TRANSFORM = "write it in transform_param"
_DETECTION = "it is for layers with boxes"

_loaders = weakref.WeakSet()
_of_the_parent = []  # loaders that a forked process leaves alone: it does not even close them


def only_interp_mode(step):
    """What to say of the other options of the resize_param that a step of transform_param has."""
    names = set(ResizeParameter.DESCRIPTOR.fields_by_name) - {"interp_mode"}
    words = f"of this message, {step} reads interp_mode"
    return {f"transform_param.{step}.resize_param.{name}": words for name in sorted(names)}


class PrefetchedLayer(Layer):
    """Serves samples of a source in order; `position` counts those delivered.

    A subclass makes its source in `open_source`. A source has read(k) -> (pixels, label), shape(k)
    of these pixels without reading them all, name(k) for messages, and close(); k goes on past the
    end, where the source starts over. What is random about its order depends on its attribute
    `seed`.
    """

    bottoms = 0
    prefetch = 4  # batches loaded ahead, where the options do not say
    more_options = ("transform_param",)
    ignored = {
        "transform_param.noise_param": _DETECTION,
        "transform_param.emit_constraint": _DETECTION,
        "transform_param.expand_param": _DETECTION,
        "transform_param.scale_factors": "write resize_param or random_resize_param",
        "transform_param.resize_param.prob": "every picture is resized",
        "transform_param.resize_param.height_scale": "there are no boxes to scale",
        "transform_param.resize_param.width_scale": "there are no boxes to scale",
        **only_interp_mode("random_resize_param"),
        **only_interp_mode("random_aspect_ratio_param"),
    }

    def open_source(self):
        """The source that the options name."""
        raise NotImplementedError(f"{type(self).__name__}.open_source")

    def make_loader(self):
        """What makes the batches: loader(position) -> an array for each top."""
        transformer = DataTransformer(self.param.transform_param, self.phase == TRAIN, self.dtype)
        return BatchLoader(self.open_source(), transformer, self.options.batch_size, self.dtype)

    def setup(self, bottom_shapes):
        if not self.options.source:
            raise self.error("source is missing")
        if self.options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the samples in a batch")
        with naming(self):
            self._open()
            self.shapes = self.loader.shapes()

    def _open(self):
        self.loader = self.make_loader()
        _loaders.add(self.loader)
        self._place_loader()
        self.batches = Prefetch(self.loader, self.options.batch_size, self.prefetch)
        self.process = os.getpid()

    def _place_loader(self):
        self.loader.seed, self.loader.shard = self.seed, self.shard

    def infer_shapes(self, bottom_shapes):
        return self.shapes[: self.num_tops]

    def forward(self, bottom, top):
        if self.process != os.getpid():  # a thread may have been at work when it was forked
            with naming(self):
                self._open()
        if (self.loader.seed, self.loader.shard) != (self.seed, self.shard):
            self.batches.close()  # what is loaded ahead no longer holds
            self._place_loader()
        with naming(self):
            arrays = self.batches.batch(self.position)
        for blob, array in zip(top, arrays, strict=False):
            blob.reshape(*array.shape)
            blob.data[...] = array
        self.position += self.options.batch_size

    def close(self):
        if self.process == os.getpid():
            self.batches.close()
            self.loader.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _of_the_parent.extend(_loaders))


class Sample(NamedTuple):
    """A sample before it is cropped."""

    index: int  # its number in the source, counted through all passes
    label: int
    images: list  # to take crops of: one, or one for each test_size
    shapes: list  # theirs, once cropped


class BatchLoader:
    """loader(k): the arrays (data, labels) of samples k to k + batch_size - 1 of a shard.

    The k-th sample of the shard (rank, size) is number k * size + rank of the source. What is drawn
    for it depends on the seed and that number alone; crops and mirroring, on that of the first
    sample in the batch.
    """

    def __init__(self, source, transformer, batch_size, dtype):
        self.source, self.transformer = source, transformer
        self.batch_size, self.dtype = batch_size, dtype
        self.seed, self.shard = 0, (0, 1)

    @property
    def seed(self):
        return self._seed

    @seed.setter
    def seed(self, seed):
        self._seed = self.source.seed = seed

    def shapes(self):
        """The shapes of data and labels: of the first sample's size, decoded if steps change it."""
        shape = self._sample(0).shapes[0] if self.transformer.prepares else self._first_shape()
        return [(self.batch_size * self.transformer.views, *shape), (self.batch_size,)]

    def __call__(self, position):
        samples = [self._sample(position + i) for i in range(self.batch_size)]
        count, shape = self.batch_size * self.transformer.views, self._common_shape(samples)
        data = np.empty((count, *shape), self.dtype)
        labels = np.array([sample.label for sample in samples], self.dtype)
        images = [image for sample in samples for image in sample.images]
        random = rng.generator(self.seed, 0, samples[0].index)
        self.transformer.transform(images, random, data)
        if self.transformer.after:
            for values, sample in zip(data, samples, strict=True):
                self._finish(values, sample.index)
        return data, labels

    def _sample(self, position):
        rank, size = self.shard
        index = position * size + rank
        pixels, label = self.source.read(index)
        random = rng.generator(self.seed, 5, index) if self.transformer.before else None
        try:
            images = self.transformer.prepare(pixels, random)
            shapes = [self.transformer.output_shape(image.shape) for image in images]
        except DataError as problem:
            raise self._named(problem, index) from None
        return Sample(index, label, images, shapes)

    def _first_shape(self):
        rank, _ = self.shard
        shape = self.source.shape(rank)
        try:
            return self.transformer.output_shape(shape)
        except DataError as problem:
            raise self._named(problem, rank) from None

    def _finish(self, values, index):
        try:
            self.transformer.finish(values, rng.generator(self.seed, 6, index))
        except DataError as problem:
            raise self._named(problem, index) from None

    def _common_shape(self, samples):
        common = samples[0].shapes[0]
        for sample in samples:
            for shape in sample.shapes:
                if shape != common:
                    raise self._named(
                        f"has the shape {shape}, expected {common}, that of the first sample in "
                        "its batch; resize the pictures, or use batch_size: 1",
                        sample.index,
                    )
        return common

    def _named(self, problem, index):
        return DataError(f"{self.source.name(index)}: {problem}")

    def close(self):
        self.source.close()
