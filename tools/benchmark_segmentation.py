"""Time layers of nets that tell the class of each pixel beside PyTorch's.

    python tools/benchmark.py --segmentation
    python tools/benchmark_segmentation.py --parts deconvolution interp

The parts, each on one thread, forward and backward:

- deconvolution: those of FCN, of HED, of U-Net, and bilinear ones with a group for each channel
- interp: those of PSPNet and DeepLab, corners onto corners
- upsample: with the mask of a pooling, as in SegNet, and by repeating
- crop: FCN's, and one of U-Net's kind

Both sides run in turn on the same values, and their results are held together. Figures are the
least processor time of the thread, which other processes on the machine change little; a ratio is
PyTorch's time divided by caffelite's.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.testing import make_layer  # noqa: E402
from tools import benchmark  # noqa: E402

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


# What is measured: a function for each part, which yields (what, layer as of `race`)


def deconvolution(functional):
    for what, n, c, m, kernel, stride, pad, side, group in DECONVOLUTIONS:
        options = (
            f"convolution_param {{ num_output: {m} kernel_size: {kernel} stride: {stride} "
            f"pad: {pad} group: {group} bias_term: false }}"
        )
        theirs = partial(functional.conv_transpose2d, stride=stride, padding=pad, groups=group)
        yield what, ("Deconvolution", [(n, c, side, side)], options, theirs, {})


def interp(functional):
    for what, shape, side in INTERPS:
        options = f"interp_param {{ height: {side} width: {side} }}"
        theirs = partial(
            functional.interpolate, size=(side, side), mode="bilinear", align_corners=True
        )
        yield what, ("Interp", [shape], options, theirs, {})


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
        yield what, ("Upsample", shapes, options, theirs, {1: mask.numpy()})
    repeat = partial(functional.interpolate, scale_factor=2, mode="nearest")
    yield "256 channels, 32 to 64", (
        "Upsample", [(1, 256, 32, 32)], "upsample_param { scale: 2 }", repeat, {},
    )  # fmt: skip


def crop(functional):
    for what, shape, side, offset in CROPS:
        part = slice(offset, offset + side)
        options = f"crop_param {{ offset: {offset} }}"
        shapes = [shape, (1, 1, side, side)]

        def theirs(x, _, part=part):
            return x[..., part, part].contiguous()

        yield what, ("Crop", shapes, options, theirs, {})


PARTS = {"deconvolution": deconvolution, "interp": interp, "upsample": upsample, "crop": crop}


# Measuring


def race(case, repeats):
    """[ms forward, PyTorch's, ms backward, PyTorch's] of a layer; results are held together."""
    import torch

    kind, shapes, options, function, values = case
    random = np.random.default_rng(0)
    layer, bottom, top = make_layer(kind, shapes, options, dtype=np.float32)
    for i, blob in enumerate(bottom):
        blob.data[...] = values.get(i, random.standard_normal(blob.shape))
    for blob in layer.blobs:
        blob.data[...] = random.standard_normal(blob.shape) / 10
    x, *others = (torch.from_numpy(blob.data.copy()) for blob in (*bottom, *layer.blobs))
    wanted = [x, *others[len(bottom) - 1 :]]
    for tensor in wanted:
        tensor.requires_grad_()

    def forward():
        with torch.no_grad():
            function(x, *others)

    y = function(x, *others)

    def ours_back():
        for blob in layer.blobs:
            blob.diff[...] = 0
        layer.backward(top, [True] + [False] * (len(bottom) - 1), bottom)

    def backward():
        for tensor in wanted:
            tensor.grad = None
        y.backward(dy, retain_graph=True)

    top[0].diff[...] = random.standard_normal(top[0].shape)
    dy = torch.from_numpy(top[0].diff.copy())
    found = least([lambda: layer.forward(bottom, top), forward], repeats)
    found += least([ours_back, backward], repeats)
    for ours, theirs in ((top[0].data, y.detach()), (bottom[0].diff, x.grad)):
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

    benchmark.set_threads(1)
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
