"""The curves of training runs: which numbers of their logs belong into one panel of a plot."""

import math
import os
import re
from array import array
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from ..errors import CaffeliteError, did_you_mean

LOSS, RATE, SPEED, STEPS = "loss", "learning rate", "images/s", "iterations/s"
_FALL = set("entropy xent nll perplexity rmse mse mae hinge cost".split())
_RISE = set(
    "top top1 top5 precision recall f1 ap map auc iou iu miou r2 psnr eval class detection".split()
)
_MADE = {RATE, SPEED, STEPS}  # no outputs of a net


@dataclass
class Curve:
    """One line of a plot: y over x, of the "train" or "test" phase of a run.

    Where it is the mean of several, `band` has the least and the largest of them.
    """

    run: str
    phase: str
    x: list
    y: list
    band: tuple[list, list] | None = None


class Column:
    """The numbers of one curve: iterations, seconds and values, in growing order of iterations."""

    def __init__(self):
        self.iteration, self.seconds, self.value = array("q"), array("d"), array("d")

    def cut(self, iteration):
        """Leave out what is of this iteration, or of a later one."""
        kept = bisect_left(self.iteration, iteration)
        for numbers in (self.iteration, self.seconds, self.value):
            del numbers[kept:]


class Columns:
    """The Columns of a run, by (stage, attempt, phase, test net, name of the curve).

    What was logged beyond a snapshot from which the run went on later is left out.
    """

    def __init__(self):
        self.of = {}
        self._last = {}  # {(stage, attempt, phase, test net): iteration}

    def add(self, phase, row):
        """Take a row of the "train" or "test" phase, in place of one of the same iteration."""
        part = (row.stage, row.attempt, phase, row.net)
        if row.iteration <= self._last.get(part, -1):
            for key, column in self.of.items():
                if key[:4] == part:
                    column.cut(row.iteration)
        self._last[part] = row.iteration
        for name, value in row.figures().items():
            if name in _MADE and not math.isfinite(value):
                continue
            column = self.of.get((*part, name))
            if column is None:
                column = self.of[(*part, name)] = Column()
            column.iteration.append(row.iteration)
            column.seconds.append(row.seconds)
            column.value.append(value)

    def labels(self, label):
        """{(stage, attempt): label}, in order; they say more where there are several of these."""
        parts = list(dict.fromkeys(key[:2] for key in self.of))
        stages = dict.fromkeys(stage for stage, _ in parts)
        again = {stage for stage, attempt in parts if attempt}
        return {
            (stage, attempt): label
            + (f": {stage}" if len(stages) > 1 else "")
            + (f" ({attempt + 1})" if stage in again else "")
            for stage, attempt in parts
        }


def columns_of(run):
    """The Columns of a caffelite.run_log.rows.Run."""
    columns = Columns()
    for phase, rows in (("train", run.train), ("test", run.test)):
        for row in rows:
            columns.add(phase, row)
    return columns


def panels(runs, x="iteration", smooth=1, wanted=()):
    """{panel: its Curves} of {label: Run}: the loss, each other output of the nets, the rate.

    Parameters
    ----------
    runs : {label: caffelite.run_log.rows.Run}
    x : "iteration" or "seconds"
    smooth : number of values in training whose mean is shown
    wanted : names of panels; all but speeds, if empty
    """
    found = {LOSS: []}
    for label, run in runs.items():
        columns = columns_of(run)
        named = columns.labels(label)
        for (*part, phase, _, name), column in columns.of.items():
            curve = _curve(named[tuple(part)], phase, name, column, x, smooth)
            found.setdefault(name, []).extend([curve] if curve.x else [])
    for name in (RATE, SPEED, STEPS):  # at the bottom
        found[name] = found.pop(name, [])
    for name in [n for n, curves in found.items() if not curves or _repeats_loss(n, found)]:
        del found[name]
    return _chosen(found, wanted)


def _curve(label, phase, name, column, x, smooth):
    """The values that are finite, smoothed if they are of outputs in training."""
    xs, ys = np.array(getattr(column, x)), np.array(column.value)
    there = np.isfinite(ys) & np.isfinite(xs)
    xs, ys = xs[there], ys[there]
    if phase == "train" and name not in _MADE:
        ys = smoothed(ys, smooth)
    return Curve(label, phase, xs.tolist(), ys.tolist())


def smoothed(values, count):
    """The mean of each value and the count - 1 before it, of those that are finite.

    Each is the sum of an end of one block of `count` values and of the beginning of the next, so
    that nothing is ever subtracted: what was large once leaves no rounding errors behind.
    """
    if count < 2 or not len(values):
        return values
    count = min(count, len(values))
    there = np.isfinite(values)
    unit = 2.0 ** math.frexp(count)[1]  # so that no sum overflows
    totals = _window_sums(np.where(there, values, 0) / unit, count)
    counts = _window_sums(there.astype(np.float64), count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, totals / (counts / unit), np.nan)


def _window_sums(values, count):
    blocks = -(-len(values) // count)
    padded = np.zeros((blocks + 1, count))
    padded.reshape(-1)[count : count + len(values)] = values
    begun = np.cumsum(padded, axis=1)[1:]
    ended = np.zeros((blocks, count))
    ended[:, :-1] = np.cumsum(padded[:-1, :0:-1], axis=1)[:, ::-1]
    return (begun + ended).reshape(-1)[: len(values)]


def _repeats_loss(name, found):
    """Whether an output is the loss under another name, in tests (or, without any, in training)."""
    if name == LOSS or name in _MADE or not found[LOSS]:
        return False
    return all(any(_same(curve, other) for other in found[LOSS]) for curve in _telling(found[name]))


def _telling(curves):
    return [curve for curve in curves if curve.phase == "test"] or curves


def _same(curve, other):
    return (curve.run, curve.phase, curve.x) == (other.run, other.phase, other.x) and all(
        math.isclose(a, b, rel_tol=1e-4) for a, b in zip(curve.y, other.y, strict=True)
    )


def _chosen(found, wanted):
    for name in wanted:
        if name not in found:
            raise CaffeliteError(
                f'there is no "{name}" to plot{did_you_mean(name, found)}; '
                f"there is {', '.join(found)}"
            )
    shown = wanted or [name for name in found if name not in (SPEED, STEPS)]
    return {name: found[name] for name in shown}


def is_loss(panel):
    """Whether a panel shows a loss, which may fall by powers of ten."""
    return LOSS in panel.lower()


def rises(panel):
    """Whether more is better in a panel, less is (False), or nobody knows (None); names tell."""
    words = set(re.split("[^a-z0-9]+", panel.lower()))
    if is_loss(panel) or words & _FALL or any(word.startswith("err") for word in words):
        return False
    return True if words & _RISE or any(word.startswith("acc") for word in words) else None


def labels(paths):
    """A short name for each log: that of its file, or all of its path where two are alike."""
    short = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return [s if short.count(s) == 1 else path for s, path in zip(short, paths, strict=True)]
