"""What the nets for digits among clutter share: the data, and what comes before and after a look.

The digits are those of `caffelite dataset distorted-digits`: pictures of 60 x 60 pixels, with a
digit of 28 x 28 anywhere and pieces of others around it.
"""

from caffelite.models.blocks import XAVIER, classify, conv, dense, gaussian, max_pool, relu
from caffelite.models.program import Program, Samples
from caffelite.net_spec import layers as L

SLOW = [{"lr_mult": 0.1, "decay_mult": 0}] * 2  # theta moves far by little


def program(name, net):
    sources = "data/distorted_train_lmdb", "data/distorted_test_lmdb"
    samples = Samples(*sources, (64, 100), {"scale": 1 / 256}, "digits")
    return Program(name, net, samples, (1, 1, 60, 60))


def maps(n, name, bottom, *widths):
    """A convolution of 5 x 5 and pooling for each width."""
    for number, width in enumerate(widths, 1):
        n[f"{name}conv{number}"] = conv(bottom, width, 5, XAVIER)
        n[f"{name}pool{number}"] = max_pool(n[f"{name}conv{number}"], 2, 2)
        n[f"{name}relu{number}"] = relu(n[f"{name}pool{number}"])
        bottom = n[f"{name}relu{number}"]
    return bottom


def scores(n, bottom, width):
    """A dense layer so wide, and the ten scores."""
    n.ip1 = dense(bottom, width, XAVIER)
    n.relu = relu(n.ip1)
    n.ip2 = dense(n.relu, 10, XAVIER)
    classify(n, n.ip2)


def looks(n, starts):
    """Pictures of 28 x 28 that transformers see, one for each (size, row, column) to start from.

    One localization net tells size and place for all of them, from the picture at half its size.
    """
    n.half = max_pool(n.data, 2, 2)
    n.where = dense(maps(n, "where_", n.half, 16, 24), 32, XAVIER)
    n.where_relu = relu(n.where)
    return [look(n, f"st{i}", n.where_relu, *start) for i, start in enumerate(starts, 1)]


def look(n, name, bottom, *start):
    """What the transformer of a name sees: theta is (size, 0, row; 0, size, column)."""
    parts = {}
    for part, value in zip(("size", "row", "column"), start, strict=True):
        n[f"{name}_{part}"] = parts[part] = dense(bottom, 1, gaussian(0.01), value, SLOW)
    n[f"{name}_theta"] = L.Concat(*(parts[part] for part in ("size", "row", "size", "column")))
    sides = {"output_H": 28, "output_W": 28}
    fixed = {"theta_1_2": 0, "theta_2_1": 0}
    n[name] = L.SpatialTransformer(
        n.data, n[f"{name}_theta"], to_compute_dU=False, **sides, **fixed
    )
    return n[name]
