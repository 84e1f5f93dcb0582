"""The runs that the page shows: their logs, read bit by bit; curves, comparisons, histograms."""

import math
import os
import threading
import time

import numpy as np

from ..errors import CaffeliteError, DataError
from ..pictures.curves import LOSS, RATE, SPEED, STEPS, labels, rises, smoothed
from ..reading import finite, integer, number
from ..run_log.compare import Best, best_of_run, differences
from ..run_log.find import logs_beneath
from ..run_log.follower import Follower

PATIENCE = 0.25  # seconds of reading logs for each answer
MOST_POINTS = 1200  # of a curve; where there are more, the least and the largest of as many parts
MOST_PANELS = 100  # names that are offered
MOST_RUNS = 16  # that are shown at once
MOST_HISTOGRAMS = 96  # columns of a heat map
MOST_SETTINGS = 300
AGAIN = 5  # seconds between looks for new logs
AXES = ("iteration", "seconds")


class Runs:
    """The logs that are named, and those found beneath a folder.

    A run's number is its place in the list, to which new ones are appended.

    Parameters
    ----------
    logs : paths, which need not be there yet
    folder : where to look for more, or None
    """

    def __init__(self, logs=(), folder=None):
        self.folder = folder
        self.followers = [Follower(path) for path in logs]
        self.named = len(self.followers)
        self.left_off = False
        self._looked = -math.inf
        self._best_of = {}  # {path: (version of its follower, best_of_run)}
        self._lock = threading.Lock()  # a log is read by one request at a time

    # What the page asks for; all arguments are text

    def listing(self):
        """Every run with what stands in a line of the list, and whether there are more logs."""
        with self._lock:
            self._find()
            more = self._read(range(len(self.followers)))
            names = self._names()
            lines = [
                {"name": name} | _line(follower, self._best(follower))
                for name, follower in zip(names, self.followers, strict=True)
            ]
            return {
                "folder": self.folder,
                "named": self.named,
                "left_off": self.left_off,
                "more": more,
                "runs": lines,
            }

    def curves(self, runs, panels, x, start, end, smooth, seen):
        """The curves of some panels ("" for the usual ones) between two places of the x axis.

        `seen` is the "version" of the answer that the page has: of the same one, no more is told.
        """
        if x not in AXES:
            raise DataError(f"x: expected one of {', '.join(AXES)}, not {x!r}")
        ends = [
            number(start, "from") if start else -math.inf,
            number(end, "to") if end else math.inf,
        ]
        smooth = integer(smooth or "1", "smooth", least=1, most=10**6)
        with self._lock:
            chosen = self._chosen(runs)
            more = self._read(chosen)
            followers = [self.followers[number] for number in chosen]
            told = [(f.version, f.state) for f in followers]
            version = str(hash((str(told), runs, panels, x, start, end, smooth)))
            if version == seen:
                return {"version": version, "more": more, "same": True}
            names = _panel_names(followers)
            wanted = [name for name in panels.split("\n") if name in names] or _usual(names)
            names_of_runs = self._names()
            return {
                "version": version,
                "more": more,
                "names": names,
                "runs": [
                    {"run": number, "name": names_of_runs[number]} | _line(one, self._best(one))
                    for number, one in zip(chosen, followers, strict=True)
                ],
                "panels": [
                    {
                        "name": name,
                        "curves": [
                            {"run": number} | curve
                            for number in chosen
                            for curve in self._curves(number, name, x, ends, smooth)
                        ],
                    }
                    for name in wanted
                ],
            }

    def compare(self, runs):
        """The best values of the runs, and the settings that differ between them."""
        with self._lock:
            chosen = self._chosen(runs)
            more = self._read(chosen)
            followers = [self.followers[number] for number in chosen]
            best = [self._best(follower) for follower in followers]
            keys = sorted(dict.fromkeys(key for one in best for key in one), key=_rank)
            names = self._names()
            starts = [follower.starts[-1] if follower.starts else None for follower in followers]
        differing = differences(starts)
        return {
            "more": more,
            "runs": [
                {"run": n, "name": names[n], "told": bool(s)}
                for n, s in zip(chosen, starts, strict=True)
            ],
            "best": [
                {
                    "name": f"{phase} {name}",
                    "rises": rises(name),
                    "values": [vars(one.get((phase, name), Best())) for one in best],
                }
                for phase, name in keys
            ],
            "settings": [
                {"name": name, "values": values}
                for name, values in list(differing.items())[:MOST_SETTINGS]
            ],
            "settings_left_off": max(0, len(differing) - MOST_SETTINGS),
        }

    def spread(self, run, blob, kind):
        """How a blob's values ("data"), or their gradients ("diff"), were spread over time."""
        if kind not in ("data", "diff"):
            raise DataError(f'kind: expected "data" or "diff", not {kind!r}')
        with self._lock:
            (index,) = self._chosen(run)
            self._read([index])
            follower = self.followers[index]
            there = follower.histograms
            picked = np.linspace(0, len(there) - 1, min(len(there), MOST_HISTOGRAMS)).astype(int)
            offsets = [there[index][1] for index in dict.fromkeys(picked.tolist())]
            records = [one for one in follower.records_of(offsets) if _blobs(one)]
        names = list(_blobs(records[-1])) if records else []
        blob = blob if blob in names else next(iter(names), "")
        columns = [_spread(record, blob, kind) for record in records]
        return {
            "blobs": names,
            "blob": blob,
            "records": len(there),
            "columns": [column for column in columns if column],
        }

    def pictures(self, run):
        """The latest pictures of a run."""
        with self._lock:
            (index,) = self._chosen(run)
            self._read([index])
            return {
                "pictures": [
                    {"name": name[:200], "iteration": iteration, "png": png}
                    for name, (iteration, png) in self.followers[index].pictures.items()
                ]
            }

    # How they are found and read

    def _find(self):
        """Look beneath the folder for logs that are new."""
        if self.folder is None or time.monotonic() - self._looked < AGAIN:
            return
        known = {follower.path for follower in self.followers}
        found, self.left_off = logs_beneath(self.folder)
        self.followers += [Follower(path) for path in found if path not in known]
        self._looked = time.monotonic()

    def _read(self, numbers):
        """Read on in these logs for a moment; returns whether there is more to read at once."""
        end = time.monotonic() + PATIENCE
        for index in numbers:
            self.followers[index].read(max(0, end - time.monotonic()))
        return any(self.followers[index].more for index in numbers)

    def _best(self, follower):
        """best_of_run of a log, asked but once for what was read of it."""
        version, best = self._best_of.get(follower.path, (None, None))
        if version != follower.version:
            best = best_of_run(follower.columns)
            self._best_of[follower.path] = follower.version, best
        return best

    def _chosen(self, runs):
        """The numbers that a text names, as "0,2"."""
        most = len(self.followers) - 1
        if not runs or runs.count(",") >= MOST_RUNS:
            raise CaffeliteError(f"expected one to {MOST_RUNS} runs")
        return [integer(word, "runs", least=0, most=most) for word in runs.split(",")]

    def _names(self):
        paths = [follower.path for follower in self.followers]
        beneath = [os.path.relpath(path, self.folder) for path in paths[self.named :]]
        return labels(paths[: self.named]) + beneath

    def _curves(self, number, panel, x, ends, smooth):
        follower = self.followers[number]
        named = follower.columns.labels("")
        for (*part, phase, _, name), column in follower.columns.of.items():
            if name != panel:
                continue
            xs, ys = np.array(getattr(column, x)), np.array(column.value)
            if phase == "train" and name not in (RATE, SPEED, STEPS):
                ys = smoothed(ys, smooth)
            within = (xs >= ends[0]) & (xs <= ends[1])
            kept = _telling(ys := ys[within])
            yield {
                "part": named[tuple(part)].lstrip(": "),
                "phase": phase,
                "x": xs[within][kept].tolist(),
                "y": [y if math.isfinite(y) else None for y in ys[kept].tolist()],
                "of": len(ys),
            }


def _telling(ys):
    """Places of a curve that show what it is like: of each of many parts, the least and largest."""
    if len(ys) <= 2 * MOST_POINTS:
        return np.arange(len(ys))
    size = -(-len(ys) // MOST_POINTS)
    padded = np.full(-(-len(ys) // size) * size, np.nan)
    padded[: len(ys)] = ys
    parts = padded.reshape(-1, size)
    there = np.isfinite(parts)
    first = np.arange(len(parts)) * size
    least = first + np.argmin(np.where(there, parts, np.inf), axis=1)
    largest = first + np.argmax(np.where(there, parts, -np.inf), axis=1)
    gaps = first + np.argmin(there, axis=1)  # the first value that is none
    gaps = gaps[~there.all(axis=1) & (gaps < len(ys))]
    return np.unique(np.concatenate([[0, len(ys) - 1], least, largest, gaps]))


def _line(follower, best):
    """What stands in a line of the list of runs."""
    begun, _ = follower.times
    end = follower.size or 1
    line = {
        "path": follower.path,
        "begun": begun if begun is not None else follower.written or None,
        "iteration": follower.iteration,
        "state": follower.state,
        "passed_over": follower.passed_over,
        "read": follower.bytes_read / end,
        "histograms": len(follower.histograms),
        "pictures": len(follower.pictures),
        "loss": None,
        "accuracy": None,
        "lost": None,
    }
    for (phase, name), one in sorted(best.items(), key=lambda item: _rank(item[0])):
        told = {"name": f"{phase} {name}"} | vars(one)
        if name == LOSS and (line["loss"] is None or phase == "test"):
            line["loss"] = told if one.last is not None else line["loss"]
        if rises(name) and phase == "test" and line["accuracy"] is None:
            line["accuracy"] = told
        if name == LOSS and one.lost is not None and line["lost"] is None:
            line["lost"] = told
    return line


def _rank(key):
    """Losses first, then accuracies; of each, those of tests first."""
    phase, name = key
    return (name != LOSS, not rises(name), name in (RATE, SPEED, STEPS), phase != "test", name)


def _panel_names(followers):
    names = dict.fromkeys(key[-1] for one in followers for key in one.columns.of)
    order = {RATE: 1, SPEED: 2, STEPS: 3}
    found = sorted(names, key=lambda n: (order.get(n, 0), n != LOSS, not rises(n), n))
    return found[:MOST_PANELS]


def _usual(names):
    """The loss, and what else tells most."""
    others = [name for name in names if name != LOSS]
    more = [name for name in others if rises(name)] or others
    return [name for name in names if name == LOSS] + more[:1]


def _blobs(record):
    blobs = record.get("blobs") if record else None
    return blobs if isinstance(blobs, dict) else {}


def _spread(record, blob, kind):
    """{iteration, min, max, mean, std, heights} of a blob in a record, or None."""
    told = _blobs(record).get(blob)
    told = told.get(kind) if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("histogram"), list):
        return None
    figures = {name: finite(told.get(name)) for name in ("min", "max", "mean", "std")}
    heights = [finite(one) for one in told["histogram"]]
    if not all(map(math.isfinite, (*figures.values(), *heights))) or not 0 < len(heights) <= 1024:
        return None
    return {"iteration": record["iteration"], "heights": heights} | figures
