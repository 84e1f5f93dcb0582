"""The nets of models/ that train against each other, beside the same written in PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.models.adversarial import cross_entropy, squares, wasserstein
from caffelite.models.program import program
from caffelite.proto.text import read_solver

ROOT = Path(__file__).parent.parent
BATCH, TURNS = 16, 50
LOSSES = {"dcgan": cross_entropy, "lsgan": squares, "wgan": wasserstein}


def solver_of(name):
    """The solver of solvers/, on pictures of noise, for the nets of gan-mlp without Dropout: those
    with BatchNorm are so sensitive that rounding alone parts two runs within ten turns."""
    mlp = program(ROOT / "models" / "gan-mlp" / "net.py")
    net = replace(mlp, losses=LOSSES[name]).train_val()
    kept = [layer for layer in net.layer if layer.type != "Dropout"]
    kept = [layer for layer in kept if not (layer.type == "Data" and layer.include[0].phase == 1)]
    del net.layer[:]
    net.layer.extend(kept)
    for layer in net.layer:
        if layer.type == "Data":
            layer.include[0].ClearField("phase")
            layer.type, shape = "DummyData", [BATCH, 1, 28, 28]
            for field in ("data_param", "transform_param"):
                layer.ClearField(field)
            layer.dummy_data_param.shape.add(dim=shape)
            layer.dummy_data_param.data_filler.add(type="uniform", min=-1, max=1)
        elif layer.type == "DummyData":
            layer.dummy_data_param.shape[0].dim[0] = BATCH
    param = read_solver(str(ROOT / "solvers" / f"{name}.prototxt"))
    for field in ("net", "snapshot", "sample_interval", "sample_net", "display"):
        param.ClearField(field)
    param.net_param.CopyFrom(net)
    return caffelite.get_solver(param)


def rule_of(param, parameters):
    """A function that moves tensors by their gradients as Caffe's Adam or RMSProp does: delta is
    added to the root of squares that are not corrected yet, where PyTorch's Adam adds it after."""
    mean, squares = ([p.detach() * 0 for p in parameters] for _ in range(2))
    t = 0

    def adam():
        nonlocal t
        t += 1
        b1, b2 = param.momentum, param.momentum2
        falls = 1 - (t - 1) / param.max_iter if param.lr_policy == "poly" else 1
        rate = falls * param.base_lr * (1 - b2**t) ** 0.5 / (1 - b1**t)
        for p, h, h2 in zip(parameters, mean, squares, strict=True):
            h.mul_(b1).add_(p.grad, alpha=1 - b1)
            h2.mul_(b2).add_(p.grad**2, alpha=1 - b2)
            p -= rate * h / (h2.sqrt() + param.delta)

    def rmsprop():
        for p, h2 in zip(parameters, squares, strict=True):
            h2.mul_(param.rms_decay).add_(p.grad**2, alpha=1 - param.rms_decay)
            p -= param.base_lr * p.grad / (h2.sqrt() + param.delta)

    return {"Adam": adam, "RMSProp": rmsprop}[param.type]


def losses_of_torch(name, one, fed):
    """The losses of each pass, by the same from the same weights and batches.

    `fed` has what the passes of both players had, in their order.
    """
    torch = pytest.importorskip("torch")
    from torch.nn import functional as F

    w = {
        f"{layer}.{k}": torch.tensor(np.array(blob.data), requires_grad=True)
        for layer, blobs in one.net.params.items()
        for k, blob in enumerate(blobs)
    }

    def dense(x, layer):
        return F.linear(x, w[f"{layer}.0"], w[f"{layer}.1"])

    def make(z):
        x = F.relu(dense(F.relu(dense(z, "g_ip1")), "g_ip2"))
        return torch.tanh(dense(x, "g_pixels"))

    def judge(x):
        x = F.leaky_relu(dense(x.flatten(1), "d_ip1"), 0.2)
        return dense(F.leaky_relu(dense(x, "d_ip2"), 0.2), "d_score")

    def cross(score, truth):
        return F.binary_cross_entropy_with_logits(score, torch.full_like(score, truth))

    def square(score, truth):
        return ((score - truth) ** 2).mean() / 2

    of_critic, of_maker = {
        "dcgan": (lambda r, f: cross(r, 1.0) + cross(f, 0.0), lambda f: cross(f, 1.0)),
        "lsgan": (lambda r, f: square(r, 1.0) + square(f, 0.0), lambda f: square(f, 1.0)),
        "wgan": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
    }[name]
    own = {s: [v for k, v in w.items() if k.startswith(s)] for s in "dg"}
    rules = {s: rule_of(one.param, parameters) for s, parameters in own.items()}
    found = []
    for player, noise, real in fed:
        fake = make(torch.tensor(noise))
        if player == "discriminator":
            loss, mover = of_critic(judge(torch.tensor(real)), judge(fake.detach())), "d"
        else:
            loss, mover = of_maker(judge(fake)), "g"
        for v in w.values():
            v.grad = None
        loss.backward()
        with torch.no_grad():
            rules[mover]()
        if name == "wgan" and mover == "d":
            with torch.no_grad():
                for v in own["d"]:
                    v.clamp_(-0.01, 0.01)
        found.append(float(loss.detach()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan", "lsgan", "wgan"])
def test_turns_are_those_of_pytorch(name):
    pytest.importorskip("torch")
    one, fed, losses = solver_of(name), [], []

    def watched(player):
        net, run = player.net, player.net.forward_backward

        def forward_backward():
            losses.append(run())
            blobs = (net.blobs[blob] for blob in ("noise", "data") if blob in net.blobs)
            fed.append((player.name, *(np.array(blob.data) for blob in blobs), None)[:3])
            return losses[-1]

        net.forward_backward = forward_backward

    twin = solver_of(name)
    for player in one.players:
        watched(player)
    one.step(TURNS)
    theirs = losses_of_torch(name, twin, fed)
    a_turn = len(losses) // TURNS
    near, all_of_them = slice(0, 20 * a_turn), slice(None)
    np.testing.assert_allclose(losses[near], theirs[near], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(losses[all_of_them], theirs[all_of_them], rtol=1e-2, atol=1e-2)
