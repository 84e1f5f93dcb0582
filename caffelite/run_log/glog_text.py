"""Read the log lines that Caffe writes, and `caffelite train` on stderr."""

import contextlib
import math
import re
from datetime import datetime

from .rows import Row

MOST_TEXT = 1 << 20  # characters of a solver or a net that are kept
MOST_LINES = 1 << 16
_NUMBER = r"(-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|nan|inf))"
_STAMP = re.compile(r"[IWEF](?:\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})")
_ITERATION = re.compile(r"Iteration (\d{1,15})")
_OUTPUT = re.compile(
    rf"(Train|Test) net output #\d+: (\S+) = {_NUMBER}(?: \(\* .* = {_NUMBER} loss)?"
)
_CLASS = re.compile(rf"\] (class\d{{1,9}}): {_NUMBER}$")  # of SSD's tests of detectors
_LOSS = re.compile(rf"Iteration \d+(?: \((?:{_NUMBER} iter/s)?.*\))?, loss = {_NUMBER}")
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}")
_TEST_NET = re.compile(r"Testing net \(#(\d{1,9})\)")
_RATE = re.compile(rf"Iteration \d+, lr = {_NUMBER}")
_TEXT = re.compile(r"Initializing (solver|net) from parameters:")
_BATCH = re.compile(r"Top shape: (\d{1,9})\b")
_ITER_SIZE = re.compile(r"^iter_size: (\d{1,9})$", re.MULTILINE)


class GlogRows:
    """Adds to a Run what glog lines say; those of one iteration follow each other."""

    def __init__(self, run, year):
        self.run, self.clock = run, _Clock(year)
        self.iteration, self.rate, self.images = None, math.nan, math.nan
        self.net, self.test_loss, self.test_begun = 0, math.nan, math.nan
        self.rows = {"Train": None, "Test": None}
        self.shown = None  # (iteration, seconds) of the last loss, if there was no test since
        self.text, self.kind = None, ""  # lines of a solver or of a net that is being told

    @property
    def times(self):
        """When the log began, and when it last said something, in seconds since 1970, or None."""
        return [time and time.timestamp() for time in (self.clock.first, self.clock.now())]

    def feed(self, line):
        """Take the next line; there are none that count as none."""
        stamped = self.clock.see(line)
        if self.text is not None:
            if not stamped and not _ITERATION.search(line):
                self.text += [line] if len(self.text) < MOST_LINES else []
                return
            self._end_text()
        if "Iteration " in line and (found := _ITERATION.search(line)):
            if int(found[1]) != self.iteration:
                self.iteration = int(found[1])
                self.rows = {"Train": None, "Test": None}
            self._iteration(line)
        elif " net output #" in line:
            found = self.iteration is not None and _OUTPUT.search(line)
            if found:
                self._output(*found.groups())
        elif "] class" in line and self.iteration is not None and (found := _CLASS.search(line)):
            self._output("Test", *found.groups(), None)
        elif "Test loss: " in line and (found := _TEST_LOSS.search(line)):
            self.test_loss = float(found[1])
        else:
            self._course(line)

    def _iteration(self, line):
        """What a line says of the iteration that it names."""
        if found := _RATE.search(line):
            self.rate = float(found[1])
            if self.rows["Train"]:
                self.rows["Train"].rate = self.rate
        elif found := _LOSS.search(line):
            row = self._row("Train", self.clock.seconds)
            row.loss, row.speed = float(found[2]), self._speed(found[1])
            row.images = self.images
        elif found := _TEST_NET.search(line):
            self.net, self.test_loss, self.rows["Test"] = int(found[1]), math.nan, None
            self.test_begun, self.shown = self.clock.seconds, None

    def _row(self, phase, begun):
        row = self.rows[phase] = Row(self.iteration, self.clock.seconds, self.rate, begun=begun)
        row.attempt = self.run.attempt_at("", self.iteration)
        getattr(self.run, phase.lower()).append(row)
        return row

    def _output(self, phase, name, value, share):
        row = self.rows[phase]
        if row is None:
            begun = self.test_begun if phase == "Test" else self.clock.seconds
            row = self._row(phase, begun)
            if phase == "Test":
                row.net, row.loss = self.net, self.test_loss
        if not row.outputs:
            row.seconds = self.clock.seconds
        row.outputs.append((name, float(value)))
        if phase == "Test" and share and math.isnan(self.test_loss):
            row.loss = float(share) + (0 if math.isnan(row.loss) else row.loss)

    def _speed(self, told):
        """Iterations a second since the last loss: as told or, by Caffes of old, of the clock."""
        before, self.shown = self.shown, (self.iteration, self.clock.seconds)
        if told or not before:
            return (float(told) or math.nan) if told else math.nan
        steps, seconds = self.iteration - before[0], self.clock.seconds - before[1]
        return steps / seconds if steps > 0 and seconds > 0 else math.nan

    def _course(self, line):
        """What else a line may say: what is trained, that training begins or ends."""
        if "Initializing " in line and (found := _TEXT.search(line)):
            self.kind, self.text = found[1], []
            if self.kind == "solver":
                self.run.starts.append({"event": "start", "solver": "", "nets": {}})
                self.images = math.nan
        elif "Solving " in line:
            self.run.end, self.shown = "", None
        elif "Optimization stopped early" in line:
            self.run.end = "stopped"
        elif "Optimization Done" in line:
            self.run.end = self.run.end or "done"
        elif "Top shape: " in line and math.isnan(self.images) and (found := _BATCH.search(line)):
            solver = self.run.starts[-1]["solver"] if self.run.starts else ""
            size = _ITER_SIZE.search(solver)
            self.images = int(found[1]) * (int(size[1]) if size else 1)

    def _end_text(self):
        text, self.text = "\n".join(self.text), None
        start = self.run.starts[-1] if self.run.starts else None
        if not start or len(text) > MOST_TEXT:
            return
        if self.kind == "solver":
            start["solver"] = text
        else:
            start["nets"].setdefault("net", text)  # test nets, which come later, say the same again


class _Clock:
    """Seconds since the line that says "Solving", or since the first line without one.

    Lines tell no year: a month before the one of the last line is in the next.
    """

    def __init__(self, year):
        self.year = year
        self.first = None  # time of the first line
        self._start = None  # that which seconds are counted from
        self._now, self._found = None, None  # the last time, and what a later line says of its own
        self._solving = False

    def see(self, line):
        """Take the time of a line; returns whether it has one."""
        found = _STAMP.match(line)
        if not found:
            return False
        self._found = found
        if self.first is None:
            self._start = self.first = self.now()
        if not self._solving and "Solving" in line:
            self._solving, self._start = True, self.now()
        return True

    def now(self):
        """The time of the last line that has one, a datetime, or None."""
        if self._found:
            month, *rest = map(int, self._found.groups())
            self._found = None
            self.year += self._now is not None and month < self._now.month
            with contextlib.suppress(ValueError):  # 29th of February, in the year of a copied file
                self._now = datetime(self.year, month, *rest)
        return self._now

    @property
    def seconds(self):
        now = self.now()
        return (now - self._start).total_seconds() if now and self._start else 0.0
