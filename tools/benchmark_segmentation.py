"""Time layers of nets that tell the class of each pixel beside PyTorch's.

    python tools/benchmark.py --segmentation
    python tools/benchmark_segmentation.py --parts deconvolution interp

The parts, each on one thread, forward and backward:

- deconvolution: those of FCN, of HED, of U-Net, and bilinear ones with a group for each channel
- interp: those of PSPNet and DeepLab, corners onto corners
- upsample: with the mask of a pooling, as in SegNet, and by repeating
- crop: FCN's, and one of U-Net's kind
- transformer: a spatial transformer's, gradients to picture and theta

Both sides run in turn on the same values, and their results are held together. Figures are the
least processor time of the thread, which other processes on the machine change little; a ratio is
PyTorch's time divided by caffelite's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.testing import make_layer  # noqa: E402
from tools.benchmark_machine import set_threads  # noqa: E402

# what, batch, channels, outputs, kernel, stride, pad, side of x, group
DECONVOLUTIONS = [
    ("FCN-8s, score2", 1, 21, 21, 4, 2, 0, 16, 1),
    ("FCN-8s, bigscore", 1, 21, 21, 16, 8, 0, 70, 1),
    ("FCN-32s, bigscore", 1, 21, 21, 64, 32, 0, 16, 1),
    ("21 groups, 16 / 8", 1, 21, 21, 16, 8, 0, 70, 21),
    ("256 groups, 4 / 2", 1, 256, 256, 4, 2, 1, 32, 256),
    ("HED, 4 / 2", 1, 1, 1, 4, 2, 0, 250, 1),
    ("HED, 32 / 16", 1, 1, 1, 32, 16, 0, 32, 1),
    ("U-Net, 1024 to 512", 1, 1024, 512, 2, 2, 0, 16, 1),
    ("U-Net, 512 to 256", 1, 512, 256, 2, 2, 0, 32, 1),
    ("U-Net, 128 to 64", 1, 128, 64, 2, 2, 0, 128, 1),
    ("128 to 64, 4 / 2", 1, 128, 64, 4, 2, 1, 64, 1),
]
# what, shape of x, side of y
INTERPS = [
    ("PSPNet, 60 to 473", (1, 21, 60, 60), 473),
    ("PSPNet, 6 to 60", (1, 512, 6, 6), 60),
    ("DeepLab, 41 to 321", (4, 21, 41, 41), 321),
    ("a label map, 321 to 41", (1, 64, 321, 321), 41),
]
UNPOOLED = [(64, 360, 480), (512, 46, 60)]  # channels, rows and columns of y
CROPS = [("FCN-8s", (1, 21, 568, 568), 500, 31), ("128 channels", (1, 128, 280, 280), 200, 40)]


# what, shape of x, side of y
TRANSFORMERS = [
    ("digits among clutter", (64, 1, 60, 60), 60),
    ("one of them looked at", (64, 1, 60, 60), 28),
    ("32 channels", (16, 32, 56, 56), 56),
]


class Case(NamedTuple):
    """A layer as of `make_layer`, and the same in PyTorch, of bottoms and learnable blobs.

    `values` are those of some bottoms; as many bottoms, from the first on, get a gradient.
    """

    type: str
    shapes: list
    options: str
    function: Callable
    values: dict = {}
    gradients: int = 1


# What is measured: a function for each part, which yields (what, a Case)


def deconvolution(functional):
    for what, n, c, m, kernel, stride, pad, side, group in DECONVOLUTIONS:
        options = (
            f"convolution_param {{ num_output: {m} kernel_size: {kernel} stride: {stride} "
            f"pad: {pad} group: {group} bias_term: false }}"
        )
        theirs = partial(functional.conv_transpose2d, stride=stride, padding=pad, groups=group)
        yield what, Case("Deconvolution", [(n, c, side, side)], options, theirs)


def interp(functional):
    for what, shape, side in INTERPS:
        options = f"interp_param {{ height: {side} width: {side} }}"
        theirs = partial(
            functional.interpolate, size=(side, side), mode="bilinear", align_corners=True
        )
        yield what, Case("Interp", [shape], options, theirs)


def upsample(functional):
    import torch

    for channels, rows, columns in UNPOOLED:
        x, mask = functional.max_pool2d(
            torch.randn(1, channels, rows, columns), 2, return_indices=True
        )
        options = "upsample_param { scale: 2 }"

        def theirs(x, _, places=mask, size=(rows, columns)):
            return functional.max_unpool2d(x, places, 2, output_size=size)

        shapes = [tuple(x.shape)] * 2
        what = f"{channels} channels to {rows} x {columns}, mask"
        yield what, Case("Upsample", shapes, options, theirs, {1: mask.numpy()})
    repeat = partial(functional.interpolate, scale_factor=2, mode="nearest")
    options = "upsample_param { scale: 2 }"
    yield "256 channels, 32 to 64", Case("Upsample", [(1, 256, 32, 32)], options, repeat)


def crop(functional):
    for what, shape, side, offset in CROPS:
        part = slice(offset, offset + side)
        options = f"crop_param {{ offset: {offset} }}"
        shapes = [shape, (1, 1, side, side)]

        def theirs(x, _, part=part):
            return x[..., part, part].contiguous()

        yield what, Case("Crop", shapes, options, theirs)


def transformer(functional):
    for what, shape, side in TRANSFORMERS:
        noise = np.random.default_rng(1).normal(0, 0.2, (shape[0], 6))
        options = f"st_param {{ output_H: {side} output_W: {side} }}"
        theirs = partial(grid_sampled, functional, side=side)
        given = {1: np.array([1, 0, 0, 0, 1, 0]) + noise}
        yield what, Case("SpatialTransformer", [shape, noise.shape], options, theirs, given, 2)


def grid_sampled(functional, x, theta, side):
    """PyTorch's places lie half a pixel further, and have the horizontal one first."""
    import torch

    theta = theta.reshape(-1, 2, 3)
    moved = theta[..., 2] - theta[..., :2].sum(2) / side + 1 / x.shape[2]
    swapped = torch.stack([theta[..., 1], theta[..., 0], moved], 2).flip(1)
    grid = functional.affine_grid(swapped, (*x.shape[:2], side, side), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


PARTS = {
    "deconvolution": deconvolution, "interp": interp, "upsample": upsample, "crop": crop,
    "transformer": transformer,
}  # fmt: skip


# Measuring


def race(case, repeats):
    """[ms forward, PyTorch's, ms backward, PyTorch's] of a layer; results are held together."""
    import torch

    random, function, count = np.random.default_rng(0), case.function, case.gradients
    layer, bottom, top = make_layer(case.type, case.shapes, case.options, dtype=np.float32)
    for i, blob in enumerate(bottom):
        blob.data[...] = case.values.get(i, random.standard_normal(blob.shape))
    for blob in layer.blobs:
        blob.data[...] = random.standard_normal(blob.shape) / 10
    given = [torch.from_numpy(blob.data.copy()) for blob in (*bottom, *layer.blobs)]
    wanted = [*given[:count], *given[len(bottom) :]]
    for tensor in wanted:
        tensor.requires_grad_()

    def forward():
        with torch.no_grad():
            function(*given)

    y = function(*given)

    def ours_back():
        for blob in layer.blobs:
            blob.diff[...] = 0
        layer.backward(top, [i < count for i in range(len(bottom))], bottom)

    def backward():
        for tensor in wanted:
            tensor.grad = None
        y.backward(dy, retain_graph=True)

    top[0].diff[...] = random.standard_normal(top[0].shape)
    dy = torch.from_numpy(top[0].diff.copy())
    found = least([lambda: layer.forward(bottom, top), forward], repeats)
    found += least([ours_back, backward], repeats)
    learned = [*bottom[:count], *layer.blobs]
    pairs = [(blob.diff, each.grad) for blob, each in zip(learned, wanted, strict=True)]
    for ours, theirs in ((top[0].data, y.detach()), *pairs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    return found


def least(functions, repeats):
    """[the least ms of the thread that each takes], all of them in turn."""
    took = [[] for _ in functions]
    for repeat in range(-1, repeats):
        for times, function in zip(took, functions, strict=True):
            start = time.thread_time()
            function()
            if repeat >= 0:
                times.append((time.thread_time() - start) * 1e3)
    return [min(times) for times in took]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    flag("--repeats", type=int, default=7, help="of what is measured [7]")
    args = parser.parse_args(argv)
    import torch.nn.functional

    set_threads(1)
    print(f"{'':<44}{'forward, ms':>12}{'PyTorch':>9}{'ratio':>7}{'backward':>10}{'PyTorch':>9}"
          f"{'ratio':>7}")  # fmt: skip
    results = {}
    for part in args.parts:
        for what, case in PARTS[part](torch.nn.functional):
            ms = results[part, what] = race(case, args.repeats)
            cells = (f"{ms[i]:{12 - i}.2f}{ms[i + 1]:9.2f}{ms[i + 1] / ms[i]:7.2f}" for i in (0, 2))
            print(f"{part + ': ' + what:<44}{''.join(cells)}", flush=True)
    return results


if __name__ == "__main__":
    main()
