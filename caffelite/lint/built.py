"""What the layers of a net become, built one by one from what the text alone tells."""

from dataclasses import dataclass

from ..blob import Blob
from ..errors import CaffeliteError
from ..layers.base import create_layer, is_known
from ..net.wiring import count_problem

# Sizes where the text does not say them: channels, side of a picture, axes of further tops. What is
# wrong with both guesses, in the same words, is wrong without them.
_GUESSES = (3, 224, ()), (1, 96, (2,))
_COLORS = 3  # channels of a picture whose size is told, if the text says nothing else


@dataclass
class Built:
    """A layer that is set up, or None; shapes of bottoms and tops, () of tops if not known.

    With `guessed`, shapes come from a guess: they tell how many learnable blobs there are, but
    not whether sizes fit. `problem` is what is wrong with sizes or options.
    """

    layer: object = None
    bottoms: tuple = ()
    tops: tuple = ()
    guessed: bool = False
    problem: str = ""


def build(net):
    """A Built for each layer of a net."""
    found, others = (_build(net, guess) for guess in _GUESSES)
    for built, other in zip(found, others, strict=True):
        if built.guessed and built.problem != other.problem:
            built.problem = ""
    return found


def _build(net, guess):
    shapes, found = {}, []
    for i, param in enumerate(net.layers):
        bottoms = [shapes.get(net.source.get((i, j))) for j in range(len(param.bottom))]
        told = net.facts[i].told_shapes()
        if not is_known(param.type) or _is_miscounted(net.facts[i]):
            built = Built()
        elif told:
            built = _completed(told, *guess)
        elif any(getattr(net.facts[i].options, name) for name in net.facts[i].files):
            built = Built()  # to set it up would read files, or run other code
        else:
            built = _set_up(param, net, bottoms) if all(bottoms) else Built()
        found.append(built)
        for k, shape in enumerate(built.tops):
            shapes[i, k] = shape, built.guessed
    return found


def _is_miscounted(layer):
    bottoms = count_problem("bottom", layer.bottoms, len(layer.param.bottom))
    return bool(bottoms or count_problem("top", layer.tops, layer.num_tops))


def _set_up(param, net, bottoms):
    shapes = [shape for shape, _ in bottoms]
    built = Built(bottoms=tuple(shapes), guessed=any(guessed for _, guessed in bottoms))
    own = type(param)()  # a layer may add to it
    own.CopyFrom(param)
    layer = create_layer(own, phase=net.state.phase)
    try:
        layer.setup(shapes)
        built.layer = layer
        built.tops = tuple(Blob(shape).shape for shape in layer.infer_shapes(shapes))
    except CaffeliteError as problem:
        built.problem = problem.words if problem.layer is not None else str(problem)
    return built


def _completed(told, channels, side, further):
    """What a source's options tell of the shapes of its tops, completed by a guess."""
    guessed = any(... in shape or 0 in shape[2:] for shape in told)
    channels = channels if guessed else _COLORS
    tops = []
    for k, shape in enumerate(told):
        if ... in shape:
            batch = shape[:-1] or (1,)
            shape = (*batch, *(further if k else (channels, side, side)))
        guesses = (1, channels, side, side)
        tops.append(tuple(size or guesses[axis] for axis, size in enumerate(shape)))
    return Built(tops=tuple(tops), guessed=guessed)
