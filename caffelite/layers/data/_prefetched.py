"""What Data and ImageData share: batches from a source of samples, loaded by a thread."""

import os
import weakref
from typing import Any, NamedTuple

import numpy as np

from ... import rng
from ...data.follower import Follower
from ...data.geometry import RandomStretch
from ...data.image import gray_hint
from ...data.order import ORDERS
from ...data.prefetch import Prefetch
from ...data.source import Shard, Source
from ...data.transform import DataTransformer
from ...errors import DataError
from ...proto.caffe_pb2 import ResizeParameter
from ..base import TRAIN
from ._source import SourceLayer

IN_TRANSFORM = "write it in transform_param"
_RESIZE = "; resize the pictures, or use batch_size: 1"
_DETECTION = "it is for layers with boxes"

_sources: weakref.WeakSet[Source] = weakref.WeakSet()
# sources that a forked process leaves alone: it does not even close them
_of_the_parent: list[Source] = []


def only_interp_mode(step):
    """What to say of the other options of the resize_param that a step of transform_param has."""
    names = set(ResizeParameter.DESCRIPTOR.fields_by_name) - {"interp_mode"}
    words = f"of this message, {step} reads interp_mode"
    return {f"transform_param.{step}.resize_param.{name}": words for name in sorted(names)}


class PrefetchedLayer(SourceLayer):
    """Serves the pictures of a source, transformed; a thread loads batches ahead.

    A subclass makes its source, one of (pixels, label), in `open_source`.
    """

    files: tuple[str, ...] = ("source",)
    prefetch = 4  # batches loaded ahead, where the options do not say
    more_options: tuple[str, ...] = ("transform_param",)
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
    refused = {
        "transform_param.resize_params": "is a resize_param that is given several times, which "
        "AnnotatedData and BoxData take; write one"
    }

    def moot(self):
        orders = [name for name in ORDERS if getattr(self.options, name, False)]
        return super().moot() | {
            f"{self.options_field}.{name}": f"{orders[-1]} says in which order samples come"
            for name in orders[:-1]
        }

    def told_shapes(self):
        batch = max(self.options.batch_size, 1)
        return [self._told_data(batch), *self.told_labels(batch)]

    def _told_data(self, batch):
        return batch, self.told_channels(), *self.told_size()

    def told_labels(self, batch):
        """The shapes of the other tops, as far as the text tells them."""
        return [(batch,)] * (self.num_tops - 1)

    def told_size(self):
        """(height, width) of the pictures that it gives, 0 where the text does not tell."""
        transform = self.param.transform_param
        crop = transform.crop_size
        if crop or transform.crop_h:
            return (crop, crop) if crop else (transform.crop_h, transform.crop_w)
        resize = (*transform.resize_params, transform.resize_param)[0]
        exact = resize.resize_mode != ResizeParameter.FIT_SMALL_SIZE
        later = "random_resize_param", "random_aspect_ratio_param"
        if not exact or any(map(transform.HasField, later)) or RandomStretch(transform).is_on:
            return 0, 0
        return resize.height, resize.width

    def told_channels(self):
        """Their channels, or 0."""
        transform = self.param.transform_param
        means = len(transform.mean_value)
        return means if means > 1 else int(transform.force_gray)

    def stored_shape(self):
        source = self.open_source()
        try:
            return source.shape(0)
        finally:
            source.close()

    def open_source(self):
        """The source that the options name."""
        raise NotImplementedError(f"{type(self).__name__}.open_source")

    def make_transformer(self):
        """What becomes of the pixels that the source gives."""
        return DataTransformer(self.param.transform_param, self.phase == TRAIN, self.dtype)

    def labels_shape(self, data_shape):
        """The shape of a batch's labels, from that of its data; here, a number for each sample."""
        return (self.options.batch_size,)

    def make_labels(self):
        """A function: the arrays of the other tops, of the labels of a batch's samples."""
        return stacked

    def follower(self):
        """A function: the Follower of a sample's label and its pixels' shape; None for no such."""
        return None

    def setup(self, bottom_shapes):
        if not self.options.source:
            raise self.error("source is missing")
        if self.options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the samples in a batch")
        with self.naming():
            self._open()
            data_shape = self.loader.data_shape()
        self.shapes = self.top_shapes(data_shape)

    def top_shapes(self, data_shape):
        """The shapes of all tops, from that of the data."""
        return [data_shape, self.labels_shape(data_shape)]

    def _open(self):
        transformer = self.make_transformer()
        self.source = self.open_source()
        _sources.add(self.source)
        self.loader = BatchLoader(
            *(self.source, transformer, self.options.batch_size, self.dtype, self.make_labels()),
            self.follower(),
        )
        self.take_place()
        self.process = os.getpid()

    def take_place(self):
        super().take_place()
        self.loader.shard = self.shard
        self.batches = Prefetch(self.loader, self.samples_at_once, self.prefetch)
        self.placed = self.seed, self.shard

    def infer_shapes(self, bottom_shapes):
        return self.shapes[: self.num_tops]

    def set_batch_size(self, size):
        super().set_batch_size(size)
        self.close()
        self.setup(())

    def forward(self, bottom, top):
        for blob, array in zip(top, self.next_batch(), strict=False):
            blob.reshape(*array.shape)
            blob.data[...] = array

    def next_batch(self):
        """The arrays of the next batch, which counts as delivered."""
        if self.process != os.getpid():  # a thread may have been at work when it was forked
            with self.naming():
                self._open()
        if self.placed != (self.seed, self.shard):
            self.batches.close()  # what is loaded ahead no longer holds
            self.take_place()
        with self.naming():
            arrays = self.batches.batch(self.position)
        self.position += self.samples_at_once
        return arrays

    def idle_source(self):
        self.batches.close()
        return super().idle_source()

    def close(self):
        if self.process == os.getpid():
            self.batches.close()
            super().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _of_the_parent.extend(_sources))


class Sample(NamedTuple):
    """A sample before it is cropped."""

    number: int  # in the source, counted through all passes
    label: Any  # a Follower has followed what was done to the pixels
    images: list  # to take crops of: one, or one for each test_size
    shapes: list  # theirs, once cropped


def stacked(labels):
    """[labels]: as one array, a row for each sample."""
    return [np.array(labels)]


class BatchLoader:
    """loader(position): the arrays (data, labels) of the next `batch_size` samples from there on.

    What is drawn for a sample depends on the source's seed and the sample's number alone; crops and
    mirroring, on the number of the first sample in the batch, of which other processes may have the
    rest of the samples. `make_labels` makes arrays of the samples' labels; where these are
    Followers, or `follower` makes one of each, they follow all that is done to the pixels.
    """

    shard = Shard()

    def __init__(self, source, transformer, batch_size, dtype, make_labels=stacked, follower=None):
        self.source, self.transformer = source, transformer
        self.batch_size, self.dtype, self.make_labels = batch_size, dtype, make_labels
        self.follower = follower

    def data_shape(self):
        """The shape of the next batch's data: its first sample's, decoded if steps change it."""
        own = self._transformer()
        shape = self._next(own).shapes[0] if own.prepares else self._next_shape(own)
        return (self.batch_size * own.crops_per_sample, *shape)

    def _transformer(self):
        """That of the batch at the source's position."""
        first, size = self._batch()
        return self.transformer.for_batch(self.source.seed, first // size)

    def _batch(self):
        """(number of its first sample, size) of the whole batch of which the next samples are."""
        if self.shard.whole_batches:
            return self.source.number(), self.batch_size
        return self.source.position, self.batch_size * self.shard.size

    def __call__(self, position):
        self.source.seek(position)
        transformer, (first, _) = self._transformer(), self._batch()
        samples = [self._next(transformer) for _ in range(self.batch_size)]
        count, shape = self.batch_size * transformer.crops_per_sample, self._common_shape(samples)
        data = np.empty((count, *shape), self.dtype)
        labels = [sample.label for sample in samples]
        images = [image for sample in samples for image in sample.images]
        random = rng.generator(self.source.seed, 0, first)
        boxes = labels if isinstance(labels[0], Follower) else None
        part = (0, 1) if self.shard.whole_batches else self.shard[:2]
        transformer.transform(images, random, data, boxes, part)
        if transformer.after:
            for values, sample in zip(data, samples, strict=True):
                self._finish(transformer, values, sample)
        with self.source.named(samples[0].number):
            made = self.make_labels(labels)
        return data, *(one.astype(self.dtype, copy=False) for one in made)

    def _next(self, transformer):
        number = self.source.number()
        pixels, label = self.source.read()
        label = self.follower(label, pixels.shape) if self.follower else label
        random = rng.generator(self.source.seed, 5, number) if transformer.before else None
        with self.source.named(number):
            boxes = label if isinstance(label, Follower) else None
            images = transformer.prepare(pixels, random, boxes)
            shapes = [transformer.output_shape(image.shape) for image in images]
        return Sample(number, label, images, shapes)

    def _next_shape(self, transformer):
        number = self.source.number()
        shape = self.source.shape(number)
        with self.source.named(number):
            return transformer.output_shape(shape)

    def _finish(self, transformer, values, sample):
        boxes = sample.label if isinstance(sample.label, Follower) else None
        with self.source.named(sample.number):
            random = rng.generator(self.source.seed, 6, sample.number)
            transformer.finish(values, random, boxes)

    def _common_shape(self, samples):
        common = samples[0].shapes[0]
        for sample in samples:
            for shape in sample.shapes:
                if shape != common:
                    raise DataError(
                        f"{self.source.name(sample.number)}: has the shape {shape}, expected "
                        f"{common}, that of the first sample in its batch"
                        + (gray_hint(shape, common) or _RESIZE)
                    )
        return common
