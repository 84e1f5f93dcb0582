"""Say which class each pixel of pictures is of, or how likely it is an edge.

    caffelite segment street.jpg --model deploy.prototxt --weights fcn-8s.caffemodel
    caffelite segment pictures --model net.prototxt --weights net.caffemodel --labels names.txt
    caffelite segment aerial.png --model unet.prototxt --weights unet.caffemodel --tile 512

A PICTURE is a file, a folder or a pattern. --out gets a PNG for each, as large as the picture: its
values are the labels, its palette is PASCAL VOC's. With --overlay, --side-by-side, --npy and
--probabilities, folders of these names in it get the picture under the colors; the picture, the
colors and a legend; the labels for numpy.load; and the probabilities, classes x height x width.
A net that ends in one plane of a Sigmoid, such as HED, makes gray PNGs, white where an edge is
sure; its .npy has the probabilities. stdout tells the share of each class, or JSON. A net for
training is made one for use.

A picture is shown to the net as large as it is, and mirrored at its edges where the net asks for
certain sizes. It is resized, and the answer resized back, with --resize, where the card or the
resize_param of the net says so, or where the net takes one size alone. --tile cuts a picture into
tiles, which overlap by --overlap pixels: what a value of the answer sees, at most a quarter of a
tile. Each pixel is answered by the tile that has it farthest from its edge; pixels from whose tile
the net sees all that it sees in the whole picture get the same answer. What else pictures go
through (mean, scale) is found as caffelite classify finds it, flags override it.

A picture that cannot be read, or takes more memory than there is, is named on stderr, the others
are answered, and the exit code is 1; with --skip-bad it is 0.
"""

import argparse
import os
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import add_device_flags, add_missing_flag, add_python_flag, add_state_flags, use_device
from ._pictures import FileNames, add_preprocessing_flags, add_skip_flag, npy, picture_size

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("pictures", nargs="+", metavar="PICTURE", help="a picture, a folder, or a pattern")
    flag("--model", required=True, metavar="FILE", help="the net's prototxt")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--labels", metavar="FILE", help="names of the classes, a line each, or a label map")
    words = "where pictures of labels go [segmented]"
    flag("--out", default="segmented", metavar="FOLDER", help=words)
    flag("--overlay", action="store_true", help="make pictures under the colors of their classes")
    words = "make pictures beside the colors of their classes, with a legend"
    flag("--side-by-side", action="store_true", help=words)
    flag("--npy", action="store_true", help="make .npy of the labels")
    flag("--probabilities", action="store_true", help="make .npy of the classes' probabilities")
    flag("--tile", type=picture_size, metavar="N|HxW", help="cut pictures into tiles")
    words = "pixels that tiles share [at most a quarter of a tile]"
    flag("--overlap", type=_overlap, metavar="N", help=words)
    flag("--force", action="store_true", help="write over files of --out that are there")
    flag("--output", metavar="BLOB", help="what the net answers [its last output]")
    add_preprocessing_flags(parser)
    add_skip_flag(parser)
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def _overlap(text):
    number = int32(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected pixels, 0 or more, not {text!r}")
    return number


def run(args):
    from tqdm import tqdm

    if args.overlap is not None and not args.tile:
        raise UsageError("--overlap is what tiles share: give --tile, too")
    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..predict.picture_files import find
    from ..predict.runner import Predictions

    paths = find(args.pictures)
    files = _Files(args, paths)
    predictor = _predictor(args, log)
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    predictions = Predictions(predictor, paths, args.skip_bad, lambda path: bar.update())
    results = []
    with bar:
        for found in predictions:
            made = files.write(found, predictor.shown_picture)
            if args.json:
                results.append({"file": found.path, "made": made, **found.answer.as_json()})
            else:
                told = "\n".join([f"{found.path}: {made[0]}", *found.answer.lines()])
                tqdm.write(told, file=sys.stdout)
            bar.update()
    if args.json:
        print(json_text(results))
    predictions.finish()
    return 0


def _predictor(args, log):
    from ..data.dataset import read_names
    from ..net.weights import check_weights
    from ..predict.pixel_net import PixelNet
    from ..predict.runner import PixelPredictor
    from ._nets import stages
    from ._pictures import preprocessing_of

    check_weights(args.weights)
    found = preprocessing_of(args, args.model, log)
    net = PixelNet(
        args.model,
        args.weights,
        found,
        args.resize,
        args.tile,
        args.overlap,
        args.probabilities,
        output=args.output,
        level=args.level,
        stages=stages(args),
        allow_missing=args.allow_missing,
    )
    labels = args.labels or found.names
    names = read_names(labels) if labels else []
    if labels and len(names) < net.classes:
        log.warning(
            "%s: has %d names for the %d classes of %s; the others are called by their numbers",
            *(labels, len(names), net.classes, args.model),
        )
    return PixelPredictor(net, names)


class _Files:
    """Writes what is asked for of each picture: OUT/NAME.png, and what is in folders of OUT."""

    FOLDERS = {"overlay": "png", "side-by-side": "png", "npy": "npy", "probabilities": "npy"}

    def __init__(self, args, paths):
        self.args, names = args, FileNames("")
        self.asked = [name for name in self.FOLDERS if getattr(args, name.replace("-", "_"))]
        self.stems = {path: names.of(path) for path in dict.fromkeys(paths)}
        made = list(self._made())
        there = set(map(os.path.realpath, made)).intersection(map(os.path.realpath, paths))
        if there:
            raise UsageError(f"--out {args.out}: {there.pop()} is to be asked about, and would go")
        there = [] if args.force else list(filter(os.path.lexists, made))
        if there:
            raise UsageError(
                f"--out {args.out}: {there[0]} is there already; name another folder, or --force"
            )

    def _made(self):
        """The names of all files that will be."""
        for stem in self.stems.values():
            yield os.path.join(self.args.out, f"{stem}.png")
            for name in self.asked:
                yield os.path.join(self.args.out, name, f"{stem}.{self.FOLDERS[name]}")

    def write(self, found, picture_of):
        """Write what is asked for of a Prediction; returns the names of the files."""
        from ..data.image import encode

        answer, stem = found.answer, self.stems[found.path]
        made = [self._write(answer.encoded(), f"{stem}.png")]
        drawings = {"overlay": answer.overlay, "side-by-side": answer.side_by_side}
        picture = picture_of(found) if any(name in drawings for name in self.asked) else None
        arrays = {"npy": answer.given, "probabilities": answer.probabilities}
        for name in self.asked:
            if name in drawings:
                data = encode(drawings[name](picture).transpose(2, 0, 1)[::-1], "png")
            else:
                data = npy(arrays[name])
            made.append(self._write(data, name, f"{stem}.{self.FOLDERS[name]}"))
        return made

    def _write(self, data, *names):
        from ..atomic import write_atomically

        path = os.path.join(self.args.out, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(path, data)
        return path
