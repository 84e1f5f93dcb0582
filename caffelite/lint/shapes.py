"""Rules on shapes, as far as they follow from the text: Data, for one, tells them by its crop."""

from dataclasses import dataclass

from ..blob import Blob
from ..errors import CaffeliteError
from ..layers import layer_types
from ..layers.base import create_layer
from .wiring import bottom_count, top_count

_IN_FILES = {"Data", "ImageData", "HDF5Data", "WindowData"}  # where the shapes of these are
_NOT_SET_UP = {"HDF5Output", "InfogainLoss", "Python"}  # would write, read, or run other code
_GUESS = 224  # pixels, where the text does not say how large pictures are


@dataclass
class Built:
    """A layer that is set up, or None; shapes of bottoms and tops, () of tops if not known.

    With `guessed`, shapes come from a guess: they tell how many learnable blobs there are, but
    not whether sizes fit. `problem` is what is wrong with the shapes.
    """

    layer: object = None
    bottoms: tuple = ()
    tops: tuple = ()
    guessed: bool = False
    problem: str = ""


def build(view):
    """A Built for each layer of a view."""
    wrong = {i for rule in (bottom_count, top_count) for i, *_ in rule(view)}
    shapes, found = {}, []
    for i, param in enumerate(view.layers):
        sources = [view.source.get((i, j)) for j in range(len(param.bottom))]
        bottoms = [shapes.get(source) for source in sources]
        if i in wrong or param.type not in layer_types() or param.type in _NOT_SET_UP:
            built = Built()
        elif param.type in _IN_FILES or (param.type == "Input" and not param.input_param.shape):
            built = _from_options(param)
        else:
            built = _set_up(param, view, bottoms) if all(bottoms) else Built()
        found.append(built)
        for k, shape in enumerate(built.tops):
            shapes[i, k] = shape, built.guessed
    return found


def _set_up(param, view, bottoms):
    shapes = [shape for shape, _ in bottoms]
    built = Built(bottoms=tuple(shapes), guessed=any(guessed for _, guessed in bottoms))
    layer = create_layer(param, phase=view.state.phase)
    try:
        layer.setup(shapes)
        built.layer = layer
        built.tops = tuple(Blob(shape).shape for shape in layer.infer_shapes(shapes))
    except CaffeliteError as problem:
        if not built.guessed:
            built.problem = str(problem).removeprefix(f"{layer.at}: ")
    return built


def _from_options(param):
    """The shapes that a source's options tell, completed by guesses."""
    options = getattr(param, layer_types()[param.type].options_field)
    transform = param.transform_param
    height = width = transform.crop_size
    if not height and param.type == "ImageData":
        height, width = options.new_height, options.new_width
    channels = 3
    if len(transform.mean_value) > 1:
        channels = len(transform.mean_value)
    elif transform.force_gray or (param.type == "ImageData" and not options.is_color):
        channels = 1
    batch = max(getattr(options, "batch_size", 1), 1)
    data = (batch, channels, height or _GUESS, width or _GUESS)
    tops = (data, *[(batch,)] * (len(param.top) - 1))
    return Built(tops=tops, guessed=not (height and width))


def shape(view):
    """Sizes and options that do not fit together."""
    for i, built in enumerate(view.built):
        if built.problem:
            yield i, built.problem


def pixels_left_over(view):
    """A Convolution whose last window ends before the last pixels: (in - kernel) / stride."""
    for i, built in _known(view, "Convolution", "ConvolutionDepthwise", "DepthwiseConvolution"):
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
    for i, built in _known(view, "Deconvolution"):
        pairs = zip(built.layer.kernel, built.layer.stride, strict=True)
        for kernel, stride in pairs:
            if kernel % stride:
                words = f"stride {stride} does not divide the kernel, {kernel}: windows overlap"
                yield i, f"{words} unevenly, in the pattern of a checkerboard", "convolution_param"
                break


def _known(view, *types):
    """The layers of these types whose shapes are known."""
    for i, built in enumerate(view.built):
        if view.layers[i].type in types and built.tops and not built.guessed:
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
