"""Time a turn of DCGAN's players, models/dcgan with its solver, beside PyTorch's.

    python tools/benchmark.py --adversarial
    python tools/benchmark_adversarial.py --threads 2 --repeats 20

A turn is what an iteration of the solver is: the discriminator on 64 true pictures and 64 made
ones, and its step of Adam; then the generator through the discriminator, and its step. Pictures are
noise in memory. Both sides have the same weights to begin with, and the losses of the first turn,
of the same noise, are held together. Turns are taken in turn; figures are milliseconds, the median
and the least, on one thread of its processor time. The ratio is PyTorch's time by caffelite's.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from tools.benchmark_machine import described, machine, set_threads  # noqa: E402

BATCH, SURE, RATE = 64, 0.9, 0.0004


class Caffelite:
    """The solver; `turn` takes one, `losses` are those of the last one, `fed` its noise."""

    def __init__(self):
        import caffelite
        from caffelite.proto.text import read_net, read_solver

        param = read_solver(str(ROOT / "solvers" / "dcgan.prototxt"))
        for name in ("net", "snapshot", "sample_net", "sample_interval", "display"):
            param.ClearField(name)
        param.net_param.CopyFrom(read_net(str(ROOT / "models" / "dcgan" / "train_val.prototxt")))
        for layer in param.net_param.layer:
            if layer.type == "Data":
                layer.type = "Input"
                layer.ClearField("data_param")
                layer.ClearField("transform_param")
                layer.input_param.shape.add(dim=[BATCH, 1, 28, 28])
        self.solver = caffelite.get_solver(param)
        self.pictures = np.random.default_rng(1).uniform(-1, 1, (BATCH, 1, 28, 28))
        for player in self.solver.players:
            if "data" in player.net.blobs:
                player.net.blobs["data"].data[...] = self.pictures

    def weights(self):
        """{layer: [arrays]} of all that learns."""
        params = self.solver.net.params
        return {name: [np.array(blob.data) for blob in blobs] for name, blobs in params.items()}

    def turn(self):
        self.solver.step(1)

    @property
    def fed(self):
        return [np.array(player.net.blobs["noise"].data) for player in self.solver.players]

    @property
    def losses(self):
        judge, maker = (player.net.blobs for player in self.solver.players)
        losses = judge["d_real_loss"], judge["d_fake_loss"], maker["g_loss"]
        return [float(blob.data) for blob in losses]


class PyTorch:
    """The same by modules; `turn` takes the noise of both players, or draws it."""

    def __init__(self, weights, pictures):
        import torch
        from torch import nn

        self.generator = nn.Sequential(
            nn.Linear(64, 4096, bias=False),
            nn.Unflatten(1, (256, 4, 4)),
            nn.BatchNorm2d(256),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(256, 128, 3, 2, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 1, 4, 2, 1),
            nn.Tanh(),
        )
        self.judge = nn.Sequential(
            nn.Conv2d(1, 64, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(128, 256, 4, 2, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2304, 1),
        )
        names = ["g_dense", "g_dense_scale", "g_up1", "g_up1_scale", "g_up2", "g_up2_scale"]
        names += ["g_up3", "d_conv1", "d_conv2", "d_conv2_scale", "d_conv3", "d_conv3_scale"]
        names += ["d_score"]
        learning = [m for net in (self.generator, self.judge) for m in net if list(m.parameters())]
        with torch.no_grad():
            for name, module in zip(names, learning, strict=True):
                for mine, theirs in zip(module.parameters(), weights[name], strict=True):
                    mine.copy_(torch.from_numpy(theirs.reshape(mine.shape)))
        adam = {"lr": RATE, "betas": (0.5, 0.999)}
        nets = self.judge, self.generator
        self.steps = [torch.optim.Adam(net.parameters(), **adam) for net in nets]
        self.pictures = torch.from_numpy(np.float32(pictures))
        self.torch, self.loss = torch, nn.functional.binary_cross_entropy_with_logits

    def turn(self, fed=None):
        torch, near = self.torch, self._near
        noise = [torch.randn(BATCH, 64) for _ in self.steps]
        if fed is not None:
            noise = [torch.from_numpy(values) for values in fed]
        for step in self.steps:
            step.zero_grad(set_to_none=False)
        made = self.generator(noise[0]).detach()
        of_true, of_made = near(self.judge(self.pictures), SURE), near(self.judge(made), 0)
        (of_true + of_made).backward()
        self.steps[0].step()
        for weight in self.judge.parameters():
            weight.requires_grad_(False)
        fooled = near(self.judge(self.generator(noise[1])), 1)
        fooled.backward()
        self.steps[1].step()
        for weight in self.judge.parameters():
            weight.requires_grad_(True)
        self.losses = [of_true, of_made, fooled]

    def _near(self, score, truth):
        return self.loss(score, self.torch.full_like(score, truth))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--threads", type=int, default=1, help="[1]")
    flag("--repeats", type=int, default=11, help="of a turn [11]")
    args = parser.parse_args(argv)
    import torch  # noqa: F401

    set_threads(args.threads)
    print(described(machine(["numpy", "numba", "torch"])))
    ours = Caffelite()
    theirs = PyTorch(ours.weights(), ours.pictures)
    ours.turn()
    theirs.turn(ours.fed)
    expected = [float(loss.detach()) for loss in theirs.losses]
    np.testing.assert_allclose(ours.losses, expected, rtol=1e-3)
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    took = np.empty((args.repeats, 2))
    for row in took:
        for i, side in enumerate((ours, theirs)):
            start = clock()
            side.turn()
            row[i] = 1e3 * (clock() - start)
    found = {"median": np.median(took, axis=0), "least": took.min(axis=0)}
    for what, (one, other) in found.items():
        print(f"dcgan, ms, {what}: {one:.1f}, PyTorch {other:.1f}: {other / one:.2f}")
    return {what: pair.tolist() for what, pair in found.items()}


if __name__ == "__main__":
    main()
