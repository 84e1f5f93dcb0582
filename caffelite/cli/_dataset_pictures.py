"""`caffelite dataset FOLDER` or LIST: the flags for pictures of one's own, and what is printed."""

import argparse
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer, number
from ._flags import UsageError
from ._pictures import picture_size

_DEFAULTS = {
    "root": None, "labels": None, "resize": None, "crop": False, "border": False, "gray": False,
    "palette_indices": False, "encode": None, "test": None, "shuffle": True, "seed": 0,
    "skip_bad": False, "mixed_sizes": False,
}  # fmt: skip


def add_arguments(parser):
    flag = parser.add_argument
    flag("--root", metavar="DIR", help="where the names in a list start [beside the list]")
    flag("--labels", metavar="FILE", help="names for the labels in a list, a line each")
    flag("--resize", type=picture_size, metavar="N|HxW", help="make all of this size [as they are]")
    flag("--crop", action="store_true", help="keep proportions, cut off what is over")
    flag("--border", action="store_true", help="keep proportions, add black where it lacks")
    flag("--gray", action="store_true", help="store 1 channel, not blue, green and red")
    flag("--palette-indices", action="store_true", help="... of labels: the indices of a palette")
    flag("--encode", metavar="TYPE", help="store files of this type, png, jpg, ..., not pixels")
    flag("--test", type=_share, metavar="SHARE", help="share for testing, as 0.2 [0; of text, 0.1]")
    flag("--shuffle", action=argparse.BooleanOptionalAction, help="mix the classes [true]")
    flag("--seed", type=_seed, metavar="N", help="another order and another split [0]")
    flag("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    flag("--mixed-sizes", action="store_true", help="let sizes differ; there is no mean picture")
    parser.set_defaults(**_DEFAULTS)


def _share(text):
    share = number(text, "", error=argparse.ArgumentTypeError)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, not {text!r}")
    return share


def _seed(text):
    return integer(text, "", least=0, most=10**9 - 1, error=argparse.ArgumentTypeError)


def refuse_flags(args, but=()):
    """Raise a UsageError for a flag of these: `args` ask for something else."""
    for name, default in _DEFAULTS.items():
        if getattr(args, name) != default and name not in but:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} is for your own pictures, not for {args.source}")


def layout(args):
    """How the records of each part are stored, as flags say."""
    from ..data.shard_writer import Layout

    return Layout(args.shards, args.tar)


def make_encoder(args, color):
    """What makes the pictures of a database as flags say; a UsageError where they do not fit."""
    from ..data.datum_encoder import DatumEncoder
    from ..data.image import format_of

    if args.crop and not args.resize:
        raise UsageError("--crop cuts off what is over --resize: give that, too")
    if args.border and not args.resize:
        raise UsageError("--border adds what a picture lacks of --resize: give that, too")
    if args.crop and args.border:
        raise UsageError("--crop cuts off, --border adds what is not there: give one of them")
    if args.encode:
        format_of(args.encode)
    return DatumEncoder(
        color=color,
        size=args.resize,
        cut=args.crop,
        border=args.border,
        encoded=bool(args.encode or args.tar),
        kind=args.encode or "",
        alike=True,
    )


def run(args):
    from tqdm import tqdm

    from ..data import dataset
    from ..data.image import INDICES

    encoder = make_encoder(args, color=INDICES if args.palette_indices else not args.gray)
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    pictures = dataset.open_pictures(args.source, args.root, args.labels)
    report = dataset.make(
        pictures,
        args.out,
        encoder,
        dataset.split(pictures, args.test or 0, args.seed, args.shuffle),
        skip_bad=args.skip_bad,
        mixed=args.mixed_sizes,
        progress=lambda entries, part: tqdm(entries, part, leave=False, disable=not on_terminal()),
        layout=(parts := layout(args)),
    )
    print(json_text(report) if args.json else "\n".join(_lines(report, parts)))
    return 0


def _lines(report, parts):
    out, shape = report["out"], report["shape"]
    size = " x ".join(map(str, shape)) if shape else f"{report['channels']} channels"
    for part, facts in report["parts"].items():
        fewest, most = min(facts["by_label"].values()), max(facts["by_label"].values())
        each = f"{fewest} to {most}" if fewest < most else f"{fewest}"
        classes = len(facts["by_label"])
        source = parts.source(f"{out}/{part}_lmdb")
        yield (
            f"{source}: {facts['pictures']} pictures, {size}; {classes} classes, {each} pictures "
            "each"
        )
    if report["skipped"]:
        yield f"skipped: {report['skipped']} pictures that cannot be read"
    if report["classes"]:
        yield f"{out}/labels.txt: {', '.join(report['classes'])}"
    if shape:
        yield f"{out}/mean.binaryproto: the mean picture"
    values = " ".join(f"mean_value: {value:.4g}" for value in report["mean_value"])
    yield f"{out}/statistics.json: {values}"
