"""Time training steps of the nets in models/ beside the same nets in PyTorch.

    python tools/benchmark.py                               # six nets, all threads
    python tools/benchmark.py --nets lenet alexnet --batch 1 8 32 --threads 1 2
    python tools/benchmark.py --nets resnet50 --layers 20   # where the time goes
    python tools/benchmark.py --forward --batch 1 8         # inference
    python tools/benchmark.py --memory                      # peaks, each in its own process

Needs torch (`pip install torch`). Both sides run in this process in turn, with the same weights,
the same input from memory and as many threads. A step is forward and backward; with --update, also
SGD with momentum and weight decay. Figures are medians, and the best in brackets; a speed is
PyTorch's time divided by caffelite's.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find tools.torch_twin, and caffelite uninstalled
    sys.path.insert(0, str(ROOT))

from caffelite.proto import caffe_pb2  # noqa: E402
from caffelite.proto.text import read_net  # noqa: E402

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
BATCHES = {
    "lenet": 64,
    "cifar10_full": 100,
    "alexnet": 16,
    "googlenet": 8,
    "resnet50": 8,
    "vgg16": 4,
}
RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4  # the rate does not matter, as long as nothing diverges
WARM_UP = 2  # steps: kernels are compiled, memory is allocated


# The nets, and what they are fed


def in_memory(folder, phase, batch):
    """The NetParameter of models/FOLDER in a phase, fed by Input layers.

    In TRAIN phase that is train_val.prototxt, in TEST phase deploy.prototxt.
    """
    from caffelite.net.passes import filter_layers

    deploy = read_net(ROOT / "models" / folder / "deploy.prototxt")
    deploy.layer[0].input_param.shape[0].dim[0] = batch
    if phase == TEST:
        deploy.state.phase = TEST
        return deploy
    param = read_net(ROOT / "models" / folder / "train_val.prototxt")
    param.state.phase = TRAIN
    param = filter_layers(param)
    for layer in param.layer:
        if layer.type == "Data":
            feed = caffe_pb2.LayerParameter(name=layer.name, type="Input", top=layer.top)
            feed.input_param.shape.extend([deploy.layer[0].input_param.shape[0]])
            feed.input_param.shape.add(dim=[batch])
            layer.CopyFrom(feed)
    return param


def samples(param):
    """{input: array}: unit noise for the data, one of ten classes for the labels."""
    generator, arrays = np.random.default_rng(0), {}
    for layer in param.layer:
        if layer.type == "Input":
            for top, shape in zip(layer.top, layer.input_param.shape, strict=True):
                if top == "label":
                    arrays[top] = generator.integers(0, 10, shape.dim).astype(np.float32)
                else:
                    arrays[top] = generator.standard_normal(shape.dim, np.float32)
    return arrays


def fill(net):
    """Give every layer weights that keep values at about unit size."""
    generator = np.random.default_rng(1)
    for layer in net.layers:
        values = [blob.data for blob in layer.blobs]
        if layer.type == "BatchNorm":
            values[0][...], values[1][...], values[2][...] = 0, 1, 1
        elif values:
            weight, *bias = values
            if layer.type == "Scale":
                weight[...] = 1
            else:
                limit = np.sqrt(6 * weight.shape[0] / weight.size)
                generator.random(out=weight, dtype=weight.dtype)
                weight -= 0.5
                weight *= 2 * limit
            for array in bias:
                array[...] = 0


# The two sides: forward, backward, update


class Caffelite:
    """caffelite's side."""

    def __init__(self, param, update):
        import caffelite

        if update:
            self.solver = caffelite.get_solver(
                caffe_pb2.SolverParameter(
                    net_param=param,
                    base_lr=RATE,
                    lr_policy="fixed",
                    momentum=MOMENTUM,
                    weight_decay=DECAY,
                    solver_mode=caffe_pb2.SolverParameter.CPU,
                )
            )
            self.net = self.solver.net
        else:
            self.net = caffelite.Net(param, param.state.phase)
        fill(self.net)
        for name, values in samples(param).items():
            self.net.blobs[name].data[...] = values

    def values(self):
        """{layer: [values of its learnable blobs]}."""
        return {name: [b.data for b in blobs] for name, blobs in self.net.params.items()}

    def forward(self):
        self.net.forward()

    def backward(self):
        self.net.clear_param_diffs()
        self.net.backward()

    def update(self):
        self.solver.apply_update()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]} of one pass."""
        net = self.net
        times = {layer.name: [0.0, 0.0] for layer in net.layers}
        last = len(net.layers) - 1
        net.clear_param_diffs()
        for i in range(last + 1):
            times[net.layers[i].name][0] = milliseconds(net._forward, i, i)
        for i in range(last, -1, -1) if train else ():
            times[net.layers[i].name][1] = milliseconds(net._backward, i, i)
        return times


class PyTorch:
    """PyTorch's side."""

    def __init__(self, param, update, values=None, in_place=True):
        import torch

        from tools.torch_twin import Twin

        self.torch = torch
        self.twin = Twin(param, in_place=in_place).train(param.state.phase == TRAIN)
        if values:
            self.twin.load(values)
        self.inputs = {name: torch.from_numpy(x) for name, x in samples(param).items()}
        self.gradients = torch.enable_grad if self.twin.training else torch.inference_mode
        parameters = self.twin.parameters()
        self.optimizer = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=DECAY)

    def forward(self):
        with self.gradients():
            outputs = self.twin(**self.inputs)
            self.loss = self.twin.loss(outputs)

    def backward(self):
        self.optimizer.zero_grad()
        self.loss.backward()

    def update(self):
        self.optimizer.step()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]}, each layer with its own piece of autograd.

        What adding up the gradients of a blob's readers takes is under "Split".
        """
        blobs, tape = dict(self.inputs), []
        times = {"Split": [0.0, 0.0]}
        with self.gradients():
            for name, module, bottoms, top in self.twin.steps:
                xs = [self._leaf(blobs[b], train and b not in self.inputs) for b in bottoms]
                start = time.perf_counter()
                blobs[top] = module(*xs)
                times[name] = [(time.perf_counter() - start) * 1e3, 0.0]
                tape.append((name, bottoms, xs, top, blobs[top]))
        if train:
            self.optimizer.zero_grad()
            self._layers_backward(tape, times)
        return times

    def _leaf(self, blob, wants):
        return blob.detach().requires_grad_(wants) if blob.is_floating_point() else blob

    def _layers_backward(self, tape, times):
        diffs = {
            top: self.torch.tensor(float(weight)) for top, weight in self.twin.loss_weights.items()
        }
        for name, bottoms, xs, top, y in reversed(tape):
            times[name][1] = milliseconds(y.backward, diffs.pop(top))
            for bottom, x in zip(bottoms, xs, strict=True):
                if x.grad is not None and bottom in diffs:
                    times["Split"][1] += milliseconds(diffs[bottom].add_, x.grad)
                elif x.grad is not None:
                    diffs[bottom] = x.grad


SIDES = {"caffelite": Caffelite, "PyTorch": PyTorch}


def set_threads(count):
    """Let both sides, and the BLAS below them, use `count` threads."""
    import numba
    import threadpoolctl
    import torch

    numba.set_num_threads(count)
    torch.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")


# Measuring


def milliseconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1e3


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


def steps(times):
    """The ms of each step: its parts together."""
    return [sum(step) for step in zip(*times.values(), strict=True)]


def benchmark(folder, batch, threads, args):
    """One line of the table, as a dict with all figures."""
    phase = TEST if args.forward else TRAIN
    param = in_memory(folder, phase, batch)
    parts = ["forward"] if args.forward else ["forward", "backward"] + ["update"] * args.update
    ours = Caffelite(param, args.update)
    theirs = PyTorch(param, args.update, ours.values())
    result = {"net": folder, "batch": batch, "threads": threads}
    result["ms"] = race({"caffelite": ours, "PyTorch": theirs}, parts, args.repeats)
    totals = {side: steps(times) for side, times in result["ms"].items()}
    result["speed"] = statistics.median(totals["PyTorch"]) / statistics.median(totals["caffelite"])
    result["best_speed"] = min(totals["PyTorch"]) / min(totals["caffelite"])
    if args.layers is not None:
        del theirs  # its weights and activations
        theirs = PyTorch(param, args.update, ours.values(), in_place=False)
        result["layers"] = race_layers(ours, theirs, args.repeats)
    return result


def race_layers(ours, theirs, repeats):
    """[{layer, type, shape, macs, ms: {side: [forward, backward]}}] from medians over passes."""
    passes = {"caffelite": [], "PyTorch": []}
    train = ours.net.phase == TRAIN
    for repeat in range(-1, repeats):
        for side, runner in zip(passes, (ours, theirs), strict=True):
            times = runner.layer_times(train)
            if repeat >= 0:
                passes[side].append(times)
    rows = []
    for layer in [*ours.net.layers, None]:
        name = layer.name if layer else "Split"
        ms = {
            side: [statistics.median(t[name][way] for t in runs) for way in (0, 1)]
            for side, runs in passes.items()
            if name in runs[0]
        }
        rows.append({"layer": name, "type": layer.type if layer else "Split", "ms": ms})
        if layer:
            shapes = [b.shape for b in layer.bottom_blobs], [b.shape for b in layer.top_blobs]
            rows[-1]["shape"] = [list(shape) for shape in shapes[1]]
            rows[-1]["macs"] = layer.macs(*shapes)
    return rows


def peak_memory(folder, batch, threads, args):
    """{side: peak MB of a process that does nothing but three steps}."""
    param = in_memory(folder, TEST if args.forward else TRAIN, batch)
    peaks = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--child", side, "--threads", str(threads)]
        command += ["--update"] * args.update
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
        if param.state.phase == TRAIN:
            runner.backward()
        if update:
            runner.update()
    print(json.dumps({"MB": peak(), "MB of imports": imports}))


def peak():
    """The most memory this process has had, in MB."""
    try:  # ru_maxrss of a child starts at its parent's
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


# Reporting


def machine():
    """What this ran on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    packages = ("numpy", "numba", "torch")
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }


def cores():
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no affinity on this system
        return os.cpu_count()


def line(result):
    """A result as a row of the table."""
    cells = [f"{result['net']:<13}{result['batch']:>5}{result['threads']:>8}"]
    for side in SIDES:
        times = result["ms"][side]
        parts = [f"{statistics.median(ms):9.1f}" for ms in times.values()]
        if len(times) > 1:
            parts.append(f"{statistics.median(steps(times)):9.1f}")
        cells.append("".join(parts) + f" [{min(steps(times)):7.1f}]")
    cells.append(f"{result['speed']:6.2f} [{result['best_speed']:.2f}]")
    return "  ".join(cells)


def heading(parts):
    names = [f"{part:>9}" for part in parts] + ([f"{'step':>9}"] if len(parts) > 1 else [])
    columns = "".join(names) + "    [best]"
    width = len(columns)
    over = " " * 26 + "  ".join(f"{side + ', ms':^{width}}" for side in SIDES)
    return f"{over}\n{'net':<13}{'batch':>5}{'threads':>8}  {columns}  {columns}   speed [best]"


def layer_lines(rows, most):
    """The time by type, then the `most` slowest layers of caffelite's."""
    types = {}
    for row in rows:
        for side, ms in row["ms"].items():
            kind = types.setdefault(row["type"], {})
            kind[side] = kind.get(side, 0) + sum(ms)
    yield f"  {'type':<20}{'caffelite ms':>14}{'PyTorch ms':>14}"
    for kind, ms in sorted(types.items(), key=lambda item: -item[1].get("caffelite", 0)):
        yield f"  {kind:<20}{ms.get('caffelite', 0):14.2f}{ms.get('PyTorch', 0):14.2f}"
    yield (
        f"  {'layer':<34}{'top':<20}{'forward':>9}{'backward':>9}{'GFLOP/s':>14}"
        f"{'| forward':>12}{'backward':>9}"
    )
    for row in sorted(rows, key=lambda row: -sum(row["ms"].get("caffelite", [0])))[:most]:
        if "caffelite" not in row["ms"]:
            continue
        (ahead, back), theirs = row["ms"]["caffelite"], row["ms"].get("PyTorch")
        rates = ""
        if row["macs"]:
            rates = f"{rate(row['macs'], ahead):.0f}"
            rates += f", {rate(2 * row['macs'], back):.0f}" if back else ""
        beside = f"{theirs[0]:12.2f}{theirs[1]:9.2f}" if theirs else ""
        shape = "x".join(map(str, row["shape"][0])) if row["shape"] else ""
        yield f"  {row['layer']:<34}{shape:<20}{ahead:9.2f}{back:9.2f}{rates:>14}{beside}"


def rate(macs, ms):
    """GFLOP/s"""
    return 2 * macs / (ms * 1e6)


def plot(results, path):
    """Bars of both sides' steps, PyTorch's being 1."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(1.6 + 1.3 * len(results), 4.2), layout="constrained")
    colors = {"caffelite": ("#1f6f8b", "#58b4d1"), "PyTorch": ("#8a8a8a", "#c4c4c4")}
    for i, result in enumerate(results):
        whole = statistics.median(steps(result["ms"]["PyTorch"]))
        for offset, (side, times) in zip((-0.2, 0.2), result["ms"].items(), strict=True):
            bottom = 0.0
            for color, (part, ms) in zip(colors[side], times.items(), strict=False):
                height = statistics.median(ms) / whole
                label = f"{side}, {part}" if i == 0 else None
                axes.bar(i + offset, height, 0.38, bottom, color=color, label=label)
                bottom += height
            total = statistics.median(steps(times))
            axes.annotate(f"{total:.3g} ms", (i + offset, bottom), ha="center", va="bottom", size=8)
    names = [f"{r['net']}\nbatch {r['batch']}, {r['threads']} threads" for r in results]
    axes.set_xticks(range(len(results)), names, size=8)
    axes.set_ylabel("time, PyTorch = 1")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


# The command


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--nets", nargs="+", choices=BATCHES, default=list(BATCHES), metavar="NET")
    flag("--batch", nargs="+", type=int, help="batch sizes [each net's own]")
    flag("--threads", nargs="+", type=int, default=[cores()], help="thread counts [all cores]")
    flag("--repeats", type=int, default=7, help="steps to measure, at least 5 [7]")
    flag("--forward", action="store_true", help="time inference: TEST phase, forward only")
    flag("--update", action="store_true", help="let a step include the solver's update")
    flag("--layers", nargs="?", type=int, const=20, metavar="N", help="list the N slowest [20]")
    flag("--memory", action="store_true", help="measure peak memory instead of time")
    flag("--json", metavar="FILE", help="write all figures to FILE")
    flag("--plot", metavar="FILE", help="draw the medians, as FILE's ending says")
    flag("--child", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.repeats < 5:
        parser.error("--repeats must be at least 5: medians of fewer say little")
    if args.forward and args.update:
        parser.error("--forward has no update")
    return args


def main(argv=None):
    args = arguments(argv)
    if args.child:
        return child(args.child, args.threads[0], args.update)
    about = machine()
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}; {versions}")
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
        plot(results, args.plot)


def speed(runs, args):
    parts = ["forward"] if args.forward else ["forward", "backward"] + ["update"] * args.update
    print(heading(parts))
    results = []
    for folder, batch, threads in runs:
        set_threads(threads)
        results.append(benchmark(folder, batch, threads, args))
        print(line(results[-1]), flush=True)
        if args.layers is not None:
            print("\n".join(layer_lines(results[-1]["layers"], args.layers)), flush=True)
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
