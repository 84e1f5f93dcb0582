"""Coordinate maps between blobs, and the crops made of them."""

import numpy as np
import pytest

import caffelite as caffe
from caffelite import layers as L
from caffelite.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)
from caffelite.layers import layer_types


def data():
    return L.Input(shape=dict(dim=[1, 1, 64, 64]))


def chain(*layers, bottom=None):
    """(bottom, top) of layers, each (type, options), on top of each other."""
    top = bottom = data() if bottom is None else bottom
    for kind, options in layers:
        top = getattr(L, kind)(top, **options)
    return bottom, top


CONV = ("Convolution", dict(num_output=10, kernel_size=5, stride=2, pad=0))
POOL = ("Pooling", dict(kernel_size=2, stride=2))
UP = ("Deconvolution", dict(num_output=10, kernel_size=4, stride=2, pad=0))


def scalars(found):
    axis, a, b = found
    return axis, np.unique(a).item(), np.unique(b).item()


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (CONV, (1, 1 / 2, -1)),
        (("Convolution", dict(kernel_size=3, pad=1)), (1, 1, 0)),
        (("Convolution", dict(kernel_size=3, dilation=2, pad=3)), (1, 1, 1)),
        (("Convolution", dict(convolution_param=dict(kernel_size=3, axis=2))), (2, 1, -1)),
        (POOL, (1, 1 / 2, -1 / 4)),
        (("Pooling", dict(pooling_param=dict(kernel_size=3, stride=3))), (1, 1 / 3, -1 / 3)),
        (("Im2col", dict(convolution_param=dict(kernel_size=3, pad=1))), (1, 1, 0)),
        (UP, (1, 2, 1.5)),
        (("Deconvolution", dict(convolution_param=dict(kernel_size=4, stride=2, pad=1))),
         (1, 2, 0.5)),
        (("ReLU", {}), (None, 1, 0)),
        (("Dropout", {}), (None, 1, 0)),
    ],
)  # fmt: skip
def test_the_map_of_a_layer(layer, expected):
    assert scalars(coord_map(chain(layer)[1].fn)) == pytest.approx(expected)


def test_a_map_says_where_the_window_of_an_output_is_centred():
    """What a top value at y sees is centred at the x with map(x) = y."""
    options = dict(num_output=1, kernel_size=5, stride=3, pad=1)
    n = caffe.NetSpec()
    n.x = L.Input(shape=dict(dim=[1, 1, 1, 40]))
    n.y = L.Convolution(
        n.x, num_output=1, kernel_size=[1, 5], stride=[1, 3], pad=[0, 1],
        weight_filler=dict(type="constant", value=1),
    )  # fmt: skip
    net = caffe.Net(n.to_proto(), caffe.TEST)
    _, a, b = scalars(coord_map(L.Convolution(n.x, **options).fn))
    for y in (1, 5, 9):
        seen = []
        for x in range(40):
            net.blobs["x"].data[...] = 0
            net.blobs["x"].data[..., x] = 1
            if net.forward()["y"][0, 0, 0, y]:
                seen.append(x)
        assert a * np.mean(seen) + b == pytest.approx(y)


def test_an_axis_each_may_have_its_own_map():
    (_, a, b) = coord_map(L.Convolution(data(), kernel_size=[3, 5], stride=[1, 2], pad=[0, 2]).fn)
    np.testing.assert_allclose(a, [1, 1 / 2])
    np.testing.assert_allclose(b, [-1, 0])


@pytest.mark.parametrize("kind", ["InnerProduct", "Reshape", "Flatten", "Softmax", "Concat"])
def test_other_layers_have_no_map(kind):
    with pytest.raises(UndefinedMapException, match=kind):
        coord_map(getattr(L, kind)(data()).fn)


def test_legacy_sizes_are_refused_and_a_size_is_needed():
    with pytest.raises(AssertionError, match="kernel_h"):
        coord_map(L.Convolution(data(), kernel_h=3, kernel_w=3).fn)
    with pytest.raises(AssertionError, match="pad_w"):
        coord_map(L.Convolution(data(), kernel_size=3, pad_w=1).fn)
    with pytest.raises(KeyError, match="kernel_size"):
        coord_map(L.Pooling(data(), stride=2).fn)


def test_maps_compose_and_invert():
    there, back = (1, np.array([2.0]), np.array([3.0])), (None, 4, 5)
    assert scalars(compose(there, back)) == (1, 8, 13)
    assert scalars(compose(back, there)) == (1, 8, 17)
    assert scalars(compose(there, inverse(there))) == (1, 1, 0)
    with pytest.raises(AxisMismatchException, match="axis 1 and along axis 2"):
        compose(there, (2, 1, 0))


def test_padding_and_depth_cancel_out():
    bottom, padded = chain(("Convolution", dict(kernel_size=3, pad=1)), *[("ReLU", {})] * 3)
    assert scalars(coord_map_from_to(padded, bottom)) == (1, 1, 0)
    bottom, top = chain(CONV, POOL, UP, UP)
    assert scalars(coord_map_from_to(top, bottom))[1] == 1


def test_maps_along_other_axes_do_not_mix():
    flat = ("Convolution", dict(kernel_size=3, axis=2))
    bottom, top = chain(CONV, flat)
    with pytest.raises(AxisMismatchException):
        coord_map_from_to(top, bottom)


def test_tops_without_a_common_blob_have_no_map():
    with pytest.raises(RuntimeError, match="connect"):
        coord_map_from_to(chain(CONV)[1], chain(CONV)[1])
    bottom, top = chain(CONV, ("InnerProduct", dict(num_output=1)))
    with pytest.raises(RuntimeError, match="connect"):
        coord_map_from_to(top, bottom)


def test_branches_are_followed_once():
    bottom, top = chain(("Convolution", dict(kernel_size=3)))
    for _ in range(60):
        top = L.Eltwise(top, L.ReLU(top))
    assert scalars(coord_map_from_to(top, bottom)) == (1, 1, 1)


def test_the_crops_of_fcn():
    """FCN-32s, 16s and 8s of Long, Shelhamer, Darrell 2015: offsets 19, 27, 31; 5 and 9 between."""

    def up(bottom, factor):
        options = dict(num_output=21, kernel_size=2 * factor, stride=factor, bias_term=False)
        return L.Deconvolution(bottom, convolution_param=options)

    def offset(top_from, top_to):
        cut = crop(top_from, top_to)
        return cut, cut.fn.params["crop_param"]["offset"]

    conv = ("Convolution", dict(kernel_size=3, pad=1))
    image, pool1 = chain(("Convolution", dict(kernel_size=3, pad=100)), conv, POOL)
    _, pool3 = chain(conv, POOL, conv, POOL, bottom=pool1)
    _, pool4 = chain(conv, POOL, bottom=pool3)
    _, score = chain(conv, POOL, ("Convolution", dict(kernel_size=7)), ("ReLU", {}), bottom=pool4)
    assert offset(up(score, 32), image)[1] == [19]

    pool4_cut, at = offset(pool4, up(score, 2))
    assert at == [5]
    fused4 = L.Eltwise(up(score, 2), pool4_cut)
    assert offset(up(fused4, 16), image)[1] == [27]
    pool3_cut, at = offset(pool3, up(fused4, 2))
    assert at == [9]
    assert offset(up(L.Eltwise(up(fused4, 2), pool3_cut), 8), image)[1] == [31]


def test_a_crop_of_a_crop_adds_up():
    bottom, top = chain(CONV, UP)
    offset = L.Crop(top, bottom, crop_param=dict(axis=2, offset=3))
    _, a, b = coord_map_from_to(top, bottom)
    _, a2, b2 = coord_map_from_to(offset, bottom)
    assert (a, b + 3) == (a2, b2)


def test_a_crop_of_a_rectangle_has_an_offset_an_axis():
    _, top = chain(("Deconvolution", dict(kernel_size=[3, 5], stride=1)))
    cut = crop(top, chain(bottom=top.fn.inputs[0])[1])
    assert cut.fn.params["crop_param"] == dict(axis=2, offset=[1, 2])


def test_pointwise_layers_crop_at_zero():
    bottom, top = chain(("ReLU", {}))
    assert crop(top, bottom).fn.params["crop_param"] == dict(axis=2, offset=[0])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (POOL, "scale"),
        (("Convolution", dict(kernel_size=3)), "before the blob"),
        (("Deconvolution", dict(kernel_size=4)), "between coordinates"),
    ],
)
def test_impossible_crops_are_refused(layer, message):
    bottom, top = chain(layer)
    with pytest.raises(AssertionError, match=message):
        crop(top, bottom)


POINTWISE = [name for name, made in layer_types().items() if made.pointwise]


@pytest.mark.parametrize("name", POINTWISE)
def test_a_pointwise_layer_keeps_coordinates(name):
    data = [L.Input(shape=dict(dim=[1, 1, 8, 8])) for _ in range(3)]
    top = getattr(L, name)(*data)
    reached = [bottom for bottom in data if _has_map(top, bottom)]
    assert reached and all(coord_map_from_to(top, bottom) == (None, 1, 0) for bottom in reached)


def _has_map(top, bottom):
    try:
        return coord_map_from_to(top, bottom)
    except RuntimeError:
        return None


@pytest.mark.parametrize("kind", "BN BatchNorm Clip ReLU6 ReLUX SeLu Swish".split())
def test_activations_and_normalizations_are_pointwise(kind):
    assert coord_map(getattr(L, kind)(data()).fn) == (None, 1, 0)


def test_a_gate_for_channels_has_no_coordinates():
    """In a squeeze-and-excitation block one way leads through a global pooling."""
    x = data()
    gate = L.Sigmoid(L.Convolution(L.Pooling(x, global_pooling=True), kernel_size=1))
    assert coord_map_from_to(L.Scale(x, gate, axis=0), x) == (None, 1, 0)
    assert coord_map_from_to(L.Axpy(gate, x, x), x) == (None, 1, 0)
    with pytest.raises(UndefinedMapException, match="Pooling"):
        coord_map(L.Pooling(x, global_pooling=True).fn)
