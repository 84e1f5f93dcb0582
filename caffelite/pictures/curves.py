"""The curves of training runs: which numbers of their logs belong into one panel of a plot."""

import math
import os
from dataclasses import dataclass

from ..errors import CaffeliteError, did_you_mean

LOSS, RATE = "loss", "learning rate"


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


def panels(runs, x="iteration", smooth=1, wanted=()):
    """{panel: its Curves} of {label: Run}: the loss, each other output of the nets, the rate.

    Parameters
    ----------
    runs : {label: caffelite.run_log.rows.Run}
    x : "iteration" or "seconds"
    smooth : number of values in training whose mean is shown
    wanted : names of panels; all, if empty
    """
    found = {LOSS: []}
    for label, train, test in _stages(runs):
        for phase, rows in (("train", train), ("test", test)):
            for name, points in _series(_without_overtaken(rows), phase).items():
                xs = [getattr(row, x) for row, _ in points]
                ys = [value for _, value in points]
                if phase == "train" and name != RATE:
                    ys = _smoothed(ys, smooth)
                found.setdefault(name, []).append(Curve(label, phase, xs, ys))
    found[RATE] = found.pop(RATE, [])  # at the bottom
    for name in [n for n, curves in found.items() if not curves or _repeats_loss(n, found)]:
        del found[name]
    return _chosen(found, wanted)


def _stages(runs):
    """(label, its rows of training, of tests) of each stage of a run: each begins at 0 again."""
    for label, run in runs.items():
        stages = list(dict.fromkeys(row.stage for row in (*run.train, *run.test)))
        for stage in stages:
            parts = ([r for r in rows if r.stage == stage] for rows in (run.train, run.test))
            yield f"{label}: {stage}" if len(stages) > 1 else label, *parts


def _without_overtaken(rows):
    """Without what was logged beyond a snapshot from which the run went on later."""
    kept = []
    for row in rows:
        while kept and (kept[-1].iteration, kept[-1].net) >= (row.iteration, row.net):
            kept.pop()
        kept.append(row)
    return kept


def _series(rows, phase):
    """{panel: [(row, value)]}; a second test net has panels, and losses, of its own."""
    found = {}
    for row in rows:
        values = dict(row.named_outputs())
        if math.isfinite(row.loss):  # the total, of which an output of this name is a part
            values[f"{LOSS}#{row.net}" if row.net else LOSS] = row.loss
        if phase == "train":
            values[RATE] = row.rate
        for name, value in values.items():
            if math.isfinite(value) and math.isfinite(row.seconds):
                found.setdefault(name, []).append((row, value))
    return found


def _repeats_loss(name, found):
    """Whether an output is the loss under another name, in tests (or, without any, in training)."""
    if name in (LOSS, RATE) or not found[LOSS]:
        return False
    return all(any(_same(curve, other) for other in found[LOSS]) for curve in _telling(found[name]))


def _telling(curves):
    return [curve for curve in curves if curve.phase == "test"] or curves


def _same(curve, other):
    return (curve.run, curve.phase, curve.x) == (other.run, other.phase, other.x) and all(
        math.isclose(a, b, rel_tol=1e-4) for a, b in zip(curve.y, other.y, strict=True)
    )


def _smoothed(values, count):
    """The mean of each value and the count - 1 before it, each from the sum before, exactly."""
    exact = [_in_least_floats(value) for value in values]
    means, total = [], 0
    for i, value in enumerate(exact):
        total += value - (exact[i - count] if i >= count else 0)
        means.append(total / (min(count, i + 1) << 1074))
    return means


def _in_least_floats(value):
    """A float as a multiple of 2^-1074, the least there is: an int."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator << 1074) // denominator


def _chosen(found, wanted):
    for name in wanted:
        if name not in found:
            raise CaffeliteError(
                f'there is no "{name}" to plot{did_you_mean(name, found)}; '
                f"there is {', '.join(found)}"
            )
    return {name: found[name] for name in wanted} if wanted else found


def is_loss(panel):
    """Whether a panel shows a loss, which may fall by powers of ten."""
    return LOSS in panel.lower()


def labels(paths):
    """A short name for each log: that of its file, or all of its path where two are alike."""
    short = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return [s if short.count(s) == 1 else path for s, path in zip(short, paths, strict=True)]
