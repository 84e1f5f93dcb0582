"""Initial values of learnable blobs.

With n = fan_in = count / shape[0], or fan_out = count / shape[1], or their mean, by
`variance_norm`. Fans count the whole blob: groups do not divide them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator

from . import reading, rng
from .errors import NetError
from .kept_bytes import path_of
from .proto.caffe_pb2 import FillerParameter
from .registry import Registry
from .types import Array, Path

# A filler is a function of the array, the FillerParameter and a random generator; `check`, of the
# FillerParameter and the shape, raises a NetError for what it cannot fill.
FILLERS = Registry(check=None)
register = FILLERS.register


def _word(param: FillerParameter) -> str:
    """The type; NVCaffe's static ones draw once for each blob, as all do here."""
    drawn = ("gaussian", "uniform", "positive_unitball", "xavier", "msra", "bilinear")
    plain: str = param.type.removesuffix("static")
    return plain if plain in drawn else param.type


def unread(param: FillerParameter) -> Iterator[tuple[str, str]]:
    """(option, words) of what a FillerParameter gives and its type does not look at."""
    word = _word(param)
    if word not in FILLERS:
        return
    own = FILLERS[word].reads
    reads = f"which reads {' and '.join(own)}" if own else "which has no options"
    for name in FILLERS.unread(word, param):
        yield name, f'it is of type "{param.type}", {reads}'


def check(param: FillerParameter, shape: Sequence[int]) -> None:
    """Raise a NetError if `param` (a FillerParameter) cannot fill a blob of this shape."""
    word = _word(param)
    if word not in FILLERS:
        raise NetError(f'unknown filler type "{param.type}"{FILLERS.instead_of(param.type)}')
    if math.prod(shape) == 0:
        raise NetError(f"a filler cannot fill an empty blob, of shape {tuple(shape)}")
    filler = FILLERS[word]
    if "sparse" not in filler.reads and param.sparse != -1:
        raise NetError(f'sparse is an option of the gaussian filler, not of "{param.type}"')
    if filler.check:
        filler.check(param, shape)


def fill(array: Array, param: FillerParameter, generator: Generator) -> None:
    """Fill `array` as `param` (a FillerParameter that `check` accepts) says."""
    FILLERS[_word(param)](array, param, generator)


def _outputs(shape: Sequence[int]) -> int:
    """The length of axis 0."""
    return shape[0] if shape else 1


def _fan(param: FillerParameter, shape: Sequence[int]) -> float:
    count = math.prod(shape)
    fan_in = count / _outputs(shape)
    fan_out = count / shape[1] if len(shape) > 1 else count
    norm = param.VarianceNorm.Name(param.variance_norm)
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[norm]


@register(reads=("value",))
def constant(array: Array, param: FillerParameter, generator: Generator) -> None:
    """Value."""
    array[...] = param.value


def _check_range(param: FillerParameter, shape: Sequence[int]) -> None:
    if not -math.inf < param.min <= param.max < math.inf:
        raise NetError(
            f"uniform filler: min {param.min:g} and max {param.max:g}, expected finite numbers, "
            "max at least min"
        )


@register(reads=("min", "max"), check=_check_range)
def uniform(array: Array, param: FillerParameter, generator: Generator) -> None:
    """U[min, max]."""
    array[...] = rng.uniform(generator, param.min, param.max, array.shape)


def _check_gaussian(param: FillerParameter, shape: Sequence[int]) -> None:
    if not param.std > 0:
        raise NetError(f"gaussian filler: std must be above 0, not {param.std:g}")
    if not -1 <= param.sparse <= _outputs(shape):
        raise NetError(
            f"gaussian filler: sparse must lie between 0 and the {_outputs(shape)} outputs "
            f"(or be -1, dense), not {param.sparse}"
        )


@register(reads=("mean", "std", "sparse"), check=_check_gaussian)
def gaussian(array: Array, param: FillerParameter, generator: Generator) -> None:
    """N(mean, std); with sparse >= 0 each value is kept with probability sparse / shape[0]."""
    array[...] = generator.standard_normal(array.shape, np.float32)
    array *= param.std
    array += param.mean
    if param.sparse >= 0:
        array *= generator.random(array.shape) < param.sparse / _outputs(array.shape)


@register()
def positive_unitball(array: Array, param: FillerParameter, generator: Generator) -> None:
    """U[0, 1], then each index of axis 0 divided by its sum."""
    values = generator.random(array.shape)
    rows = values.reshape(_outputs(array.shape), -1)
    rows /= rows.sum(axis=1, keepdims=True)
    array[...] = values


@register(reads=("variance_norm",))
def xavier(array: Array, param: FillerParameter, generator: Generator) -> None:
    """U[-s, s] with s = sqrt(3 / n).  Glorot, Bengio 2010."""
    s = math.sqrt(3 / _fan(param, array.shape))
    array[...] = rng.uniform(generator, -s, s, array.shape)


@register(reads=("variance_norm",))
def msra(array: Array, param: FillerParameter, generator: Generator) -> None:
    """N(0, sqrt(2 / n)).  He, Zhang, Ren, Sun 2015, arXiv:1502.01852."""
    array[...] = generator.standard_normal(array.shape, np.float32)
    array *= math.sqrt(2 / _fan(param, array.shape))


def _check_square(param: FillerParameter, shape: Sequence[int]) -> None:
    if len(shape) != 4 or shape[2] != shape[3]:
        raise NetError(f"bilinear filler: needs 4 axes and a square kernel, not {tuple(shape)}")
    if param.diagonal and shape[1] not in (1, shape[0]):
        raise NetError(
            "bilinear filler: diagonal, which leaves each channel to itself, needs as many "
            f"outputs as inputs, or group, not {tuple(shape)}"
        )


@register(reads=("diagonal",), check=_check_square)
def bilinear(array: Array, param: FillerParameter, generator: Generator) -> None:
    """Interpolation weights for a Deconvolution: (1 - |x/f - c|) (1 - |y/f - c|) everywhere,
    with f = ceil(k / 2) and c = (k - 1) / (2 f) for a k x k kernel; with diagonal, only from
    channel i to channel i, and 0 elsewhere."""
    k = array.shape[-1]
    f = math.ceil(k / 2)
    ramp = 1 - abs(np.arange(k) / f - (k - 1) / (2 * f))
    array[...] = ramp[:, None] * ramp
    if param.diagonal and array.shape[1] > 1:
        array *= np.eye(len(array))[:, :, None, None]


def _check_file(param: FillerParameter, shape: Sequence[int]) -> None:
    _numbers(param.file, math.prod(shape))


@register(reads=("file",), check=_check_file)
def file(array: Array, param: FillerParameter, generator: Generator) -> None:
    """The numbers in a text file, in the order of the blob, with anything blank between them."""
    array[...] = _numbers(param.file, array.size).reshape(array.shape)


def _numbers(path: Path, count: int) -> Array:
    at = f'filler file "{path}"'
    if not os.path.isfile(path_of(path)):  # a device or a pipe may never end
        raise NetError(f"{at}: no such file (looked for from {os.getcwd()})")
    words = reading.text(path, 100 * count + (1 << 20), NetError, wanted="numbers as text").split()
    if len(words) != count:
        raise NetError(f"{at}: has {len(words)} numbers, expected {count}")
    return np.array([reading.number(word, at, error=NetError) for word in words])
