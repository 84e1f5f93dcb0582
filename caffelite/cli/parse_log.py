"""Write the tables of a training log as CSV: LOG.train and LOG.test.

    caffelite parse_log train.log tables/

The columns are those of Caffe's parse_log.py: NumIters, Seconds, LearningRate, then one for each
output of the net, with an index where an output is an array, and #1 behind outputs of a second test
net. LearningRate is, as there, the one told last before the row. With --shell, the tables are those
of Caffe's parse_log.sh, of words in columns: #Iters Seconds TrainingLoss LearningRate, and #Iters
Seconds TestAccuracy TestLoss, which are the first two outputs in testing, whatever they are called.
LOG holds Caffe's log lines, or the JSON lines of caffelite train --log.
"""

import csv
import io
import math
import os

from ..json_text import json_text


def add_arguments(parser):
    flag = parser.add_argument
    flag("log", metavar="LOG", help="the log of a training run")
    flag("folder", nargs="?", default=".", metavar="OUTDIR", help="where to write [.]")
    flag("--delimiter", default=",", metavar="C", help="what separates columns [,]")
    flag("--shell", action="store_true", help="make the tables of parse_log.sh")
    flag("--json", action="store_true", help="print both tables as JSON instead")


def run(args):
    from ..atomic import write_atomically
    from ..run_log.reader import read_log
    from ._flags import UsageError

    if len(args.delimiter) != 1:
        raise UsageError(f"--delimiter: expected one character, not {args.delimiter!r}")
    if args.shell and args.json:
        raise UsageError("--shell and --json exclude each other")
    log = read_log(args.log)
    tables = {"train": table_of(log.train), "test": table_of(log.test)}
    if args.json:
        print(json_text(tables))
        return 0
    if not args.shell:
        texts = {kind: _csv(rows, args.delimiter) for kind, rows in tables.items() if rows}
    else:
        texts = {"train": _columns_of_training(log.train), "test": _columns_of_testing(log.test)}
    for kind, text in texts.items():
        path = os.path.join(args.folder, f"{os.path.basename(args.log)}.{kind}")
        write_atomically(path, text.encode())
        print(path)
    return 0


def table_of(rows):
    """A dict for each iteration that has outputs, from the column's name to the number."""
    found = []
    for row in rows:
        outputs = {name: value for name, value in row.named_outputs() if math.isfinite(value)}
        if not outputs:
            continue
        if row.net and found and found[-1]["NumIters"] == row.iteration:
            found[-1] |= outputs
            continue
        head = {"NumIters": float(row.iteration), "Seconds": row.seconds}
        found.append(head | {"LearningRate": _or_none(row.rate_before)} | outputs)
    if len(found) > 1:  # the first rate is told after the first row
        found[0]["LearningRate"] = found[1]["LearningRate"]
    return found


def _or_none(value):
    return value if math.isfinite(value) else None


def _columns_of_training(rows):
    told = [(row, [row.loss] + [row.rate] * math.isfinite(row.rate)) for row in rows]
    return _columns("#Iters Seconds TrainingLoss LearningRate", told)


def _columns_of_testing(rows):
    told = [(row, [value for _, value in row.outputs[:2]]) for row in rows]
    return _columns("#Iters Seconds TestAccuracy TestLoss", told)


def _columns(head, rows):
    """`head`, and below it a line for each (row, values)."""
    lines = [
        [str(row.iteration), f"{row.begun:f}", *(f"{value:g}" for value in values)]
        for row, values in rows
    ]
    width = max((len(word) for line in lines for word in line), default=0)
    aligned = ("  ".join(word.ljust(width) for word in line).rstrip() for line in lines)
    return "\n".join([head, *aligned]) + "\n"


def _csv(rows, delimiter):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
