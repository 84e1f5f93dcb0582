"""Paint one picture in the style of others.

    caffelite style astronaut.png swirls.png painted.png --weights vgg16-conv.caffemodel
    caffelite style CONTENT STYLE STYLE OUT --blend 2,1 --keep-color --weights W
    caffelite style CONTENT OUT --model models/fast-style/deploy.prototxt --weights TRAINED
    caffelite style STYLE style.caffemodel --weights W --style-layers conv1_2,conv2_2

With a STYLE, the picture is what is learned (Gatys, Ecker, Bethge 2016): its maps in
--content-layers are to be those of CONTENT, the inner products of its maps in --style-layers those
of STYLE, each layer with the weight 0.2. --ratio is alpha / beta, how much content counts for one
of style: the larger, the more of CONTENT is seen. Several styles are mixed, by --blend. OUT grows:
it is written again every --save-every iterations. --keep-color takes the colors of CONTENT. --log
appends the losses, whose curves caffelite plot draws.

The net is VGG-16, unless --model names another for use: "caffelite weights hed" makes weights for
its convolutions. L-BFGS needs scipy (pip install scipy); --solver Adam does without.

Without a STYLE, --model is a net that paints in one pass, as models/fast-style, which has learned
one style; or one that makes pictures larger, as models/super-resolution. CONTENT keeps its size,
or gets --size. If OUT is a .caffemodel, it is to hold the style itself, which models/fast-style
learns: all pictures before it are styles.

What pictures go through is found as caffelite classify finds it, flags override it.
"""

import argparse
import contextlib
import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, above_0, at_least, from_0
from ._nets import add_device_flags, add_missing_flag, use_device
from ._painting import write_picture
from ._pictures import add_mean_flags, preprocessing_of

READS_NETS = True
_OF_LEARNING = (
    *("ratio", "variation", "iterations", "init", "solver", "rate", "keep_color", "save_every"),
    *("content_layers", "seed", "log"),
)


def add_arguments(parser):
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="CONTENT STYLE... OUT, or CONTENT OUT")
    flag("--weights", metavar="FILE", help="the net's weights")
    add_missing_flag(parser)
    flag("--model", metavar="FILE", help="the net's prototxt, that for use [models/vgg-16's]")
    flag("--size", type=at_least(8), metavar="N", help="pixels of the longest side [384; as it is]")
    flag("--style-size", type=at_least(8), metavar="N", help="that of styles [as --size]")
    flag("--iterations", type=at_least(1), metavar="N", help="how many [100]")
    flag("--ratio", type=above_0, metavar="X", help="alpha / beta, content for style [0.01]")
    flag("--variation", type=from_0, metavar="X", help="weight of the total variation [0]")
    flag("--style-layers", type=_names, metavar="A,B", help="[conv1_1,conv2_1,...,conv5_1]")
    flag("--content-layers", type=_names, metavar="A,B", help="[conv4_2]")
    flag("--blend", type=_shares, metavar="X,Y", help="how much each style counts [alike]")
    flag("--init", choices=("content", "noise"), help="what it starts from [content]")
    words = "LBFGS, or the type of an update rule, as Adam [LBFGS]"
    flag("--solver", metavar="TYPE", help=words)
    flag("--rate", type=above_0, metavar="X", help="learning rate of an update rule [5]")
    flag("--keep-color", action="store_true", default=None, help="take the colors of CONTENT")
    flag("--save-every", type=at_least(1), metavar="N", help="iterations between pictures [10]")
    flag("--seed", type=at_least(0), metavar="N", help="other noise [0]")
    flag("--log", metavar="FILE", help="append the losses to this file, one JSON object a line")
    flag("--json", action="store_true", help="print JSON, with the losses of each iteration")
    add_mean_flags(parser)
    add_device_flags(parser)
    parser.set_defaults(level=0, stage="", resize=None)


def _shares(text):
    return [above_0(word) for word in text.split(",")]


def _names(text):
    names = text.split(",")
    if not all(names) or len({*names}) < len(names):
        raise argparse.ArgumentTypeError(f"expected names of layers, each once, not {text!r}")
    return names


def run(args):
    from ..net.convert import ENDINGS

    *pictures, out = args.pictures
    if not pictures:
        raise UsageError("expected CONTENT STYLE OUT, or with --model CONTENT OUT")
    if not args.weights:
        raise UsageError(
            "--weights is missing: caffelite weights hed makes vgg16-conv.caffemodel, of VGG-16's "
            "convolutions"
        )
    for path in pictures:
        if os.path.exists(out) and os.path.exists(path) and os.path.samefile(path, out):
            raise UsageError(f"{out} is read, and would be written over; name another OUT")
    log = start_logging(quiet=True)
    use_device(args)
    if out.endswith(ENDINGS):
        told = _keep_style(args, pictures, out, log)
    elif len(pictures) == 1:
        told = _paint(args, *pictures, out, log)
    else:
        told = _learn(args, *pictures, out, log)
    told = {"file": out, **told}
    if args.json:
        print(json_text(told))
    else:
        told.pop("losses", None)
        print("\n".join(f"{key}: {value}" for key, value in told.items()))
    return 0


def _refuse(args, names, why):
    for name in names:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _canvas(args, model, channels, log):
    from ..predict.canvas import Canvas

    return Canvas(preprocessing_of(args, model, log), channels)


def _look(args, layers, log):
    """The net that looks at pictures, and the Canvas for it."""
    from ..predict.style import StyleLook
    from ._zoo import folder

    model = args.model or os.path.join(folder("models"), "vgg-16", "deploy.prototxt")
    look = StyleLook(model, args.weights, layers, args.allow_missing)
    return look, _canvas(args, model, look.shape[0], log)


def _styles(args, look, canvas, paths, layers):
    """The style of pictures, mixed; the longest side of each is that of --style-size or --size."""
    from ..predict.style import blended

    size = args.style_size or args.size or 384
    shares = args.blend or [1] * len(paths)
    if len(shares) != len(paths):
        raise UsageError(f"--blend has {len(shares)} numbers for {len(paths)} styles")
    return blended([look.styles(canvas.read(path, size), layers) for path in paths], shares)


def _keep_style(args, paths, out, log):
    from ..net import convert
    from ..predict.style import STYLE_LAYERS, as_weights

    _refuse(args, _OF_LEARNING, f"is for a picture, and {out} holds a style")
    layers = args.style_layers or STYLE_LAYERS
    look, canvas = _look(args, layers, log)
    weights = as_weights(_styles(args, look, canvas, paths, layers))
    convert.write(out, weights)
    return {"layers": ", ".join(weights)}


def _paint(args, content, out, log):
    import time

    from ..predict.style import paint
    from ._nets import open_net

    if not args.model:
        raise UsageError("expected a STYLE before OUT, or --model with a net that has learned one")
    _refuse(args, (*_OF_LEARNING, "style_layers", "style_size", "blend"), "goes with a STYLE")
    net = open_net(args.model, "TEST", args, weights=args.weights)
    if len(net.inputs) != 1 or len(net.blobs[net.inputs[0]].shape) != 4:
        raise UsageError(f"{args.model}: expected one input, a picture: the net for use")
    canvas = _canvas(args, args.model, net.blobs[net.inputs[0]].shape[1], log)
    values = canvas.read(content, args.size)
    net.economize(forward_only=True)
    start = time.perf_counter()
    pixels = canvas.pixels(paint(net, values))
    seconds = time.perf_counter() - start
    write_picture(out, pixels)
    return {"size": f"{pixels.shape[2]} x {pixels.shape[1]}", "seconds": round(seconds, 2)}


def _learn(args, content, *rest):
    import time

    import numpy as np

    from ..predict.canvas import with_colors_of
    from ..predict.style import CONTENT_LAYERS, STYLE_LAYERS, losses_of
    from ..solver import lbfgs, optimize
    from ..solver.rules import RULES

    *paths, out, log = rest
    in_content, in_style = args.content_layers or CONTENT_LAYERS, args.style_layers or STYLE_LAYERS
    solver, iterations = args.solver or lbfgs.NAME, args.iterations or 100
    if solver == lbfgs.NAME:
        _refuse(args, ["rate"], "is for --solver Adam and other update rules")
    look, canvas = _look(args, [*in_content, *in_style], log)
    picture = canvas.read(content, args.size or 384)
    styles = _styles(args, look, canvas, paths, in_style)
    net = look.comparing(
        picture.shape,
        look.maps(picture, in_content),
        styles,
        args.ratio or 0.01,
        1,
        args.variation or 0,
    )
    start = picture
    if args.init == "noise":
        noise = np.random.default_rng(args.seed or 0).uniform(0, 255, picture.shape)
        start = canvas.values(noise)
    blob = net.blobs[look.input]
    blob.data[...] = start
    curve, began = [], time.perf_counter()

    def save():
        pixels = canvas.pixels(blob.data[0])
        write_picture(
            out, with_colors_of(pixels, canvas.pixels(picture)) if args.keep_color else pixels
        )

    def see(iteration, _):
        curve.append(losses_of(net))
        if iteration % (args.save_every or 10) == 0:
            save()
        tell(iteration, curve[-1])

    options = {} if solver == lbfgs.NAME else {"base_lr": args.rate or 5}
    if solver in RULES and "momentum" in RULES[solver].reads:
        options["momentum"] = 0.9
    with _teller(args, iterations) as tell:
        optimize(
            net, look.input, iterations=iterations, solver=solver, bounds=canvas.bounds,
            callback=see, **options,
        )  # fmt: skip
    save()
    return {
        "size": f"{picture.shape[2]} x {picture.shape[1]}",
        "iterations": len(curve),
        **{f"{name} loss": value for name, value in losses_of(net).items()},
        "seconds": round(time.perf_counter() - began, 1),
        "losses": curve,
    }


@contextlib.contextmanager
def _teller(args, iterations):
    """A function of an iteration's number and {name: loss}, for the bar and the log."""
    from ..run_log.writer import RunLog
    from ._progress import make_bar

    with contextlib.ExitStack() as stack:
        bar = events = None
        done = 0
        if args.log:
            events = RunLog(args.log)
            stack.callback(events.close)
            events.write({"event": "start", "iteration": 0, "command": args.command})
        if on_terminal() and not args.quiet:
            bar = make_bar(iterations, what="style")
            stack.callback(bar.close)

        def tell(iteration, losses):
            nonlocal done
            done, loss = iteration, sum(losses.values())
            if bar:
                bar.set_postfix_str(f", loss {loss:.4g}", refresh=False)
                bar.update()
            if events:
                outputs = {f"{name}_loss": value for name, value in losses.items()}
                at = {"event": "train", "iteration": iteration}
                events.write({**at, "loss": loss, "outputs": outputs})

        yield tell
        if events:
            events.write({"event": "done", "iteration": done})  # L-BFGS may end early
