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
    "padded": None, "fill_before": False, "test_text": None, "vocabulary": None,
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
    words = "each text is a record of its own, filled up to N steps, not a part of streams"
    flag("--padded", type=_number(2, 1 << 16), metavar="N", help=words)
    words = "with --padded, fill up before each text, not behind it: all end at the last step"
    flag("--fill-before", action="store_true", help=words)
    words = "a file of texts for testing, instead of some of the others; repeat it for more"
    flag("--test-text", action="append", metavar="FILE", help=words)
    words = "number symbols as this file does, instead of making one"
    flag("--vocabulary", metavar="FILE", help=words)
    parser.set_defaults(**_DEFAULTS)


def _number(least, most=2**31 - 1):
    error = argparse.ArgumentTypeError
    return lambda text: integer(text, "", least=least, most=most, error=error)


def refuse_flags(args):
    """Raise a UsageError for a flag of these where no text is asked for."""
    for name, default in _DEFAULTS.items():
        if getattr(args, name) != default:
            raise UsageError(f"--{name.replace('_', '-')} is for text, not for {args.source}")


def run(args, files):
    from ..data import made, text

    if args.shards or args.tar:
        raise UsageError("--shards and --tar are for pictures: the steps of streams stay in order")
    if args.lines and not files:
        raise UsageError("--lines is for FILEs: what Python brings are texts of many lines")
    if args.padded and (args.streams or args.steps):
        raise UsageError("--padded makes a record of each text: leave out --streams and --steps")
    if args.fill_before and not args.padded:
        raise UsageError("--fill-before is for records of one length each: give --padded N, too")
    if args.vocabulary and (args.least or args.most):
        raise UsageError("--vocabulary says which symbols there are: leave out --least and --most")
    parts = _parts(args, files)
    stem = "words" if args.words else "text"
    path = args.vocabulary or os.path.join(args.out, f"{stem}_vocabulary.txt")
    if args.vocabulary:
        vocabulary = text.Vocabulary.read(path)
    else:
        vocabulary = text.Vocabulary.of(parts["train"], args.least or _LEAST, args.most or 0)
    ending = ".h5" if args.hdf5 else "_lmdb"
    sources = {
        part: _source(args, os.path.join(args.out, f"{stem}_{part}{ending}"), some, vocabulary)
        for part, some in parts.items()
    }
    os.makedirs(args.out, exist_ok=True)
    if not args.vocabulary:
        made.write_file(path, vocabulary.content())
    report = {"vocabulary": path, "symbols": len(vocabulary), "parts": {}}
    for part, source in sources.items():
        _write(source, args.hdf5)
        report["parts"][part] = {
            "path": source.path,
            "texts": len(parts[part]),
            "symbols": source.symbols,
            "unknown": source.unknown,
            **_extent(args, source),
        }
    print(json_text(report) if args.json else "\n".join(_lines(report, args)))
    return 0


def _parts(args, files):
    """{"train": texts, "test": texts}."""
    from ..data import text

    texts = text.read(files, args.words, args.lines) if files else text.topics(args.words)
    if not args.test_text:
        return text.split(texts, _HELD_OUT if args.test is None else args.test, args.seed)
    if args.test is not None:
        raise UsageError("--test-text says which texts are for testing: leave out --test")
    return {"train": texts, "test": text.read(args.test_text, args.words, args.lines)}


def _source(args, path, texts, vocabulary):
    from ..data import text

    if args.padded:
        return text.Sequences(path, texts, vocabulary, args.padded, args.fill_before)
    return text.Streams(path, texts, vocabulary, args.streams or _STREAMS, args.steps or _STEPS)


def _extent(args, source):
    """How many steps there are, and of how many streams or texts."""
    if args.padded:
        return {"steps": args.padded}
    return {"steps": len(source), "streams": args.streams or _STREAMS}


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
        extent = f"{facts['steps']} steps "
        if "streams" in facts:
            extent += f"of {facts['streams']} streams"
            each = -(-facts["symbols"] // facts["streams"])
            if each < facts["steps"] == (args.steps or _STEPS):
                extent += f", each of {each} {what} and then filled up: fewer --streams fit better"
        else:
            extent += "each"
        yield (
            f"{facts['path']}: {facts['texts']} texts, {facts['symbols']} {what} with their ends, "
            f"{facts['unknown']} of them unknown; {extent}"
        )
    yield f"{report['vocabulary']}: {report['symbols']} symbols"
