"""With momentum a long valley is crossed in fewer steps

A net of two weights, of which one counts fifty times as much: its loss is 1/2 ((w1 - 3)^2 + 0.02
(w2 - 3)^2), a long valley, and what a batch of 32 random samples says of it is noisy. Both solvers
take 60 steps from (0, 0), with the same rate of 0.3, momentum 0 or 0.9. The picture has the path of
the first seed over the lines of equal loss.
"""

import io

import numpy as np

from caffelite import get_solver
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.pictures.curves import Curve
from caffelite.proto.caffe_pb2 import SolverParameter

from ._experiment import Beats, Experiment
from ._training import Found

MINIMUM, CURVATURES, STEPS, SEEDS = 3, (1, 0.02), 60, (1, 2, 3)
PANEL = "path over the surface"


def two_weights():
    """y = w x for x with one large and one small part, to be as that of a teacher: w = (3, 3)."""
    n = NetSpec()
    normal = ({"type": "gaussian", "std": float(np.sqrt(c))} for c in CURVATURES)
    parts = [L.DummyData(shape={"dim": [32, 1]}, data_filler=filler) for filler in normal]
    n.large, n.small = parts
    n.x = L.Concat(n.large, n.small)
    n.y = linear(n.x, 0, {})
    n.wanted = linear(n.x, MINIMUM, {"param": {"lr_mult": 0}})
    n.loss = L.EuclideanLoss(n.y, n.wanted)
    return n.to_proto()


def linear(bottom, value, options):
    filler = {"type": "constant", "value": value}
    return L.InnerProduct(bottom, num_output=1, bias_term=False, weight_filler=filler, **options)


def path(momentum, seed):
    """The two weights before the first step and after each."""
    solver = get_solver(
        SolverParameter(
            net_param=two_weights(),
            base_lr=0.3,
            lr_policy="fixed",
            momentum=momentum,
            max_iter=STEPS,
            random_seed=seed,
            snapshot_after_train=False,
        )
    )
    w = solver.net.params["y"][0].data
    points = [w.flatten()]
    for _ in range(STEPS):
        solver.step(1)
        points.append(w.flatten())
    return np.array(points, float)


def loss(w1, w2):
    return sum(c * (w - MINIMUM) ** 2 for c, w in zip(CURVATURES, (w1, w2), strict=True)) / 2


def paths(folders):
    """The distance left to the minimum, and the loss there, without noise."""
    found = Found({}, {PANEL: []}, "w1")
    for label, momentum in (("without", 0), ("with", 0.9)):
        several = [path(momentum, seed) for seed in SEEDS]
        ends = np.array([points[-1] for points in several])
        left = np.linalg.norm(ends - MINIMUM, axis=1)
        found.figures[label, "distance left"] = left.tolist()
        found.figures[label, "loss"] = loss(*ends.T).tolist()
        turns = [int(np.sum(np.diff(np.sign(np.diff(points[:, 0]))) != 0)) for points in several]
        found.figures[label, "turns across the valley"] = turns
        found.panels[PANEL].append(Curve(label, "train", *several[0].T.tolist()))
    return found


def over_contours(found):
    """The paths over lines of equal loss."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "caffelite"}
    with rc_context(style):
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        w2, w1 = np.meshgrid(np.linspace(-1, 6, 30), np.linspace(-1, 7, 30))
        axes.contour(
            w2, w1, loss(w1, w2), 4.0 ** np.arange(-4, 2), colors="#bbbbbb", linewidths=0.6
        )
        for curve, color in zip(found.panels[PANEL], ("#0072B2", "#D55E00"), strict=True):
            axes.plot(curve.y, curve.x, ".-", color=color, label=curve.run, linewidth=0.8)
        axes.plot([MINIMUM], [MINIMUM], "k+")
        axes.set_xlabel("w2, which counts little: along the valley")
        axes.set_ylabel("w1: across the valley")
        axes.legend(frameon=False)
        data = io.BytesIO()
        figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()


experiment = Experiment(
    deck=[
        '000: "SGD without Momentum", "SGD with Momentum"; pictures of two paths',
        "003, SGD with Momentum: the same",
    ],
    runs={},
    expected=[
        Beats("with", "without", "distance left", less=True),
        Beats("with", "without", "loss", less=True),
    ],
    measure=paths,
    draw=over_contours,
)
