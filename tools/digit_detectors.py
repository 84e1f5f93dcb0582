"""Train the detectors of digits with several seeds, and tell their medians.

    caffelite dataset digit-scenes --out data
    python tools/digit_detectors.py --seeds 2 3
    python tools/digit_detectors.py --nets ssd-digits --seeds 1 2 3 --processes 2

Each run is `caffelite train solvers/NET.prototxt`, with its seed, on one thread; its log and its
weights come to OUT. Printed are the mAP of its last test, by VOC 2012's rule on all scenes for
testing, and the processor's time, start and tests included. A run whose log has its end is not
made again.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NETS = ("ssd-digits", "yolo-v1-digits", "yolo-v2-digits", "yolo-v3-digits")
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def run(net, seed, args):
    """(mAP, seconds of a processor) of a run, made now or before."""
    stem = args.out / f"{net}-{seed}"
    log, took = stem.with_suffix(".jsonl"), stem.with_suffix(".seconds")
    if not took.exists():
        command = [sys.executable, "-m", "caffelite", "train", f"solvers/{net}.prototxt", "-q"]
        command += ["--log", str(log), "--set", f"random_seed={seed}"]
        command += ["--set", f'snapshot_prefix="{stem}"']
        if args.iterations:
            command += ["--iterations", str(args.iterations)]
        log.unlink(missing_ok=True)
        before = seconds()
        subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD})
        took.write_text(f"{seconds() - before:.0f}\n")
    tests = [record for record in map(json.loads, log.open()) if record["event"] == "test"]
    return tests[-1]["outputs"]["detection_eval"], float(took.read_text())


def seconds():
    """What the processes that this one has started, and that have ended, took of a processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--nets", nargs="+", choices=NETS, default=NETS, metavar="NET", help=", ".join(NETS))
    flag("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    flag("--processes", type=int, default=2, metavar="N", help="runs at once [2]")
    flag("--iterations", type=int, metavar="N", help="end before the solvers say")
    flag("--out", type=Path, default=Path("digit-runs"), metavar="DIR")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.out = args.out.resolve()
    with ProcessPoolExecutor(args.processes) as pool:
        runs = {
            net: [pool.submit(run, net, seed, args) for seed in args.seeds] for net in args.nets
        }
        for net, jobs in runs.items():
            found = [job.result() for job in jobs]
            of_each = ", ".join(f"{mean:.3f}" for mean, _ in found)
            mean, took = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"{net:<16}mAP {mean:.3f} ({of_each}), {took:.0f} s of a processor", flush=True)


if __name__ == "__main__":
    main()
