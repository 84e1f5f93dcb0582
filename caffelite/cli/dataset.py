"""Make LMDBs of your own pictures, or of a data set to start with; check databases.

  caffelite dataset pictures --out data --resize 64 --test 0.2     a folder for each class
  caffelite dataset list.txt --root pictures --out data            lines NAME LABEL
  caffelite dataset mnist-5k --out data              5,000 real digits that pip brings along
  caffelite dataset mnist-5k --pad 2 --out data/padded             32 x 32 pixels, not 28 x 28
  caffelite dataset digits-8x8 --out data            1,797 small ones
  caffelite dataset mnist --idx DIR --out data       all 70,000, from the original files
  caffelite dataset check data/train_lmdb            is it whole?

Pictures become OUT/train_lmdb and, with --test, OUT/test_lmdb, shuffled, and with the same share of
each class in both. OUT/mean.binaryproto is the mean picture of OUT/train_lmdb; OUT/statistics.json
has counts, the means of its channels (blue, green, red) and principal components of its colors;
OUT/labels.txt has the classes' names in the order of their labels. All are made, or none.

mnist and mnist-5k become OUT/mnist_train_lmdb and OUT/mnist_test_lmdb, digits-8x8, with values from
0 to 16, OUT/digits_train_lmdb and OUT/digits_test_lmdb. mnist-5k and digits-8x8 need the extra
[demo]; 4,000 and 1,437 digits are for training, 1,000 and 360 for testing. DIR holds
train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte,
with .gz or without. Databases that are there already and hold the same are left as they are.

`check` reads a database to its end, an LMDB or a LevelDB: every page, every key, every Datum, every
picture in one. It says what it found; where something is wrong, it names the first faults and ends
with exit code 1. Bytes of pixels that are others than were stored are no fault it can see in an
LMDB, which keeps no checksums.
"""

import argparse
import json
import sys

from ..glog import on_terminal, start_logging
from ..reading import integer, number
from ._flags import UsageError
from ._pictures import picture_size

_MOST_NAMED = 20  # faults, one by one
_DIGITS = ("mnist-5k", "mnist", "digits-8x8")
_OF_PICTURES = {
    "root": None, "labels": None, "resize": None, "crop": False, "gray": False, "encode": None,
    "test": 0.0, "shuffle": True, "seed": 0, "skip_bad": False, "mixed_sizes": False,
}  # fmt: skip


def add_arguments(parser):
    flag = parser.add_argument
    flag(
        "source",
        metavar="SOURCE",
        help="folder of class folders, list, mnist-5k, mnist, digits-8x8, or check",
    )
    flag("database", metavar="DATABASE", nargs="?", help="what to check")
    flag("--out", default="data", metavar="DIR", help="where to [data]")
    flag("--idx", metavar="DIR", help="mnist: where the original files are")
    flag("--pad", type=_pad, default=0, metavar="N", help="digits: a border of N zeros [0]")
    flag("--json", action="store_true", help="print JSON")
    flag = parser.add_argument_group("your own pictures").add_argument
    flag("--root", metavar="DIR", help="where the names in a list start [beside the list]")
    flag("--labels", metavar="FILE", help="names for the labels in a list, a line each")
    flag("--resize", type=picture_size, metavar="N|HxW", help="make all of this size [as they are]")
    flag("--crop", action="store_true", help="keep proportions, cut off what is over")
    flag("--gray", action="store_true", help="store 1 channel, not blue, green and red")
    flag("--encode", metavar="TYPE", help="store files of this type, png, jpg, ..., not pixels")
    flag("--test", type=_share, metavar="SHARE", help="share for testing, as 0.2 [0]")
    flag("--shuffle", action=argparse.BooleanOptionalAction, help="mix the classes [true]")
    flag("--seed", type=_seed, metavar="N", help="another order and another split [0]")
    flag("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    flag("--mixed-sizes", action="store_true", help="let sizes differ; there is no mean picture")
    parser.set_defaults(**_OF_PICTURES)


def _share(text):
    share = number(text, "", error=argparse.ArgumentTypeError)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, not {text!r}")
    return share


def _seed(text):
    return integer(text, "", least=0, most=10**9 - 1, error=argparse.ArgumentTypeError)


def _pad(text):
    return integer(text, "", least=0, most=99, error=argparse.ArgumentTypeError)


def run(args):
    if args.database is not None:
        if args.source != "check":
            raise UsageError(f"expected one SOURCE, or check DATABASE; not also {args.database}")
        return _check(args)
    return _digits(args) if args.source in _DIGITS else _pictures(args)


def _refuse_flags_of_pictures(args):
    for name, default in _OF_PICTURES.items():
        if getattr(args, name) != default:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} is for your own pictures, not for {args.source}")


def _check(args):
    from tqdm import tqdm

    from ..data.check import check

    _refuse_flags_of_pictures(args)
    report = check(
        args.database,
        lambda records, total: tqdm(
            records, args.database, total, unit=" records", leave=False, disable=not on_terminal()
        ),
    )
    facts = {
        "database": args.database,
        "kind": report.kind,
        "records": report.records,
        "pages": report.pages,
        "shapes": {" x ".join(map(str, shape)): n for shape, n in sorted(report.shapes.items())},
        "labels": {str(label): count for label, count in sorted(report.labels.items())},
        "faults": report.faults,
    }
    print(json.dumps(facts) if args.json else "\n".join(_check_lines(facts)))
    return 1 if report.faults else 0


def _check_lines(facts):
    shapes, labels = facts["shapes"], facts["labels"]
    pages = f" in {facts['pages']} pages" if facts["pages"] else ""
    yield f"{facts['database']}: {facts['kind']}, {facts['records']} records{pages}"
    if shapes:
        sizes = next(iter(shapes)) if len(shapes) == 1 else f"{len(shapes)} sizes"
        span = f"{min(map(int, labels))} to {max(map(int, labels))}"
        yield f"pictures: {sum(shapes.values())}, {sizes}; {len(labels)} labels, {span}"
    faults = facts["faults"]
    yield from faults[:_MOST_NAMED]
    if len(faults) > _MOST_NAMED:
        yield f"and {len(faults) - _MOST_NAMED} more faults"
    yield "damaged" if faults else "whole"


def _digits(args):
    import os
    from functools import partial

    import numpy as np
    from tqdm import tqdm

    from ..data import mnist

    if args.source == "mnist" and args.idx is None:
        raise UsageError("mnist needs --idx DIR, the directory of the original files")
    if args.source != "mnist" and args.idx is not None:
        raise UsageError(f"--idx belongs to mnist; {args.source} brings its digits along")
    _refuse_flags_of_pictures(args)
    if args.source == "mnist":
        parts = mnist.mnist(args.idx)
    else:
        parts = mnist.mnist_5k() if args.source == "mnist-5k" else mnist.digits_8x8()
    counts = {}
    for part, (images, labels) in parts.items():
        path = os.path.join(args.out, f"{args.source.partition('-')[0]}_{part}_lmdb")
        bar = partial(
            tqdm,
            desc=path,
            total=len(labels),
            unit=" digits",
            leave=False,
            disable=not on_terminal(),
        )
        padded = (np.pad(image, args.pad) for image in images)
        mnist.write_database(path, padded, labels, bar)
        counts[path] = len(labels)
    if args.json:
        print(json.dumps({"databases": counts}))
    else:
        print("\n".join(f"{path}: {count} digits" for path, count in counts.items()))
    return 0


def _pictures(args):
    from tqdm import tqdm

    from ..data import dataset
    from ..data.image import format_of
    from ..data.storing import Storing

    if args.idx is not None:
        raise UsageError("--idx belongs to mnist")
    if args.pad:
        raise UsageError("--pad is for digits, not for your own pictures")
    if args.crop and not args.resize:
        raise UsageError("--crop cuts off what is over --resize: give that, too")
    if args.encode:
        format_of(args.encode)
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    album = dataset.read_album(args.source, args.root, args.labels)
    report = dataset.make(
        album,
        args.out,
        Storing(
            color=not args.gray,
            size=args.resize,
            cut=args.crop,
            encoded=bool(args.encode),
            kind=args.encode or "",
            alike=True,
        ),
        album.split(args.test, args.seed, args.shuffle),
        skip_bad=args.skip_bad,
        mixed=args.mixed_sizes,
        progress=lambda entries, part: tqdm(entries, part, leave=False, disable=not on_terminal()),
    )
    print(json.dumps(report) if args.json else "\n".join(_lines(report)))
    return 0


def _lines(report):
    out, shape = report["out"], report["shape"]
    size = " x ".join(map(str, shape)) if shape else f"{report['channels']} channels"
    for part, facts in report["parts"].items():
        fewest, most = min(facts["by_label"].values()), max(facts["by_label"].values())
        each = f"{fewest} to {most}" if fewest < most else f"{fewest}"
        classes = len(facts["by_label"])
        yield (
            f"{out}/{part}_lmdb: {facts['pictures']} pictures, {size}; {classes} classes, "
            f"{each} pictures each"
        )
    if report["skipped"]:
        yield f"skipped: {report['skipped']} pictures that cannot be read"
    if report["classes"]:
        yield f"{out}/labels.txt: {', '.join(report['classes'])}"
    if shape:
        yield f"{out}/mean.binaryproto: the mean picture"
    values = " ".join(f"mean_value: {value:.4g}" for value in report["mean_value"])
    yield f"{out}/statistics.json: {values}"
