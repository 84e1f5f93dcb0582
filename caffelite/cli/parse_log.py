"""Write the tables of a training log as CSV: LOG.train and LOG.test.

    caffelite parse_log train.log tables/

The columns are those of Caffe's parse_log.py: NumIters, Seconds, LearningRate, then one for each
output of the net, with an index where an output is an array, and #1 behind outputs of a second test
net. LearningRate is, as there, the one told last before the row. LOG holds Caffe's log lines, or
the JSON lines of caffelite train --log.
"""

import csv
import io
import json
import math
import os


def add_arguments(parser):
    flag = parser.add_argument
    flag("log", metavar="LOG", help="the log of a training run")
    flag("folder", nargs="?", default=".", metavar="OUTDIR", help="where to write [.]")
    flag("--delimiter", default=",", metavar="C", help="what separates columns [,]")
    flag("--json", action="store_true", help="print both tables as JSON instead")


def run(args):
    from ..atomic import write_atomically
    from ..logs import read_log
    from ._flags import UsageError

    if len(args.delimiter) != 1:
        raise UsageError(f"--delimiter: expected one character, not {args.delimiter!r}")
    log = read_log(args.log)
    tables = {"train": table_of(log.train), "test": table_of(log.test)}
    if args.json:
        print(json.dumps(tables))
        return 0
    for kind, rows in tables.items():
        if rows:
            path = os.path.join(args.folder, f"{os.path.basename(args.log)}.{kind}")
            write_atomically(path, _csv(rows, args.delimiter).encode())
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


def _csv(rows, delimiter):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
