"""A generator may make a few kinds of samples only; a smoother loss keeps all of them

Eight normal distributions on a ring of radius 1, each with a deviation of 0.05 in both directions,
are to be learned from 128 points a batch, equally many of each. Generator (from 16 numbers) and
discriminator have two layers of 64 units; rates fall in a straight line. "GAN" is the first of them
(Goodfellow et al. 2014, the loss that does not saturate), and "LSGAN" takes half the squared
distances as losses (Mao et al. 2017), both by Adam with a rate of 0.003 and a momentum of 0.5, a
step of each player in turn. In "hasty" the generator takes ten steps for one of the discriminator,
and runs after whatever passes at the time. "WGAN" (Arjovsky et al. 2017) descends a distance
between distributions, by RMSProp with a rate of 0.001 and weights within 0.5: five steps of the
critic for one of the generator. What is drawn are points of the first seed; "modes" counts those of
the eight that at least 5 % of the points lie near, within 3 deviations. "No difference" is the
discriminator by itself, of the ring against itself: the best it can do is 1/2 for all, a loss of
2 log 2 = 1.3863.
"""

import io
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from caffelite.models.adversarial import (
    ITS_OWN,
    OF_GENERATOR,
    cross_entropy,
    dense,
    leaky,
    shared,
    squares,
    wasserstein,
)
from caffelite.models.blocks import MSRA, XAVIER, gaussian, relu
from caffelite.net import Net
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TRAIN, SolverParameter
from caffelite.proto.text import read_solver
from caffelite.run_log.reader import read_log

from ._experiment import Beats, Experiment, Reaches, Run
from ._training import LOG, Found, weights_of

BATCH, NOISE, UNITS = 128, 16, 64
MODES, DEVIATION = 8, 0.05
LOOKED_AT = 32  # batches of points
ALONE = "no difference"
ADAM = {"type": "Adam", "base_lr": 0.003, "momentum": 0.5, "momentum2": 0.999}
RMSPROP = {"type": "RMSProp", "base_lr": 0.001, "rms_decay": 0.99}


def middles(count):
    """Of the eight, one after the other: count x 2."""
    angles = 2 * np.pi * np.arange(count) / MODES
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ring(n, name, include):
    """Points of the eight distributions: n[name]."""
    n[f"{name}_middles"] = L.Parameter(shape={"dim": [BATCH, 2]}, param={"lr_mult": 0})
    n[f"{name}_middles"].fn.params["blobs"] = [
        {"shape": {"dim": [BATCH, 2]}, "data": middles(BATCH).ravel().tolist()}
    ]
    spread = gaussian(DEVIATION)
    n[f"{name}_spread"] = L.DummyData(shape={"dim": [BATCH, 2]}, data_filler=spread, **include)
    n[name] = L.Eltwise(n[f"{name}_middles"], n[f"{name}_spread"], **include)
    return n[name]


def judge(n, points, end="", **options):
    """A score for each point, by layers that share their weights with others of their name."""
    for name in ("d_ip1", "d_ip2"):
        n[f"{name}{end}"] = points = dense(points, UNITS, MSRA, **shared(name), **options)
        n[f"{name}_relu{end}"] = points = leaky(points, **options)
    n[f"d_score{end}"] = dense(points, 1, XAVIER, **shared("d_score"), **options)
    return n[f"d_score{end}"]


def game(losses):
    """Both players' net: a generator of points, the discriminator of these and of true ones."""
    n = NetSpec()
    n.noise = L.DummyData(shape={"dim": [BATCH, NOISE]}, data_filler=gaussian(1))
    made = n.noise
    for name in ("g_ip1", "g_ip2"):
        n[name] = dense(made, UNITS, MSRA)
        n[f"{name}_relu"] = made = relu(n[name])
    n.g_points = dense(made, 2, XAVIER)
    fake = judge(n, n.g_points)
    true = ring(n, "true", ITS_OWN)
    n.middles_only = L.Silence(n.true_middles, ntop=0, **OF_GENERATOR)
    losses(n, judge(n, true, "_real", **ITS_OWN), fake)
    return n.to_proto()


def no_difference():
    """A discriminator of the ring's points and of others of the same ring."""
    n = NetSpec()
    scores = [judge(n, ring(n, name, {}), end) for name, end in (("true", "_real"), ("others", ""))]
    for name, value in (("one", 1), ("zero", 0)):
        filler = {"type": "constant", "value": value}
        n[name] = L.DummyData(shape={"dim": [BATCH, 1]}, data_filler=filler)
    for name, score, truth in zip(("real", "fake"), scores, (n.one, n.zero), strict=True):
        n[f"{name}_loss"] = L.SigmoidCrossEntropyLoss(score, truth)
    return n.to_proto()


class Drawn:
    """Data that a net draws by itself: there is none to make."""

    def make(self):
        """Nothing."""


@dataclass
class Game(Run):
    """A net, trained as a game of two players unless `players` says otherwise."""

    iterations: int = 8000
    rule: dict = field(default_factory=lambda: ADAM)
    data: Drawn = field(default_factory=Drawn)
    steps: tuple = (1, 1)  # of the discriminator and the generator in each iteration
    clip_weights: float = 0  # of the discriminator
    players: bool = True

    def solver_param(self, folder, seed):
        every = max(1, self.iterations // 10)
        param = SolverParameter(
            net_param=self.net(),
            **self.rule,
            lr_policy="poly",
            power=1,
            max_iter=self.iterations + 1,  # so that the last one is told
            display=every,
            average_loss=every,
            random_seed=seed,
            snapshot_prefix=str(folder / "net"),
        )
        if self.players:
            for name, steps in zip(("discriminator", "generator"), self.steps, strict=True):
                param.player.add(name=name, layer=[f"{name[0]}_*"], steps=steps)
            if self.clip_weights:
                param.player[0].solver.clip_weights = self.clip_weights
        return param

    def miniature(self):
        return replace(self, iterations=2)


def points(folder):
    """What the generator of a run makes."""
    param = read_solver(folder / "solver.prototxt").net_param
    param.state.phase = TRAIN
    param.state.stage.append("generator")
    net = Net.from_param(param, seed=1)
    net.copy_from(weights_of(folder))
    made = []
    for _ in range(LOOKED_AT):
        net.forward()
        made.append(net.blobs["g_points"].data.copy())
    return np.concatenate(made)


def counted(folders):
    """How many modes there are, how many points are near one, and the last losses."""
    found = Found({})
    for label, several in folders.items():
        if label == ALONE:
            logs = [read_log(folder / LOG) for folder in several]
            found.figures[label, "loss of the discriminator"] = [log.train[-1].loss for log in logs]
            continue
        made = [points(folder) for folder in several]
        found.panels[label] = made[0][: 4 * BATCH]
        distances = [np.linalg.norm(some[:, None] - middles(MODES), axis=2) for some in made]
        near = [some <= 3 * DEVIATION for some in distances]
        found.figures[label, "modes"] = [int((some.mean(axis=0) >= 0.05).sum()) for some in near]
        found.figures[label, "within 3 deviations"] = [
            float(some.any(axis=1).mean()) for some in near
        ]
    return found


def scattered(found):
    """The points of each run, on the ring."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "caffelite", "font.size": 9}):
        figure = Figure(figsize=(2.7 * len(found.panels), 3), layout="constrained")
        every = figure.subplots(1, len(found.panels), squeeze=False)[0]
        for axes, (label, made) in zip(every, found.panels.items(), strict=True):
            axes.plot(*middles(MODES).T, "o", ms=16, mfc="none", mec="0.6")
            axes.plot(*made.T, ".", ms=2, rasterized=True)  # each as text would be much
            axes.set(title=label, xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
        data = io.BytesIO()
        figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()


experiment = Experiment(
    deck=[
        '002, 模式崩溃: "生成器只生成几种模式的样本, 生成样本缺乏多样性"',
        '002, 模式崩溃(model collapse): "应对方法(WGAN):采用更加平滑的损失函数"',
        '002, GAN训练过程: "GAN训练是极小极大博弈问题(或零和博弈)"',
    ],
    runs={
        "hasty": Game(partial(game, cross_entropy), steps=(1, 10), iterations=2000),
        "GAN": Game(partial(game, cross_entropy)),
        "LSGAN": Game(partial(game, squares)),
        "WGAN": Game(partial(game, wasserstein), rule=RMSPROP, steps=(5, 1), clip_weights=0.5),
        ALONE: Game(no_difference, players=False, iterations=3000),
    },
    expected=[
        Beats("GAN", "hasty", "modes"),
        Reaches("WGAN", MODES - 1, "modes"),
        Reaches("WGAN", 0.8, "within 3 deviations"),
    ],
    measure=counted,
    draw=scattered,
)
