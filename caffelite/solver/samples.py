"""Pictures that a solver's sample_net draws with what is learned: always of the same noise."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING

import numpy as np

from .. import rng
from ..atomic import write_atomically
from ..data.image import encode
from ..errors import SolverError
from ..net import Net
from ..pictures.arrays import batch
from ..proto.caffe_pb2 import Phase
from ..proto.text import read_net
from . import prefix

if TYPE_CHECKING:
    from .base import Solver

log = logging.getLogger("caffelite")

SEED = 1 << 20  # which of the seeds derived from the solver's: beyond those of its nets


class Samples:
    """The sample_net of a solver, and its output that is pictures.

    Raises a SolverError if it has no such output, or layers of its own that nobody trains.
    """

    def __init__(self, solver: Solver) -> None:
        self.solver, file = solver, solver.param.sample_net
        param = read_net(file)
        param.state.phase = Phase.Value("TEST")
        self.net = Net.from_param(param, file=file, seed=0)
        solver.share_weights(self.net)
        if untrained := [f'"{layer.name}"' for layer, _ in self.net.unfilled_layers()]:
            raise SolverError(
                f"{file}: its layers {', '.join(untrained)} have weights, and no player's net has "
                "layers of these names"
            )
        self.output = output_of_pictures(self.net)

    def draw(self) -> None:
        """Write PREFIX_samples_iter_N.png, and emit it as an event."""
        solver, net = self.solver, self.net
        solver.share_weights(net)
        net.reseed(rng.derive(solver.seed, SEED))
        for layer in net.layers:
            layer.seek(0)
        fill_inputs(net, rng.derive(solver.seed, SEED, 1))
        data = encode(batch(net.forward()[self.output]).transpose(2, 0, 1)[::-1], "png")
        path = f"{solver.param.snapshot_prefix}_samples_iter_{solver.iter}.png"
        prefix.check_writable(solver.param.snapshot_prefix)
        write_atomically(path, data)
        png = base64.b64encode(data).decode()
        solver._emit("picture", iteration=solver.iter, name="samples", file=path, png=png)


def fill_inputs(net: Net, seed: int) -> None:
    """Standard normal noise for a net's inputs; for those that Embed reads, one class after the
    other."""
    random = np.random.default_rng(seed)
    for name in net.inputs:
        values = net.blobs[name].data
        classes = _classes(net, name)
        if classes:
            values[...] = np.resize(np.arange(classes), values.shape)
        else:
            values[...] = random.standard_normal(values.shape)


def _classes(net: Net, name: str) -> int:
    """How many classes an input tells apart, 0 if it is no class."""
    for node in net.nodes:
        if node.layer.picks_from and node.bottom_blobs[0].shares_data_with(net.blobs[name]):
            return node.layer.picks_from
    return 0


def output_of_pictures(net: Net) -> str:
    """The name of a net's first output that is a batch of pictures, of 1 channel or 3."""
    for name in net.outputs:
        shape = net.blobs[name].shape
        if len(shape) == 4 and shape[1] in (1, 3):
            return name
    shapes = ", ".join(f'"{name}" {net.blobs[name].shape}' for name in net.outputs)
    raise SolverError(
        f"{net.file}: expected an output of pictures, N x 1 or 3 x height x width; it has {shapes}"
    )
