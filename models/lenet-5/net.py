"""LeNet-5: tanh, average pooling that learns, a sparse C3, digits drawn by the last hidden layer.

LeCun, Bottou, Bengio, Haffner 1998.
"""

from itertools import groupby

from caffelite.models.blocks import average_pool, by_inputs, classify, squash
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L

C3 = [  # which maps of S2 each map of C3 sees: table 1 of the paper
    *[(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)],
    *[(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)],
    *[(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)],
    (0, 1, 2, 3, 4, 5),
]


def net(n):
    n.C1 = L.Convolution(n.data, num_output=6, kernel_size=5, pad=2, **by_inputs(25))
    top = subsample(n, "S2", squash(n, "C1", n.C1))
    n.C3 = sparse_convolution(n, top)
    top = subsample(n, "S4", squash(n, "C3", n.C3))
    n.C5 = L.Convolution(top, num_output=120, kernel_size=5, **by_inputs(16 * 25))
    n.F6 = L.InnerProduct(squash(n, "C5", n.C5), num_output=84, **by_inputs(120))
    n.rbf = L.InnerProduct(
        squash(n, "F6", n.F6),
        num_output=10,
        bias_term=False,
        weight_filler={"type": "file", "file": "models/lenet-5/codes.txt"},
        param={"lr_mult": 0, "decay_mult": 0},
    )
    n.scores = L.Power(n.rbf, scale=2)
    classify(n, n.scores)


def subsample(n, name, bottom):
    """The mean of each 2 x 2 window, times a coefficient, plus a bias, one of each for a map."""
    n[name] = average_pool(bottom, 2, 2)
    n[f"{name}_scale"] = L.Scale(n[name], in_place=True, bias_term=True)
    return squash(n, name, n[f"{name}_scale"])


def sparse_convolution(n, bottom):
    """Each map from maps of its own choice: a Convolution with groups for all that see as many."""
    maps = L.Slice(bottom, name="S2_maps", axis=1, ntop=6)
    for i, top in enumerate(maps):
        n[f"S2_{i}"] = top
    parts = []
    for seen, group in groupby(C3, len):
        rows, name = [*group], f"C3_of_{seen}"
        n[f"{name}_sees"] = L.Concat(*(maps[j] for row in rows for j in row))
        options = {"num_output": len(rows), "group": len(rows), "kernel_size": 5}
        n[name] = L.Convolution(n[f"{name}_sees"], **options, **by_inputs(25 * seen))
        parts.append(n[name])
    return L.Concat(*parts)


program = Program(
    "LeNet-5", net, mnist(1, scale=1 / 200), (1, 1, 28, 28), recipe=mnist(32, scale=1 / 200)
)
