"""Time inference: nets of models/ in caffelite, OpenCV's dnn, ONNX Runtime and PyTorch.

    python tools/benchmark.py --inference                        # ten nets, batches of 1 and 8
    python tools/benchmark_inference.py --nets resnet-50 --batches 1 --threads 1 2 --seconds 20
    python tools/benchmark_inference.py --nets resnet-50 --layers    # where the time goes
    python tools/benchmark_inference.py --memory                 # peaks, each in its own process
    python tools/benchmark_inference.py --avx2                   # as on a CPU without AVX-512

Needs opencv-python-headless<5, onnxruntime, onnx and torch (`pip install`), or those of them that
`--engines` names. All have the same random weights, the same input and as many threads, and run in
this process in turn: each round lets every one run several times, after a pause in which the
threads of the one before go to sleep, and once uncounted, to have its weights back in the caches.
Their outputs are held together first. Each runs with its own defaults, with input from memory;
caffelite's blobs share memory, as `caffelite test` lets them. Figures are medians in milliseconds,
ratios another's time divided by caffelite's.
"""

import argparse
import importlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from tools.benchmark_engines import ENGINES, write  # noqa: E402
from tools.benchmark_machine import (  # noqa: E402
    as_avx2,
    cores,
    described,
    machine,
    peak,
    set_threads,
)
from tools.benchmark_sides import milliseconds  # noqa: E402

BATCHES = {
    "mobilenet-v1": [1, 8],
    "squeezenet-v1.1": [1, 8],
    "googlenet": [1, 8],
    "resnet-50": [1, 8],
    "inception-v3": [1, 8],
    "alexnet": [1, 8],
    "vgg-16": [1, 8],
    "ssd300": [1],
    "mobilenet-ssd": [1],
    "fcn-8s": [1],
}
PAUSE = 0.05  # seconds, until the threads of the one before sleep: ONNX Runtime's wait longest
TURN = 0.15  # seconds that one has at a time
ROUNDS = 5  # at least
TOLERANCE = 1e-3  # of the largest value
ALIKE = 0.99  # how many values, or boxes, at least are that near


# Measuring


def hold_together(runners):
    """{engine: the largest difference between its outputs and the first's, of the largest value}

    What differs is not timed. One value in a hundred may: rounding decides between two maxima that
    are nearly the same, and which boxes are too much alike.
    """
    (first, ours), *others = ((name, runner.outputs()) for name, runner in runners.items())
    found = {}
    for engine, theirs in others:
        for name, y in ours.items():
            x = theirs[name]
            if y.ndim == 4 and y.shape[-1] == 7 and y.shape[:2] == (1, 1):
                rows = [each[each[..., 2] > 0] for each in (y, x)]  # OpenCV fills up with zeros
                difference = np.concatenate([of_boxes(*rows), of_boxes(*rows[::-1])])
            elif x.shape != y.shape:
                raise SystemExit(f"{name} of {engine} has the shape {x.shape}, not {y.shape}")
            else:
                difference = abs(x - y) / abs(y).max()
            if not (difference <= TOLERANCE).mean() >= ALIKE:
                raise SystemExit(f"{name} of {engine} is not {first}'s")
            found[engine] = max(found.get(engine, 0), float(difference.max()))
    return found


def of_boxes(ours, theirs):
    """For each row of DetectionOutput how far the nearest of the other's is; 1 if there is none."""
    found = []
    for row in ours:
        same = theirs[(theirs[:, :2] == row[:2]).all(1)]
        apart = abs(same[:, 2:] - row[2:]).max(1, initial=0)
        found.append(apart.min(initial=1))
    return np.array(found)


def race(runners, seconds):
    """{engine: [ms]}, all in turn, for about so many seconds."""
    took = {}
    for name, runner in runners.items():
        runner.forward()
        took[name] = min(milliseconds(runner.forward) for _ in range(2)) / 1e3
    turns = {name: max(1, round(TURN / ms)) for name, ms in took.items()}
    idle = {name: ms < TURN for name, ms in took.items()}  # run once uncounted
    whole = sum((turns[n] + idle[n]) * took[n] + PAUSE for n in runners)
    times = {name: [] for name in runners}
    for _ in range(max(ROUNDS, round(seconds / whole))):
        for name, runner in runners.items():
            time.sleep(PAUSE)
            if idle[name]:
                runner.forward()
            times[name] += [milliseconds(runner.forward) for _ in range(turns[name])]
    return times


def measure(net, batch, threads, args):
    """One row: ms and differences of all engines, and what hindered those that do not run."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write(net, batch, folder, set(args.engines))
        runners, hindered = {}, {}
        for name in args.engines:
            try:
                runners[name] = ENGINES[name](folder, threads)
            except Exception as problem:  # whatever one raises that cannot read the net
                if name == "caffelite":
                    raise
                hindered[name] = str(problem).strip().splitlines()[0]
        set_threads(threads)
        for runner in runners.values():
            runner.forward()
        differences = hold_together(runners)
        ms = race(runners, args.seconds)
    medians = {name: statistics.median(times) for name, times in ms.items()}
    ratios = {name: medians[name] / medians["caffelite"] for name in differences}
    return {
        "net": net, "batch": batch, "threads": threads, "ms": ms, "medians": medians,
        "ratios": ratios, "differences": differences, "hindered": hindered,
    }  # fmt: skip


def layer_lines(net, batch, threads, most):
    """The slowest layers of caffelite, each run by itself, beside PyTorch's."""
    from tools.benchmark_layers import race
    from tools.benchmark_nets import SIZES, TEST, in_memory
    from tools.benchmark_report import layer_lines
    from tools.benchmark_sides import Caffelite, PyTorch

    param = in_memory(net, TEST, batch, SIZES.get(net))
    ours = Caffelite(param, update=False)
    theirs = PyTorch(param, False, ours.values(), in_place=False)
    set_threads(threads)
    return layer_lines(race(ours, theirs, ROUNDS), most)


def measure_memory(net, batch, threads, args):
    """One row: the peaks of processes that load the net and run it three times."""
    with tempfile.TemporaryDirectory() as folder:
        write(net, batch, Path(folder), set(args.engines))
        peaks, hindered = {}, {}
        for name in args.engines:
            command = [sys.executable, __file__, "--child", name, folder, "--threads", str(threads)]
            for _ in range(1 + (name == "caffelite")):  # the first time, kernels may be compiled
                done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr.strip().splitlines()
                hindered[name] = said[-1] if said else f"exit code {done.returncode}"
            else:
                peaks[name] = json.loads(done.stdout)
    return {"net": net, "batch": batch, "threads": threads, "MB": peaks, "hindered": hindered}


def child(name, folder, threads):
    """Run one engine alone; print its peaks, with how much of them imports take."""
    importlib.import_module(ENGINES[name].module)
    imports = peak()
    runner = ENGINES[name](Path(folder), threads)
    for _ in range(3):
        runner.forward()
    print(json.dumps({"MB": peak(), "MB of imports": imports}))


# The table


def heading(engines, memory):
    head = f"{'net':<16}{'batch':>5}{'threads':>8}" + cells(engines)
    if memory:
        return head + "   MB (of which imports)"
    units = [*["ms"] * len(engines), *["/ caffelite"] * (len(engines) - 1), "difference"]
    return f"{head}{cells([*engines[1:], 'largest'])}\n{'':<29}{cells(units)}"


def cells(texts):
    return "".join(f"{text:>14}" for text in texts)


def line(row, engines):
    head = f"{row['net']:<16}{row['batch']:>5}{row['threads']:>8}"
    if "MB" in row:
        peaks = [row["MB"].get(name) for name in engines]
        return head + cells(
            f"{p['MB']:.0f} ({p['MB of imports']:.0f})" if p else "-" for p in peaks
        )
    figures = [row["medians"].get(name) for name in engines]
    figures += [row["ratios"].get(name) for name in engines[1:]]
    largest = max(row["differences"].values(), default=0)
    return head + cells([*(f"{f:.2f}" if f else "-" for f in figures), f"{largest:.1e}"])


def conclusion(rows, engines):
    """For each of the others the geometric mean of its ratios, and the worst of them."""
    for name in engines[1:]:
        ratios = {(r["net"], r["batch"]): r["ratios"][name] for r in rows if name in r["ratios"]}
        if ratios:
            best = [min(r["ms"][name]) / min(r["ms"]["caffelite"]) for r in rows if name in r["ms"]]
            (net, batch), worst = min(ratios.items(), key=lambda item: item[1])
            yield (
                f"{name} / caffelite: geometric mean {geometric_mean(ratios.values()):.2f} over "
                f"{len(ratios)} rows, worst {worst:.2f} ({net}, batch {batch}); "
                f"of the shortest times {geometric_mean(best):.2f}"
            )


def geometric_mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    models = sorted(path.parent.name for path in ROOT.glob("models/*/deploy.prototxt"))
    flag("--nets", nargs="+", choices=models, default=list(BATCHES), metavar="NET",
         help=f"folders of models/ [{' '.join(BATCHES)}]")  # fmt: skip
    flag("--batches", nargs="+", type=int, help="batch sizes [1 8; for the last three 1]")
    flag("--threads", nargs="+", type=int, default=[cores()], help="thread counts [all cores]")
    flag("--seconds", type=float, default=8, help="what a row may take, about [8]")
    flag("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE",
         help=f"beside caffelite [{', '.join(list(ENGINES)[1:])}]")  # fmt: skip
    flag("--layers", nargs="?", type=int, const=20, metavar="N",
         help="list the N slowest layers, beside PyTorch's [20]")  # fmt: skip
    flag("--memory", action="store_true", help="measure peak memory instead of time")
    flag("--avx2", action="store_true", help="let all do without AVX-512")
    flag("--json", metavar="FILE", help="write all figures to FILE")
    flag("--child", nargs=2, metavar=("ENGINE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not 1 <= min(args.threads) <= max(args.threads) <= cores():
        parser.error(f"--threads must be 1 to {cores()}, the cores that this process may use")
    if args.memory and args.layers:
        parser.error("--layers lists times, which --memory does not measure")
    args.engines = ["caffelite", *(name for name in args.engines if name != "caffelite")]
    return args


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = arguments(argv)
    if args.child:
        return child(*args.child, args.threads[0])
    if args.avx2:
        as_avx2([__file__, *argv])
    about = machine(["numba", *(ENGINES[name].module for name in args.engines)])
    print(described(about))
    print(heading(args.engines, args.memory), flush=True)
    rows = []
    for net in args.nets:
        for batch in args.batches or BATCHES.get(net, [1]):
            for threads in args.threads:
                row = (measure_memory if args.memory else measure)(net, batch, threads, args)
                rows.append(row)
                print(line(row, args.engines), flush=True)
                for name, reason in row["hindered"].items():
                    print(f"  {name} does not run it: {reason}")
                if args.layers:
                    print("\n".join(layer_lines(net, batch, threads, args.layers)), flush=True)
    print("\n".join(conclusion(rows, args.engines) if not args.memory else ()))
    if args.json:
        Path(args.json).write_text(json.dumps({**about, "results": rows}, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    main()
