"""Seconds since training began, of each iteration in a log: what extract_seconds.py does."""

from __future__ import annotations

import argparse
import datetime
import os
import re
from collections.abc import Sequence

from ....atomic import write_atomically
from ....errors import DataError
from ....reading import lines

_STAMP = re.compile(r"[IWEF](\d\d)(\d\d) (\d+):(\d+):(\d+)\.(\d+)")


def main(words: Sequence[str]) -> None:
    """Write a line for each line of a log that names an iteration."""
    flags = argparse.ArgumentParser(description="Seconds of a log's iterations.")
    flags.add_argument("input_file")
    flags.add_argument("output_file")
    args = flags.parse_args(list(words))
    year = datetime.datetime.fromtimestamp(os.path.getmtime(args.input_file)).year
    start, seconds, last = None, list[float](), None
    for line in lines(args.input_file, "a log", takes=("log",)):
        found = _STAMP.match(line)
        if not found:
            continue
        month, day, *rest = map(int, found.groups())
        time = datetime.datetime(year, month, day, *rest)  # type: ignore[arg-type]
        if last is not None and time.month < last.month:  # into another year
            year += 1
            time = time.replace(year=year)
        last = time
        if start is None and "Solving" in line:
            start = time
        if start is not None and "Iteration" in line:
            seconds.append((time - start).total_seconds())
    if start is None:
        raise DataError(f"{args.input_file}: has no line with Solving, where time begins")
    write_atomically(args.output_file, "".join(f"{s:f}\n" for s in seconds).encode())
