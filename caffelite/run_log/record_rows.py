"""Read the records of a run log as rows."""

import math
import re

from ..errors import DataError
from ..reading import count, finite, is_number, json_object
from .rows import Row

_PREFIX = re.compile('^snapshot_prefix: "(.*)"$', re.MULTILINE)


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


class RecordRows:
    """Adds to a Run what the records of its log say.

    `others(record)` is given those that are no rows: histograms, pictures, snapshots.
    """

    def __init__(self, run, others=None):
        self.run, self.others = run, others or (lambda record: None)
        self.times = [None, None]  # as in GlogRows
        self.rate, self.stage = math.nan, ""
        self.since = None  # the iteration that "seconds" of the next train record begin at

    def feed(self, line):
        """Take the next line; returns whether it is a record."""
        record = parse(line)
        if record is None:
            return not line.strip()
        time, kind = finite(record.get("time")), record["event"]
        if not math.isnan(time):
            self.times = [time if self.times[0] is None else self.times[0], time]
        if kind in ("train", "test"):
            return self._row(record, kind, time)
        if kind == "start":
            self._start(record)
        elif kind in ("done", "stopped"):
            self.run.end = kind
        else:
            self.others(record)
        return True

    def _start(self, record):
        run = self.run
        run.end, self.since = "", record["iteration"]
        run.starts.append(record)
        prefix = _PREFIX.search(str(record.get("solver")))
        self.stage = prefix[1] if prefix else self.stage
        if len(run.starts) == 1:
            for row in (*run.train, *run.test):  # of a log begun without such records
                row.stage = self.stage

    def _row(self, record, kind, time):
        loss, outputs = record.get("loss"), record.get("outputs", {})
        if not (loss is None or is_number(loss)) or not isinstance(outputs, dict):
            return False
        since = time - self.times[0] if self.times[0] is not None else math.nan
        row = Row(record["iteration"], since, self.rate, loss=finite(loss), begun=since)
        row.net, row.stage = count(record.get("net")) or 0, self.stage
        row.attempt = self.run.attempt_at(self.stage, row.iteration)
        for name, value in outputs.items():
            row.outputs += [(name, finite(one)) for one in _flat(value)]
        if kind == "train":
            row.rate = self.rate = finite(record.get("lr"))
            row.images = finite(record.get("images"))
            row.speed = self._speed(row.iteration, finite(record.get("seconds")))
        getattr(self.run, kind).append(row)
        return True

    def _speed(self, iteration, seconds):
        """Iterations a second since the last record of training."""
        before, self.since = self.since, iteration
        told = before is not None and iteration > before and seconds > 0
        return (iteration - before) / seconds if told else math.nan


def _flat(value):
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [value]
