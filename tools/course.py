"""Train what courses on convolutional networks claim, draw the curves, and write what was found.

    python tools/course.py                        all experiments
    python tools/course.py activation dropout     some of them

Each experiment is a file of tools/claims. Nets are small, and so are their samples: digits of
scikit-learn, and of mnist-5k. Each is trained several times, from other random numbers. OUT, by
default models/course, gets a picture for each experiment; results.csv, its rows renewed; and
results.md, made of both. A run that is in RUNS already is not made again, unless its net or solver
has changed since; one that was killed is made anew. What changes in caffelite itself is not seen:
remove RUNS then.
"""

import argparse
import csv
import io
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path[:1] = [str(ROOT)]

from caffelite.atomic import write_atomically  # noqa: E402
from tools.claims import experiments, load  # noqa: E402
from tools.claims._experiment import Row  # noqa: E402

ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
COLUMNS = ("experiment", "run", "what", "mean", "least", "largest")

HEAD = """\
# What courses claim, as runs with their curves

    pip install '.[demo,plot]'
    python tools/course.py

trains the nets, draws these pictures and writes this file, in less than an hour on two cores; the
files of `tools/claims` have the nets and rates of each experiment. The nets are small, and so are
their digits: scikit-learn's 1,797 of 8 x 8 pixels where nothing else is said. Each net is trained
several times, from other random numbers; curves and figures are means, and beside them stand the
least and the largest. Rates fall to 0 in a straight line where nothing else is said. "Yes" means
that every run of one kind was ahead of every run of the other; "in the mean only", that they
overlap; "no", that the mean was not ahead, either. What such small nets show need not hold for
large ones, and the other way round. [README.md](README.md) says which deck is which.
"""


def main():
    known = experiments()
    args = _arguments(known)
    if args.miniature:
        known = {name: one.miniature() for name, one in known.items()}
    chosen = {name: known[name] for name in args.names or known}
    args.runs.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for name, found in in_processes(chosen, args):
        write_atomically(args.out / f"{name}.svg", chosen[name].draw(found))
        renew(args.out / "results.csv", name, found, known)
        print(f"{name}: measured", flush=True)
    rows = read_rows(args.out / "results.csv")
    write_atomically(args.out / "results.md", page(known, rows).encode())
    took, all_runs = (time.monotonic() - begun) / 60, seconds(chosen, args.runs) / 60
    print(f"took {took:.1f} min; making all of these runs takes {all_runs:.1f} min of a processor")


def _arguments(known):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("names", nargs="*", metavar="NAME", help=", ".join(known))
    flag("--out", type=Path, default=ROOT / "models" / "course", metavar="DIR")
    flag("--runs", type=Path, default=Path("course-runs"), metavar="RUNS")
    flag("--processes", type=int, default=os.cpu_count(), metavar="N", help="at once [all cores]")
    flag("--miniature", action="store_true", help="a few iterations, to see whether all works")
    args = parser.parse_args()
    unknown = set(args.names) - set(known)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there is {', '.join(known)}")
    return args


# Making runs


def in_processes(chosen, args):
    """Make all runs of the experiments, several at once; yield (name, Found) of each measured.

    New processes, not forks: threads of BLAS and numba do not live through a fork. Nets this small
    are fastest on one thread each, and sums always have the same order then.
    """
    spawn = multiprocessing.get_context("spawn")
    with (
        patch.dict(os.environ, ONE_THREAD),
        ProcessPoolExecutor(args.processes, spawn, os.chdir, (args.runs.resolve(),)) as pool,
    ):
        jobs = {
            pool.submit(make, name, seed, args.miniature): (name, seed)
            for name, experiment in chosen.items()
            for seed in range(1, experiment.seeds + 1)
        }
        for job in as_completed(jobs):
            job.result()
            print(*jobs[job], flush=True)
        found = {name: pool.submit(measure, name, args.miniature) for name in chosen}
        for name, job in found.items():
            yield name, job.result()


# What a process does: it finds the experiment itself, since modules and functions do not travel.


def make(name, seed, miniature):
    _experiment(name, miniature).make(name, seed)


def measure(name, miniature):
    experiment = _experiment(name, miniature)
    return experiment.measure(experiment.folders(name))


def _experiment(name, miniature):
    experiment = load(name)
    return experiment.miniature() if miniature else experiment


def seconds(chosen, runs):
    """How long it took to make the runs, in seconds of a processor, whenever that was."""
    return sum(
        json.loads((runs / folder / "done.json").read_text())["seconds"]
        for name, experiment in chosen.items()
        for several in experiment.folders(name).values()
        for folder in several
    )


# What was found


def read_rows(path):
    """{(experiment, run, what): Row} of results.csv."""
    if not path.exists():
        return {}
    _, *lines = csv.reader(path.read_text().splitlines())
    return {tuple(line[:3]): Row(*map(float, line[3:])) for line in lines}


def renew(path, name, found, known):
    """Replace an experiment's rows in results.csv; those of experiments that are no more go."""
    rows = {key: row for key, row in read_rows(path).items() if key[0] != name and key[0] in known}
    for pair, values in found.figures.items():
        rows[(name, *pair)] = Row(*(f(values) for f in (np.mean, np.min, np.max)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, row in sorted(rows.items(), key=lambda item: item[0][0]):
        writer.writerow([*key, *(f"{value:.4g}" for value in (row.mean, row.least, row.largest))])
    write_atomically(path, text.getvalue().encode())


def page(known, rows):
    """The text of results.md: a table of the claims, then each experiment."""
    by_name = {name: {} for name in known}
    for (name, *pair), row in rows.items():
        by_name[name][tuple(pair)] = row
    done = {name: known[name] for name, figures in by_name.items() if figures}
    table = [
        "| claim | expected | here | figures: mean (least..largest) |",
        "|---|---|---|---|",
        *(line for name, one in done.items() for line in claims(name, one, by_name[name])),
    ]
    sections = (section(name, one, by_name[name]) for name, one in done.items())
    return "\n".join([HEAD, *table, *sections]) + "\n"


def claims(name, experiment, rows):
    """A line of the table for each thing that is expected."""
    claim = f"{experiment.claim} ([{name}](#{name}))"
    for one in experiment.expected:
        figures = ", ".join(f"{pair[0]} {rows[pair]}" for pair in one.pairs)
        yield f"| {claim} | {one} | {one.verdict(rows)} | {one.what}: {figures} |"
        claim = ""


def section(name, experiment, rows):
    figures = [f"| {run} | {what} | {row} |" for (run, what), row in rows.items()]
    return "\n".join(
        [
            f"\n## {name}\n\n{experiment.claim}.\n",
            *(f"- {place}" for place in experiment.deck),
            f"\n{experiment.told}\n",
            f"![{name}]({name}.svg)\n",
            f"| run | what | of {experiment.seeds} seeds: mean (least..largest) |\n|---|---|---|",
            *figures,
        ]
    )


if __name__ == "__main__":
    main()
