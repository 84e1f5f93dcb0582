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
"""

import csv
import glob
import io
import json
import os
import sys

from ..glog import on_terminal, start_logging
from ._flags import UsageError, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_state_flags,
    allow_python,
    stages,
    use_device,
)
from ._pictures import add_preparation_flags, preparation_of


def add_arguments(parser):
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="a picture, a folder, or a pattern")
    flag("--model", action="append", required=True, metavar="FILE", help="the net's prototxt")
    flag("--weights", action="append", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--labels", metavar="FILE", help="names of the classes, a line each")
    flag("--top", type=int32, default=5, metavar="N", help="classes to name for a picture [5]")
    flag("--crops", default="1", choices=("1", "10", "multi"), help="to average over [1]")
    flag("--output", metavar="BLOB", help="the net's scores [its last output]")
    add_preparation_flags(parser)
    flag("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    flag("--npy", metavar="FILE", help="write all scores, pictures x classes, for numpy.load")
    flag("--csv", action="store_true", help="print CSV: file, rank, label, name, score")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    if len(args.model) != len(args.weights):
        raise UsageError("each --model needs its --weights, and the other way round")
    if args.top < 1:
        raise UsageError(f"--top must be at least 1, not {args.top}")
    if args.csv and args.json:
        raise UsageError("--csv and --json exclude each other")
    from tqdm import tqdm

    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..data.dataset import read_names

    allow_python(args)
    paths = _find(args.pictures)
    found = [preparation_of(args, model, log) for model in args.model]
    nets = [_open(args, *files) for files in zip(args.model, args.weights, found, strict=True)]
    labels = args.labels or found[0].names
    names = read_names(labels) if labels else []
    results, kept = [], []
    if args.csv:
        _say(_row(("file", "rank", "label", "name", "score")))
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    for path, scores in _classify(nets, paths, args.skip_bad, log, bar):
        result = {"file": path, "top": _top(scores, names, args.top)}
        if args.npy:
            kept.append(scores)
        if args.json:
            results.append(result)
        else:
            _say("\n".join(_csv_lines(result) if args.csv else _lines(result)))
        bar.update()
    bar.close()
    if args.npy:
        _write_npy(args.npy, kept)
    if args.json:
        print(json.dumps(results))
    return 0


def _find(words):
    """The picture files that folders, patterns and names stand for."""
    from ..data.picture_file import is_picture_name
    from ..errors import DataError

    paths = []
    for word in words:
        if os.path.isdir(word):
            found = sorted(
                os.path.join(place, name)
                for place, _, files in os.walk(word)
                for name in files
                if is_picture_name(name)
            )
            if not found:
                raise DataError(f"{word}: holds no pictures")
        elif not os.path.exists(word) and glob.has_magic(word):
            found = sorted(glob.glob(word, recursive=True))
            if not found:
                raise DataError(f"{word}: nothing has such a name")
        else:
            found = [word]
        paths += found
    return paths


def _open(args, model, weights, found):
    from ..errors import DataError
    from ..predict.picture_net import PictureNet

    try:
        return PictureNet(
            model,
            weights,
            found,
            args.crops,
            args.output,
            args.level,
            stages(args),
            allow_missing=args.allow_missing,
        )
    except DataError as problem:
        by = f"by {found.origin}, " if found.origin not in ("", model) else ""
        raise DataError(f"{model}: {by}{problem}; --mean and --resize say otherwise") from None


def _classify(nets, paths, skip_bad, log, bar):
    """Yield (path, scores averaged over the nets) for each picture that can be read."""
    import numpy as np

    from ..errors import DataError, NetError

    group = max(1, 16 // max(net.transformer.views for net in nets))
    bad = 0
    for first in range(0, len(paths), group):
        read = []
        for path in paths[first : first + group]:
            try:
                read.append((path, [net.crops(path) for net in nets]))
            except DataError as problem:
                if not skip_bad:
                    raise DataError(f"{problem}; --skip-bad leaves it out") from None
                log.warning("skipped %s", problem)
                bad += 1
                bar.update()
        if read:
            crops = zip(*(crops for _, crops in read), strict=True)
            scores = [net.scores(list(own)) for net, own in zip(nets, crops, strict=True)]
            if len({len(rows[0]) for rows in scores}) > 1:
                counts = ", ".join(str(len(rows[0])) for rows in scores)
                raise NetError(f"the nets have different numbers of classes: {counts}")
            yield from zip((path for path, _ in read), np.mean(scores, axis=0), strict=True)
    if bad:
        log.warning("skipped: %d of %d pictures", bad, len(paths))


def _write_npy(path, scores):
    import numpy as np

    from ..atomic import write_atomically

    file = io.BytesIO()
    np.save(file, np.array(scores))
    write_atomically(path, file.getbuffer())


def _top(scores, names, count):
    best = (-scores).argsort(kind="stable")[:count]
    return [
        {
            "label": int(label),
            "name": names[label] if label < len(names) else str(label),
            "score": float(scores[label]),
        }
        for label in best
    ]


def _lines(result):
    yield result["file"]
    for one in result["top"]:
        yield f"  {one['score']:.4f}  {one['name']}"


def _csv_lines(result):
    for rank, one in enumerate(result["top"], 1):
        yield _row((result["file"], rank, one["label"], one["name"], f"{one['score']:.6g}"))


def _row(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _say(text):
    """Print above the bar."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stdout)
