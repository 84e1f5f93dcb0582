"""Which pixels a score depends on.

Data of nets is channels x height x width, blue first, as in Caffe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..layers.base import Layer
from ..net import Net
from ..types import Array


def occlusion(
    scores: Callable[[Array], Array],
    x: Array,
    window: int,
    stride: int,
    done: Callable[[int], object] = lambda count: None,
) -> Array:
    """How much a score falls where a gray square hides a part of the input: height x width.

    Each pixel gets the mean over the squares that hide it.  Zeiler, Fergus 2014, arXiv:1311.2901

    Parameters
    ----------
    scores : function from a batch of inputs to the score of each
    x : the input, channels x height x width; 0 is what hides, the mean of all inputs
    window, stride : side of the square, and how far apart squares are
    done : called with how many more squares have been tried
    """
    height, width = x.shape[1:]
    places = [
        (i, j) for i in _starts(height, window, stride) for j in _starts(width, window, stride)
    ]
    fall, times = np.zeros((2, height, width))
    whole = scores(x[None])[0]
    for first in range(0, len(places), 16):
        some = places[first : first + 16]
        batch = np.repeat(x[None], len(some), axis=0)
        for one, (i, j) in zip(batch, some, strict=True):
            one[:, i : i + window, j : j + window] = 0
        for score, (i, j) in zip(scores(batch), some, strict=True):
            fall[i : i + window, j : j + window] += whole - score
            times[i : i + window, j : j + window] += 1
        done(len(some))
    return fall / np.maximum(times, 1)


def occlusion_count(shape: Sequence[int], window: int, stride: int) -> int:
    """How many squares `occlusion` tries on an input of such a shape."""
    return math.prod(len(_starts(size, window, stride)) for size in shape[1:])


def _starts(size: int, window: int, stride: int) -> list[int]:
    """Where squares begin; the last ends at the border."""
    last = max(size - window, 0)
    return sorted({*range(0, last, stride), last})


def saliency(net: Net, name: str, x: Array, layer: Layer, index: int) -> Array:
    """|d score / d pixel|, the largest over the channels: height x width.

    The score is channel `index` of the top of `layer`, in a net built with force_backward.
    Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034

    Parameters
    ----------
    net : a Net
    layer : the Layer that makes the scores
    name, x : its input blob, and the input, channels x height x width
    """
    net.blobs[name].reshape(1, *x.shape)
    net.reshape()
    net.blobs[name].data[...] = x
    net.forward()
    (top,) = (net.blobs[top] for top in net.top_names[layer.name])
    top.diff[...] = 0
    top.diff[:, index] = 1
    net.clear_param_diffs()
    net.backward(start=layer.name)
    return np.abs(net.blobs[name].diff[0]).max(axis=0)
