"""The tools of caffelite.testing on a layer of one's own, right and wrong."""

import numpy as np
import pytest

from caffelite.layers import base
from caffelite.testing import TEST, check_gradient, make_layer


class Cube(base.Layer):
    """y = weight * x^3, with one learned weight; `runs` counts, and does not learn."""

    slope = 3

    def setup(self, bottom_shapes):
        self.weight = self.add_blob("weight", ())
        self.weight.data[...] = 2
        self.runs = self.add_blob("runs", (1,))
        self.param.param.add()
        self.param.param.add(lr_mult=0)

    def forward(self, bottom, top):
        self.runs.data[...] += 1
        top[0].data[...] = self.weight.data * bottom[0].data ** 3

    def backward(self, top, propagate_down, bottom):
        x, dy = bottom[0].data, top[0].diff
        self.weight.diff[...] += (dy * x**3).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = dy * self.weight.data * self.slope * x**2


@pytest.fixture(autouse=True)
def cube():
    base.register("Cube")(Cube)
    yield
    del base._types["Cube"]


@pytest.mark.parametrize("shape", [(2, 3), (40, 50), ()])
def test_a_right_gradient_passes_and_leaves_data_alone(shape):
    layer, bottom, top = make_layer("Cube", [shape])
    before = bottom[0].data.copy()
    check_gradient(layer, bottom, top)
    np.testing.assert_array_equal(bottom[0].data, before)
    assert layer.weight.data == 2
    assert layer.runs.data == 1  # put back before each run


@pytest.mark.parametrize("shape", [(2, 3), (40, 50)])
def test_a_wrong_bottom_gradient_is_found(shape, monkeypatch):
    monkeypatch.setattr(Cube, "slope", 3.0001)
    with pytest.raises(
        AssertionError, match=r'layer "layer" \(Cube\): the gradient at bottom\[0\]'
    ):
        check_gradient(*make_layer("Cube", [shape]))


def test_a_wrong_blob_gradient_is_found(monkeypatch):
    layer, bottom, top = make_layer("Cube", [(2, 3)])
    backward = layer.backward

    def forgetful(*arguments):
        backward(*arguments)
        layer.weight.diff[...] = 0

    layer.backward = forgetful
    with pytest.raises(AssertionError, match=r"the gradient at weight\[\] is 0, central"):
        check_gradient(layer, bottom, top)


def test_tops_without_a_gradient_are_left_out():
    made = make_layer("SoftmaxWithLoss", [np.ones((2, 3)), np.ones(2)], tops=2)
    with pytest.raises(AssertionError):
        check_gradient(*made)
    check_gradient(*made, fixed_tops=[1])


def test_a_layer_takes_arrays_shapes_and_options():
    x = np.array([[-1.0, 2.0]])
    layer, bottom, top = make_layer(
        "ReLU", [x], 'name: "r" relu_param { negative_slope: 0.5 }', TEST, np.float32
    )
    layer.forward(bottom, top)
    assert (layer.name, layer.phase, top[0].dtype) == ("r", TEST, np.float32)
    np.testing.assert_array_equal(top[0].data, [[-0.5, 2]])
    assert make_layer("ReLU", [x], in_place=True)[2][0].data[0, 0] == -1


def test_single_precision_is_refused():
    with pytest.raises(AssertionError, match="float64"):
        check_gradient(*make_layer("ReLU", [(2,)], dtype=np.float32))
