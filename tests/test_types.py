"""A program that uses caffelite type-checks against it, and wrong uses of it do not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import caffelite

pytest.importorskip("mypy", reason="mypy is not installed")

# A line with `# E: KIND` is an error of that kind, one with `# R: TYPE` reveals that type.
PROGRAM = """
from pathlib import Path
from collections.abc import Sequence

import numpy as np

import caffelite
import caffelite.io
from caffelite import Net, NetSpec, TEST, Layer, SGDSolver
from caffelite.classifier import Classifier
from caffelite.data.source import Source
from caffelite.net_spec import layers as L, params as P
from caffelite.testing import check_gradient, make_layer
from caffelite.types import Array, Shape

net = Net("net.prototxt", TEST)
net = Net(Path("net.prototxt"), phase=TEST, weights="net.caffemodel")
reveal_type(net.forward())  # R: dict[str, Array]
reveal_type(net.forward(data=np.zeros((1, 3)), end="prob")["prob"])  # R: Array
reveal_type(net.blobs["data"].shape)  # R: Shape
reveal_type(net.params["conv1"][0].diff)  # R: Array
reveal_type(net.layers[0].type)  # R: str
reveal_type(net.forward_backward())  # R: float
reveal_type(net.copy_from("net.caffemodel").missing)  # R: list[str]
net.forward(end=3)  # E: arg-type
net.blobs["data"].reshape("1", 3)  # E: arg-type
net.blobs["data"].data = np.zeros(3)  # E: misc
net.forwards()  # E: attr-defined
net.save(5)  # E: arg-type
Net()  # E: call-arg
Net("net.prototxt", TEST, wieghts="net.caffemodel")  # E: call-arg

solver = SGDSolver("solver.prototxt")
reveal_type(solver.net)  # R: Net
reveal_type(solver.step(10))  # R: bool
reveal_type(solver.resume())  # R: str | None
reveal_type(caffelite.get_solver("solver.prototxt").lr)  # R: float
reveal_type(caffelite.optimize(net, "data", iterations=3, base_lr=0.1))  # R: list[float]
solver.step("10")  # E: arg-type
caffelite.optimize(net, "data")  # E: call-arg
solver.add_listener(lambda event: print(event["iteration"]))
caffelite.set_random_seed(1.5)  # E: arg-type

image = caffelite.io.load_image("cat.jpg")
reveal_type(image)  # R: Array
caffelite.io.resize_image(image, (227, 227), interp_order="cubic")  # E: arg-type
transformer = caffelite.io.Transformer({"data": net.blobs["data"].shape})
transformer.set_mean("data", [104, 117, 123])
reveal_type(Classifier("net.prototxt", "net.caffemodel").predict([image]))  # R: Array

spec = NetSpec()
spec.data = L.Input(shape=dict(dim=[1, 3]))
spec.pool = L.Pooling(spec.data, pool=P.Pooling.MAX, kernel_size=2)


class Double(Layer):
    def reshape(self, bottom: Sequence[caffelite.Blob], top: Sequence[caffelite.Blob]) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: str, top: Sequence[caffelite.Blob]) -> None:  # E: override
        pass


class Squares(Source):
    def __len__(self) -> int:
        return 10

    def sample(self, number: int) -> Array:
        return np.full(3, number**2)

    def name(self, number: int) -> int:  # E: override
        return number


reveal_type(Squares().state().position)  # R: int
layer, bottom, top = make_layer("ReLU", [(2, 3)])
check_gradient(layer, bottom, top, step="small")  # E: arg-type
"""

SHOWN = {
    "Array": "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]",
    "Shape": "tuple[int, ...]",
    "Net": "caffelite.net.net.Net",
}


def checked(folder, program):
    """{line: what mypy says of it}, and all that it says."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--show-error-codes", "program.py"]
    command += ["--cache-dir", str(folder / "cache"), "--follow-imports=silent"]
    command += ["--hide-error-context", "--no-error-summary"]
    env = {**os.environ, "MYPYPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    said = {}
    for line in done.stdout.splitlines():
        if found := re.match(r"program\.py:(\d+): (error|note): (.*)", line):
            said.setdefault(int(found[1]), []).append(found[3])
    return said, done.stdout + done.stderr


@pytest.mark.slow  # mypy reads numpy's types first
def test_a_program_is_checked_against_the_types_of_the_package(tmp_path):
    every = "".join(f"from caffelite import {name}\n" for name in caffelite.__all__)
    said, output = checked(tmp_path, PROGRAM + every + "from caffelite import io, draw, layers\n")
    for number, line in enumerate(PROGRAM.splitlines(), 1):
        _, kind, wanted = re.fullmatch(r"(.*?)(?:# ([ER]): (.*))?", line).groups()
        words = " ".join(said.pop(number, []))
        if kind == "E":
            assert f"[{wanted}]" in words, f"{line}\n{words}\n{output}"
        elif kind == "R":
            shown = re.sub(r"\w+", lambda found: SHOWN.get(found[0], found[0]), wanted)
            assert plain(words) == plain(f'Revealed type is "{shown}"'), line
        else:
            assert not words, f"{line}\n{words}"
    assert not said, output


def plain(words):
    """What mypy says, without what its versions spell in different ways."""
    return re.sub(r"builtins\.|typing\.|[`' ]", "", words).replace("Union[str,None]", "str|None")
