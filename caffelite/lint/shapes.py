"""Rules on shapes, as far as they follow from the text: Data, for one, tells them by its crop."""

from dataclasses import dataclass

from ..blob import Blob
from ..errors import CaffeliteError
from ..layers import layer_types
from ..layers.base import create_layer
from .types import bottom_count, top_count

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


def build(view):
    """A Built for each layer of a view."""
    found, others = (_build(view, guess) for guess in _GUESSES)
    for built, other in zip(found, others, strict=True):
        if built.guessed and built.problem != other.problem:
            built.problem = ""
    return found


def _build(view, guess):
    wrong = {i for rule in (bottom_count, top_count) for i, *_ in rule(view)}
    shapes, found = {}, []
    for i, param in enumerate(view.layers):
        bottoms = [shapes.get(view.source.get((i, j))) for j in range(len(param.bottom))]
        told = view.made[i].told_shapes()
        if i in wrong or param.type not in layer_types():
            built = Built()
        elif told:
            built = _completed(told, *guess)
        elif any(getattr(view.made[i].options, name) for name in view.made[i].files):
            built = Built()  # to set it up would read files, or run other code
        else:
            built = _set_up(param, view, bottoms) if all(bottoms) else Built()
        found.append(built)
        for k, shape in enumerate(built.tops):
            shapes[i, k] = shape, built.guessed
    return found


def _set_up(param, view, bottoms):
    shapes = [shape for shape, _ in bottoms]
    built = Built(bottoms=tuple(shapes), guessed=any(guessed for _, guessed in bottoms))
    own = type(param)()  # a layer may add to it
    own.CopyFrom(param)
    layer = create_layer(own, phase=view.state.phase)
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


def shape(view):
    """Sizes and options that do not fit together."""
    for i, built in enumerate(view.built):
        if built.problem:
            yield i, built.problem


def pixels_left_over(view):
    """A Convolution whose last window ends before the last pixels: (in - kernel) / stride."""
    for i, built in _known(view, "bottom"):
        layer = built.layer
        for size, kernel, stride, pad, dilation in zip(
            built.bottoms[0][layer.axis + 1 :],
            layer.kernel,
            layer.stride,
            layer.pad,
            layer.dilation,
            strict=True,
        ):
            reach = dilation * (kernel - 1) + 1
            left = (size + 2 * pad - reach) % stride - pad
            if left > 0 and stride <= kernel:
                yield (
                    i,
                    f"windows of {reach} at stride {stride} do not fill {size} + 2 * {pad}: "
                    f"the last {left} of {size} are never seen",
                    "convolution_param",
                    "stride",
                )
                break


def uneven_overlap(view):
    """A Deconvolution whose stride does not divide its kernel: outputs get unequally many terms."""
    for i, built in _known(view, "top"):
        pairs = zip(built.layer.kernel, built.layer.stride, strict=True)
        for kernel, stride in pairs:
            if kernel % stride:
                words = f"stride {stride} does not divide the kernel, {kernel}: windows overlap"
                yield i, f"{words} unevenly, in the pattern of a checkerboard", "convolution_param"
                break


def _known(view, windows):
    """The layers with such `windows` whose shapes are known."""
    for i, built in enumerate(view.built):
        if view.made[i].windows == windows and built.tops and not built.guessed:
            yield i, built


def shared_shape(view):
    """Blobs that share values by name, but differ in shape."""
    owners = {}
    for i, built in enumerate(view.built):
        blobs = built.layer.blobs if built.layer is not None and not built.guessed else []
        for k, (spec, blob) in enumerate(zip(view.layers[i].param, blobs, strict=False)):
            if not spec.name:
                continue
            owner, theirs = owners.setdefault(spec.name, (view.layers[i], blob))
            permissive = spec.share_mode == spec.PERMISSIVE
            if theirs.count != blob.count if permissive else theirs.shape != blob.shape:
                words = f'shares "{spec.name}" with layer "{owner.name}", where its shape is'
                yield i, f"{words} {theirs.shape}, not {blob.shape}", "param", k, "name"
