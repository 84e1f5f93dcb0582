"""Damaged files of every kind that users name, made from sound ones by a seed."""

import random
from pathlib import Path

import numpy as np

from caffelite.proto import caffe_pb2

NET = """name: "n" # a net
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" include { phase: TEST }
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
"""  # noqa: E501
SOLVER = """net_param { name: "n" layer { name: "d" type: "DummyData" top: "d" top: "t"
  dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 2 }
  data_filler { type: "uniform" min: -1 max: 1 } data_filler { value: -0.0 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "l" } }
base_lr: 0.1 lr_policy: "multistep" stepvalue: 2 stepvalue: 4 gamma: 0.1 momentum: 0.9
max_iter: 4 display: 1 snapshot_prefix: "s" test_iter: 1 test_interval: 2 monitor: "l"
random_seed: 1
"""
GLOG = """I0102 03:04:05.678901  1234 solver.cpp:279] Solving n
I0102 03:04:05.778901  1234 solver.cpp:337] Iteration 0, Testing net (#0)
I0102 03:04:06.778901  1234 solver.cpp:404]     Test net output #0: accuracy = 0.25
I0102 03:04:06.778902  1234 solver.cpp:404]     Test net output #1: loss = 2.5 (* 1 = 2.5 loss)
I0102 03:04:07.778901  1234 solver.cpp:228] Iteration 0 (0 iter/s, 1s/1 iters), loss = 2.3
I0102 03:04:07.778902  1234 solver.cpp:244]     Train net output #0: loss = 2.3 (* 1 = 2.3 loss)
I0102 03:04:07.778903  1234 sgd_solver.cpp:106] Iteration 0, lr = 0.01
I0102 03:04:09.778901  1234 solver.cpp:228] Iteration 10, loss = 1.3e-2
I0102 03:04:09.778902  1234 solver.cpp:244]     Train net output #0: loss = 1.3 (* 1 = 1.3 loss)
I0102 03:04:09.778903  1234 sgd_solver.cpp:106] Iteration 10, lr = 0.01
"""
EVENTS = """{"event": "start", "iteration": 0, "time": 1.5}
{"event": "train", "iteration": 1, "time": 2.5, "loss": 2.25, "lr": 0.1, "outputs": {"loss": 2.25}}
{"event": "test", "iteration": 2, "time": 3, "net": 1, "loss": 2, "outputs": {"p": [[0.5], [1]]}}
{"event": "train", "iteration": 3, "time": 4, "loss": 1, "lr": 0.1, "outputs": {"\\u00e9": 1}}
"""
CARD = """---
name: n
input: data, 3 x 8 x 8
resize: [8, 8]
labels: labels.txt
transform_param:
  scale: 0.5
  mean_value: [104, 117, 123]
---
Prose.
"""
AXES = """{"eigenvalues": [3, 2, 1.5], "eigenvectors": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}"""
WINDOWS = "# 0\na.png\n3 9 9\n2\n1 0.9 1 2 3 4\n0 0.1 1 2 3 4\n# 1 b.png 3 5 5 1 2 0.7 0 0 3 3\n"
CSV = 'filename,xmin,ymin,xmax,ymax\na.png,1,2,5,6.5\n"b, c.png",0,0,7,7\n'


def idx(*shape):
    head = bytes([0, 0, 8, len(shape)]) + b"".join(dim.to_bytes(4, "big") for dim in shape)
    return head + bytes(range(10)) * (int(np.prod(shape)) // 10)


def binaryproto():
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=2, width=2, data=range(12))
    return blob.SerializeToString()


# What a number, a name or a list can turn into.
WORDS = [
    *[b"9" * 5000, b"-" + b"9" * 30, b"2147483648", b"-1", b"1e999", b"-inf", b"nan", b"-0.0"],
    *[b"1e308", b"5e-324", b"0x7fffffff", b"1_000", b"\xd9\xa3", b"null", b"true", b'"\\ud800"'],
    *[b"[" * 3000, b'{"a":' * 3000, b"{" * 200, b"layer {" * 60, b"[[[1]]]", b"{}", b"[]", b'""'],
    *[b"\0", b"\xff\xfe", b"\r", b"\n\n", b" ", b",", b":", b"#", b"- ", b"&a [*a, *a]", b"---\n"],
    *[b"2024-99-99", b"!!int x", b"!!bool x", b"!!timestamp x", b"? [1]: 2", b"\x00" * 70],
    *[b"\xff" * 9 + b"\x01", b"\x08\x01" * 70, b"\xc3", b"\xed\xa0\x80", b"x" * 70_000],
]


def damaged(content, seed):
    """The bytes, with one to four things wrong in them."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            data[at : at + chance.randrange(1, 20)] = b""
        elif kind == 2:
            data[at:at] = data[at : at + chance.randrange(1, 60)] * chance.randrange(1, 4)
        elif kind == 3:
            del data[at:]
        else:
            spans = [*_words(data)] or [(at, at)]
            start, end = chance.choice(spans) if chance.random() < 0.8 else (at, at)
            data[start:end] = chance.choice(WORDS)
    return bytes(data)


def _words(data):
    """(start, end) of runs of letters and digits, which are what is most readily misread."""
    start = None
    for at, byte in enumerate(data[:5000]):
        if chr(byte).isalnum() or byte in b".-":
            start = at if start is None else start
        elif start is not None:
            yield start, at
            start = None


def put(path, content):
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
