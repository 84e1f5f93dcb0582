"""The cosine policy: from base_lr down to min_lr, after a warm-up or at once."""

import math

import pytest

from caffelite.errors import SolverError
from caffelite.proto import caffe_pb2
from caffelite.solver.lr_policy import rate_at, unread


def param(**options):
    given = dict(lr_policy="cosine", base_lr=0.5, max_iter=100) | options
    return caffe_pb2.SolverParameter(**given)


def rates(*iterations, **options):
    return [rate_at(param(**options), i, 0)[0] for i in iterations]


def test_it_falls_from_base_lr_to_nothing_along_half_a_wave():
    by_hand = [0.5, 0.25 * (1 + math.sqrt(0.5)), 0.25, 0.125, 0]
    assert rates(0, 25, 50, 200 / 3, 100) == pytest.approx(by_hand, abs=1e-15)


def test_after_a_warm_up_it_starts_from_base_lr_and_ends_at_min_lr():
    options = dict(warmup_iter=20, warmup_start_lr=0.25, min_lr=0.125)
    by_hand = [0.25, 0.375, 0.5, (0.5 + 0.125) / 2, 0.125]
    assert rates(0, 10, 20, 60, 100, **options) == pytest.approx(by_hand, abs=1e-15)
    falling = rates(*range(20, 101), **options)
    assert falling == sorted(falling, reverse=True)


def test_beyond_the_end_it_stays_there():
    assert rates(100, 130, 200, min_lr=0.25) == [0.25] * 3


def test_pytorchs_falls_alike():
    torch = pytest.importorskip("torch")
    rule = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
    policy = torch.optim.lr_scheduler.CosineAnnealingLR(rule, T_max=100, eta_min=0.125)
    theirs = []
    for _ in range(100):
        theirs += policy.get_last_lr()
        rule.step()
        policy.step()
    assert rates(*range(100), min_lr=0.125) == pytest.approx(theirs, rel=1e-12)


def test_it_needs_iterations_to_come_down_in():
    for warm, end in ((100, 100), (0, 0), (300, 100)):
        with pytest.raises(SolverError, match=f"from warmup_iter, {warm}, to max_iter, .* {end}:"):
            rates(0, warmup_iter=warm, max_iter=end)


def test_options_of_other_policies_are_told_of():
    assert [name for name, _ in unread(param(gamma=0.5, min_lr=0.1))] == ["gamma"]
