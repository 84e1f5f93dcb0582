"""models/course/examples: convolutions and poolings that slides do by hand, with their numbers."""

from pathlib import Path

import numpy as np
import pytest

from caffelite.net import Net
from caffelite.net.summary import summarize
from caffelite.proto.caffe_pb2 import TEST, NetParameter
from caffelite.proto.text import parse
from caffelite.testing import make_layer

EXAMPLES = Path(__file__).parent.parent / "models" / "course" / "examples"


def answers(name):
    return {blob: y[0].tolist() for blob, y in net_of(name).forward().items()}


def net_of(name):
    return Net(EXAMPLES / f"{name}.prototxt", TEST)


def test_a_convolution_by_hand():
    found = answers("convolution")
    (y,), (largest,) = found["y"], found["largest"]
    assert y[0] == [32, 40, 37, 7] and y[1][0] == 5
    # the slide has 6 where the largest of 6, 0, 4 and 7 is
    assert largest == [[7, 5, 3], [9, 7, 4], [7, 8, 6]]


def test_edges_in_one_direction():
    found = answers("edges")
    assert found["vertical"] == [[[0, 30, 30, 0]] * 4]
    assert found["diagonal"] == [
        [[0, 10, 30, 30], [10, 30, 30, 10], [30, 30, 10, 0], [30, 10, 0, 0]]
    ]


def test_what_maps_give_is_added_up():
    found = answers("maps")
    assert found["each"] == [[[0 - 2 + 0 + 2]], [[-1 + 0 + 0 + 2]], [[0]]]
    assert found["y"] == [[[1]]]


def test_pooling_by_hand():
    found = answers("pooling")
    assert found["largest"] == [[[6, 8], [3, 4]]]
    assert found["mean"] == [[[3.25, 5.25], [2, 2]]]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("edge", [0, -48, 48, 0]),  # nothing where all is even
        ("sharpen", [0, -16, 32, 16]),  # the step of 16 becomes one of 48
        ("blur", [0, 4, 12, 16]),  # or is passed in three
    ],
)
def test_kernels_of_edges_sharpening_and_blur(name, row):
    assert answers("kernels")[name] == [[row, row]]


def test_seven_by_seven_pixels_seen_at_once_or_in_three():
    """The same field for 49 weights or 27."""
    layers = {layer["name"]: layer for layer in summarize(net_of("seven"))}
    assert layers["once"]["receptive_field"] == layers["three_3"]["receptive_field"]
    assert layers["three_3"]["receptive_field"][0]["size"] == 7
    three = [layers[f"three_{i}"]["learnable"] for i in (1, 2, 3)]
    assert (layers["once"]["learnable"], sum(three)) == (49, 27)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_valid_and_same(kernel, stride):
    """VALID is pad 0, SAME pad (kernel - 1) / 2: the sizes are those of the slides."""
    for size in range(kernel, 20):
        for pad, windows in ((0, size - kernel + 1), (kernel // 2, size)):
            options = f"num_output: 1 kernel_size: {kernel} stride: {stride} pad: {pad}"
            made = make_layer(
                "Convolution", [(1, 1, size, size)], f"convolution_param {{ {options} }}"
            )
            assert made[2][0].shape[2:] == (-(-windows // stride),) * 2


def test_where_the_padding_of_same_lies():
    """With stride 2 and an even side SAME needs one more pixel: it is before the others here.

    Where it is to be behind them, as TensorFlow has it, pad 2 and leave out the first window.
    """
    conv = "num_output: 1 kernel_size: 3 stride: 2 weight_filler { type: 'constant' value: 1 }"
    text = f"""
        layer {{ name: "x" type: "Input" top: "x"
                 input_param {{ shape {{ dim: 1 dim: 1 dim: 8 dim: 8 }} }} }}
        layer {{ name: "same" type: "Convolution" bottom: "x" top: "same"
                 convolution_param {{ {conv} pad: 1 }} }}
        layer {{ name: "more" type: "Convolution" bottom: "x" top: "more"
                 convolution_param {{ {conv} pad: 2 }} }}
        layer {{ name: "behind" type: "Crop" bottom: "more" bottom: "same" top: "behind"
                 crop_param {{ axis: 2 offset: 1 }} }}"""
    net = Net(parse(text, NetParameter), TEST)
    offsets = {x["name"]: x["receptive_field"][0]["offset"] for x in summarize(net)}
    assert (offsets["same"], offsets["behind"]) == (-1, 0)
    x = np.arange(64.0).reshape(8, 8)
    net.forward(x=x[None, None])
    for name, before in (("same", 1), ("behind", 0)):
        padded = np.pad(x, (before, 1))
        sums = [
            [padded[i : i + 3, j : j + 3].sum() for j in range(0, 8, 2)] for i in range(0, 8, 2)
        ]
        assert net.blobs[name].data[0, 0].tolist() == sums
