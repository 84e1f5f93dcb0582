"""Say what is in pictures.

    caffelite classify cat.jpg --model deploy.prototxt --weights net.caffemodel --labels labels.txt
    caffelite classify pictures '*.png' --model train_val.prototxt --weights net.caffemodel --csv

A PICTURE is a file, a folder or a pattern. A net for training is made one for use: its data layers
give way to the pictures, its loss to probabilities. What pictures go through (mean, scale, crop) is
found in the net's own data layer, in the card readme.md beside it (transform_param, resize), or in
the data layer of train_val.prototxt beside it; flags override it. Pictures are resized to the size
that training pictures had, and cropped to what the net takes. Where they have another size than the
mean picture, because of --resize or --crops multi, the means of its channels are subtracted.

--crops 10 averages over the corners, the middle, and these mirrored; --crops multi does that at
four sizes, whose short sides are 8/7 to 11/7 of the net's input. With several --model and
--weights, the scores of all of them are averaged. --npy keeps all scores, as Caffe's classify.py
does; pictures are resized as OpenCV does it, for the data layers, which is not quite as there.

A picture that cannot be read is named on stderr, the others are answered, and the exit code is 1;
with --skip-bad it is 0. The CSV, and the file of --out, is there whole, or not at all.
"""

import csv
import io
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import add_device_flags, add_python_flag, add_state_flags, use_device
from ._pictures import add_asking_flags, npy, predictor_of

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    add_asking_flags(parser)
    flag("--top", type=int32, default=5, metavar="N", help="classes to name for a picture [5]")
    flag("--npy", metavar="FILE", help="write all scores, pictures x classes, for numpy.load")
    flag("--csv", action="store_true", help="print CSV: file, rank, label, name, score")
    flag("--json", action="store_true", help="print JSON")
    flag("--out", metavar="FILE", help="what to write instead of printing")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    if args.top < 1:
        raise UsageError(f"--top must be at least 1, not {args.top}")
    if args.csv and args.json:
        raise UsageError("--csv and --json exclude each other")
    from tqdm import tqdm

    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..predict.answers.classes import Classes
    from ..predict.picture_files import find
    from ..predict.runner import Predictions

    paths = find(args.pictures)
    predictor = predictor_of(args, log, Classes)
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    predictions = Predictions(predictor, paths, args.skip_bad, lambda path: bar.update())
    scores = []
    with bar:
        _write(args, _texts(args, _answers(args, predictions, scores, bar)))
    if args.npy and predictions.bad and not args.skip_bad:
        log.warning("%s: not written: its rows would not be those of the pictures", args.npy)
    elif args.npy:
        _write_npy(args.npy, scores)
    predictions.finish()
    return 0


def _answers(args, predictions, scores, bar):
    """Yield (path, answer) of the pictures; their `scores` are kept for --npy."""
    for path, answer, _ in predictions:
        if args.npy:
            scores.append(answer.scores)
        yield path, answer
        bar.update()


def _texts(args, answers):
    """The output, text after text."""
    results = ({"file": path, **answer.as_json(args.top)} for path, answer in answers)
    if args.json:
        yield json_text(list(results))
    elif args.csv:
        yield _row(("file", "rank", "label", "name", "score"))
        yield from ("\n".join(_csv_lines(result)) for result in results)
    else:
        yield from ("\n".join([path, *answer.lines(args.top)]) for path, answer in answers)


def _write(args, texts):
    """Into a file whole; so CSV to stdout, too; else as they come, above the bar."""
    from tqdm import tqdm

    if args.out:
        from ..atomic import write_atomically

        write_atomically(args.out, (f"{t}\n".encode("utf-8", "surrogateescape") for t in texts))
    elif args.csv:
        _print_whole(texts)
    else:
        for text in texts:
            tqdm.write(text, file=sys.stdout)


def _print_whole(texts):
    """Print all texts, or, where making one of them fails, nothing."""
    import shutil
    import tempfile

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{text}\n" for text in texts)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout)


def _write_npy(path, scores):
    import numpy as np

    from ..atomic import write_atomically

    write_atomically(path, npy(np.array(scores)))


def _csv_lines(result):
    for rank, one in enumerate(result["top"], 1):
        yield _row((result["file"], rank, one["label"], one["name"], f"{one['score']:.6g}"))


def _row(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
