"""Vision layers against PyTorch, where it is installed, over random geometries."""

import numpy as np
import pytest

from caffelite.testing import make_layer

torch = pytest.importorskip("torch")
functional = torch.nn.functional

draws = pytest.mark.parametrize("seed", range(25))


def entries(name, values):
    return " ".join(f"{name}: {value}" for value in values)


def hold_together(layer, bottom, top, compute):
    """Forward and backward of the layer against `compute(tensor of x, *tensors of blobs)`."""
    blobs = [bottom[0], *layer.blobs]
    layer.forward(bottom, top)
    tensors = [torch.tensor(b.data, requires_grad=True) for b in blobs]
    y = compute(*tensors)
    np.testing.assert_allclose(top[0].data, y.detach().numpy(), 1e-9, 1e-9)
    top[0].diff[...] = np.random.default_rng(1).standard_normal(top[0].shape)
    y.backward(torch.tensor(top[0].diff))
    layer.backward(top, [True], bottom)
    for blob, tensor in zip(blobs, tensors, strict=True):
        np.testing.assert_allclose(blob.diff, tensor.grad.numpy(), 1e-9, 1e-9)


def random_convolution(rng, axes, transposed):
    """(options, sides of the bottom, stride, pad, dilation, group)"""
    kernel, stride, dilation = (rng.integers(1, 4, axes).tolist() for _ in range(3))
    group = int(rng.integers(1, 3))
    if transposed:
        sides, pad = rng.integers(2, 6, axes), rng.integers(0, 2, axes)
        pad = np.minimum(pad, (np.multiply(dilation, np.subtract(kernel, 1))) // 2)
    else:
        pad = rng.integers(0, 3, axes)
        sides = np.multiply(dilation, np.subtract(kernel, 1)) + rng.integers(1, 6, axes)
    pad = pad.tolist()
    options = " ".join(
        [
            f"num_output: {2 * group} group: {group}",
            entries("kernel_size", kernel),
            entries("stride", stride),
            entries("pad", pad),
            entries("dilation", dilation),
            'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }',
        ]
    )
    options = f"convolution_param {{ {options} }}"
    return options, sides.tolist(), stride, pad, dilation, group


@draws
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_convolution(axes, seed):
    options, sides, *geometry = random_convolution(np.random.default_rng(seed), axes, False)
    layer, bottom, top = make_layer("Convolution", [(2, 4, *sides)], options)
    run = getattr(functional, f"conv{axes}d")
    hold_together(layer, bottom, top, lambda x, w, b: run(x, w, b, *geometry))


@draws
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_deconvolution(axes, seed):
    rng = np.random.default_rng(seed)
    options, sides, stride, pad, dilation, group = random_convolution(rng, axes, True)
    layer, bottom, top = make_layer("Deconvolution", [(2, 4, *sides)], options)
    run = getattr(functional, f"conv_transpose{axes}d")
    rest = (0, group, dilation)
    hold_together(layer, bottom, top, lambda x, w, b: run(x, w, b, stride, pad, *rest))


@draws
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_pooling(method, seed):
    rng = np.random.default_rng(seed)
    kernel = rng.integers(1, 5, 2)
    stride = np.minimum(rng.integers(1, 5, 2), kernel).tolist()
    pad = rng.integers(0, kernel // 2 + 1).tolist()  # PyTorch allows no more
    kernel = kernel.tolist()
    sides = [k + int(rng.integers(0, 8)) for k in kernel]
    ceil = bool(seed % 2)
    h_and_w = "kernel_h: {} kernel_w: {} stride_h: {} stride_w: {} pad_h: {} pad_w: {}"
    options = h_and_w.format(*kernel, *stride, *pad)
    options += f" pool: {method} round_mode: {'CEIL' if ceil else 'FLOOR'}"
    made = make_layer("Pooling", [(2, 3, *sides)], f"pooling_param {{ {options} }}")
    run = functional.max_pool2d if method == "MAX" else functional.avg_pool2d
    hold_together(*made, lambda x: run(x, kernel, stride, pad, ceil_mode=ceil))


def test_global_pooling():
    made = make_layer("Pooling", [(2, 3, 4, 5)], "pooling_param { pool: AVE global_pooling: true }")
    hold_together(*made, lambda x: functional.adaptive_avg_pool2d(x, 1))


@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0])
def test_lrn(size, beta):
    options = f"lrn_param {{ local_size: {size} alpha: 0.5 beta: {beta} k: 2 }}"
    made = make_layer("LRN", [(2, 7, 3, 4)], options)
    hold_together(*made, lambda x: functional.local_response_norm(x, size, 0.5, beta, 2.0))


def test_shuffle_channel():
    made = make_layer("ShuffleChannel", [(2, 6, 3, 4)], "shuffle_channel_param { group: 3 }")
    hold_together(*made, lambda x: functional.channel_shuffle(x, 3))


def test_upsample_undoes_pooling():
    _, bottom, (y, mask) = made = make_layer(
        "Pooling", [(2, 3, 6, 8)], "pooling_param { kernel_size: 2 stride: 2 }", tops=2
    )
    made[0].forward(bottom, [y, mask])
    layer, _, (z,) = make_layer("Upsample", [y.data, mask.data])
    layer.forward([y, mask], [z])
    x = torch.tensor(bottom[0].data)
    want = functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2)
    np.testing.assert_array_equal(z.data, want.numpy())
