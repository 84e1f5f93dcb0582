"""L-BFGS of scipy, which looks for a minimum by losses and gradients alone, without a rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import SolverError
from ..types import Array, ArrayLike

NAME = "LBFGS"
MEMORY = 10  # gradients that it remembers, as scipy's does


def minimize(
    values: Array,
    compute: Callable[[], tuple[float, Array]],
    iterations: int,
    bounds: tuple[ArrayLike, ArrayLike] | None,
    memory: int,
    told: Callable[[float], object],
) -> None:
    """Move `values` to where a loss is least, in at most so many iterations.

    `compute` gives the loss and the gradient of the values as they are. `told` hears the loss from
    before each iteration when that is done, and ends it by returning True. It ends by itself where
    no step lowers the loss any more.
    """
    try:
        from scipy import optimize
    except ImportError:
        raise SolverError("LBFGS needs scipy: pip install scipy. Adam does without") from None

    losses: list[float] = []

    def at(x: Array) -> tuple[float, Array]:
        values[...] = x.reshape(values.shape)
        loss, gradient = compute()
        losses[:] = losses or [loss]
        return loss, gradient.astype(np.float64).reshape(-1)

    def done(intermediate_result: Any) -> None:
        before, losses[0] = losses[0], float(intermediate_result.fun)
        values[...] = intermediate_result.x.reshape(values.shape)
        if told(before):
            raise StopIteration

    limits = None
    if bounds is not None:
        limits = optimize.Bounds(*(np.broadcast_to(b, values.shape).reshape(-1) for b in bounds))
    found = optimize.minimize(
        at,
        values.astype(np.float64).reshape(-1),
        jac=True,
        method="L-BFGS-B",
        bounds=limits,
        callback=done,
        options=dict(maxiter=iterations, maxfun=20 * iterations, maxcor=memory, ftol=0, gtol=0),
    )
    values[...] = found.x.reshape(values.shape)
