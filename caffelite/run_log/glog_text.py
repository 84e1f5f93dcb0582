"""Read the log lines that Caffe writes, and `caffelite train` on stderr."""

import math
import re
from datetime import datetime, timedelta

from .rows import Row, Run

_NUMBER = r"(-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|nan|inf))"
_STAMP = re.compile(r"[IWEF](?:\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})")
_ITERATION = re.compile(r"Iteration (\d{1,15})")
_OUTPUT = re.compile(
    rf"(Train|Test) net output #\d+: (\S+) = {_NUMBER}(?: \(\* .* = {_NUMBER} loss)?"
)
_LOSS = re.compile(rf"Iteration \d+(?: \(.*\))?, loss = {_NUMBER}")
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}")
_TEST_NET = re.compile(r"Testing net \(#(\d{1,9})\)")
_RATE = re.compile(rf"Iteration \d+, lr = {_NUMBER}")


def rows_of(lines, year):
    """The Run of glog lines; those of one iteration follow each other, another is a new row."""
    run, clock = Run(), _Clock(year)
    iteration, rate, net, test_loss, test_begun = None, math.nan, 0, math.nan, math.nan
    rows = {"Train": None, "Test": None}
    for line in lines:
        clock.see(line)
        if found := _ITERATION.search(line):
            if int(found[1]) != iteration:
                iteration = int(found[1])
                rows = {"Train": None, "Test": None}
        if iteration is None:
            continue
        if found := _TEST_NET.search(line):
            net, test_loss, rows["Test"] = int(found[1]), math.nan, None
            test_begun = clock.seconds
        elif found := _TEST_LOSS.search(line):
            test_loss = float(found[1])
        elif found := _LOSS.search(line):
            loss, begun = float(found[1]), clock.seconds
            rows["Train"] = Row(iteration, begun, rate, loss=loss, begun=begun)
            run.train.append(rows["Train"])
        elif found := _RATE.search(line):
            rate = float(found[1])
            if rows["Train"]:
                rows["Train"].rate = rate
        elif found := _OUTPUT.search(line):
            phase, name, value, share = found.groups()
            row = rows[phase]
            if row is None:
                row = rows[phase] = Row(iteration, clock.seconds, rate, begun=clock.seconds)
                getattr(run, phase.lower()).append(row)
                if phase == "Test":
                    row.net, row.loss, row.begun = net, test_loss, test_begun
            if not row.outputs:
                row.seconds = clock.seconds
            row.outputs.append((name, float(value)))
            if phase == "Test" and share and math.isnan(test_loss):
                row.loss = float(share) + (0 if math.isnan(row.loss) else row.loss)
    return run


class _Clock:
    """Seconds since the line that says "Solving", or since the first line without one.

    Lines tell no year: a month before the one of the last line is in the next.
    """

    def __init__(self, year):
        self.year = year
        self.start = self.now = None
        self.solving = False
        self.seconds = 0.0

    def see(self, line):
        found = _STAMP.match(line)
        if not found:
            return
        month, *rest = map(int, found.groups())
        self.year += self.now is not None and month < self.now.month
        try:
            self.now = datetime(self.year, month, *rest)
        except ValueError:  # a 29th of February, in the year that the file was copied
            return
        if self.start is None or ("Solving" in line and not self.solving):
            self.start = self.now
            self.solving = "Solving" in line
        self.seconds = (self.now - self.start) / timedelta(seconds=1)
