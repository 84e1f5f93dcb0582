"""Read a training run from its log while the log grows, and however long it is."""

import math
import os
import re
import time

from ..errors import DataError
from ..pictures.curves import Columns
from ..reading import opened
from .lines import MOST_RECORD, Lines
from .reader import PIECE, LogParser
from .record_rows import parse

MOST_NAMES = 32  # pictures of which the latest is kept
MOST_OUTPUTS = 8  # values of one output that are curves, each
QUIET = 120  # seconds without a new line, after which a run that told no end counts as stopped
_BASE64 = re.compile("[A-Za-z0-9+/]+=*")


class Follower:
    """What a run's log tells so far: its `columns`, `starts`, `pictures` and `histograms`.

    `state` is "waiting for the file", "going on", "finished" or "stopped", or why the log cannot be
    read.
    `read` takes in what came since it was last called; nothing else looks at the file but
    `histograms_of`. `version` changes whenever something has come.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self.version = 0
        self._begin()

    def _begin(self):
        self._file = None  # (inode, bytes read of it)
        self._lines, self._parser = Lines(), None
        self.columns = Columns()
        self.size = self.written = 0
        self._offset = 0  # of the line at hand
        self.passed_over = 0  # lines that are no records, in a log that is made of them
        self.iteration = None
        self.pictures = {}  # {name: (iteration, png in base64)}
        self.histograms = []  # (iteration, offset of the record)
        self.problem = ""
        self.version += 1

    @property
    def bytes_read(self):
        return self._file[1] if self._file else 0

    @property
    def more(self):
        """Whether there is something to read on at once."""
        return self.bytes_read < self.size

    @property
    def starts(self):
        """The records that the run was begun or gone on with."""
        return self._parser.run.starts if self._parser else []

    @property
    def times(self):
        """When the log began, and when it last said something, in seconds since 1970, or None."""
        return self._parser.rows.times if self._parser else [None, None]

    @property
    def state(self):
        if self.problem or not self._parser:
            return self.problem or "waiting for the file"
        end = self._parser.run.end
        if end:
            return "finished" if end == "done" else "stopped"
        silent = time.time() - self.written
        return "going on" if silent < max(QUIET, 5 * self._pause()) else "stopped"

    def _pause(self):
        """Seconds between the last two tests, or lines of training, which is longer."""
        pauses = [
            column.seconds[-1] - column.seconds[-2]
            for column in self.columns.of.values()
            if len(column.seconds) > 1
        ]
        return max(filter(math.isfinite, pauses), default=0)

    def read(self, seconds=math.inf):
        """Take in what came, for so long at most."""
        end = time.monotonic() + seconds
        try:
            with opened(self.path, "rb", piped=False) as file:
                self._see(os.fstat(file.fileno()))
                file.seek(self._file[1])
                while data := file.read(PIECE):
                    self._take(data)
                    if time.monotonic() > end:
                        break
        except DataError as problem:
            if self._file:
                self._begin()
            self.problem = str(problem) if os.path.lexists(self.path) else ""

    def _see(self, facts):
        """Begin anew where the file is another by now, or shorter."""
        if self._file and (facts.st_ino != self._file[0] or facts.st_size < self._file[1]):
            self._begin()
        self.problem = ""
        self._file = self._file or (facts.st_ino, 0)
        self._parser = self._parser or LogParser(facts.st_mtime, self._other)
        self.size, self.written = facts.st_size, facts.st_mtime

    def _take(self, data):
        for offset, line in self._lines.feed(data):
            self._offset = offset
            self.passed_over += not self._parser.feed(line)
        run = self._parser.run
        for phase, rows in (("train", run.train), ("test", run.test)):
            for row in rows:
                self._add(phase, row)
            del rows[:-1]  # the last may not be whole yet, and is added again
        del run.starts[1:-1]
        self._file = self._file[0], self._file[1] + len(data)
        self.version += 1

    def _add(self, phase, row):
        if len(row.outputs) > MOST_OUTPUTS:
            row.outputs = [one for one in row.outputs if self._is_curve(one[0], row)]
        self.columns.add(phase, row)
        self.iteration = row.iteration

    @staticmethod
    def _is_curve(name, row):
        return sum(name == other for other, _ in row.outputs) <= MOST_OUTPUTS

    def _other(self, record):
        """Keep where histograms are, and the latest picture of each name."""
        iteration = record["iteration"]
        if record["event"] == "histograms":
            while self.histograms and self.histograms[-1][0] >= iteration:
                self.histograms.pop()  # the run went on from a snapshot
            self.histograms.append((iteration, self._offset))
        elif record["event"] == "picture":
            name, png = record.get("name"), record.get("png")
            told = isinstance(name, str) and isinstance(png, str) and _BASE64.fullmatch(png)
            if told and (name in self.pictures or len(self.pictures) < MOST_NAMES):
                self.pictures[name] = iteration, png

    def records_of(self, offsets):
        """The records that begin at these places of the file, None where they do not any more."""
        with opened(self.path, "rb", piped=False) as file:
            for offset in offsets:
                file.seek(offset)
                yield parse(file.readline(MOST_RECORD).decode("utf-8", "replace"))
