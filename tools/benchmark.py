"""Time training steps of the nets in models/ beside the same nets in PyTorch.

    python tools/benchmark.py                               # nine nets, all threads
    python tools/benchmark.py --nets lenet alexnet --batch 1 8 32 --threads 1 2
    python tools/benchmark.py --nets resnet-50 --layers 20   # where the time goes
    python tools/benchmark.py --memory                      # peaks, each in its own process
    python tools/benchmark.py --avx2                        # as on a CPU without AVX-512
    python tools/benchmark.py --inference                   # benchmark_inference.py, all of it
    python tools/benchmark.py --detection                   # benchmark_detection.py, all of it
    python tools/benchmark.py --segmentation                # benchmark_segmentation.py, all of it
    python tools/benchmark.py --recurrent                   # benchmark_recurrent.py, all of it
    python tools/benchmark.py --adversarial                 # benchmark_adversarial.py, all of it

Needs torch (`pip install torch`). Both sides run in this process in turn, with the same weights,
the same input from memory and as many threads. A step is forward and backward; with --update, also
SGD with momentum and weight decay. Figures are medians, and the best in brackets (of layers: the
best); a speed is PyTorch's time divided by caffelite's. `--inference` takes the flags of its own
program after it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find tools.torch_twin, and caffelite uninstalled
    sys.path.insert(0, str(ROOT))

from caffelite.proto import caffe_pb2  # noqa: E402
from tools import benchmark_layers as layers  # noqa: E402
from tools import benchmark_report as report  # noqa: E402
from tools.benchmark_machine import (  # noqa: E402
    as_avx2,
    cores,
    described,
    machine,
    peak,
    set_threads,
)
from tools.benchmark_nets import SIZES, TRAIN, in_memory  # noqa: E402
from tools.benchmark_sides import SIDES, Caffelite, PyTorch, milliseconds  # noqa: E402

BATCHES = {
    "lenet": 64,
    "cifar10-full": 100,
    "alexnet": 16,
    "googlenet": 8,
    "resnet-50": 8,
    "vgg-16": 4,
    "mobilenet-v1": 8,
    "densenet-121": 8,
    "inception-v3": 8,
    "fcn-8s": 1,
    "u-net": 1,
    "segnet": 1,
}
CLASSIFIERS = list(BATCHES)[:9]
WARM_UP = 2  # steps: kernels are compiled, memory is allocated


# Measuring


def race(sides, parts, repeats):
    """Run the sides in turn; {side: {part: [ms]}}."""
    times = {side: {part: [] for part in parts} for side in sides}
    for repeat in range(-WARM_UP, repeats):
        for side, runner in sides.items():
            for part in parts:
                took = milliseconds(getattr(runner, part))
                if repeat >= 0:
                    times[side][part].append(took)
            time.sleep(0.02)  # until the other side's idle threads have gone to sleep
    return times


def benchmark(folder, batch, threads, args):
    """One line of the table, as a dict with all figures."""
    param = in_memory(folder, TRAIN, batch, SIZES.get(folder))
    ours = Caffelite(param, args.update)
    theirs = PyTorch(param, args.update, ours.values())
    ms = race({"caffelite": ours, "PyTorch": theirs}, parts_of(args), args.repeats)
    took, other = (report.steps(times) for times in ms.values())
    result = {
        "net": folder, "batch": batch, "threads": threads, "ms": ms,
        "speed": statistics.median(other) / statistics.median(took),
        "best_speed": min(other) / min(took),
    }  # fmt: skip
    if args.layers is not None:
        del theirs  # its weights and activations
        theirs = PyTorch(param, args.update, ours.values(), in_place=False)
        result["layers"] = layers.race(ours, theirs, args.repeats)
    return result


def parts_of(args):
    """What a step consists of."""
    return ["forward", "backward"] + ["update"] * args.update


def peak_memory(folder, batch, threads, args):
    """{side: peak MB of a process that does nothing but three steps}."""
    param = in_memory(folder, TRAIN, batch, SIZES.get(folder))
    peaks = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--child", side, "--threads", str(threads)]
        command += ["--update"] * args.update
        for _ in range(1 + (side == "caffelite")):  # the first time, kernels may be compiled
            done = subprocess.run(command, input=param.SerializeToString(), stdout=-1, check=True)
        peaks[side] = json.loads(done.stdout)
    return peaks


def child(side, threads, update):
    """Run a side alone, on the net that stdin brings; print its peaks."""
    param = caffe_pb2.NetParameter.FromString(sys.stdin.buffer.read())
    if side == "PyTorch":
        import torch

        torch.set_num_threads(threads)
    else:
        import numba

        import caffelite  # noqa: F401

        numba.set_num_threads(threads)
    imports = peak()
    runner = SIDES[side](param, update)
    for _ in range(3):
        runner.forward()
        runner.backward()
        if update:
            runner.update()
    print(json.dumps({"MB": peak(), "MB of imports": imports}))


# The command


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--nets", nargs="+", choices=BATCHES, default=CLASSIFIERS, metavar="NET",
         help=f"[{' '.join(CLASSIFIERS)}]; others: {', '.join(list(BATCHES)[9:])}")  # fmt: skip
    flag("--batch", nargs="+", type=int, help="batch sizes [each net's own]")
    flag("--threads", nargs="+", type=int, default=[cores()], help="thread counts [all cores]")
    flag("--repeats", type=int, default=7, help="steps to measure, at least 5 [7]")
    flag("--update", action="store_true", help="let a step include the solver's update")
    flag("--layers", nargs="?", type=int, const=20, metavar="N", help="list the N slowest [20]")
    flag("--memory", action="store_true", help="measure peak memory instead of time")
    flag("--avx2", action="store_true", help="let both do without AVX-512")
    flag("--inference", action="store_true", help="time inference instead, beside others, too")
    flag("--detection", action="store_true", help="time what detectors do instead")
    flag("--segmentation", action="store_true", help="time layers of nets for pixels instead")
    flag("--recurrent", action="store_true", help="time layers over sequences instead")
    flag("--adversarial", action="store_true", help="time turns of two nets instead")
    flag("--json", metavar="FILE", help="write all figures to FILE")
    flag("--plot", metavar="FILE", help="draw the medians, as FILE's ending says")
    flag("--child", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.repeats < 5:
        parser.error("--repeats must be at least 5: medians of fewer say little")
    if args.memory and args.plot:
        parser.error("--plot draws times, which --memory does not measure")
    if not 1 <= min(args.threads) <= max(args.threads) <= cores():
        parser.error(f"--threads must be 1 to {cores()}, the cores that this process may use")
    return args


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if "--inference" in argv:
        from tools import benchmark_inference

        return benchmark_inference.main([word for word in argv if word != "--inference"])
    args = arguments(argv)
    if args.child:
        return child(args.child, args.threads[0], args.update)
    if args.detection:
        from tools import benchmark_detection

        return benchmark_detection.main(["--repeats", str(args.repeats)])
    if args.segmentation:
        from tools import benchmark_segmentation

        return benchmark_segmentation.main(["--repeats", str(args.repeats)])
    if args.recurrent:
        from tools import benchmark_recurrent

        return benchmark_recurrent.main(["--repeats", str(args.repeats)])
    if args.adversarial:
        from tools import benchmark_adversarial

        return benchmark_adversarial.main(["--repeats", str(args.repeats)])
    if args.avx2:
        as_avx2([__file__, *argv])
    about = machine(["numpy", "numba", "torch"])
    print(described(about))
    runs = [
        (folder, batch, threads)
        for folder in args.nets
        for batch in args.batch or [BATCHES[folder]]
        for threads in args.threads
    ]
    results = memory(runs, args) if args.memory else speed(runs, args)
    if args.json:
        Path(args.json).write_text(json.dumps({**about, "results": results}, indent=1) + "\n")
    if args.plot:
        report.plot(results, args.plot)


def speed(runs, args):
    print(report.heading(SIDES, parts_of(args)))
    results = []
    for folder, batch, threads in runs:
        set_threads(threads)
        results.append(benchmark(folder, batch, threads, args))
        print(report.line(results[-1]), flush=True)
        if args.layers is not None:
            print("\n".join(report.layer_lines(results[-1]["layers"], args.layers)), flush=True)
    return results


def memory(runs, args):
    print(f"{'net':<13}{'batch':>5}{'threads':>8}   peak MB (of which imports)")
    results = []
    for folder, batch, threads in runs:
        peaks = peak_memory(folder, batch, threads, args)
        cells = [f"{s} {p['MB']:7.0f} ({p['MB of imports']:.0f})" for s, p in peaks.items()]
        print(f"{folder:<13}{batch:>5}{threads:>8}   {'   '.join(cells)}", flush=True)
        results.append({"net": folder, "batch": batch, "threads": threads, "memory": peaks})
    return results


if __name__ == "__main__":
    main()
