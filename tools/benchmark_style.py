"""Time Gatys' style transfer here and in PyTorch, with the same weights, losses and L-BFGS.

    python tools/benchmark_style.py vgg16-conv.caffemodel --size 384 --iterations 100

Both go by scipy's routine, in a process of their own, one after the other; PyTorch gives it the
gradients in one. Pictures are of blocks of random colors. Tells seconds for the iterations, behind
a pass that compiles and packs, the most memory that the process held, and the last losses.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

import caffelite
from caffelite.cli._zoo import folder
from caffelite.net import convert
from caffelite.predict.style import CONTENT_LAYERS, LAYER_WEIGHT, STYLE_LAYERS, StyleLook, losses_of

ALPHA, BOUNDS = 0.01, (-150.0, 150.0)
CONVOLUTIONS = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1"]


def pictures(size):
    """Content and style, (3, size, size) each, about 0."""
    blocks = np.random.default_rng(4).normal(0, 40, (2, 3, 6, 6))
    return blocks.repeat(size // 6, 2).repeat(size // 6, 3).astype(np.float32)


class Ours:
    """The net that compares, as `caffelite style` has it."""

    def __init__(self, weights, content, painted):
        model = f"{folder('models')}/vgg-16/deploy.prototxt"
        look = StyleLook(model, weights, [*STYLE_LAYERS, *CONTENT_LAYERS])
        contents, styles = look.maps(content, CONTENT_LAYERS), look.styles(painted, STYLE_LAYERS)
        self.net = look.comparing(content.shape, contents, styles, ALPHA, 1)
        self.start = content

    def run(self, iterations, **options):
        """Start anew from the content; returns the loss of style."""
        self.net.blobs["data"].data[0] = self.start
        options = options or {"solver": "LBFGS"}
        caffelite.optimize(self.net, "data", iterations=iterations, bounds=BOUNDS, **options)
        self.net.forward()
        return losses_of(self.net)["style"]


class Twin:
    """The same in PyTorch."""

    def __init__(self, weights, content, painted):
        import torch

        self.torch, self.start = torch, torch.from_numpy(content[None])
        kernels = convert.read(weights)
        self.kernels = {
            name: [torch.from_numpy(kernels[f"conv{name}"][k]) for k in (0, 1)]
            for name in CONVOLUTIONS
        }
        with torch.no_grad():
            seen = self.maps(torch.from_numpy(painted[None]))
            self.grams = {name: self.gram(seen[name]) for name in STYLE_LAYERS}
            seen = self.maps(self.start)
            self.contents = {name: seen[name] for name in CONTENT_LAYERS}

    def maps(self, x):
        functional, found = self.torch.nn.functional, {}
        for name, kernel in self.kernels.items():
            if name.endswith("_1") and name != "1_1":
                x = functional.max_pool2d(x, 2)
            x = functional.relu_(functional.conv2d(x, *kernel, padding=1))
            found[f"conv{name}"] = x
        return found

    def gram(self, f):
        f = f[0].flatten(1)
        return f @ f.T / f.numel()

    def losses(self, x):
        """Style and content."""
        seen = self.maps(x)
        styles = (((self.gram(seen[k]) - a) ** 2).sum() / 4 for k, a in self.grams.items())
        contents = (((seen[k] - p) ** 2).sum() / 2 for k, p in self.contents.items())
        return LAYER_WEIGHT * sum(styles), ALPHA * sum(contents)

    def run(self, iterations, base_lr=None, **options):
        x = self.start.clone().requires_grad_()
        if base_lr is None:
            self._lbfgs(x, iterations)
        else:
            adam = self.torch.optim.Adam([x], lr=base_lr)
            for _ in range(iterations):
                adam.zero_grad()
                sum(self.losses(x)).backward()
                adam.step()
                x.data.clamp_(*BOUNDS)
        with self.torch.no_grad():
            return float(self.losses(x)[0])

    def _lbfgs(self, x, iterations):
        from scipy import optimize

        def compute(values):
            x.data[...] = self.torch.from_numpy(values.reshape(x.shape))
            x.grad = None
            loss = sum(self.losses(x))
            loss.backward()
            return float(loss.detach()), x.grad.numpy().astype(np.float64).reshape(-1)

        limits = optimize.Bounds(*(np.full(x.numel(), bound) for bound in BOUNDS))
        found = optimize.minimize(
            compute, x.detach().numpy().astype(np.float64).reshape(-1), jac=True,
            method="L-BFGS-B", bounds=limits,
            options=dict(maxiter=iterations, maxfun=20 * iterations, ftol=0, gtol=0),
        )  # fmt: skip
        x.data[...] = self.torch.from_numpy(found.x.reshape(x.shape))


SIDES = {"caffelite": Ours, "PyTorch": Twin}


def measure(side, weights, size, iterations):
    made = SIDES[side](weights, *pictures(size))
    made.run(1)
    start = time.perf_counter()
    style = made.run(iterations)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 2), "MB": round(memory), "style loss": style}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--side", choices=SIDES)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.weights, args.size, args.iterations)))
    else:
        for side in SIDES:
            words = [sys.executable, *sys.argv, "--side", side]
            print(
                side,
                subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip(),
            )
