"""Pictures that a solver's sample_net draws with what is learned: always of the same noise."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

from .. import rng
from ..atomic import write_atomically
from ..data.image import encode
from ..errors import SolverError
from ..net import Net
from ..net.generator import inputs_of_noise, output_of_pictures
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

    Raises a NetError if it has no such output, a SolverError for layers that nobody trains.
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
        solver.team.share_statistics(solver.net)
        if solver.team.rank:
            return
        solver.share_weights(net)
        net.reseed(rng.derive(solver.seed, SEED))
        for layer in net.layers:
            layer.seek(0)
        noise: dict[str, Any] = inputs_of_noise(net, rng.derive(solver.seed, SEED, 1))
        data = encode(batch(net.forward(**noise)[self.output]).transpose(2, 0, 1)[::-1], "png")
        path = f"{solver.param.snapshot_prefix}_samples_iter_{solver.iter}.png"
        prefix.check_writable(solver.param.snapshot_prefix)
        write_atomically(path, data)
        png = base64.b64encode(data).decode()
        solver._emit("picture", iteration=solver.iter, name="samples", file=path, png=png)
