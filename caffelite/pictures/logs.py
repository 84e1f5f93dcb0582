"""Read what a training run wrote: Caffe's log lines, or the JSON lines of `caffelite train --log`.

Both give the same rows. Lines that are neither are passed over: logs hold what layers, data sources
and other programs say, too.
"""

import itertools
import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..errors import DataError
from ..reading import count, finite, json_object, opened

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
_LONGEST = 1 << 16  # characters of a line that are looked at
_LATEST = 1 << 33  # seconds, in the year 2242, that a file may claim to be of


@dataclass
class Row:
    """What was told of one iteration of training, or of one pass over a test net.

    `rate_before` is the learning rate last told before the outputs, which is what Caffe's tables
    have; `rate`, of training, is that of the iteration itself. `loss` is the total, which training
    shows smoothed. `seconds` are those of the first output, `begun` those of the line before: of
    the loss, or that a test begins.
    """

    iteration: int
    seconds: float
    rate_before: float
    rate: float = math.nan
    loss: float = math.nan
    net: int = 0
    begun: float = math.nan
    outputs: list = field(default_factory=list)  # (name, value), several of a name for an array

    def named_outputs(self):
        """(name, value) of each output; "prob[3]" in an array, "loss#1" of the second test net."""
        totals, counts = Counter(name for name, _ in self.outputs), Counter()
        for name, value in self.outputs:
            label = f"{name}[{counts[name]}]" if totals[name] > 1 else name
            counts[name] += 1
            yield f"{label}#{self.net}" if self.net else label, value


@dataclass
class Run:
    """The rows of training and of testing, in the order of the file."""

    train: list = field(default_factory=list)
    test: list = field(default_factory=list)


def read_log(path):
    """The Run that a log tells of; a DataError where it tells of none."""
    path = os.fspath(path)
    with opened(path, encoding="utf-8", errors="replace") as file:
        lines = iter(lambda: file.readline(_LONGEST), "")
        first = next(lines, "")
        lines = itertools.chain([first], lines)
        written = min(max(os.fstat(file.fileno()).st_mtime, 0), _LATEST)
        if first.startswith("{"):
            run = _from_events(lines)
        else:
            run = _from_lines(lines, datetime.fromtimestamp(written).year)
    if not run.train and not run.test:
        raise DataError(
            f"{path}: tells of no training; expected a log with lines such as "
            '"Iteration 100, lr = 0.01", or the JSON lines of caffelite train --log'
        )
    return run


def _from_events(lines):
    run, start, rate = Run(), None, math.nan
    for line in lines:
        try:
            event = json_object(line, "")
        except DataError:
            continue  # the last line of a run that was killed may be cut off
        iteration, time = count(event.get("iteration")), finite(event.get("time"))
        if iteration is None or math.isnan(time):
            continue
        start = time if start is None else start
        kind, net, outputs = (event.get(key) for key in ("event", "net", "outputs"))
        if kind not in ("train", "test"):
            continue
        row = Row(iteration, time - start, rate, net=count(net) or 0, begun=time - start)
        row.loss = finite(event.get("loss"))
        for name, value in outputs.items() if isinstance(outputs, dict) else ():
            row.outputs += [(name, finite(one)) for one in _flat(value)]
        if kind == "train":
            row.rate = rate = finite(event.get("lr"))
        getattr(run, kind).append(row)
    return run


def _flat(value):
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [value]


def _from_lines(lines, year):
    """Rows of glog lines; those of one iteration follow each other, a new number is a new row."""
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
