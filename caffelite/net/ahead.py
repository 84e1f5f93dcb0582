"""Kernels that another process compiles while this one compiles those that it needs before.

The first training on a machine compiles forward's kernels, runs them, and compiles backward's.
Most of that is Python, for which a process has but one core. So a second one builds the same net,
computes nothing, and compiles what is needed last first, until it comes to what is on disk, as the
first process then does. Where it fails, nothing is missing. CAFFELITE_AHEAD=off in the environment
does without.
"""

from __future__ import annotations

import atexit
import math
import os
import subprocess
import sys
from contextlib import suppress

from google.protobuf.message import Message

from ..environment import choice
from ..kernels._jit import at_next_compilation, run_no_kernels, thread_count
from ..layers.data.input import Input
from ..proto import caffe_pb2
from .net import Net


def watch(net: Net) -> None:
    """Start the other process as soon as this one compiles a kernel, if that can help."""
    wanted = choice("CAFFELITE_AHEAD", ("on", "off"), "on") == "on"
    if wanted and thread_count(math.inf) > 1 and (param := described(net)) is not None:
        at_next_compilation(lambda: _start(param))


def described(net: Net) -> caffe_pb2.NetParameter | None:
    """A net of the same kernels that fills no weights, and reads and writes no files.

    None if that cannot be: layers of users may do anything.
    """
    param = caffe_pb2.NetParameter(name=net.name)
    param.state.phase = net.phase
    for node in net.nodes:
        if node.layer.role == "sink" and not node.top_names:
            continue
        made = param.layer.add()
        if not node.bottom_names:
            made.name, made.type = node.layer.name, Input.type
            made.top.extend(node.top_names)
            for blob in node.top_blobs:
                made.input_param.shape.add(dim=blob.shape)
            continue
        made.CopyFrom(node.layer.param)
        known = type(node.layer).__module__.startswith(f"{__package__.rpartition('.')[0]}.")
        if not known or node.layer.files:
            return None
        for rules in ("include", "exclude", "blobs"):
            made.ClearField(rules)
        _fill_nothing(made)
    return param


def _fill_nothing(message: Message) -> None:
    for _, value in message.ListFields():
        if isinstance(value, caffe_pb2.FillerParameter):
            value.Clear()
            value.SetInParent()
        elif isinstance(value, Message):
            _fill_nothing(value)


def _start(param: caffe_pb2.NetParameter) -> None:
    """Let the other process compile; it ends with this one at the latest."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with suppress(OSError):
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip
        atexit.register(_end, process)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(param.SerializeToString())


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def compile_ahead(param: caffe_pb2.NetParameter) -> None:
    """Compile the kernels of a net, those that are needed last first; nothing is computed."""
    net = Net.from_param(param)
    net.economize()
    compilations = run_no_kernels()
    net.forward_backward()
    for compile_one in reversed(compilations):
        compile_one()


if __name__ == "__main__":
    with suppress(OSError, AttributeError):
        os.nice(5)
    compile_ahead(caffe_pb2.NetParameter.FromString(sys.stdin.buffer.read()))
