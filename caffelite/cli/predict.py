"""Say what nets answer to pictures: classes, a label for each pixel, a picture.

    caffelite predict cat.jpg --model deploy.prototxt --weights fcn.caffemodel --draw answers
    caffelite predict pictures '*.png' --model train_val.prototxt --weights net.caffemodel --json

A PICTURE is a file, a folder or a pattern. What kind of answer it is, the net tells: its last layer
and the shape of its output; --answer says otherwise. classes: the likeliest. pixels: how much of
the picture is of which class. picture: what a net makes of a picture that answers with one. --draw
makes a .png for each picture: with the classes below it, its pixels in the colors of their classes,
or the picture that the net made.

What pictures go through before is found as caffelite classify finds it, and given by the same
flags; what of them cannot be read is named, and the exit code is 1, as there.
"""

import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import add_device_flags, add_python_flag, add_state_flags, use_device
from ._pictures import Drawing, add_asking_flags, add_draw_flag, predictor_of, tell

READS_NETS = True


def add_arguments(parser):
    add_asking_flags(parser)
    words = "classes, pixels or picture: what the net answers [what it tells]"
    parser.add_argument("--answer", metavar="KIND", help=words)
    add_draw_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    from tqdm import tqdm

    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..predict.answers import ANSWERS
    from ..predict.picture_files import find
    from ..predict.runner import Predictions

    if args.answer and args.answer not in ANSWERS:
        raise UsageError(f'--answer: unknown "{args.answer}"{ANSWERS.instead_of(args.answer)}')
    paths = find(args.pictures)
    predictor = predictor_of(args, log, ANSWERS[args.answer] if args.answer else None)
    drawing = Drawing(args.draw, predictor, paths) if args.draw else None
    kind = next(name for name, known in ANSWERS.items() if known is predictor.kind)
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    predictions = Predictions(predictor, paths, args.skip_bad, lambda path: bar.update())
    results = tell(args, predictions, drawing, bar, lambda found: {"answer": kind})
    bar.close()
    if args.json:
        print(json_text(results))
    predictions.finish()
    return 0
