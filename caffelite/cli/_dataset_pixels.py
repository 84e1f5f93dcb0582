"""`caffelite dataset` of pictures with label pictures: its flags, and what is printed."""

import argparse
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer
from ._dataset_pictures import layout, make_encoder
from ._flags import UsageError

_DEFAULTS = {"label_pictures": None, "classes": None, "void": 255, "masks": False}


def add_arguments(parser):
    flag = parser.add_argument
    words = "labels are pictures: in DIR, named as SOURCE's, or as a list or VOC's lists name them"
    flag("--label-pictures", nargs="?", const="", metavar="DIR", help=words)
    flag("--classes", type=_number(1, 255), metavar="N", help="labels are 0 to N - 1 [as found]")
    words = "the label that does not count [255]"
    flag("--void", type=_number(0, 255), metavar="K", help=words)
    flag("--masks", action="store_true", help="make class 1 of all that is above 0")
    parser.set_defaults(**_DEFAULTS)


def _number(least, most):
    error = argparse.ArgumentTypeError
    return lambda text: integer(text, "", least=least, most=most, error=error)


def refuse_flags(args):
    """Raise a UsageError for a flag of these where labels are no pictures."""
    for name, default in _DEFAULTS.items():
        if getattr(args, name) != default:
            flag = "--" + name.replace("_", "-")
            way = "" if name == "label_pictures" else "; give --label-pictures, too"
            raise UsageError(
                f"{flag} is for pictures with label pictures, not for {args.source}{way}"
            )


def run(args):
    from tqdm import tqdm

    from ..data import pixel_dataset
    from ..data.annotations.build import split

    for flag in ("palette_indices", "mixed_sizes"):
        if getattr(args, flag):
            words = "comes by itself with --label-pictures"
            raise UsageError(f"--{flag.replace('_', '-')} {words}: leave it out")
    if args.tar:
        raise UsageError("--tar holds pictures with numbers as labels; leave it out")
    encoder = make_encoder(args, color=not args.gray)
    if args.form:
        raise UsageError("--form is for pictures with boxes, --label-pictures for labels of pixels")
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    names = _names(args)
    pairs = pixel_dataset.open_pairs(args.source, args.label_pictures, args.root)
    report = pixel_dataset.make(
        pairs,
        args.out,
        pixel_dataset.PairEncoder(
            encoder,
            classes=len(names) or args.classes,
            void=args.void,
            masks=args.masks,
        ),
        split(pairs, args.test or 0, args.seed, args.shuffle),
        names,
        skip_bad=args.skip_bad,
        progress=lambda entries, part: tqdm(entries, part, leave=False, disable=not on_terminal()),
        layout=(parts := layout(args)),
    )
    print(json_text(report) if args.json else "\n".join(_lines(report, parts)))
    return 0


def _names(args):
    from ..data.dataset import read_names

    names = read_names(args.labels) if args.labels else []
    if names and args.classes and len(names) != args.classes:
        raise UsageError(f"--labels {args.labels} names {len(names)} classes, not {args.classes}")
    return names


def _lines(report, parts):
    out, names = report["out"], report["names"]
    for part, facts in report["parts"].items():
        size = f"{_span(facts['heights'])} x {_span(facts['widths'])}"
        pictures = f"{report['channels']} x {size}"
        source, of_labels = (
            parts.source(f"{out}/{part}_{what}") for what in ("lmdb", "labels_lmdb")
        )
        yield f"{source}: {facts['pictures']} pictures, {pictures}"
        yield (
            f"{of_labels}: {len(facts['pixels'])} of {report['classes']} classes, "
            f"{100 * facts['void_share']:.3g} % of the pixels void ({report['void']})"
        )
        total = sum(facts["pixels"].values())
        for label, count in facts["pixels"].items():
            name = f" {names[label]}" if names else ""
            share, pictures = 100 * count / total, facts["pictures_with"][label]
            yield f"  {label}{name}: {share:.3g} % of the others, in {pictures} pictures"
    if report["skipped"]:
        yield f"skipped: {report['skipped']} pairs that cannot be stored"
    values = " ".join(f"mean_value: {value:.4g}" for value in report["mean_value"])
    yield f"{out}/statistics.json: {values}"


def _span(bounds):
    low, high = bounds
    return str(low) if low == high else f"{low}-{high}"
