"""What pictures go through before a net sees them: the flags that say so, and what they mean."""

import argparse
import itertools
import os
import re
import sys

from ..reading import number, utf8
from ._flags import UsageError, finite
from ._nets import add_missing_flag, stages


def add_asking_flags(parser):
    """Which pictures, and what to ask about them."""
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="a picture, a folder, or a pattern")
    flag("--model", action="append", required=True, metavar="FILE", help="the net's prototxt")
    flag("--weights", action="append", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--labels", metavar="FILE", help="names of the classes, a line each")
    flag("--crops", default="1", choices=("1", "10", "multi"), help="to average over [1]")
    flag("--output", metavar="BLOB", help="what the net answers [its last output]")
    add_preprocessing_flags(parser)
    add_skip_flag(parser)


def add_skip_flag(parser):
    """--skip-bad."""
    words = "leave out pictures that cannot be read, without an error"
    parser.add_argument("--skip-bad", action="store_true", help=words)


def add_draw_flag(parser):
    """--draw."""
    words = "draw the answers, a .png for each picture"
    parser.add_argument("--draw", metavar="FOLDER", help=words)


def predictor_of(args, log, kind=None):
    """The PicturePredictor of the nets that flags name; `kind` is that of its answers, or None."""
    from ..data.dataset import read_names
    from ..net.weights import check_weights
    from ..predict.answers import ANSWERS
    from ..predict.box_net import finds_boxes
    from ..predict.runner import PicturePredictor

    if len(args.model) != len(args.weights):
        raise UsageError("each --model needs its --weights, and the other way round")
    for weights in args.weights:
        check_weights(weights)
    if kind in (None, ANSWERS["found"]) and finds_boxes(args.model[0], args.level, stages(args)):
        if len(args.model) > 1:
            raise UsageError("the boxes that several nets find are not joined; name one")
        return box_predictor(args, args.model[0], args.weights[0], args.labels, log)
    found = [preprocessing_of(args, model, log) for model in args.model]
    nets = [_open(args, *files) for files in zip(args.model, args.weights, found, strict=True)]
    labels = args.labels or found[0].names
    return PicturePredictor(nets, kind, read_names(labels) if labels else [])


def box_predictor(args, model, weights, labels, log, threshold=None, layout=None):
    """The BoxPredictor of a net; `threshold` is the least score of boxes, if given."""
    from ..net.weights import check_weights
    from ..predict.box_net import LEAST_SCORE, BoxNet
    from ..predict.runner import BoxPredictor

    check_weights(weights)
    found = preprocessing_of(args, model, log)
    net = BoxNet(
        model,
        weights,
        found,
        labels or found.names,
        (layout or "cells").upper(),
        getattr(args, "regions", "") or "",
        output=args.output,
        level=args.level,
        stages=stages(args),
        allow_missing=args.allow_missing,
    )
    return BoxPredictor(net, LEAST_SCORE if threshold is None else threshold)


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


class Drawing:
    """Draws answers into a folder, each called as its picture; of the same name, with a number.

    No picture of `paths`, those to be asked about, may lie there: it could be drawn over.
    """

    def __init__(self, folder, predictor, paths):
        self.folder, self.predictor, self.names = folder, predictor, FileNames(".png")
        for path in paths:
            if os.path.realpath(os.path.dirname(path)) == os.path.realpath(folder):
                raise UsageError(
                    f"--draw {folder}: {path}, a picture to be asked about, lies there, and a "
                    "drawing might take its place; name another folder"
                )
        os.makedirs(folder, exist_ok=True)

    def draw(self, found):
        """Draw a Prediction; returns the name of the file."""
        from ..atomic import write_atomically
        from ..data.image import encode

        picture = found.answer.draw(self.predictor.shown_picture(found))
        path = os.path.join(self.folder, self.names.of(found.path))
        write_atomically(path, encode(picture.transpose(2, 0, 1)[::-1], "png"))
        return path


def tell(args, predictions, drawing, bar, facts):
    """Draw and print what is said of each picture; returns it where `args.json` asks for that.

    `facts(found)` is what stands before the answer there.
    """
    from tqdm import tqdm

    results = []
    for found in predictions:
        result = {"file": found.path, **facts(found), **found.answer.as_json()}
        if drawing:
            result["drawn"] = drawing.draw(found)
            if drawing.names.is_numbered(found.path, result["drawn"]):
                tqdm.write(f"{found.path}: drawn as {result['drawn']}", file=sys.stderr)
        if args.json:
            results.append(result)
        else:
            tqdm.write("\n".join([found.path, *found.answer.lines()]), file=sys.stdout)
        bar.update()
    return results


def npy(array):
    """The bytes of an array as numpy.load reads it."""
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, array)
    return file.getbuffer()


class FileNames:
    """Names of files made for pictures, each as its picture; of the same name, with a number."""

    def __init__(self, ending):
        self.ending, self.used = ending, set()

    def of(self, path):
        stem = _stem(path)
        names = (f"{stem}{f'_{k}' if k else ''}{self.ending}" for k in itertools.count())
        name = next(name for name in names if name.lower() not in self.used)
        self.used.add(name.lower())
        return name

    def is_numbered(self, path, name):
        """Whether a file made for a picture got a number, since others were called as it is."""
        return _stem(name) != _stem(path)


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def add_preprocessing_flags(parser):
    """--resize, and those of `add_mean_flags`."""
    parser.add_argument(
        "--resize", type=picture_size, metavar="N|HxW", help="what to resize pictures to"
    )
    add_mean_flags(parser)


def add_mean_flags(parser):
    """--train_val, --mean, --mean_value and --scale."""
    flag = parser.add_argument
    flag("--train_val", metavar="FILE", help="take what pictures go through from this net")
    flag("--mean", metavar="FILE", help="the mean picture, a .binaryproto")
    flag("--mean_value", type=_values, metavar="B,G,R", help="the mean of each channel, or of all")
    flag("--scale", type=finite, metavar="X", help="factor, after the mean is subtracted")


def picture_size(text):
    """(height, width) of a flag's "N" or "HxW"."""
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text)
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(size):
        raise argparse.ArgumentTypeError(f"expected N or HEIGHTxWIDTH, 1 to 9999, not {text!r}")
    return size


def _values(text):
    at, error = "expected numbers, as 104,117,123", argparse.ArgumentTypeError
    return [number(word, at, error=error) for word in text.split(",")]


def preprocessing_of(args, model, log):
    """What pictures go through before the net sees them: what its files say, then the flags."""
    import numpy as np

    from ..data.transform import read_mean
    from ..errors import DataError
    from ..predict.preprocessing import Preprocessing, subtract_from_channels

    if args.mean and args.mean_value:
        raise UsageError("--mean and --mean_value exclude each other")
    found = Preprocessing.of_net(model, args.train_val, args.level, stages(args))
    transform = found.transform
    if args.mean or args.mean_value:
        transform.ClearField("mean_value")
        transform.ClearField("mean_file")
        transform.mean_value.extend(args.mean_value or [])
        transform.mean_file = utf8(args.mean or "", "--mean")
    if args.scale is not None:
        transform.scale = args.scale
    if args.resize:
        transform.ClearField("resize_param")
    if transform.mean_file and (args.resize or not found.size):
        try:
            size = read_mean(transform, np.float32).shape[1:]
        except DataError as problem:
            by = "" if args.mean else f", which {found.origin} names; --mean tells where it is now"
            raise DataError(f"{problem}{by}") from None
        found.size = found.size or size
        if args.resize not in (None, size):
            subtract_from_channels(transform)
    found.size = args.resize or found.size
    if not (found.origin or args.mean or args.mean_value or args.scale):
        log.warning(
            "%s: no data layer, card or train_val.prototxt tells what its pictures go through; "
            "they are taken from 0 to 255: see --mean, --mean_value, --scale and --train_val",
            model,
        )
    return found
