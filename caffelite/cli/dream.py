"""Make pictures that a net sees much in: dreams, and what its classes and maps look for.

    caffelite dream coffee.png dream.png --model NET --weights W --layer conv4_2
    caffelite dream coffee.png dream.png --model NET --weights W --layer conv4_2 --map 7
    caffelite dream goose.png --model NET --weights W --class 99
    caffelite dream map.png --model NET --weights W --layer conv3_1 --map 5

With a PICTURE, it is changed so that the layer gives more of what it gives already, or that one of
its maps does: DeepDream, by gradient ascent in several sizes, the octaves, with jitter. Without, it
starts from gray, and the score of a class grows, or the mean of a map, while values decay
(Simonyan, Vedaldi, Zisserman 2013): what the net takes for the very picture of it. The picture is
as large as the net's input, or --size where the net takes any.

--rate is how far a pixel moves in an iteration, on average, of 255. What pictures go through is
found as caffelite classify finds it, flags override it.
"""

import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, above_0, at_least, from_0, int32
from ._nets import add_device_flags, add_missing_flag, use_device
from ._painting import write_picture
from ._pictures import add_mean_flags, preprocessing_of

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="PICTURE OUT, or OUT")
    flag("--model", required=True, metavar="FILE", help="the net's prototxt, that for use")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--layer", metavar="NAME", help="what is to give more [the scores]")
    flag("--map", type=at_least(0), metavar="N", help="which of its maps [all; 0 with no PICTURE]")
    flag("--class", type=at_least(0), dest="index", metavar="N", help="which class is to score")
    flag("--size", type=at_least(16), metavar="N", help="pixels of the longest side")
    flag("--octaves", type=at_least(1), metavar="N", help="sizes [4; 1 with no PICTURE]")
    flag("--octave-scale", type=above_0, default=1.4, metavar="X", help="between them [1.4]")
    flag("--iterations", type=at_least(1), metavar="N", help="in each [10; 200 with no PICTURE]")
    flag("--rate", type=above_0, default=1.5, metavar="X", help="pixel values for each [1.5]")
    flag("--jitter", type=at_least(0), metavar="N", help="pixels [32, at most an eighth of a side]")
    flag("--decay", type=from_0, metavar="X", help="of values [0; 0.0001 with no PICTURE]")
    flag("--seed", type=int32, default=0, metavar="N", help="another jitter [0]")
    flag("--json", action="store_true", help="print JSON")
    add_mean_flags(parser)
    add_device_flags(parser)
    parser.set_defaults(level=0, stage="", resize=None)


def run(args):
    import numpy as np

    from ..predict.canvas import Canvas
    from ..predict.dream import dream, wants
    from ..predict.look import Look
    from ._progress import make_bar

    *source, out = args.pictures
    if len(source) > 1:
        raise UsageError(f"expected PICTURE OUT, or OUT, not {' '.join(args.pictures)}")
    if source and os.path.exists(out) and os.path.samefile(*args.pictures):
        raise UsageError(f"{out} is read, and would be written over; name another OUT")
    if args.octave_scale <= 1:
        raise UsageError(f"--octave-scale: expected more than 1, not {args.octave_scale:g}")
    if args.index is not None and args.map is not None:
        raise UsageError("--class is of scores and --map of maps; give one of them")
    if source and args.layer is None and args.index is None:
        raise UsageError("a dream needs --layer, whose maps are to give more, or --class")
    log = start_logging(quiet=True)
    use_device(args)
    look = Look(args.model, args.weights, [args.layer] if args.layer else [], args.allow_missing)
    canvas = Canvas(preprocessing_of(args, args.model, log), look.shape[0])
    ((layer, top),) = look.tops.items()
    which = args.index if args.map is None else args.map
    if source:
        values, defaults = canvas.read(*source, args.size), {"iterations": 10, "octaves": 4}
    else:
        channels, *sides = look.shape
        sides = [args.size] * 2 if args.size else sides
        noise = np.random.default_rng(args.seed).normal(0, 5, (channels, *sides))
        values, which = (noise * canvas.scale).astype(np.float32), which or 0
        defaults = {"iterations": 200, "octaves": 1, "decay": 1e-4}
    given = {name: getattr(args, name) for name in ("iterations", "octaves", "decay")}
    options = defaults | {name: value for name, value in given.items() if value is not None}
    most = 32 if args.jitter is None else args.jitter
    options["jitter"] = min(most, min(values.shape[1:]) // 8)
    bar = None
    if on_terminal() and not args.quiet:
        bar = make_bar(options["iterations"] * options["octaves"], what="dream")
    losses = []

    def see(values, loss):
        losses.append(loss)
        if bar:
            bar.set_postfix_str(f", {-loss:.4g}", refresh=False)
            bar.update()

    try:
        made = dream(
            look, canvas, values, {top: wants(look, layer, which)}, see=see, seed=args.seed,
            rate=args.rate, octave_scale=args.octave_scale, **options,
        )  # fmt: skip
    finally:
        if bar:
            bar.close()
    write_picture(out, canvas.pixels(made))
    told = {"file": out, "layer": layer, "at first": -losses[0], "at last": -losses[-1]}
    print(json_text(told) if args.json else "\n".join(f"{k}: {v}" for k, v in told.items()))
    return 0
