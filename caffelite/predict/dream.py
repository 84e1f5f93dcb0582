"""Pictures that a net sees much in: dreams, and what its classes and maps look for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..blob import Blob
from ..errors import NetError
from ..solver import optimize
from ..solver.optimize import Counts
from ..types import Array
from .canvas import Canvas, check_memory, resized_values
from .look import Look

LEAST_SIDE = 16  # pixels, of the smallest octave


def wants(look: Look, layer: str, index: int | None = None) -> Counts:
    """What is to fall so that a layer gives more: of all its maps, or of one map or class.

    All: minus half the mean square, which brings out whatever is there already. One: minus its
    mean.
    """

    if index is None:
        return lambda y: (-float(np.mean(y**2)) / 2, -y / y.size)

    def one_of(y: Array) -> tuple[float, Array]:
        if not 0 <= index < y.shape[1]:
            raise NetError(
                f'{look.model}: layer "{layer}" has no {index}; expected 0 to {y.shape[1] - 1}'
            )
        gradient = np.zeros_like(y)
        gradient[:, index] = -1 / y[:, index].size
        return -float(y[:, index].mean()), gradient

    return one_of


def dream(
    look: Look,
    canvas: Canvas,
    values: Array,
    counts: dict[str, Counts],
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    iterations: int = 10,
    rate: float = 1.5,
    jitter: int = 32,
    decay: float = 0,
    seed: int = 0,
    see: Callable[[Array, float], object] = lambda values, loss: None,
) -> Array:
    """Values of a picture, (C, H, W), moved until what `counts` tells of blobs falls.

    That is done in sizes from small to large, the octaves, each `octave_scale` times the one
    before: what a small picture was given is enlarged, and added to the next. Steps are of `rate`
    pixel values on average.  Mordvintsev, Olah, Tyka 2015 (DeepDream)

    Parameters
    ----------
    look, canvas : the net, and how it takes pictures
    counts : the `loss` of `caffelite.optimize`
    iterations : in each octave
    jitter : the picture is rolled by up to so many pixels before each step
    decay : of values, towards the mean of all pictures
    see : called with the values and the loss after each iteration
    """
    base, given = values, np.zeros_like(values)
    unit = abs(float(canvas.scale))  # a pixel value
    more: dict[str, Any] = {"weight_decay": decay / unit} if decay else {}
    for octave in reversed(range(octaves)):
        height, width = (round(side / octave_scale**octave) for side in base.shape[1:])
        if octave and min(height, width) < LEAST_SIDE:
            continue
        small = resized_values(base, height, width)
        net = look.net(small.shape)
        net.economize()
        check_memory(net, f"a picture of {width} x {height} pixels", max(height, width))
        blob = net.blobs[look.input]
        blob.data[0] = small + resized_values(given, height, width)
        optimize(
            net, look.input, loss=counts, iterations=iterations, base_lr=rate * unit,
            bounds=canvas.bounds, jitter=jitter, normalize=True, seed=seed + octave,
            callback=partial(_tell, blob, see), **more,
        )  # fmt: skip
        given = blob.data[0] - small
    return base + given


def _tell(blob: Blob, see: Callable[[Array, float], object], iteration: int, loss: float) -> None:
    see(blob.data[0], loss)
