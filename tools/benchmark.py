"""Time training steps of the nets in models/ beside the same nets in PyTorch.

    python tools/benchmark.py                               # six nets, all threads
    python tools/benchmark.py --nets lenet alexnet --batch 1 8 32 --threads 1 2
    python tools/benchmark.py --nets resnet-50 --layers 20   # where the time goes
    python tools/benchmark.py --forward --batch 1 8         # inference
    python tools/benchmark.py --forward --nets fcn-8s --opencv      # beside OpenCV's dnn, too
    python tools/benchmark.py --memory                      # peaks, each in its own process
    python tools/benchmark.py --detection                   # benchmark_detection.py, all of it
    python tools/benchmark.py --segmentation                # benchmark_segmentation.py, all of it

Needs torch (`pip install torch`). Both sides run in this process in turn, with the same weights,
the same input from memory and as many threads. A step is forward and backward; with --update, also
SGD with momentum and weight decay. Figures are medians, and the best in brackets (of layers: the
best); a speed is PyTorch's time divided by caffelite's. What inference gives is held together.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find tools.torch_twin, and caffelite uninstalled
    sys.path.insert(0, str(ROOT))

from caffelite.proto import caffe_pb2  # noqa: E402
from caffelite.proto.text import read_net  # noqa: E402
from tools import benchmark_report as report  # noqa: E402

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
BATCHES = {
    "lenet": 64,
    "cifar10-full": 100,
    "alexnet": 16,
    "googlenet": 8,
    "resnet-50": 8,
    "vgg-16": 4,
    "fcn-8s": 1,
    "u-net": 1,
    "segnet": 1,
}
CLASSIFIERS = list(BATCHES)[:6]
SIZES = {"u-net": (256, 256)}  # of pictures, where it is not that of deploy.prototxt
RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4  # the rate does not matter, as long as nothing diverges
WARM_UP = 2  # steps: kernels are compiled, memory is allocated


# The nets, and what they are fed


def in_memory(folder, phase, batch, size=None):
    """The NetParameter of models/FOLDER in a phase, fed by Input layers.

    In TRAIN phase that is train_val.prototxt, in TEST phase deploy.prototxt. `size` is that of
    pictures, (rows, columns), where it is not the one that deploy.prototxt has.
    """
    from caffelite.net.passes import filter_layers

    deploy = read_net(ROOT / "models" / folder / "deploy.prototxt")
    data = deploy.layer[0].input_param.shape[0]
    data.dim[0] = batch
    if size is not None:
        data.dim[2:] = size
    if phase == TEST:
        deploy.state.phase = TEST
        return deploy
    param = read_net(ROOT / "models" / folder / "train_val.prototxt")
    param.state.phase = TRAIN
    param = filter_layers(param)
    for layer in param.layer:
        if layer.type in LABELS:
            feed = caffe_pb2.LayerParameter(name=layer.name, type="Input", top=layer.top)
            feed.input_param.shape.extend([data])
            if len(layer.top) > 1:
                feed.input_param.shape.add(dim=LABELS[layer.type](layer, data.dim))
            layer.CopyFrom(feed)
    return param


ROWS, CELL, FIVE = 8, 7, 5  # numbers of a box: AnnotatedData's, BoxData's, MobileNet-YOLO's


def of_boxes(layer, data):
    """The shape of AnnotatedData's labels, of pixels or of two boxes a picture."""
    batch = data[0]
    if layer.data_param.label_source:
        return (batch, 1, *data[2:])
    five = layer.annotated_data_param.yolo_data_type
    return (batch, 1, 300, FIVE) if five else (1, 1, 2 * batch, ROWS)


def of_cells(layer, data):
    """The shape of BoxData's labels."""
    (side,) = layer.data_param.side or [7]
    return data[0], CELL * side**2


def of_pixels(layer, data):
    """The shape of DenseImageData's labels."""
    factor = layer.dense_image_data_param.label_divide_factor
    return data[0], 1, *(side // factor for side in data[2:])


LABELS = {  # the shape of the labels of each data layer, for a batch of data of some shape
    "Data": lambda layer, data: data[:1],
    "AnnotatedData": of_boxes,
    "BoxData": of_cells,
    "DenseImageData": of_pixels,
}


def samples(param):
    """{input: array}: unit noise for the data; one of ten classes for labels, boxes too.

    Where SSD's loss knows fewer classes, boxes are of these; pixels are of two.
    """
    generator, arrays = np.random.default_rng(0), {}
    losses = [ly.multibox_loss_param for ly in param.layer if ly.HasField("multibox_loss_param")]
    classes = min([10, *(loss.num_classes - 1 for loss in losses)])
    for layer in param.layer:
        if layer.type == "Input":
            for top, shape in zip(layer.top, layer.input_param.shape, strict=True):
                pixels = top == "label" and arrays["data"].shape[2:] == tuple(shape.dim[2:])
                if pixels:
                    arrays[top] = generator.integers(0, 2, shape.dim).astype(np.float32)
                elif len(shape.dim) == 1:
                    arrays[top] = generator.integers(0, 10, shape.dim).astype(np.float32)
                elif top == "label":
                    arrays[top] = labelled_boxes(generator, tuple(shape.dim), classes)
                else:
                    arrays[top] = generator.standard_normal(shape.dim, np.float32)
    return arrays


def labelled_boxes(generator, shape, known):
    """Labels of one of the shapes of LABELS, two boxes a picture."""
    count = shape[2] // 2 if shape[-1] == ROWS else shape[0]
    classes = generator.integers(0, known, (count, 2))
    sides, middle = generator.uniform(0.1, 0.4, (2, count, 2, 2))
    middle = np.array([[0.3, 0.3], [0.7, 0.7]]) + middle / 4  # they are in different cells
    labels = np.zeros(shape, np.float32)
    if shape[-1] == ROWS:
        boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=2)
        rows = labels.reshape(count, 2, ROWS)
        rows[..., 0], rows[..., 1], rows[..., 3:7] = np.arange(count)[:, None], classes + 1, boxes
    elif shape[-1] == FIVE:
        labels[:, 0, :2, 0], labels[:, 0, :2, 1:3], labels[:, 0, :2, 3:] = classes, middle, sides
    else:
        side = int((shape[1] // CELL) ** 0.5)
        cell = (middle * side).astype(int) @ [1, side]
        planes, picture = labels.reshape(count, CELL, -1), np.arange(count)[:, None]
        planes[picture, 1, cell], planes[picture, 2, cell] = 1, classes
        boxes = planes[:, 3:].reshape(count, -1, 4)
        boxes[picture, cell] = np.concatenate([middle, sides], axis=2)
    return labels


def fill(net):
    """Give every layer weights that keep values at about unit size."""
    generator = np.random.default_rng(1)
    for layer in net.layers:
        values = [blob.data for blob in layer.blobs]
        if layer.type == "BatchNorm":
            values[0][...], values[1][...], values[2][...] = 0, 1, 1
        elif values:
            weight, *bias = values
            if layer.type in ("Scale", "Normalize", "BN"):
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
        self.net.economize(forward_only=param.state.phase == TEST)  # as the command line does
        fill(self.net)
        for name, values in samples(param).items():
            self.net.blobs[name].data[...] = values

    def values(self):
        """{layer: [values of its learnable blobs]}."""
        return {name: [b.data for b in blobs] for name, blobs in self.net.params.items()}

    def outputs(self):
        """{blob: what forward gave}."""
        return {name: self.net.blobs[name].data for name in self.net.outputs}

    def forward(self):
        self.net.forward()

    def backward(self):
        self.net.clear_param_diffs()
        self.net.backward()

    def update(self):
        self.solver.apply_update()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]} of one pass; a fused step's are those of its first."""
        net = self.net
        times = {layer.name: [0.0, 0.0] for layer in net.layers}
        net.clear_param_diffs()
        for step in net.steps:
            first = net.layers[step.first].name
            times[first][0] = milliseconds(net._forward, step.first, step.last)
        for step in reversed(net.steps) if train else ():
            first = net.layers[step.first].name
            times[first][1] = milliseconds(net._backward, step.last, step.first)
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
            self.made = self.twin(**self.inputs)
            self.loss = self.twin.loss(self.made)

    def outputs(self):
        return {name: made.numpy() for name, made in self.made.items()}

    def backward(self):
        self.optimizer.zero_grad()
        self.loss.backward()

    def update(self):
        self.optimizer.step()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]}, each layer with its own piece of autograd.

        What adding up the gradients of a blob's readers takes is under "Split".
        """
        from tools.torch_twin import by_top

        blobs, tape = dict(self.inputs), []
        times = {"Split": [0.0, 0.0]}
        with self.gradients():
            for name, module, bottoms, tops in self.twin.steps:
                xs = [self._leaf(blobs[b], train and b not in self.inputs) for b in bottoms]
                start = time.perf_counter()
                made = module(*xs)
                times[name] = [(time.perf_counter() - start) * 1e3, 0.0]
                blobs.update(by_top(tops, made))
                tape.append((name, bottoms, xs, tops[0], blobs[tops[0]]))
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
            if top not in diffs:  # labels
                continue
            times[name][1] = milliseconds(y.backward, diffs.pop(top))
            for bottom, x in zip(bottoms, xs, strict=True):
                if x.grad is not None and bottom in diffs:
                    times["Split"][1] += milliseconds(diffs[bottom].add_, x.grad)
                elif x.grad is not None:
                    diffs[bottom] = x.grad


SIDES = {"caffelite": Caffelite, "PyTorch": PyTorch}


class OpenCV:
    """OpenCV's dnn, which reads the same files."""

    def __init__(self, net, param):
        import cv2

        with tempfile.TemporaryDirectory() as folder:
            weights = f"{folder}/weights.caffemodel"
            net.save(weights)
            text = str(param).encode()
            Path(f"{folder}/net.prototxt").write_bytes(text)
            self.net = cv2.dnn.readNetFromCaffe(f"{folder}/net.prototxt", weights)
        ((self.name, data),) = samples(param).items()
        self.names = list(net.outputs)
        self.net.setInput(data, self.name)

    def forward(self):
        self.made = self.net.forward(self.names)

    def outputs(self):
        return dict(zip(self.names, self.made, strict=True))


def hold_together(sides):
    """Refuse to tell times of sides that give different values.

    One in a hundred may differ: where two values of a pooling's window are nearly the same,
    rounding decides which place its mask names, and so where the value goes that is put back.
    """
    first, *others = sides.items()
    for name, ours in first[1].outputs().items():
        for side, runner in others:
            theirs = runner.outputs()[name]
            alike = theirs.shape == ours.shape
            if not alike or (abs(theirs - ours) > 1e-3 * abs(ours).max()).mean() > 1e-2:
                raise SystemExit(f"{name} of {side} is not {first[0]}'s")


def set_threads(count):
    """Let all sides, and the BLAS below them, use `count` threads."""
    import numba
    import threadpoolctl
    import torch

    numba.set_num_threads(count)
    torch.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)


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


def benchmark(folder, batch, threads, args):
    """One line of the table, as a dict with all figures."""
    phase = TEST if args.forward else TRAIN
    param = in_memory(folder, phase, batch, SIZES.get(folder))
    parts = ["forward"] if args.forward else ["forward", "backward"] + ["update"] * args.update
    ours = Caffelite(param, args.update)
    theirs = PyTorch(param, args.update, ours.values())
    result = {"net": folder, "batch": batch, "threads": threads}
    sides = {"caffelite": ours, "PyTorch": theirs}
    if args.opencv:
        sides["OpenCV"] = OpenCV(ours.net, param)
        set_threads(threads)
    result["ms"] = race(sides, parts, args.repeats)
    if args.forward:
        hold_together(sides)
    totals = {side: report.steps(times) for side, times in result["ms"].items()}
    ours_took = totals.pop("caffelite")
    for side, took in totals.items():
        key = "" if side == "PyTorch" else f"{side} "
        result[f"{key}speed"] = statistics.median(took) / statistics.median(ours_took)
        result[f"{key}best_speed"] = min(took) / min(ours_took)
    if args.layers is not None:
        del theirs  # its weights and activations
        theirs = PyTorch(param, args.update, ours.values(), in_place=False)
        result["layers"] = race_layers(ours, theirs, args.repeats)
    return result


def race_layers(ours, theirs, repeats):
    """[{layer, type, shape, macs, ms: {side: [forward, backward]}}], the best of all passes."""
    passes = {"caffelite": [], "PyTorch": []}
    train = ours.net.phase == TRAIN
    for repeat in range(-1, repeats):
        for side, runner in zip(passes, (ours, theirs), strict=True):
            times = runner.layer_times(train)
            if repeat >= 0:
                passes[side].append(times)
    rows = []
    for node in [*ours.net.nodes, None]:
        layer = node.layer if node else None
        name = layer.name if layer else "Split"
        ms = {
            side: [min(times[name][way] for times in runs) for way in (0, 1)]
            for side, runs in passes.items()
            if name in runs[0]
        }
        rows.append({"layer": name, "type": layer.type if layer else "Split", "ms": ms})
        if layer:
            rows[-1]["shape"] = [list(shape) for shape in node.shapes[1]]
            rows[-1]["macs"] = [layer.macs(*node.shapes), backward_macs(node)]
    return rows


def backward_macs(node):
    """Multiply-adds of the gradients that the plan asks for: to the weights, to the bottom."""
    wanted = any(node.layer.param_propagate_down) + any(node.propagate_down)
    return node.layer.macs(*node.shapes) * wanted if node.needs_backward else 0


def peak_memory(folder, batch, threads, args):
    """{side: peak MB of a process that does nothing but three steps}."""
    param = in_memory(folder, TEST if args.forward else TRAIN, batch, SIZES.get(folder))
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


# The command


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--nets", nargs="+", choices=BATCHES, default=CLASSIFIERS, metavar="NET",
         help=f"[{' '.join(CLASSIFIERS)}]; others: {', '.join(list(BATCHES)[6:])}")  # fmt: skip
    flag("--batch", nargs="+", type=int, help="batch sizes [each net's own]")
    flag("--threads", nargs="+", type=int, default=[cores()], help="thread counts [all cores]")
    flag("--repeats", type=int, default=7, help="steps to measure, at least 5 [7]")
    flag("--forward", action="store_true", help="time inference: TEST phase, forward only")
    flag("--opencv", action="store_true", help="with --forward: time OpenCV's dnn, too")
    flag("--update", action="store_true", help="let a step include the solver's update")
    flag("--layers", nargs="?", type=int, const=20, metavar="N", help="list the N slowest [20]")
    flag("--memory", action="store_true", help="measure peak memory instead of time")
    flag("--detection", action="store_true", help="time what detectors do instead")
    flag("--segmentation", action="store_true", help="time layers of nets for pixels instead")
    flag("--json", metavar="FILE", help="write all figures to FILE")
    flag("--plot", metavar="FILE", help="draw the medians, as FILE's ending says")
    flag("--child", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.repeats < 5:
        parser.error("--repeats must be at least 5: medians of fewer say little")
    if args.forward and args.update:
        parser.error("--forward has no update")
    if args.opencv and not args.forward:
        parser.error("--opencv needs --forward: OpenCV does not train")
    if args.memory and args.plot:
        parser.error("--plot draws times, which --memory does not measure")
    if not 1 <= min(args.threads) <= max(args.threads) <= cores():
        parser.error(f"--threads must be 1 to {cores()}, the cores that this process may use")
    return args


def main(argv=None):
    args = arguments(argv)
    if args.child:
        return child(args.child, args.threads[0], args.update)
    if args.detection:
        from tools import benchmark_detection

        return benchmark_detection.main(["--repeats", str(args.repeats)])
    if args.segmentation:
        from tools import benchmark_segmentation

        return benchmark_segmentation.main(["--repeats", str(args.repeats)])
    try:
        about = machine()
    except PackageNotFoundError as missing:
        sys.exit(f"the comparison needs {missing.name}: pip install {missing.name}")
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
        report.plot(results, args.plot)


def speed(runs, args):
    parts = ["forward"] if args.forward else ["forward", "backward"] + ["update"] * args.update
    print(report.heading([*SIDES, *["OpenCV"] * args.opencv], parts))
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
