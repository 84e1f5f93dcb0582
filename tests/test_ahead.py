"""Kernels that a second process compiles are those that the first one then finds on disk."""

import os
import subprocess
import sys

import pytest
from google.protobuf import text_format

import caffelite
from caffelite.kernels import _jit
from caffelite.net import ahead
from caffelite.proto import caffe_pb2

from .test_steps import RESIDUAL


def build(text):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TRAIN)


def test_the_net_that_is_compiled_for_is_the_same_without_weights():
    net = build(RESIDUAL)
    again = caffelite.Net.from_param(ahead.described(net))
    assert [node.shapes for node in again.nodes] == [node.shapes for node in net.nodes]
    assert [[n.layer.name for n in step.nodes] for step in again.steps] == [
        [n.layer.name for n in step.nodes] for step in net.steps
    ]
    assert net.params["a"][0].data.any() and not again.params["a"][0].data.any()


HEAD = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }'


def test_nothing_is_written(tmp_path):
    output = f'bottom: "x" bottom: "x" hdf5_output_param {{ file_name: "{tmp_path}/never.h5" }}'
    net = build(HEAD + f'layer {{ name: "w" type: "HDF5Output" {output} }}')
    assert [layer.type for layer in ahead.described(net).layer] == ["Input", "Split"]


class Own(caffelite.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)


def test_code_of_users_is_left_alone():
    own = (
        f'type: "Python" bottom: "x" top: "y" python_param {{ module: "{__name__}" layer: "Own" }}'
    )
    assert ahead.described(build(HEAD + f'layer {{ name: "l" {own} }}')) is None


@pytest.mark.parametrize(("setting", "starts"), [("on", 1), ("off", 0)])
def test_nothing_starts_before_something_is_compiled(setting, starts, monkeypatch):
    started = []
    monkeypatch.setenv("CAFFELITE_AHEAD", setting)
    monkeypatch.setattr(ahead, "_start", started.append)
    monkeypatch.setattr(ahead, "thread_count", lambda work: 2)
    monkeypatch.setattr(_jit._next, "then", [])
    ahead.watch(build(RESIDUAL))
    assert not started
    for then in _jit._next.then:
        then()
    assert len(started) == starts


RUN = """
import sys
from caffelite.net import ahead
from caffelite.net.net import Net
from caffelite.kernels import _jit
from caffelite.proto import caffe_pb2

param = caffe_pb2.NetParameter.FromString(sys.stdin.buffer.read())
if sys.argv[1] == "ahead":
    ahead.compile_ahead(param)
else:
    _jit.at_next_compilation(lambda: sys.exit("something was left to compile"))
    net = Net.from_param(param)
    net.economize()
    net.forward_backward()
"""


@pytest.mark.slow
def test_nothing_is_left_to_compile(tmp_path):
    param = ahead.described(build(RESIDUAL)).SerializeToString()
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for role in "ahead", "behind":
        command = [sys.executable, "-c", RUN, role]
        subprocess.run(command, input=param, env=environment, check=True)
