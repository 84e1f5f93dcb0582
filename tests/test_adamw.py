"""AdamW: against PyTorch's, and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from caffelite import get_solver
from caffelite.blob import Blob
from caffelite.errors import SolverError
from caffelite.proto import caffe_pb2
from caffelite.solver.rules import RULES
from caffelite.solver.update import Update

OPTIONS = dict(type="AdamW", momentum=0.875, momentum2=0.96875, delta=2.0**-10, weight_decay=0.125)
RATES = [0.5, 0.25, 0.25, 0.125, 0.0625]  # numbers that float32, the schema's, holds as they are


def moved(gradients, decay_mult=1, **more):
    """Where a float64 blob of ones is after each of these gradients."""
    param = caffe_pb2.SolverParameter(**OPTIONS | more)
    blob = Blob(gradients.shape[1:], np.float64)
    blob.data[...] = 1
    entry = SimpleNamespace(blob=blob, lr_mult=1, decay_mult=decay_mult)
    update = Update(param, RULES["AdamW"](param), [entry], np.float64)
    for t, (g, rate) in enumerate(zip(gradients, RATES, strict=True), 1):
        blob.diff[...] = g
        update.apply(rate, t)
        yield blob.data.copy()


def test_it_moves_as_pytorchs_does():
    torch = pytest.importorskip("torch")
    gradients = np.random.default_rng(0).normal(size=(len(RATES), 7, 3))
    w = torch.nn.Parameter(torch.ones(7, 3, dtype=torch.float64))
    rule = torch.optim.AdamW([w], betas=(0.875, 0.96875), eps=2.0**-10, weight_decay=0.125)
    for ours, g, rate in zip(moved(gradients), gradients, RATES, strict=True):
        rule.param_groups[0]["lr"] = rate
        w.grad = torch.from_numpy(g)
        rule.step()
        np.testing.assert_allclose(ours, w.detach().numpy(), rtol=1e-13)


def test_the_first_step_is_as_long_as_the_rate_whatever_the_gradient():
    """By hand: h / (1 - b1) = g and h2 / (1 - b2) = g^2, and 1 / 16 of each weight goes before."""
    gradients = np.zeros((len(RATES), 2))
    gradients[0] = 3, -1000
    first = next(moved(gradients, delta=0))
    np.testing.assert_allclose(first, [1 - 1 / 16 - 0.5, 1 - 1 / 16 + 0.5], rtol=1e-15)


def test_without_gradient_weights_shrink_by_rate_and_decay_alone():
    """Of Adam, where decay is part of the gradient, they would step by the rate."""
    *_, last = moved(np.zeros((len(RATES), 2)))
    np.testing.assert_allclose(last, np.prod(1 - 0.125 * np.array(RATES)), rtol=1e-15)
    *_, last = moved(np.zeros((len(RATES), 2)), decay_mult=0)
    np.testing.assert_array_equal(last, 1)


def test_a_penalty_that_is_none_is_refused():
    param = caffe_pb2.SolverParameter(**OPTIONS, base_lr=1, lr_policy="fixed")
    param.regularization_type = "L1"
    with pytest.raises(SolverError, match='AdamW: regularization_type: "L1" cannot be'):
        get_solver(param)
