"""Which pixels a score depends on.

Data of nets is channels x height x width, blue first, as in Caffe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..blob import Blob
from ..layers.base import Layer
from ..layers.utility.split import Split
from ..net import Net
from ..net.node import Node
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


def saliency(net: Net, name: str, x: Array, layer: Layer, index: int, top: int = 0) -> Array:
    """|d score / d pixel|, the largest over the channels: height x width.

    The score is channel `index` of the top of `layer`, in a net built with force_backward.
    Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034

    Parameters
    ----------
    net : a Net
    layer, top : the Layer that makes the scores, and the number of its top that holds them
    name, x : its input blob, and the input, channels x height x width
    """
    last = _place(net, layer)
    _set_input(net, name, x)
    net._forward(0, last)
    scores = _start_from(net.nodes[last], net, top)
    scores.diff[:, index] = 1
    net._backward(last, 0)
    return np.abs(_diff_of_input(net, name)).max(axis=0)


def guided_backpropagation(
    net: Net, name: str, x: Array, layer: Layer, index: int, top: int = 0
) -> Array:
    """What in the input speaks for a unit: channels x height x width.

    The unit is channel `index` of the top of `layer`, where that is largest. Its gradient goes
    down as in backpropagation, but for layers that rectify, ReLU and its kind. Through these it
    goes only where both are positive, the value u that came up, and dv, the gradient that comes
    down:

        du = v' dv where u > 0 and dv > 0, else 0

    Springenberg, Dosovitskiy, Brox, Riedmiller 2014, arXiv:1412.6806. Parameters as of `saliency`.
    """
    last = _place(net, layer)
    rectifiers = [i for i, node in enumerate(net.nodes[: last + 1]) if node.layer.rectifies]
    if not any(node.layer.rectifies for node in net.nodes):
        raise layer.error(
            "the net has no ReLU or layer of its kind, without which guided backpropagation is "
            "plain backpropagation; take saliency"
        )
    _set_input(net, name, x)
    start, positive = 0, {}
    for i in rectifiers:  # one may overwrite its bottom
        net._forward(start, i - 1)
        start, positive[i] = i, net.nodes[i].bottom_blobs[0].data > 0
    net._forward(start, last)
    made = _start_from(net.nodes[last], net, top)
    unit = made.data[0, index]
    made.diff[(0, index, *np.unravel_index(unit.argmax(), unit.shape))] = 1
    above = last
    for i in reversed(rectifiers):
        if i < above:
            net._backward(above, i + 1)
        dv = net.nodes[i].top_blobs[0].diff
        dv[...] = np.where(positive[i] & (dv > 0), dv, 0)
        above = i
    net._backward(above, 0)
    return _diff_of_input(net, name)


def grad_cam(
    net: Net, name: str, x: Array, layer: Layer, index: int, top: int = 0, maps: Layer | None = None
) -> Array:
    """Where the maps A of a layer speak for a score: height x width of the input.

    max(0, sum over k of a[k] A[k]), where a[k] is the mean over the map of d score / d A[k], and
    linear between the middles of the maps' places.  Selvaraju et al. 2017, arXiv:1610.02391

    Parameters
    ----------
    net, name, x, layer, index, top : as of `saliency`
    maps : the layer whose maps are taken [`last_with_maps`]
    """
    maps = maps or last_with_maps(net, layer)
    last, place = _place(net, layer), net.layers.index(maps)
    _set_input(net, name, x)
    net._forward(0, place)
    made = net.nodes[place].top_blobs[0]
    if made.data.ndim != 4:
        raise maps.error("makes no maps: its top has no height and width")
    values = made.data[0].copy()  # a layer after it may work in place
    net._forward(place + 1, last)
    scores = _start_from(net.nodes[last], net, top)
    scores.diff[:, index] = 1
    if place not in _needed(net, last):
        raise maps.error(f'the score that "{layer.name}" makes does not depend on it')
    net._backward(last, place + 1)
    weights = made.diff[0].mean(axis=(1, 2))
    net.reshape()  # from here on backward starts from the losses again
    seen = np.maximum(np.tensordot(weights, values, 1), 0)
    rows, columns = (_between(*sizes) for sizes in zip(seen.shape, x.shape[1:], strict=True))
    return rows @ seen @ columns.T


def last_with_maps(net: Net, layer: Layer) -> Layer:
    """The last layer below `layer` whose top has height and width, of more than one place."""
    last = net.layers.index(layer)
    for place in _needed(net, last)[1:]:
        below, shape = net.nodes[place].layer, net.nodes[place].top_blobs[0].shape
        if below.role == "input" or isinstance(below, Split):  # a copy gets part of the gradient
            continue
        if len(shape) == 4 and math.prod(shape[2:]) > 1:
            return below
    raise layer.error(
        "no layer below it has maps with height and width, on which Grad-CAM could show a place"
    )


def _needed(net: Net, last: int) -> list[int]:
    """The places of the nodes that node `last` is computed from, itself first, downwards."""
    places, wanted = [], set(net.nodes[last].top_names)
    for place in range(last, -1, -1):
        node = net.nodes[place]
        if wanted.intersection(node.top_names):
            places.append(place)
            wanted.update(node.bottom_names)
    return places


def _between(old: int, new: int) -> Array:
    """new x old: the shares of old places in new ones, linear between the places' middles."""
    at = (np.arange(new) + 0.5) * old / new - 0.5
    return np.stack([np.interp(at, range(old), one) for one in np.eye(old)], axis=1)


def _place(net: Net, layer: Layer) -> int:
    """That of the node of a layer, from which gradients are to go down."""
    place = net.layers.index(layer)
    node = net.nodes[place]
    if node.bottom_names and not any(node.propagate_down):
        raise layer.error("no gradient goes through this layer, so none tells what it depends on")
    return place


def _set_input(net: Net, name: str, x: Array) -> None:
    net.blobs[name].reshape(1, *x.shape)
    net.reshape()
    net.blobs[name].data[...] = x


def _start_from(node: Node, net: Net, top: int) -> Blob:
    """A top of `node`, with the diffs of all blobs 0: no other of them gives a gradient."""
    for blob in (blob for other in net.nodes for blob in other.top_blobs):
        blob.diff[...] = 0
    net.clear_param_diffs()
    return node.top_blobs[top]


def _diff_of_input(net: Net, name: str) -> Array:
    net.reshape()  # from here on backward starts from the losses again
    return net.blobs[name].diff[0].copy()
