"""Train nets on scenes of digits, or digits among clutter, with several seeds; tell medians.

    caffelite dataset digit-scenes --out data
    caffelite dataset distorted-digits --out data
    caffelite regions data/scenes_train_lmdb data/scenes_train_regions_lmdb --processes 2
    caffelite regions data/scenes_test_lmdb data/scenes_test_regions_lmdb --processes 2
    python tools/digit_recipes.py --seeds 2 3
    python tools/digit_recipes.py --nets fcn-8s-digits fcn-8s-ink unet-digits --processes 2

Each run is `caffelite train solvers/NET.prototxt`, with its seed, on one thread; its log and its
weights come to OUT. A net that starts from another one starts from that of the same seed, which is
trained before, and whose time counts. Of R-CNN and SPP-net, `caffelite svm` then trains machines,
and `caffelite test` tells what they find. Printed are the measure of the last test, the mAP by
VOC 2012's rule, the mean IU or the accuracy, over all pictures for testing, and the processor's
time, start and tests included. A run that has come to its end is not made again.
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
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class Recipe(NamedTuple):
    """How a net is trained: from which other one's weights, on labels of another kind, and whether
    it ends in machines, which are trained apart.
    """

    net: str
    begins_with: str | None = None
    stage: str | None = None
    machines: bool = False


BEGINNINGS = ("ssd-digits", "yolo-v1-digits", "yolo-v3-digits")
CLUTTER = ("clutter-cnn", "clutter-st", "clutter-st-2", "clutter-st-4")
RECIPES = {
    **{net: Recipe(net) for net in (*BEGINNINGS, *CLUTTER)},
    **{
        net: Recipe(net, "yolo-v1-digits")
        for net in ("yolo-v2-digits", "fast-rcnn-digits", "faster-rcnn-digits", "rfcn-digits")
    },
    **{net: Recipe(net, "yolo-v1-digits", machines=True) for net in ("rcnn-digits", "spp-digits")},
    "fcn-32s-digits": Recipe("fcn-32s-digits", "yolo-v1-digits"),
    "fcn-16s-digits": Recipe("fcn-16s-digits", "fcn-32s-digits"),
    "fcn-8s-digits": Recipe("fcn-8s-digits", "fcn-16s-digits"),
    "fcn-8s-ink": Recipe("fcn-8s-digits", "fcn-16s-digits", "ink"),
    **{
        net: Recipe(net, "yolo-v1-digits") for net in ("unet-digits", "segnet-digits", "psp-digits")
    },
}
MEASURES = {
    "detection_eval": "mAP",
    "mean_iu": "mean IU",
    "accuracy": "accuracy",
}  # what outputs of tests end with


def ancestry(name):
    """The recipes that one starts from, the first one first, and itself."""
    begins_with = RECIPES[name].begins_with
    return [*(ancestry(begins_with) if begins_with else []), name]


def make(name, seed, args):
    """Train, unless that was done before; what it starts from is there."""
    took = stem(name, seed, args).with_suffix(".seconds")
    if not took.exists():
        took.with_suffix(".jsonl").unlink(missing_ok=True)
        before = seconds()
        words = command(name, seed, args)
        subprocess.run(words, check=True, env=os.environ | ONE_THREAD)
        if RECIPES[name].machines:
            train_machines(RECIPES[name].net, stem(name, seed, args))
        took.write_text(f"{seconds() - before:.0f}\n")


def train_machines(net, own):
    """Train machines of what the net says, and keep what `caffelite test` tells of them."""
    model, machines = f"models/{net}/train_val.prototxt", f"{own}_svm.caffemodel"
    program = [sys.executable, "-m", "caffelite"]
    run = {"check": True, "env": os.environ | ONE_THREAD}
    subprocess.run([*program, "svm", model, str(weights(own)), machines], **run)
    words = [*program, "test", model, "--weights", machines, "--report", "--json", "-q"]
    with own.with_suffix(".json").open("w") as file:
        subprocess.run(words, stdout=file, **run)


def result(name, seed, args):
    """(a measure's name, its value, seconds of a processor)."""
    own = stem(name, seed, args)
    if RECIPES[name].machines:
        told = json.loads(own.with_suffix(".json").read_text())[0]
        measure, value = "mAP", told["mAP VOC2012"]
    else:
        records = map(json.loads, own.with_suffix(".jsonl").open())
        tests = [record for record in records if record["event"] == "test"]
        ((measure, value),) = (
            (word, value)
            for output, value in tests[-1]["outputs"].items()
            for end, word in MEASURES.items()
            if output.endswith(end)
        )
    took = (stem(one, seed, args).with_suffix(".seconds") for one in ancestry(name))
    return measure, value, sum(float(file.read_text()) for file in took)


def stem(name, seed, args):
    return args.out / f"{name}-{seed}"


def command(name, seed, args):
    """The `caffelite train` of a run."""
    recipe, own = RECIPES[name], stem(name, seed, args)
    words = [sys.executable, "-m", "caffelite", "train", f"solvers/{recipe.net}.prototxt", "-q"]
    words += ["--log", str(own.with_suffix(".jsonl")), "--set", f"random_seed={seed}"]
    words += ["--set", f'snapshot_prefix="{own}"']
    if recipe.begins_with:
        words += ["--weights", str(weights(stem(recipe.begins_with, seed, args)))]
    if recipe.stage:
        words += ["--stage", recipe.stage]
    if args.iterations and name in args.nets:
        words += ["--iterations", str(args.iterations)]
    return words


def weights(stem):
    """The newest weights of a run."""
    found = stem.parent.glob(f"{stem.name}_iter_*.caffemodel")
    return max(found, key=lambda path: int(path.stem.rpartition("_")[2]))


def seconds():
    """What the processes that this one has started, and that have ended, took of a processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    names = ", ".join(RECIPES)
    flag("--nets", nargs="+", choices=RECIPES, default=[*RECIPES], metavar="NET", help=names)
    flag("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    flag("--processes", type=int, default=2, metavar="N", help="runs at once [2]")
    flag("--iterations", type=int, metavar="N", help="end the nets named before their solvers say")
    flag("--out", type=Path, default=Path("digit-runs"), metavar="DIR")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.out = args.out.resolve()
    needed = {name: len(ancestry(name)) for net in args.nets for name in ancestry(net)}
    with ProcessPoolExecutor(args.processes) as pool:
        for generation in sorted({*needed.values()}):
            names = [name for name in needed if needed[name] == generation]
            jobs = [pool.submit(make, name, seed, args) for name in names for seed in args.seeds]
            for job in jobs:
                job.result()
    for name in args.nets:
        found = [result(name, seed, args) for seed in args.seeds]
        of_each = ", ".join(f"{value:.3f}" for _, value, _ in found)
        value, took = (statistics.median(one[i] for one in found) for i in (1, 2))
        print(f"{name:<16}{found[0][0]} {value:.3f} ({of_each}), {took:.0f} s of a processor")


if __name__ == "__main__":
    main()
