"""What the nets for digits among clutter share: the data, and what comes before and after a look.

The digits are those of `caffelite dataset distorted-digits`: pictures of 60 x 60 pixels, with a
digit of 28 x 28 anywhere and pieces of others around it.
"""

from caffelite.models.blocks import XAVIER, classify, conv, dense, dropout, max_pool, relu
from caffelite.models.program import Program, Samples
from caffelite.net_spec import layers as L

SIZE = 0.5  # of a window, in parts of the picture


def program(name, net):
    sources = "data/distorted_train_lmdb", "data/distorted_test_lmdb"
    samples = Samples(*sources, (16, 100), {"scale": 1 / 256}, "digits")
    return Program(name, net, samples, (1, 1, 60, 60))


def maps(n, name, bottom, *widths):
    """A convolution of 5 x 5 and pooling for each width."""
    for number, width in enumerate(widths, 1):
        n[f"{name}conv{number}"] = conv(bottom, width, 5, XAVIER)
        n[f"{name}pool{number}"] = max_pool(n[f"{name}conv{number}"], 2, 2)
        n[f"{name}relu{number}"] = relu(n[f"{name}pool{number}"])
        bottom = n[f"{name}relu{number}"]
    return bottom


def scores(n, bottom, width, drop=0):
    """A dense layer so wide, of which training leaves out a part, and the ten scores."""
    n.ip1 = dense(bottom, width, XAVIER)
    n.relu = top = relu(n.ip1)
    if drop:
        n.drop = top = dropout(n.relu, drop)
    n.ip2 = dense(top, 10, XAVIER)
    classify(n, n.ip2)


def looks(n, places, count):
    """What `count` transformers see: 28 x 28 pixels each, of a window of 30 x 30.

    A localization net draws a map of 15 x 15 for each; its softmax says how likely the digit lies
    where, and the mean place by that is the window's: it cannot leave the picture, and starts in
    the middle. `places` is a file of the rows, then the columns, of these 15 x 15 places, as theta
    counts them: from -14/15 to 14/15.
    """
    n.half = max_pool(n.data, 2, 2)
    n.where_conv1 = conv(n.half, 16, 5, XAVIER, pad=2)
    n.where_pool1 = max_pool(n.where_conv1, 2, 2)
    n.where_relu1 = relu(n.where_pool1)
    n.where_conv2 = conv(n.where_relu1, 24, 5, XAVIER, pad=2)
    n.where_relu2 = relu(n.where_conv2)
    n.where_maps = conv(n.where_relu2, count, 5, XAVIER, pad=2)
    n.where_rows = L.Reshape(n.where_maps, shape={"dim": [0, count, -1]})
    n.where_odds = L.Softmax(n.where_rows, axis=2)
    n.where = L.InnerProduct(
        n.where_odds,
        axis=2,
        num_output=2,
        bias_term=False,
        weight_filler={"type": "file", "file": places},
        param={"lr_mult": 0, "decay_mult": 0},
    )
    thetas = L.Slice(n.where, name="where_each", axis=1, ntop=count) if count > 1 else [n.where]
    return [look(n, f"st{i}", theta) for i, theta in enumerate(thetas, 1)]


def look(n, name, place):
    """What the transformer of a name sees: theta is (0.5, 0, row; 0, 0.5, column)."""
    if place is not n.where:
        n[f"{name}_place"] = place
    fixed = {"theta_1_1": SIZE, "theta_1_2": 0, "theta_2_1": 0, "theta_2_2": SIZE}
    sides = {"output_H": 28, "output_W": 28}
    n[name] = L.SpatialTransformer(n.data, place, to_compute_dU=False, **sides, **fixed)
    return n[name]
