"""The convolutional net of 1989: 5 x 5 windows, two apart, and no pooling.  LeCun et al. 1989."""

from caffelite.models.blocks import by_inputs, measure, one_hot, squash, uniform
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L


def net(n):
    n.H1 = windows(n.data, 12, 25)
    n.H1_bias = bias_for_each_unit(n.H1, 25)
    top = squash(n, "H1", n.H1_bias)
    n.H1_a, n.H1_b, n.H1_c = L.Slice(top, name="H1_thirds", axis=1, ntop=3)
    for a, b in ("ab", "bc", "ac"):  # each map of H2 sees eight of the twelve of H1
        n[f"H1_{a}{b}"] = L.Concat(n[f"H1_{a}"], n[f"H1_{b}"])
        n[f"H2_{a}{b}"] = windows(n[f"H1_{a}{b}"], 4, 8 * 25)
    n.H2 = L.Concat(n.H2_ab, n.H2_bc, n.H2_ac)
    n.H2_bias = bias_for_each_unit(n.H2, 8 * 25)
    n.H3 = L.InnerProduct(squash(n, "H2", n.H2_bias), num_output=30, **by_inputs(192))
    n.output = L.InnerProduct(squash(n, "H3", n.H3), num_output=10, **by_inputs(30))
    top = squash(n, "output", n.output)
    if "label" in n.tops:
        n.loss = L.EuclideanLoss(top, one_hot(n, n.label, 10, on=1, off=-1))
        measure(n, top, "accuracy")


def windows(bottom, num_output, inputs):
    """5 x 5 windows in steps of 2, which halve the map; biases come apart."""
    return L.Convolution(
        bottom,
        num_output=num_output,
        kernel_size=5,
        stride=2,
        pad=2,
        bias_term=False,
        weight_filler=uniform(2.4 / inputs),
    )


def bias_for_each_unit(bottom, inputs):
    """Units of a map share their weights, but not their bias."""
    return L.Bias(bottom, in_place=True, axis=1, num_axes=3, filler=uniform(2.4 / inputs))


program = Program(
    "LeCun-1989",
    net,
    mnist(1, scale=1 / 127.5, resize_param={"height": 16, "width": 16}),
    (1, 1, 16, 16),
)
