"""No matrix product or convolution reads or writes beyond its arrays or its work space.

Every array ends where inaccessible memory begins and starts after bytes that must not change, so
a stray access ends the process: hence the subprocess.
"""

import ctypes
import mmap
import random
import subprocess
import sys

import numba
import numpy as np
import pytest

from caffelite.kernels import convolve, gemm, plan

from .reference import epilogue

CANARY = 0xAB
PER_CHANNEL = "center", "slope", "offset", "leak"


class Guarded:
    """Arrays with an inaccessible page behind them."""

    def __init__(self, seed):
        self.rng, self.held = np.random.default_rng(seed), []

    def empty(self, dtype, size):
        count = size * np.dtype(dtype).itemsize
        length = -(-(count + 64) // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = mmap.mmap(-1, length + mmap.PAGESIZE)
        behind = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + length
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(behind), mmap.PAGESIZE, 0) == 0
        before = np.frombuffer(memory, np.uint8, length)
        before[:] = CANARY
        self.held.append(before[: length - count])
        return before[length - count :].view(dtype)

    def draw(self, dtype, *shape):
        array = self.empty(dtype, int(np.prod(shape)))
        array[:] = self.rng.standard_normal(array.size)
        return array.reshape(shape)

    def copy(self, values):
        array = self.empty(values.dtype, values.size)
        array[:] = values
        return array

    def check(self, case):
        assert all((before == CANARY).all() for before in self.held), case
        self.held.clear()


def try_gemm(arrays, pick, dtype):
    m, n, k = (pick.choice([1, 2, 5, 17, 33, 64, 100, 300]) for _ in range(3))
    trans_a, trans_b, accumulate = (pick.random() < 0.5 for _ in range(3))
    a = arrays.draw(dtype, *((k, m) if trans_a else (m, k)))
    b = arrays.draw(dtype, *((n, k) if trans_b else (k, n)))
    gemm.gemm(a, b, arrays.draw(dtype, m, n), trans_a, trans_b, accumulate)
    arrays.check((m, n, k, trans_a, trans_b, accumulate))


def try_convolve(arrays, pick, dtype):
    axes = pick.choice([1, 2, 2, 2, 3])
    group, batch = pick.choice([1, 1, 2]), pick.choice([1, 2, 5])
    inputs, outputs = pick.choice([1, 3, 8, 20, 33]), pick.choice([1, 5, 16, 30, 33])
    kernel, stride, dilation = (3,) * axes, (1,) * axes, (1,) * axes
    if pick.random() < 0.6:
        kernel = tuple(pick.choice([1, 1, 2, 3, 5]) for _ in range(axes))
        stride = tuple(pick.choice([1, 1, 2, 3]) for _ in range(axes))
        dilation = tuple(pick.choice([1, 1, 2]) for _ in range(axes))
    if pick.random() < 0.2:
        axes, inputs, group, outputs = 2, 1, pick.choice([1, 5, 30]), pick.choice([1, 1, 3])
        kernel, stride = (pick.choice([3, 5]),) * 2, (pick.choice([1, 2]),) * 2
        dilation = (pick.choice([1, 1, 2]),) * 2
    if pick.random() < 0.1:
        axes, stride, dilation, kernel = 2, (1, 1), (1, 1), pick.choice([(7, 1), (1, 7)])
    pad = tuple(pick.choice([0, 0, 1, 2]) for _ in range(axes))
    out = tuple(pick.choice([3, 5, 7, 13, 14, 20][: 12 // axes]) for _ in range(axes))
    ends = zip(out, kernel, stride, pad, dilation, strict=True)
    size = tuple(max((o - 1) * s + (k - 1) * d + 1 - 2 * p, 1) for o, k, s, p, d in ends)
    ends = zip(size, kernel, stride, pad, dilation, strict=True)
    out = tuple((i + 2 * p - (k - 1) * d - 1) // s + 1 for i, k, s, p, d in ends)
    x = arrays.draw(dtype, batch, group * inputs, *size)
    w = arrays.draw(dtype, group * outputs, inputs, *kernel)
    y = arrays.draw(dtype, batch, group * outputs, *out)
    options = (stride, pad, dilation, group)
    last = epilogue.draw(pick.choice([*epilogue.ACTIVATIONS.values()]), dtype, len(w))
    per_channel = {name: arrays.copy(getattr(last, name)) for name in PER_CHANNEL}
    held = list(arrays.held)
    for plan.FORCED in (["winograd", "direct"], ["direct"], ["depthwise", "im2col"], ["taps"]):
        arrays.held = list(held)
        convolve.forward(x, w, y, *options)
        convolve.forward(x, w, y, *options, last._replace(**per_channel))
        convolve.backward_input(w, y, x, *options)
        convolve.backward_weight(x, y, w, *options)
        for array in x, w, y:
            array[...] = arrays.rng.standard_normal(array.shape)
        arrays.check((plan.FORCED, x.shape, w.shape, y.shape, options))


def main(seed, count):
    arrays, pick = Guarded(seed), random.Random(seed)
    for name, module in [*sys.modules.items()]:
        if name.startswith("caffelite.kernels.") and hasattr(module, "workspace"):
            module.workspace = arrays.empty
    for _ in range(count):
        case = pick.choice([try_gemm, try_convolve, try_convolve])
        dtype = pick.choice([np.float32, np.float32, np.float64])
        # loops in doubles are as those in floats: they are not compiled for all threads, too
        numba.set_num_threads(1 if dtype is np.float64 else numba.config.NUMBA_NUM_THREADS)
        case(arrays, pick, dtype)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="guards memory by mprotect")
@pytest.mark.parametrize("seed", range(2))
def test_kernels_stay_inside_their_arrays(seed):
    code = f"from tests.test_kernels_bounds import main; main({seed}, 60)"
    subprocess.run([sys.executable, "-X", "faulthandler", "-c", code], check=True)
