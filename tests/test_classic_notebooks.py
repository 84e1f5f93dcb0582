"""Notebooks of our own that make the calls of Caffe's classic ones, on small data."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.data import binaryproto
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.pycaffe.scripts import bvlc

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.nb"))

pytestmark = pytest.mark.slow


def small(data, dense=True):
    """A net of the form of CaffeNet, for pictures of 27 x 27; dense: as such, else convolving."""
    n = NetSpec()
    n.data = data
    filler = dict(type="gaussian", std=0.02)
    n.conv1 = L.Convolution(n.data, num_output=8, kernel_size=5, stride=2, weight_filler=filler)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.conv1, kernel_size=3, stride=2)
    n.norm1 = L.LRN(n.pool1, local_size=5, alpha=1e-4, beta=0.75)

    def full(bottom, count, size):
        if dense:
            return L.InnerProduct(bottom, num_output=count, weight_filler=filler)
        return L.Convolution(bottom, num_output=count, kernel_size=size)

    six, seven, eight = (f"fc{k}{'' if dense else '-conv'}" for k in (6, 7, 8))
    n[six] = full(n.norm1, 20, 6)
    n["relu6"] = L.ReLU(n[six], in_place=True)
    n[seven] = full(n[six], 10, 1)
    n["relu7"] = L.ReLU(n[seven], in_place=True)
    n[eight] = full(n[seven], 6, 1)
    n.prob = L.Softmax(n[eight])
    return str(n.to_proto())


SIAMESE = """
layer { name: "pair_data" type: "DummyData" top: "pair_data" top: "sim" dummy_data_param {
  shape { dim: 8 dim: 2 dim: 28 dim: 28 } shape { dim: 8 }
  data_filler { type: "uniform" } data_filler { value: 1 } } }
layer { name: "slice_pair" type: "Slice" bottom: "pair_data" top: "data" top: "data_p"
  slice_param { slice_dim: 1 slice_point: 1 } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "ip1_p" type: "InnerProduct" bottom: "data_p" top: "ip1_p" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "loss" type: "ContrastiveLoss" bottom: "ip1" bottom: "ip1_p" bottom: "sim" top: "loss"
  contrastive_loss_param { margin: 1 } }
"""
FEATURES = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 28 input_dim: 28
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "feat"
  inner_product_param { num_output: 2 bias_term: false } }
"""
SIAMESE_SOLVER = """
net: "siamese/train.prototxt" base_lr: 0.01 lr_policy: "inv" gamma: 0.0001 power: 0.75
momentum: 0.9 max_iter: 20 snapshot_prefix: "siamese/snapshot" solver_mode: GPU
"""
CONV = """
input: "data" input_shape { dim: 1 dim: 1 dim: 30 dim: 30 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 3 kernel_size: 5 stride: 1
  weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 0 } } }
"""
TOOLS = '''
import numpy as np


class SimpleTransformer:
    """Pictures, height x width x channels, to what a net takes, and back."""

    def __init__(self, mean=(128, 128, 128)):
        self.mean, self.scale = np.array(mean, dtype=np.float32), 1.0

    def set_mean(self, mean):
        self.mean = mean

    def preprocess(self, im):
        im = np.float32(im)[:, :, ::-1]
        return ((im - self.mean) * self.scale).transpose((2, 0, 1))

    def deprocess(self, im):
        im = im.transpose(1, 2, 0) / self.scale + self.mean
        return np.uint8(im[:, :, ::-1])


class CaffeSolver:
    """The text of a solver, option by option."""

    def __init__(self, testnet_prototxt_path, trainnet_prototxt_path):
        self.sp = {"base_lr": "0.001", "momentum": "0.9", "test_iter": "2", "test_interval": "250",
                   "display": "25", "snapshot": "2500", "snapshot_prefix": '"snapshot"',
                   "lr_policy": '"fixed"', "gamma": "0.1", "weight_decay": "0.0005",
                   "train_net": '"%s"' % trainnet_prototxt_path,
                   "test_net": '"%s"' % testnet_prototxt_path}

    def write(self, filepath):
        with open(filepath, "w") as f:
            for key, value in sorted(self.sp.items()):
                f.write("%s: %s\\n" % (key, value))
'''
LAYERS = '''
import os
import random
from threading import Thread  # as theirs, which may load ahead

import numpy as np
from PIL import Image

import caffe
from tools import SimpleTransformer


class PictureDataLayerSync(caffe.Layer):
    """Pictures of a folder, and which of three colours are bright in them."""

    def setup(self, bottom, top):
        self.top_names = ["data", "label"]
        params = eval(self.param_str)
        for name in ("split", "batch_size", "pascal_root", "im_shape"):
            assert name in params, name
        self.batch_size = params["batch_size"]
        self.loader = BatchLoader(params)
        top[0].reshape(self.batch_size, 3, params["im_shape"][0], params["im_shape"][1])
        top[1].reshape(self.batch_size, 4)

    def forward(self, bottom, top):
        for k in range(self.batch_size):
            im, multilabel = self.loader.load_next_image()
            top[0].data[k, ...] = im
            top[1].data[k, ...] = multilabel

    def reshape(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


class BatchLoader(object):
    def __init__(self, params):
        self.root, self.im_shape = params["pascal_root"], params["im_shape"]
        self.names, self._cur = sorted(os.listdir(self.root)), 0
        self.transformer = SimpleTransformer()

    def load_next_image(self):
        if self._cur == len(self.names):
            self._cur = 0
            random.shuffle(self.names)
        im = Image.open(os.path.join(self.root, self.names[self._cur]))
        im = np.asarray(im.resize(self.im_shape))
        self._cur += 1
        label = np.append(im.mean((0, 1)) > 128, im.mean() < 100).astype(np.float32)
        flip = np.random.choice(2) * 2 - 1
        return self.transformer.preprocess(im[:, ::flip, :]), label
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder like Caffe's, with little in it."""
    root = tmp_path_factory.mktemp("caffe")
    random = np.random.default_rng(0)

    def put(name, content):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    # a net, its weights and its mean
    deploy = put("models/small/deploy.prototxt", small(L.Input(shape=dict(dim=[2, 3, 27, 27]))))
    caffelite.Net(deploy, caffelite.TEST).save(str(root / "models/small/small.caffemodel"))
    convolving = small(L.Input(shape=dict(dim=[1, 3, 32, 32])), dense=False)
    put("examples/surgery/full_conv.prototxt", convolving)
    put("examples/surgery/conv.prototxt", CONV)
    mean = random.uniform(90, 130, (3, 32, 32)).astype(np.float32)
    put("data/names.txt", "a\nb\nc\nd\ne\nf\n")
    np.save(root / "data/mean.npy", mean)
    binaryproto.write(root / "data/mean.binaryproto", mean[None])

    # pictures of three classes, by their colour
    (root / "images").mkdir()
    names = {"train": "", "test": ""}
    for k in range(24):
        pixels = random.integers(0, 128, (32, 32, 3))
        pixels[..., k % 3] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"images/{k:02}.png")
        names["train" if k < 16 else "test"] += f"{k:02}.png {k % 3}\n"
    Image.fromarray(pixels.astype(np.uint8)).save(root / "images/cat.png")
    (root / "gray").mkdir()
    Image.open(root / "images/cat.png").convert("L").save(root / "gray/cat.png")
    for name, lines in names.items():
        put(f"data/{name}.txt", lines)

    # digits, by a bright square in one of ten places
    digits, labels = random.integers(0, 100, (60, 28, 28), np.uint8), np.arange(60) % 10
    for digit, label in zip(digits, labels, strict=True):
        row, column = divmod(int(label), 5)
        digit[14 * row : 14 * row + 10, 5 * column : 5 * column + 5] = 255
    for name, part in (("train", slice(0, 40)), ("test", slice(40, 60))):
        (root / "mnist").mkdir(exist_ok=True)
        with LmdbWriter(root / f"mnist/{name}_lmdb") as writer:
            for k, (digit, label) in enumerate(zip(digits[part], labels[part], strict=True)):
                datum = from_pixels(digit[None], int(label))
                writer.put(f"{k:08}".encode(), datum.SerializeToString())
    put("mnist/images-idx3-ubyte", struct.pack(">4i", 2051, 60, 28, 28) + digits.tobytes())
    put("mnist/labels-idx1-ubyte", struct.pack(">2i", 2049, 60) + labels.astype("u1").tobytes())

    # two nets that share weights
    put("examples/siamese/train.prototxt", SIAMESE)
    put("examples/siamese/solver.prototxt", SIAMESE_SOLVER)
    features = put("examples/siamese/deploy.prototxt", FEATURES)
    caffelite.Net(features, caffelite.TEST).save(str(root / "examples/siamese/siamese.caffemodel"))

    # Python layers, and a script of Caffe's
    put("examples/pycaffe/tools.py", TOOLS)
    put("examples/pycaffe/layers/picture_datalayers.py", LAYERS)
    (known,) = [known for known in bvlc.SCRIPTS if known.name == "detect"]
    put("python/detect.py", "".join(f"# {mark}\n" for mark in known.marks) + "print 'Python 2'\n")
    return root


NEEDS = {
    "brewing_logreg": ["sklearn", "pandas", "h5py", "scipy"],
    "detection": ["pandas", "tables"],
}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_classic_notebook_runs(notebook, root):
    for module in ["matplotlib", *NEEDS.get(notebook.stem, [])]:
        pytest.importorskip(module)
    texts = notebook.read_text().split("# %%\n")[1:]
    cells = [{"cell_type": "code", "source": text} for text in texts]
    path = root / "examples" / f"{notebook.stem}.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "cells": cells}))
    command = [sys.executable, "-m", "caffelite", "run", "-q", f"examples/{path.name}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    assert "passing over the cell" not in done.stderr
