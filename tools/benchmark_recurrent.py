"""Time LSTM, GRU and RNN layers beside PyTorch's: a sequence forward, and backward.

    python tools/benchmark.py --recurrent
    python tools/benchmark_recurrent.py --units 128 --types LSTM --threads 2
    python tools/benchmark_recurrent.py --memory             # peaks, each in its own process

A sequence is 50 steps of 32 streams, and has as many values at each step as the layer has units.
Both sides run in turn on the same values and weights, and their results are held together: outputs,
and the gradients to x, to both weights and to the bias. Figures are milliseconds, the least of all;
on one thread, of its processor time, which other processes on the machine change little. A ratio
is PyTorch's time divided by caffelite's.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from tools.benchmark_machine import described, machine, peak, set_threads  # noqa: E402

STEPS, STREAMS = 50, 32
UNITS = [128, 256, 512, 1024]
OPTIONS = {  # what makes each layer PyTorch's
    "LSTM": "recurrent_param { num_output: %d }",
    "GRU": "gru_param { num_output: %d reset_after: true }",
    "RNN": "recurrent_param { num_output: %d output_hidden: true }",
}
ROWS = {"LSTM": 4, "GRU": 3, "RNN": 1}


def values(type, units):
    """x, dy, and the weights of x and of the state and the bias, rows as PyTorch has them."""
    random, rows = np.random.default_rng(0), ROWS[type] * units
    x, dy = random.standard_normal((2, STEPS, STREAMS, units), np.float32)
    weights = random.standard_normal((2, rows, units), np.float32) / units**0.5
    return x, dy, weights, random.standard_normal(rows, np.float32) / 10


def swapped(type, array):
    """Rows i, f, g, o of an LSTM as i, f, o, g, or the other way round; others as they are."""
    if type != "LSTM":
        return array
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, f, o, g])


class Caffelite:
    """The layer; `forward` and `backward` run it, `results` are arrays as PyTorch has them."""

    def __init__(self, type, units):
        from caffelite.testing import make_layer

        self.type, (x, dy, weights, bias) = type, values(type, units)
        cont = np.ones((STEPS, STREAMS))
        cont[0] = 0
        text = OPTIONS[type] % units
        self.layer, self.bottom, self.top = make_layer(type, [x, cont], text, dtype=np.float32)
        for blob in self.layer.blobs:
            blob.data[...] = 0
        for blob, array in zip(self.learned(), (*weights, bias), strict=True):
            blob.data[...] = swapped(type, array)
        self.top[0].diff[...] = dy

    def learned(self):
        return self.layer.input_weight, self.layer.hidden_weight, self.layer.bias

    def forward(self):
        self.layer.forward(self.bottom, self.top)

    def backward(self):
        for blob in self.layer.blobs:
            blob.diff[...] = 0
        self.layer.backward(self.top, [True, False], self.bottom)

    def results(self):
        gradients = [swapped(self.type, blob.diff) for blob in self.learned()]
        return [self.top[0].data, self.bottom[0].diff, *gradients]


class PyTorch:
    """nn.LSTM, nn.GRU or nn.RNN; see Caffelite."""

    def __init__(self, type, units):
        import torch

        x, dy, weights, bias = values(type, units)
        self.module = getattr(torch.nn, type)(units, units)
        with torch.no_grad():
            for name, array in zip(("ih", "hh"), weights, strict=True):
                getattr(self.module, f"weight_{name}_l0").copy_(torch.from_numpy(array))
            self.module.bias_ih_l0.copy_(torch.from_numpy(bias))
            self.module.bias_hh_l0.zero_()
        self.x, self.dy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def forward(self):
        self.y = self.module(self.x)[0]

    def backward(self):
        self.x.grad = None
        self.module.zero_grad()
        self.y.backward(self.dy)

    def results(self):
        of = self.module
        learned = of.weight_ih_l0, of.weight_hh_l0, of.bias_ih_l0
        return [self.y.detach().numpy(), *(each.grad.numpy() for each in (self.x, *learned))]


SIDES = {"caffelite": Caffelite, "PyTorch": PyTorch}


def race(type, units, threads, repeats):
    """{part: [ms, PyTorch's]}, parts being forward, backward and both."""
    sides = [kind(type, units) for kind in SIDES.values()]
    clock = time.thread_time if threads == 1 else time.perf_counter
    took = np.empty((repeats + 1, 2, 2))
    for each in took:
        for times, side in zip(each, sides, strict=True):
            start = clock()
            side.forward()
            between = clock()
            side.backward()
            times[...] = between - start, clock() - between
    for ours, theirs in zip(*(side.results() for side in sides), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * abs(theirs).max())
    took = 1e3 * took[1:]
    parts = {part: took[:, :, i].min(axis=0) for i, part in enumerate(("forward", "backward"))}
    return {part: ms.tolist() for part, ms in (parts | {"both": took.sum(2).min(axis=0)}).items()}


def peaks(type, units, threads):
    """{side: MB by which a process that does nothing but three passes grows after its imports}."""
    found = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--types", type, "--units", str(units)]
        command += ["--threads", str(threads), "--child", side]
        for _ in range(1 + (side == "caffelite")):  # the first time, kernels may be compiled
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        found[side] = json.loads(done.stdout)
    return found


def child(side, type, units):
    SIDES[side](type, 8).forward()  # what is imported at first use
    before = peak()
    runner = SIDES[side](type, units)
    for _ in range(3):
        runner.forward()
        runner.backward()
    print(json.dumps(peak() - before))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--types", nargs="+", choices=OPTIONS, default=list(OPTIONS), metavar="TYPE")
    flag("--units", nargs="+", type=int, default=UNITS, metavar="N")
    flag("--threads", type=int, default=1, help="[1]")
    flag("--repeats", type=int, default=7, help="of what is measured [7]")
    flag("--memory", action="store_true", help="measure peak memory instead of time")
    flag("--child", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child != "caffelite":
        import torch  # noqa: F401
    set_threads(args.threads)
    if args.child:
        return child(args.child, args.types[0], args.units[0])
    print(described(machine(["numpy", "numba", "torch"])))
    if args.memory:
        print(f"{'':<16}{'MB':>8}{'PyTorch':>9}")
    else:
        parts = ("forward, ms", "backward", "both")
        print(" " * 12 + "".join(f"{part:>12}{'PyTorch':>9}{'ratio':>7}" for part in parts))
    results = {}
    for type in args.types:
        for units in args.units:
            if args.memory:
                found = peaks(type, units, args.threads)
                cells = "{:12.1f}{:9.1f}".format(*found.values())
            else:
                found = race(type, units, args.threads, args.repeats)
                cells = "".join(f"{a:12.2f}{b:9.2f}{b / a:7.2f}" for a, b in found.values())
            results[type, units] = found
            print(f"{type + ', ' + str(units):<12}{cells}", flush=True)
    return results


if __name__ == "__main__":
    main()
