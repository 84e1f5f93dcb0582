"""`caffelite dataset text`: its flags, and what is printed."""

import argparse
import os

from ..glog import on_terminal
from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError

NAME = "text"
_DEFAULTS = {
    "words": False, "lines": False, "least": None, "most": None, "streams": None, "steps": None,
    "hdf5": False,
}  # fmt: skip
_HELD_OUT, _LEAST, _STREAMS, _STEPS = 0.1, 2, 32, 50


def add_arguments(parser):
    flag = parser.add_argument
    flag("--words", action="store_true", help="symbols are words, not characters")
    flag("--lines", action="store_true", help="each line is a text of its own, not each file")
    words = f"symbols that occur less often are unknown [{_LEAST}]"
    flag("--least", type=_number(1), metavar="N", help=words)
    words = "how many symbols there are at most, the two for ends and unknown ones included [all]"
    flag("--most", type=_number(3), metavar="N", help=words)
    words = f"how many streams are read side by side [{_STREAMS}]"
    flag("--streams", type=_number(1, 1 << 16), metavar="N", help=words)
    words = f"make streams a multiple of N steps long, the batch_size of a net [{_STEPS}]"
    flag("--steps", type=_number(1, 1 << 16), metavar="N", help=words)
    flag("--hdf5", action="store_true", help="make HDF5 files and their lists, not LMDBs")
    parser.set_defaults(**_DEFAULTS)


def _number(least, most=2**31 - 1):
    error = argparse.ArgumentTypeError
    return lambda text: integer(text, "", least=least, most=most, error=error)


def refuse_flags(args):
    """Raise a UsageError for a flag of these where no text is asked for."""
    for name, default in _DEFAULTS.items():
        if getattr(args, name) != default:
            raise UsageError(f"--{name} is for text, not for {args.source}")


def run(args, files):
    from ..data import made, text

    if args.shards or args.tar:
        raise UsageError("--shards and --tar are for pictures: the steps of streams stay in order")
    if args.lines and not files:
        raise UsageError("--lines is for FILEs: what Python brings are texts of many lines")
    texts = text.read(files, args.words, args.lines) if files else text.topics(args.words)
    parts = text.split(texts, _HELD_OUT if args.test is None else args.test, args.seed)
    vocabulary = text.Vocabulary.of(parts["train"], args.least or _LEAST, args.most or 0)
    sizes = args.streams or _STREAMS, args.steps or _STEPS
    stem = "words" if args.words else "text"
    ending = ".h5" if args.hdf5 else "_lmdb"
    streams = {
        part: text.Streams(
            os.path.join(args.out, f"{stem}_{part}{ending}"), some, vocabulary, *sizes
        )
        for part, some in parts.items()
    }
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, f"{stem}_vocabulary.txt")
    made.write_file(path, vocabulary.content())
    report = {"vocabulary": path, "symbols": len(vocabulary), "parts": {}}
    for part, source in streams.items():
        _write(source, args.hdf5)
        report["parts"][part] = {
            "path": source.path,
            "texts": len(parts[part]),
            "symbols": source.symbols,
            "unknown": source.unknown,
            "steps": len(source),
            "streams": sizes[0],
        }
    print(json_text(report) if args.json else "\n".join(_lines(report, args)))
    return 0


def _write(source, hdf5):
    from tqdm import tqdm

    from ..data.datum import write_database

    def bar(records):
        return tqdm(records, source.path, len(source), leave=False, disable=not on_terminal())

    if hdf5:
        source.write_hdf5(source.path)
    else:
        write_database(source.path, source, bar)


def _lines(report, args):
    what = "words" if args.words else "characters"
    for facts in report["parts"].values():
        yield (
            f"{facts['path']}: {facts['texts']} texts, {facts['symbols']} {what} with their ends, "
            f"{facts['unknown']} of them unknown; {facts['steps']} steps of {facts['streams']} "
            "streams"
        )
    yield f"{report['vocabulary']}: {report['symbols']} symbols"
