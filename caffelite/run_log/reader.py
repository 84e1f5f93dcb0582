"""Read what a training run wrote: its run log, or Caffe's log lines.

Both give the same rows. Lines that are neither are passed over: logs hold what layers, data sources
and other programs say, too.
"""

import itertools
import math
import os
import re
from datetime import datetime

from .. import file_kind
from ..errors import DataError
from ..reading import count, finite, json_object, opened
from . import glog_text
from .rows import Row, Run

MOST_RECORD = 1 << 22  # characters of a record; longer lines are none
_PREFIX = re.compile('^snapshot_prefix: "(.*)"$', re.MULTILINE)
_LATEST = 1 << 33  # seconds, in the year 2242, that a file may claim to be of


def parse(line):
    """The record in a line of a run log, or None: it has an "event" and an "iteration"."""
    try:
        record = json_object(line, "")
    except DataError:
        return None  # the last line of a run that was killed may be cut off
    iteration = count(record.get("iteration"))
    if iteration is None or not isinstance(record.get("event"), str):
        return None
    return record | {"iteration": iteration}


def records(path):
    """Yield the records of a run log, dicts as the guide tells of; other lines are passed over."""
    with opened(path, encoding="utf-8", errors="replace") as file:
        for line in _lines(file):
            if (record := parse(line)) is not None:
                yield record


def read_log(path):
    """The Run that a log tells of; a DataError where it tells of none."""
    path = os.fspath(path)
    with opened(path, encoding="utf-8", errors="replace") as file:
        lines = _lines(file)
        first = next(lines, "")
        lines = itertools.chain([first], lines)
        if first.startswith("{"):
            run = _rows_of_records(filter(None, map(parse, lines)))
        else:
            written = min(max(os.fstat(file.fileno()).st_mtime, 0), _LATEST)
            run = glog_text.rows_of(lines, datetime.fromtimestamp(written).year)
    if not run.train and not run.test:
        wanted = (
            'a log with lines such as "Iteration 100, lr = 0.01", or the JSON lines of caffelite '
            "train --log"
        )
        words = f"tells of no training; expected {wanted}"
        raise file_kind.mistake(path, wanted, DataError, words, ("log",))
    return run


def _lines(file):
    return iter(lambda: file.readline(MOST_RECORD), "")


def _rows_of_records(found):
    run, start, rate, stage = Run(), None, math.nan, ""
    for record in found:
        time = finite(record.get("time"))
        if math.isnan(time):
            continue
        start = time if start is None else start
        kind, net, outputs = (record.get(key) for key in ("event", "net", "outputs"))
        if kind == "start":
            run.starts.append(record)
            prefix = _PREFIX.search(str(record.get("solver")))
            stage = prefix[1] if prefix else stage
            if len(run.starts) == 1:
                for row in (*run.train, *run.test):  # of a log begun without such records
                    row.stage = stage
        if kind not in ("train", "test"):
            continue
        since = time - start
        row = Row(record["iteration"], since, rate, net=count(net) or 0, begun=since)
        row.stage = stage
        row.loss = finite(record.get("loss"))
        for name, value in outputs.items() if isinstance(outputs, dict) else ():
            row.outputs += [(name, finite(one)) for one in _flat(value)]
        if kind == "train":
            row.rate = rate = finite(record.get("lr"))
        getattr(run, kind).append(row)
    return run


def _flat(value):
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [value]
