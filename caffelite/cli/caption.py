"""Say in words what is in pictures.

    caffelite caption scene.png --model models/captions/deploy.prototxt --weights W.caffemodel \\
        --vocabulary data/captions/words_vocabulary.txt
    caffelite caption pictures '*.png' --model ... --beam 5 --draw answers

A PICTURE is a file, a folder or a pattern. The net is one for use, whose inputs are a picture, the
number of a word, and cont, as LRCN's: what looks at the picture runs once, and what goes on from
word to word once for each. --vocabulary names what `caffelite dataset text --words` made where the
net was trained. A sentence ends where the net ends it, or after --length words. Each word is the
likeliest one; with --beam, the N likeliest sentences so far are gone on with, and the likeliest is
told.

With --start, a sentence goes on from these words. A net that was trained to answer questions, as
models/scene-qa, answers what stands there:

    caffelite caption scene.png --model models/scene-qa/deploy.prototxt --weights W.caffemodel \\
        --vocabulary data/questions/words_vocabulary.txt --start "is there a 3 ?" --length 1

What pictures go through before is found as caffelite classify finds it, and given by the same
flags; what of them cannot be read is named, and the exit code is 1, as there.
"""

import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import at_least
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_state_flags,
    stages,
    use_device,
)
from ._pictures import (
    Drawing,
    add_draw_flag,
    add_preprocessing_flags,
    add_skip_flag,
    preprocessing_of,
    tell,
)

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="a picture, a folder, or a pattern")
    flag("--model", required=True, metavar="FILE", help="the net's prototxt, that for use")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--vocabulary", required=True, metavar="FILE", help="its words, a line each")
    words = "how many sentences are looked at together [1]"
    flag("--beam", type=at_least(1), default=1, metavar="N", help=words)
    flag("--length", type=at_least(1), default=50, metavar="N", help="words at most [50]")
    flag("--start", default="", metavar="TEXT", help="what sentences begin with: a question")
    add_preprocessing_flags(parser)
    add_skip_flag(parser)
    add_draw_flag(parser)
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    from tqdm import tqdm

    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..predict.picture_files import find
    from ..predict.runner import Predictions

    paths = find(args.pictures)
    predictor = _predictor(args, log)
    drawing = Drawing(args.draw, predictor, paths) if args.draw else None
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    predictions = Predictions(predictor, paths, args.skip_bad, lambda path: bar.update())
    results = tell(args, predictions, drawing, bar, lambda found: {})
    bar.close()
    if args.json:
        print(json_text(results))
    predictions.finish()
    return 0


def _predictor(args, log):
    from ..data.text import Vocabulary, cut
    from ..predict.caption_net import CaptionNet, CaptionPredictor

    net = CaptionNet(
        args.model,
        args.weights,
        preprocessing_of(args, args.model, log),
        Vocabulary.read(args.vocabulary),
        args.vocabulary,
        level=args.level,
        stages=stages(args),
        allow_missing=args.allow_missing,
    )
    net.text.refuse_beam(args.beam)
    start = cut(args.start, words=True)
    net.text.encode(start)
    return CaptionPredictor(net, args.length, args.beam, start)
