"""Record how fast commits are beside PyTorch in tools/history.csv, and draw it: history.svg.

    python tools/history.py                             # the commit that is checked out
    python tools/history.py HEAD~20 HEAD --nets lenet alexnet --threads 1

Each commit is taken out into a folder of its own and runs its own tools/benchmark.py. A speed is
PyTorch's time divided by caffelite's, measured in one process in turn; those of other machines are
other lines of the picture. Needs git, torch and matplotlib.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "history.csv"
PICTURE = TABLE.with_suffix(".svg")
COLUMNS = ("commit", "date", "cpu", "cores", "torch", "net", "batch", "threads", "speed", "best")


def git(*arguments):
    """What a git command says, as bytes."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=-1).stdout


def measure(commit, options):
    """The rows of a commit: one for each net, batch and number of threads."""
    date, name = git("show", "-s", "--format=%cs %h", commit).decode().split()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(git("archive", commit))) as files:
            files.extractall(folder, filter="data")
        out = Path(folder) / "benchmark.json"
        command = [sys.executable, "tools/benchmark.py", "--json", str(out), *options]
        # the folder comes first, so that no caffelite that is installed is measured instead
        subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": folder}, check=True)
        found = json.loads(out.read_text())
    about = (name, date, found["cpu"], found["cores"], found["versions"]["torch"])
    return [
        (
            *about,
            *(one[key] for key in ("net", "batch", "threads")),
            f"{one['speed']:.3f}",
            f"{one['best_speed']:.3f}",
        )
        for one in found["results"]
    ]


def merged(rows, new):
    """The table's rows with new ones in the place of those of the same commit and setting."""
    setting = COLUMNS.index("speed")
    kept = {tuple(map(str, row[:setting])): tuple(row[setting:]) for row in (*rows, *new)}
    return [(*key, *figures) for key, figures in kept.items()]


def read():
    """The rows of the table so far."""
    if not TABLE.exists():
        return []
    with open(TABLE, newline="") as lines:
        head, *rows = csv.reader(lines)
    assert tuple(head) == COLUMNS, f"{TABLE} has the columns {head}, expected {COLUMNS}"
    return rows


def write(rows):
    """Write the table, in the order in which commits were measured."""
    with open(TABLE, "w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])


def draw(rows):
    """A line for each net, setting and machine: its best speed by commit."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    commits = list(dict.fromkeys(row[0] for row in rows))
    lines = {}
    for row in rows:
        one = dict(zip(COLUMNS, row, strict=True))
        label = f"{one['net']} ({one['batch']}), threads: {one['threads']}, {one['cpu']}"
        lines.setdefault(label, []).append((commits.index(one["commit"]), float(one["best"])))
    with rc_context({"svg.hashsalt": "caffelite"}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.subplots()
        for label, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_xticks(range(len(commits)), commits, rotation=45, ha="right")
        axes.set_ylabel("PyTorch's time / caffelite's, best of both")
        axes.legend(fontsize="small")
        figure.savefig(PICTURE, metadata={"Date": None})


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="*", default=["HEAD"], metavar="COMMIT")
    args, options = parser.parse_known_args(argv)
    for commit in args.commits:
        write(merged(read(), measure(commit, options)))
        draw(read())


if __name__ == "__main__":
    main()
