"""Read what a training run wrote: its run log, or Caffe's log lines.

Both give the same rows. Lines that are neither are passed over: logs hold what layers, data sources
and other programs say, too.
"""

import os
from datetime import datetime

from .. import file_kind
from ..errors import DataError
from ..reading import opened
from .glog_text import GlogRows
from .lines import Lines
from .record_rows import RecordRows, parse
from .rows import Run

PIECE = 1 << 20  # bytes read at a time
_LATEST = 1 << 33  # seconds, in the year 2242, that a file may claim to be of


class LogParser:
    """Takes the lines of a log, and adds to `run` what they tell.

    They count as Caffe's until one is a record: half a line may stand before it.
    """

    def __init__(self, written, others=None):
        self.run = Run()
        year = datetime.fromtimestamp(min(max(written, 0), _LATEST)).year
        self.rows = GlogRows(self.run, year)
        self._others = others
        self._decided = False

    def feed(self, line):
        """Take a line; returns whether it is one of those that such a log is made of."""
        if not self._decided:
            if line.startswith("{") and parse(line):
                self.rows = RecordRows(self.run, self._others)
                self._decided = True
            self._decided = self._decided or bool(self.run.train or self.run.test)
        return self.rows.feed(line) is not False


def records(path):
    """Yield the records of a run log, dicts as the guide tells of; other lines are passed over."""
    with opened(path, "rb") as file:
        for line in _lines(file):
            if (record := parse(line)) is not None:
                yield record


def read_log(path):
    """The Run that a log tells of; a DataError where it tells of none."""
    path = os.fspath(path)
    with opened(path, "rb") as file:
        parser = LogParser(os.fstat(file.fileno()).st_mtime)
        for line in _lines(file):
            parser.feed(line)
    run = parser.run
    if not run.train and not run.test:
        wanted = (
            'a log with lines such as "Iteration 100, lr = 0.01", or the JSON lines of caffelite '
            "train --log"
        )
        words = f"tells of no training; expected {wanted}"
        raise file_kind.mistake(path, wanted, DataError, words, ("log", "text"))
    return run


def _lines(file):
    lines = Lines()
    for piece in iter(lambda: file.read(PIECE), b""):
        for _, line in lines.feed(piece):
            yield line
    yield lines.last()
