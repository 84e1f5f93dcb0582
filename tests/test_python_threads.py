"""Nets in several Python threads at once, as in a server, compute what they compute one by one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import caffelite
from caffelite import layers as L
from caffelite.blob import Blob
from caffelite.kernels import _jit


def small_net():
    """Large enough for kernels to use several threads."""
    x = L.Input(shape=dict(dim=[1, 16, 40, 40]), name="data")
    gaussian = dict(type="gaussian", std=0.1)
    x = L.Convolution(x, num_output=32, kernel_size=3, stride=2, weight_filler=gaussian)
    x = L.Convolution(L.ReLU(x), num_output=64, kernel_size=1, weight_filler=gaussian)
    x = L.InnerProduct(L.ReLU(x), num_output=8, weight_filler=gaussian, name="scores")
    return caffelite.Net(x.to_proto(), caffelite.TEST)


def outputs(net, seed):
    """What a net makes of three batches."""
    x, scores = net.blobs[net.inputs[0]], []
    x.data[...] = np.random.default_rng(seed).standard_normal(x.shape)
    for _ in range(3):
        scores.append(net.forward()[net.outputs[0]].copy())
        x.data[...] *= -2
    return np.stack(scores)


@pytest.mark.parametrize("shared", [False, True])
def test_nets_run_in_threads_at_once(shared, all_threads, monkeypatch):
    monkeypatch.setattr(_jit, "ALONE", 0)  # where there is a choice, several threads
    nets = [small_net() for _ in range(4)]
    for net in nets[1:] if shared else []:
        net.share_with(nets[0])
    begin = threading.Barrier(len(nets))

    def at_once(seed):
        begin.wait(20)
        return outputs(nets[seed], seed)

    with ThreadPoolExecutor(len(nets)) as pool:
        together = list(pool.map(at_once, range(4)))
    one_by_one = [outputs(net, seed) for seed, net in enumerate(nets)]
    np.testing.assert_array_equal(together, one_by_one)
    assert np.abs(one_by_one).max() > 0


def test_the_first_look_at_shared_values_waits_for_their_filler():
    ours, theirs = Blob((3,)), Blob((3,))
    theirs.share_data(ours)
    begun, go_on = threading.Event(), threading.Event()

    def fill(values):
        begun.set()
        assert go_on.wait(20) and not ours.data.any()  # a filler may look at what it fills
        values[...] = 7

    ours.fill_later(fill)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: ours.data.sum())
        assert begun.wait(20)
        second = pool.submit(lambda: theirs.data.sum())
        assert not second.done()
        go_on.set()
        assert (first.result(20), second.result(20)) == (21, 21)


def test_values_whose_filler_failed_are_not_zeros_at_the_next_look():
    blob, tries = Blob((3,)), iter([ValueError("no"), None])

    def fill(values):
        problem = next(tries)
        if problem:
            raise problem
        values[...] = 7

    blob.fill_later(fill)
    with pytest.raises(ValueError, match="no"):
        blob.data.sum()
    assert blob.data.sum() == 21


def test_nets_that_share_weights_keep_what_they_packed(monkeypatch):
    nets = [small_net() for _ in range(2)]
    nets[1].share_with(nets[0])
    for net in nets * 2:
        net.forward()
    reads, read = [], Blob.read
    monkeypatch.setattr(Blob, "read", lambda blob: reads.append(blob) or read(blob))
    for net in nets * 2:
        net.forward()
    assert not reads
    nets[0].layers[1].weight.data[...] = 1
    for net in nets * 2:
        net.forward()
    assert len(reads) == 2  # each net packed them once
